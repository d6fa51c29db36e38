//! How a job, a task and an instance stand, in this API's words.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::job::{
    AttemptPhase, Blame, Cause, Counts, Ending, Instance, InstanceState, Job, Members, Phase, Task,
    TaskState,
};

/// A state: of a job, a task or an instance alike.
///
/// There is `SUBMITTED` besides, which nothing is here: what was accepted has
/// been read whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum State {
    Pending,
    Runnable,
    Starting,
    Running,
    Succeed,
    Failed,
    FailedInterrupted,
}

impl State {
    /// Those of a job that is not over.
    pub(crate) const OPEN: [State; 4] =
        [State::Pending, State::Runnable, State::Starting, State::Running];

    pub(crate) fn word(self) -> &'static str {
        match self {
            State::Pending => "PENDING",
            State::Runnable => "RUNNABLE",
            State::Starting => "STARTING",
            State::Running => "RUNNING",
            State::Succeed => "SUCCEED",
            State::Failed => "FAILED",
            State::FailedInterrupted => "FAILED_INTERRUPTED",
        }
    }
}

/// A time, in UTC and to the second.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Which failures are held: those of tasks that say so, until they are let go.
pub(crate) trait Held {
    /// Whether the task's failures are held at all.
    fn holds(&self, task: usize) -> bool;
    /// Whether the instance of it has been let go.
    fn is_released(&self, task: usize, instance: u32) -> bool;
}

/// How an instance stands. `waits` says whether its task waits for another.
pub(crate) fn instance(
    held: &dyn Held,
    (task, index): (usize, u32),
    instance: &Instance,
    waits: bool,
) -> State {
    match &instance.state {
        InstanceState::Waiting { .. } if waits => State::Pending,
        InstanceState::Waiting { .. } => State::Runnable,
        InstanceState::Live(attempt) => match attempt.phase {
            AttemptPhase::Claimed | AttemptPhase::Starting => State::Starting,
            AttemptPhase::Running | AttemptPhase::Collecting => State::Running,
        },
        InstanceState::Succeeded(_) => State::Succeed,
        InstanceState::Stopped(_) => State::Failed,
        InstanceState::Failed(outcome) => {
            // Else there was no machine on which it could be looked into.
            let by_itself = outcome.cause.is_some_and(|cause| cause.blame() == Blame::User);
            let is_held = by_itself && held.holds(task) && !held.is_released(task, index);
            if is_held { State::FailedInterrupted } else { State::Failed }
        }
    }
}

/// What a cause is to people.
pub(crate) fn reason(cause: Cause) -> &'static str {
    match cause {
        Cause::Exited => "The application exited with a code other than 0.",
        Cause::Signalled => "The application was ended by a signal.",
        Cause::OutOfMemory => "The application used more memory than its instance type has.",
        Cause::TimedOut => "The application ran longer than its timeout.",
        Cause::Cancelled => "The job was terminated.",
        Cause::DeadlinePassed => "The deadline of the job passed.",
        Cause::FailedFast => "Another task of the job failed.",
        Cause::InstanceStopped => "The task instance was terminated.",
        Cause::StartFailed => "The application could not be started.",
        Cause::ImageNotFound => "The image was not found.",
        Cause::ImageDenied => "The registry refused the image.",
        Cause::ImageUnusable => "The image cannot be used here.",
        Cause::ImageUnavailable => "The registry did not answer.",
        Cause::NoCapacity => "There was no room for the instance.",
        Cause::TooLarge => "The instance type is larger than what there is in all.",
        Cause::StartTimedOut => "The container did not start in time.",
        Cause::WaitTimedOut => "The instance waited too long.",
        Cause::AgentLost => "The container was gone without a report.",
        Cause::Interrupted => "The container was stopped by the platform.",
        Cause::OutputFailed => "The outputs could not be stored.",
        Cause::InputFailed => "The inputs could not be fetched.",
        Cause::DependencyFailed => "A preceding task did not end as this one needs.",
    }
}

/// How many instances of a task are in which state; of a wide one as far as its
/// job's record tells, and as if nothing were held.
pub(crate) fn instances(held: &dyn Held, job: &Job, place: usize) -> BTreeMap<State, u32> {
    let task = &job.tasks[place];
    match &task.members {
        Members::Inline(all) => each(held, job, place, (0..).zip(all)),
        Members::Chunked(_) => {
            let waits = task.state == TaskState::Pending;
            let Counts { waiting, live, succeeded, failed, stopped } = task.members.counts();
            let mut states = BTreeMap::new();
            for (state, count) in [
                (if waits { State::Pending } else { State::Runnable }, waiting),
                (State::Running, live),
                (State::Succeed, succeeded),
                (State::Failed, failed + stopped),
            ] {
                if count > 0 {
                    states.insert(state, count);
                }
            }
            states
        }
    }
}

/// The same, given each of them by its index.
pub(crate) fn each<'i>(
    held: &dyn Held,
    job: &Job,
    place: usize,
    instances: impl Iterator<Item = (u32, &'i Instance)>,
) -> BTreeMap<State, u32> {
    let waits = job.tasks[place].state == TaskState::Pending;
    let mut states = BTreeMap::new();
    for (index, one) in instances {
        *states.entry(instance(held, (place, index), one, waits)).or_insert(0) += 1;
    }
    states
}

/// How a task stands, given its instances.
pub(crate) fn task(job: &Job, task: &Task, instances: &BTreeMap<State, u32>) -> State {
    let some = |state| instances.contains_key(&state);
    match task.state {
        TaskState::Pending => State::Pending,
        TaskState::Ready => State::Runnable,
        TaskState::Running => {
            let only_starts = some(State::Starting)
                && [State::Running, State::Succeed, State::Failed, State::FailedInterrupted]
                    .into_iter()
                    .all(|state| !some(state));
            if only_starts { State::Starting } else { State::Running }
        }
        TaskState::Succeeded => State::Succeed,
        TaskState::Failed | TaskState::PartlyFailed => {
            if some(State::FailedInterrupted) {
                State::FailedInterrupted
            } else {
                State::Failed
            }
        }
        TaskState::Stopped => State::Failed,
        // What was not needed spoils nothing.
        TaskState::Skipped => match job.ending() {
            Some((Ending::Succeeded, _)) => State::Succeed,
            Some((
                Ending::Failed | Ending::PartlyFailed | Ending::Cancelled | Ending::TimedOut,
                _,
            ))
            | None => State::Failed,
        },
    }
}

/// How a job stands, given its tasks.
pub(crate) fn job(job: &Job, tasks: &[State]) -> State {
    let some = |state| tasks.contains(&state);
    match job.phase {
        Phase::Queued => State::Runnable,
        Phase::Running => {
            let only_starts =
                some(State::Starting) && tasks.iter().all(|state| *state <= State::Starting);
            if only_starts { State::Starting } else { State::Running }
        }
        Phase::Stopping { .. } => State::Running,
        Phase::Finished { ending, .. } => match ending {
            Ending::Succeeded => State::Succeed,
            Ending::Failed | Ending::PartlyFailed | Ending::Cancelled | Ending::TimedOut => {
                if some(State::FailedInterrupted) {
                    State::FailedInterrupted
                } else {
                    State::Failed
                }
            }
        },
    }
}

/// Counts by state, as this API lists them.
pub(crate) fn metrics(states: &BTreeMap<State, u32>) -> Value {
    let count = |state| states.get(&state).copied().unwrap_or(0);
    json!({
        "SubmittedCount": 0,
        "PendingCount": count(State::Pending),
        "RunnableCount": count(State::Runnable),
        "StartingCount": count(State::Starting),
        "RunningCount": count(State::Running),
        "SucceedCount": count(State::Succeed),
        "FailedInterruptedCount": count(State::FailedInterrupted),
        "FailedCount": count(State::Failed),
    })
}

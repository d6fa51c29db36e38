//! Why a job or a task did not succeed, in the API's code and a sentence.

use shared::job::{Cause, Ending, Exit, Job, Outcome, Task, TaskState};

/// The code for what has none.
const UNKNOWN: &str = "IMG.0061";

/// Why something did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// The API's code.
    pub code: &'static str,
    /// The cause as the native API calls it, if it is known.
    pub cause: Option<Cause>,
    /// A sentence.
    pub text: String,
}

impl Reason {
    fn of(cause: Cause, exit: Option<Exit>) -> Self {
        Reason { code: code(cause), cause: Some(cause), text: sentence(cause, exit) }
    }
}

/// Why the job did not succeed, and which of its tasks tells; `None` while it
/// may, and where it did.
pub fn of_job(job: &Job) -> Option<(Reason, Option<usize>)> {
    match job.ending()?.0 {
        Ending::Succeeded => None,
        Ending::Cancelled => Some((Reason::of(Cause::Cancelled, None), None)),
        Ending::TimedOut => Some((Reason::of(Cause::DeadlinePassed, None), None)),
        Ending::Failed | Ending::PartlyFailed => {
            let failed =
                || job.tasks.iter().enumerate().filter_map(|(n, t)| Some((n, of_task(t)?)));
            // What failed for another's sake tells less.
            let own = |cause| !matches!(cause, Some(Cause::DependencyFailed | Cause::FailedFast));
            let (place, mut reason) =
                failed().find(|(_, reason)| own(reason.cause)).or_else(|| failed().next())?;
            if job.tasks.len() > 1 {
                reason.text = format!("task {}: {}", job.tasks[place].name, reason.text);
            }
            Some((reason, Some(place)))
        }
    }
}

/// Why the task did not succeed; `None` while it may, and where it did.
pub fn of_task(task: &Task) -> Option<Reason> {
    let alone = match task.state {
        TaskState::Pending | TaskState::Ready | TaskState::Running | TaskState::Succeeded => {
            return None;
        }
        TaskState::Skipped => return Some(Reason::of(Cause::DependencyFailed, None)),
        TaskState::Failed | TaskState::PartlyFailed | TaskState::Stopped => {
            let mut outcomes = task.instances().iter().filter_map(|instance| instance.outcome());
            outcomes.find_map(in_words)
        }
    };
    let counts = task.members.counts();
    let (lost, all) = (counts.failed + counts.stopped, counts.total());
    let Some(mut reason) = alone else {
        // Of a wide task the job knows how many, not why.
        let text = format!("{lost} of {all} instances did not succeed");
        return Some(Reason { code: UNKNOWN, cause: None, text });
    };
    if all > 1 {
        reason.text =
            format!("{lost} of {all} instances did not succeed; the first: {}", reason.text);
    }
    Some(reason)
}

fn in_words(outcome: &Outcome) -> Option<Reason> {
    outcome.cause.map(|cause| Reason::of(cause, outcome.exit))
}

/// The code that comes nearest: the API's are about images, and for what a
/// process does by itself it has none but the one for the unknown.
fn code(cause: Cause) -> &'static str {
    match cause {
        Cause::ImageNotFound => "IMG.0144",
        Cause::ImageDenied => "IMG.0026",
        Cause::ImageUnusable => "IMG.0024",
        Cause::NoCapacity | Cause::TooLarge => "IMG.0015",
        Cause::StartFailed | Cause::StartTimedOut | Cause::WaitTimedOut => "IMG.0018",
        _ => UNKNOWN,
    }
}

fn sentence(cause: Cause, exit: Option<Exit>) -> String {
    let plain = match cause {
        Cause::Exited => {
            let code = exit.map(|exit| format!("the process ended with code {}", exit.code()));
            return code.unwrap_or_else(|| "the process did not end well".into());
        }
        Cause::Signalled => match exit {
            Some(Exit::Signal(signal)) => {
                return format!("the process was ended by signal {signal}");
            }
            Some(Exit::Code(_)) | None => "the process was ended by a signal",
        },
        Cause::OutOfMemory => "the process used more memory than it was given",
        Cause::TimedOut => "the process ran longer than it may",
        Cause::Cancelled | Cause::InstanceStopped => "it was cancelled",
        Cause::DeadlinePassed => "the job's deadline passed",
        Cause::FailedFast => "it was stopped because another task failed",
        Cause::StartFailed => "the process could not be started",
        Cause::ImageNotFound => "there is no such image",
        Cause::ImageDenied => "the registry refuses the image to these credentials",
        Cause::ImageUnusable => "the image cannot be used here",
        Cause::ImageUnavailable => "the image's registry did not answer",
        Cause::NoCapacity => "there was no room for the container",
        Cause::TooLarge => "what was asked for is more than there is",
        Cause::StartTimedOut => "the container did not come up in time",
        Cause::WaitTimedOut => "it waited in its queue for too long",
        Cause::AgentLost => "the container was gone before it reported",
        Cause::Interrupted => "the platform stopped the container",
        Cause::OutputFailed => "the outputs could not be collected",
        Cause::InputFailed => "an input could not be fetched",
        Cause::DependencyFailed => "it was skipped: what it waits for did not come to pass",
    };
    plain.to_owned()
}

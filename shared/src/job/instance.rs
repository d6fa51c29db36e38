//! One instance of a task: from attempt to attempt, until one ending stands.
//!
//! Waiting ──claimed──▶ Claimed ─launched─▶ Starting ─plan read─▶ Running ─▶ Collecting
//!    ▲                     └──────────────────┴──────────┴──ended──┴──────────┘
//!    └──────── worth another attempt ◀──────────────────────────────┤
//!                                                                   ▼
//!                                              Succeeded · Failed · Stopped

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Attempt, AttemptId, AttemptPhase, Blame, CachedFrom, Cause, Ended, Exit, Halt, Recall, Refused,
    RetryRules,
    array::Rules,
    attempt::later,
    duty::{Due, Duty},
    event::AttemptEvent,
};

/// How often the system may fail an instance before that is final.
const SYSTEM_FAULTS: u32 = 5;

/// The pause after the system's first fault, doubled for each further one.
const FAULT_DELAY_SECONDS: u32 = 5;

/// The same where there was no room: that passes more slowly.
const CAPACITY_DELAY_SECONDS: u32 = 60;

/// The longest pause between two attempts.
const LONGEST_DELAY_SECONDS: u32 = 3_600;

/// One member of a task's array.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Where it stands.
    #[serde(flatten)]
    pub state: InstanceState,
    /// The number of its latest attempt in this run; 0 before the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// Attempts spent at the user's cost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spent: u32,
    /// Attempts that the system failed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub faults: u32,
    /// The earlier run that it succeeded in, if this one has not tried it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_from: Option<u32>,
    /// What it knows of its equals, once it has looked for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recall: Option<Recall>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// Where an instance stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum InstanceState {
    /// For its task to be ready, a slot, or the pause before another attempt.
    Waiting {
        /// Since when its patience counts: the last time that something other
        /// than the queue held it back.
        since: Timestamp,
        /// The end of the pause before another attempt.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
        /// Why the attempt before did not do.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<Cause>,
    },
    /// A container is claimed for it, and may be running.
    Live(Attempt),
    /// Its last attempt ended well.
    Succeeded(Outcome),
    /// Its last attempt failed.
    Failed(Outcome),
    /// It was stopped, or never started because everything was.
    Stopped(Outcome),
}

/// An instance's ending.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// When.
    pub at: Timestamp,
    /// Why it did not succeed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// How the last process ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// When the last process started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Bytes of the last attempt's archive, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive_bytes: Option<u64>,
    /// What its result is known by to its equals, if they may have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whose result it is, if it did not run itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_from: Option<CachedFrom>,
}

impl Instance {
    /// An instance that has not been tried.
    pub(super) fn new(since: Timestamp) -> Self {
        let state = InstanceState::Waiting { since, not_before: None, last: None };
        Instance { state, attempts: 0, spent: 0, faults: 0, kept_from: None, recall: None }
    }

    /// The instance in the run after `run`: one that succeeded may stay.
    pub(super) fn again(&self, keep: bool, run: u32, at: Timestamp) -> Self {
        if keep && matches!(self.state, InstanceState::Succeeded(_)) {
            return Instance { kept_from: self.kept_from.or(Some(run)), ..self.clone() };
        }
        Instance::new(at)
    }

    /// Whether it is over, for this run.
    pub fn is_ended(&self) -> bool {
        self.outcome().is_some()
    }

    /// Its ending, if it has one.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            InstanceState::Waiting { .. } | InstanceState::Live(_) => None,
            InstanceState::Succeeded(outcome)
            | InstanceState::Failed(outcome)
            | InstanceState::Stopped(outcome) => Some(outcome),
        }
    }

    /// The attempt that counts, if one is live.
    pub fn live(&self) -> Option<&Attempt> {
        match &self.state {
            InstanceState::Live(attempt) => Some(attempt),
            InstanceState::Waiting { .. }
            | InstanceState::Succeeded(_)
            | InstanceState::Failed(_)
            | InstanceState::Stopped(_) => None,
        }
    }

    /// Whether it could be claimed now: waiting, not in a pause, and not for an
    /// equal.
    pub(super) fn is_claimable(&self, rules: Rules<'_>) -> bool {
        matches!(self.state, InstanceState::Waiting { not_before: None, .. })
            && (!rules.caches || matches!(self.recall, Some(Recall::Leads { .. })))
    }

    /// When its equals are to be looked for, if they are.
    pub(super) fn recall_at(&self, rules: Rules<'_>) -> Option<Timestamp> {
        let InstanceState::Waiting { since, not_before: None, .. } = self.state else {
            return None;
        };
        match self.recall {
            _ if !rules.caches || rules.halt.is_some() => None,
            None => Some(since),
            Some(Recall::Awaits { again_at, .. }) => Some(again_at),
            Some(Recall::Leads { .. }) => None,
        }
    }

    /// The instance after `event` of the attempt `number`.
    ///
    /// News of an attempt that no longer counts changes nothing; only what
    /// would let user code run (a claim, the reading of a plan) is refused.
    pub(super) fn after(
        &self,
        number: u32,
        event: &AttemptEvent,
        rules: Rules<'_>,
        at: Timestamp,
    ) -> Result<Instance, Refused> {
        let attempt = match self.live() {
            Some(attempt) if number == self.attempts => attempt,
            Some(_) | None => return self.after_stray(number, event, rules, at),
        };
        let mut next = attempt.clone();
        match event {
            AttemptEvent::Claimed
            | AttemptEvent::Awaits { .. }
            | AttemptEvent::Leads { .. }
            | AttemptEvent::Recalled(_) => {}
            AttemptEvent::Launched { handle } => {
                next.phase = next.phase.max(AttemptPhase::Starting);
                next.handle = next.handle.or_else(|| handle.clone());
            }
            AttemptEvent::PlanRead if attempt.stop.is_some() => return Err(Refused::Stopping),
            AttemptEvent::PlanRead if attempt.phase == AttemptPhase::Collecting => {
                return Err(Refused::Superseded);
            }
            AttemptEvent::PlanRead => {
                next.phase = AttemptPhase::Running;
                next.started_at = next.started_at.or(Some(at));
            }
            AttemptEvent::Collecting { .. } => {
                next.phase = AttemptPhase::Collecting;
                next.collecting_since = next.collecting_since.or(Some(at));
            }
            AttemptEvent::Ended(ended) => return Ok(self.ended(attempt, ended, rules, at)),
        }
        Ok(self.with(InstanceState::Live(next)))
    }

    /// The instance after an event of an attempt other than the one that is
    /// live: one that is over, or the one to come.
    fn after_stray(
        &self,
        number: u32,
        event: &AttemptEvent,
        rules: Rules<'_>,
        at: Timestamp,
    ) -> Result<Instance, Refused> {
        let is_next = number == self.attempts + 1;
        match event {
            AttemptEvent::Claimed if self.is_claimable(rules) && is_next => {
                let live = InstanceState::Live(Attempt::new(at));
                Ok(Instance { attempts: number, ..self.with(live) })
            }
            AttemptEvent::Claimed => Err(Refused::NotWaiting),
            AttemptEvent::PlanRead => Err(Refused::Superseded),
            // What is not due any more was settled by another.
            _ if event.recalls()
                && is_next
                && self.recall_at(rules).is_some_and(|due| due <= at) =>
            {
                Ok(self.recalled(number, event, at))
            }
            AttemptEvent::Launched { .. }
            | AttemptEvent::Awaits { .. }
            | AttemptEvent::Leads { .. }
            | AttemptEvent::Recalled(_)
            | AttemptEvent::Collecting { .. }
            | AttemptEvent::Ended(_) => Ok(self.clone()),
        }
    }

    /// The instance once it is known how it stands with its equals.
    fn recalled(&self, number: u32, event: &AttemptEvent, at: Timestamp) -> Instance {
        match event {
            AttemptEvent::Awaits { key, again_seconds } => {
                let looks = match self.recall {
                    Some(Recall::Awaits { looks, .. }) => looks.saturating_add(1),
                    Some(Recall::Leads { .. }) | None => 1,
                };
                let again_at = later(at, (*again_seconds).max(1).into());
                let recall = Some(Recall::Awaits { key: key.clone(), again_at, looks });
                Instance { recall, ..self.clone() }
            }
            AttemptEvent::Leads { key } => {
                let recall = Some(Recall::Leads { key: key.clone() });
                // Until now it was not the queue that held it back.
                Instance { recall, ..self.waiting_from(at) }
            }
            AttemptEvent::Recalled(found) => {
                let outcome = Outcome {
                    at,
                    cause: None,
                    exit: found.exit,
                    started_at: None,
                    archive_bytes: Some(found.archive_bytes),
                    key: Some(found.key.clone()),
                    cached_from: Some(found.from),
                };
                let state = InstanceState::Succeeded(outcome);
                Instance { attempts: number, recall: None, ..self.with(state) }
            }
            AttemptEvent::Claimed
            | AttemptEvent::Launched { .. }
            | AttemptEvent::PlanRead
            | AttemptEvent::Collecting { .. }
            | AttemptEvent::Ended(_) => self.clone(),
        }
    }

    fn ended(&self, attempt: &Attempt, ended: &Ended, rules: Rules<'_>, at: Timestamp) -> Instance {
        let outcome = |cause| Outcome {
            at,
            cause,
            exit: ended.exit,
            started_at: attempt.started_at,
            archive_bytes: ended.archive_bytes,
            key: None,
            cached_from: None,
        };
        let Some(cause) = attempt.fault(ended) else {
            let outcome = Outcome { key: ended.key.clone(), ..outcome(None) };
            return self.with(InstanceState::Succeeded(outcome));
        };
        let mut next = self.clone();
        match cause.blame() {
            Blame::User => next.spent += 1,
            Blame::System => next.faults += 1,
            Blame::Final => {}
        }
        let again = next.is_worth_another(cause, ended.exit, rules.retry);
        let called_off = attempt.stop.is_some_and(|stop| stop.why == Cause::InstanceStopped);
        match rules.halt {
            _ if cause.is_halt() => next.with(InstanceState::Stopped(outcome(Some(cause)))),
            Some(why) if again => next.with(InstanceState::Stopped(outcome(Some(why.cause())))),
            None if again && called_off => {
                next.with(InstanceState::Failed(outcome(Some(Cause::InstanceStopped))))
            }
            None if again => next.paused(cause, rules.retry, at),
            Some(_) | None => next.with(InstanceState::Failed(outcome(Some(cause)))),
        }
    }

    /// Exit codes are looked at where there is one; a process that never
    /// started has none, and is tried again as long as attempts last.
    fn is_worth_another(&self, cause: Cause, exit: Option<Exit>, retry: &RetryRules) -> bool {
        let listed = |code| retry.exit_codes.is_empty() || retry.exit_codes.contains(&code);
        match cause.blame() {
            Blame::User => {
                self.spent < retry.max_attempts && exit.map(Exit::code).is_none_or(listed)
            }
            Blame::System => self.faults < SYSTEM_FAULTS,
            Blame::Final => false,
        }
    }

    fn paused(&self, cause: Cause, retry: &RetryRules, at: Timestamp) -> Instance {
        let seconds = match (cause, cause.blame()) {
            (_, Blame::User) => backoff(retry.delay_seconds, self.spent),
            (Cause::NoCapacity, _) => backoff(CAPACITY_DELAY_SECONDS, self.faults),
            (_, Blame::System | Blame::Final) => backoff(FAULT_DELAY_SECONDS, self.faults),
        };
        let not_before = (seconds > 0).then(|| later(at, seconds.into()));
        self.with(InstanceState::Waiting { since: at, not_before, last: Some(cause) })
    }

    /// The instance once everything is to stop.
    pub(super) fn halted(&self, why: Halt, at: Timestamp) -> Instance {
        self.stopped_for(why.cause(), at)
    }

    /// The instance once it alone is to stop: it has failed, by a caller's wish.
    pub(super) fn called_off(&self, at: Timestamp) -> Instance {
        self.stopped_for(Cause::InstanceStopped, at)
    }

    /// What is being collected has ended by itself: the stop comes too late
    /// for it, and would only cost its outputs.
    fn stopped_for(&self, why: Cause, at: Timestamp) -> Instance {
        match &self.state {
            InstanceState::Waiting { .. } => self.dropped(why, at),
            InstanceState::Live(attempt) if attempt.phase != AttemptPhase::Collecting => {
                self.with(InstanceState::Live(attempt.stopping(why, at)))
            }
            InstanceState::Live(_)
            | InstanceState::Succeeded(_)
            | InstanceState::Failed(_)
            | InstanceState::Stopped(_) => self.clone(),
        }
    }

    /// The instance that will not be tried again, if it was waiting to be.
    pub(super) fn dropped(&self, cause: Cause, at: Timestamp) -> Instance {
        let InstanceState::Waiting { .. } = self.state else {
            return self.clone();
        };
        let outcome = Outcome {
            at,
            cause: Some(cause),
            exit: None,
            started_at: None,
            archive_bytes: None,
            key: None,
            cached_from: None,
        };
        self.with(if cause.is_halt() {
            InstanceState::Stopped(outcome)
        } else {
            InstanceState::Failed(outcome)
        })
    }

    /// The instance whose patience starts anew: something other than the queue
    /// has held it back until now.
    pub(super) fn waiting_from(&self, at: Timestamp) -> Instance {
        match self.state {
            InstanceState::Waiting { since, not_before, last } if since < at => {
                self.with(InstanceState::Waiting { since: at, not_before, last })
            }
            InstanceState::Waiting { .. }
            | InstanceState::Live(_)
            | InstanceState::Succeeded(_)
            | InstanceState::Failed(_)
            | InstanceState::Stopped(_) => self.clone(),
        }
    }

    /// The instance once every deadline up to `at` has taken effect. Its
    /// patience counts only while nothing but the queue holds it back.
    pub(super) fn ticked(&self, counts: bool, rules: Rules<'_>, at: Timestamp) -> Instance {
        match &self.state {
            InstanceState::Waiting { since, not_before, .. }
                if self.awaits() && patience(*since, *not_before, rules) <= at =>
            {
                // Who has waited that long for another runs by itself.
                let recall = Some(Recall::Leads { key: None });
                Instance { recall, ..self.waiting_from(at) }
            }
            InstanceState::Waiting { since, not_before, last }
                if counts && !self.awaits() && patience(*since, *not_before, rules) <= at =>
            {
                let cause = last.filter(|cause| cause.blame() == Blame::System);
                self.dropped(cause.unwrap_or(Cause::WaitTimedOut), at)
            }
            InstanceState::Waiting { since: _, not_before: Some(pause), last } if *pause <= at => {
                self.with(InstanceState::Waiting { since: *pause, not_before: None, last: *last })
            }
            InstanceState::Live(attempt) if attempt.deadline(rules.deadlines) <= at => {
                if attempt.stop.is_some() {
                    // Nobody answers for it any more; a sweep ends what still runs.
                    let ended = Ended::without_exit(Cause::AgentLost);
                    return self.ended(attempt, &ended, rules, at);
                }
                self.with(InstanceState::Live(attempt.stopping(attempt.overdue(), at)))
            }
            InstanceState::Waiting { .. }
            | InstanceState::Live(_)
            | InstanceState::Succeeded(_)
            | InstanceState::Failed(_)
            | InstanceState::Stopped(_) => self.clone(),
        }
    }

    /// What the instance calls for. `id` names its latest attempt; `counts` is
    /// as for [`Instance::ticked`].
    pub(super) fn owes(&self, id: AttemptId, counts: bool, rules: Rules<'_>, out: &mut Vec<Due>) {
        match &self.state {
            InstanceState::Waiting { since, not_before, .. } => {
                let counts = counts || self.awaits();
                let patience = counts.then(|| patience(*since, *not_before, rules));
                let due = not_before.or(patience);
                out.extend(due.map(|at| Due { at, duty: Duty::Tick }));
            }
            InstanceState::Live(attempt) => attempt.owes(id, rules.deadlines, out),
            InstanceState::Succeeded(_) | InstanceState::Failed(_) | InstanceState::Stopped(_) => {}
        }
    }

    /// Whether an equal holds it back.
    fn awaits(&self) -> bool {
        matches!(self.recall, Some(Recall::Awaits { .. }))
    }

    fn with(&self, state: InstanceState) -> Instance {
        Instance { state, recall: self.recall.clone(), ..*self }
    }
}

/// When the wait for a slot has taken too long. A pause does not count, and
/// there is always a moment in which the queue may act.
fn patience(since: Timestamp, pause: Option<Timestamp>, rules: Rules<'_>) -> Timestamp {
    later(pause.unwrap_or(since), rules.deadlines.waiting.max(1).into())
}

/// `base` seconds, doubled for each failure after the first, to an hour.
fn backoff(base: u32, failures: u32) -> u32 {
    let doubled = base.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LONGEST_DELAY_SECONDS)
}

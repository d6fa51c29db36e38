//! One instance of a task, and the attempt that is alive for it.
//!
//! Waiting ──claimed──▶ Claimed ─launched─▶ Starting ─plan read─▶ Running ─▶ Collecting
//!    ▲                     └──────────────────┴──────────┴──ended──┴──────────┘
//!    └──────── worth another attempt ◀──────────────────────────────┤
//!                                                                   ▼
//!                                              Succeeded · Failed · Stopped

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    AttemptId, Blame, Cause, Deadlines, Ended, Exit, Halt, Refused, RetryRules,
    duty::{Due, Duty},
    event::AttemptEvent,
};

/// How often the system may fail an instance before that is final.
const SYSTEM_FAULTS: u32 = 5;

/// What is waited for beyond a deadline that somebody nearer enforces.
const MARGIN_SECONDS: u32 = 60;

/// When a live attempt is looked at without having been heard of.
const LOOK_AFTER_SECONDS: u32 = 60;

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
        /// Since when.
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
}

/// The one attempt that counts for an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// How far it is.
    pub phase: AttemptPhase,
    /// When it was given its slot.
    pub claimed_at: Timestamp,
    /// When its process was let start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// The runtime's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    /// Why, and since when, it is to stop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// How far a live attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptPhase {
    /// It has a slot; the runtime may or may not know it.
    Claimed,
    /// The runtime accepted it; its container is coming up.
    Starting,
    /// The agent has read the plan.
    Running,
    /// The process has ended; its outputs are being brought home.
    Collecting,
}

/// An order to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Why.
    pub why: Cause,
    /// When it was given.
    pub at: Timestamp,
}

/// The rules that an instance's task sets for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub retry: &'a RetryRules,
    pub deadlines: &'a Deadlines,
}

impl Instance {
    /// An instance that has not been tried.
    pub(super) fn new(since: Timestamp) -> Self {
        let state = InstanceState::Waiting { since, not_before: None, last: None };
        Instance { state, attempts: 0, spent: 0, faults: 0 }
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

    /// Whether it could be claimed now: waiting, and not in a pause.
    pub(super) fn is_claimable(&self) -> bool {
        matches!(self.state, InstanceState::Waiting { not_before: None, .. })
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
        if let AttemptEvent::Claimed = event {
            return self.claimed(number, at);
        }
        let current = if number == self.attempts { self.live() } else { None };
        let Some(attempt) = current else {
            return match event {
                AttemptEvent::PlanRead => Err(Refused::Superseded),
                AttemptEvent::Claimed
                | AttemptEvent::Launched { .. }
                | AttemptEvent::Collecting { .. }
                | AttemptEvent::Ended(_) => Ok(self.clone()),
            };
        };
        match event {
            AttemptEvent::Claimed => Ok(self.clone()),
            AttemptEvent::Launched { handle } => {
                let mut next = attempt.clone();
                next.phase = next.phase.max(AttemptPhase::Starting);
                next.handle = next.handle.or_else(|| handle.clone());
                Ok(self.with(InstanceState::Live(next)))
            }
            AttemptEvent::PlanRead if attempt.stop.is_some() => Err(Refused::Stopping),
            AttemptEvent::PlanRead if attempt.phase == AttemptPhase::Collecting => {
                Err(Refused::Superseded)
            }
            AttemptEvent::PlanRead => {
                let mut next = attempt.clone();
                next.phase = AttemptPhase::Running;
                next.started_at = next.started_at.or(Some(at));
                Ok(self.with(InstanceState::Live(next)))
            }
            AttemptEvent::Collecting { .. } => {
                let mut next = attempt.clone();
                next.phase = AttemptPhase::Collecting;
                Ok(self.with(InstanceState::Live(next)))
            }
            AttemptEvent::Ended(ended) => Ok(self.ended(attempt, ended, rules, at)),
        }
    }

    fn claimed(&self, number: u32, at: Timestamp) -> Result<Instance, Refused> {
        if self.live().is_some() && number == self.attempts {
            return Ok(self.clone());
        }
        if !self.is_claimable() || number != self.attempts + 1 {
            return Err(Refused::NotWaiting);
        }
        let attempt = Attempt {
            phase: AttemptPhase::Claimed,
            claimed_at: at,
            started_at: None,
            handle: None,
            stop: None,
        };
        Ok(Instance { attempts: number, ..self.with(InstanceState::Live(attempt)) })
    }

    fn ended(&self, attempt: &Attempt, ended: &Ended, rules: Rules<'_>, at: Timestamp) -> Instance {
        let outcome = |cause| Outcome {
            at,
            cause,
            exit: ended.exit,
            started_at: attempt.started_at,
            archive_bytes: ended.archive_bytes,
        };
        let Some(told) = ended.cause else {
            return self.with(InstanceState::Succeeded(outcome(None)));
        };
        // The process that ended because we told it to did not fail by itself.
        let ours = matches!(told, Cause::Interrupted | Cause::AgentLost);
        let stop = attempt.stop.map(|stop| stop.why);
        let cause = if ours { stop.unwrap_or(told) } else { told };
        if is_halt(cause) {
            return self.with(InstanceState::Stopped(outcome(Some(cause))));
        }
        let next = match cause.blame() {
            Blame::User => Instance { spent: self.spent + 1, ..self.clone() },
            Blame::System => Instance { faults: self.faults + 1, ..self.clone() },
            Blame::Final => self.clone(),
        };
        let halted = stop.is_some_and(is_halt);
        if !halted && next.is_worth_another(cause, ended.exit, rules.retry) {
            return next.paused(cause, rules.retry, at);
        }
        next.with(InstanceState::Failed(outcome(Some(cause))))
    }

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
        let seconds = match cause.blame() {
            Blame::User => backoff(retry.delay_seconds, self.spent),
            Blame::System | Blame::Final => backoff(5, self.faults),
        };
        let not_before = (seconds > 0).then(|| later(at, seconds));
        self.with(InstanceState::Waiting { since: at, not_before, last: Some(cause) })
    }

    /// The instance once everything is to stop.
    pub(super) fn halted(&self, why: Halt, at: Timestamp) -> Instance {
        match &self.state {
            InstanceState::Waiting { .. } => self.dropped(why.cause(), at),
            InstanceState::Live(attempt) => self.stopping(attempt, why.cause(), at),
            InstanceState::Succeeded(_) | InstanceState::Failed(_) | InstanceState::Stopped(_) => {
                self.clone()
            }
        }
    }

    /// The instance that will not be tried again, and was not being tried.
    pub(super) fn dropped(&self, cause: Cause, at: Timestamp) -> Instance {
        let outcome =
            Outcome { at, cause: Some(cause), exit: None, started_at: None, archive_bytes: None };
        self.with(if is_halt(cause) {
            InstanceState::Stopped(outcome)
        } else {
            InstanceState::Failed(outcome)
        })
    }

    fn stopping(&self, attempt: &Attempt, why: Cause, at: Timestamp) -> Instance {
        if attempt.stop.is_some_and(|stop| is_halt(stop.why) || stop.why == why) {
            return self.clone();
        }
        let since = attempt.stop.map_or(at, |stop| stop.at);
        let stop = Some(Stop { why, at: since });
        self.with(InstanceState::Live(Attempt { stop, ..attempt.clone() }))
    }

    /// The instance once every deadline up to `at` has taken effect.
    pub(super) fn ticked(&self, ready: bool, rules: Rules<'_>, at: Timestamp) -> Instance {
        match &self.state {
            InstanceState::Waiting { since, last, .. }
                if ready && later(*since, rules.deadlines.waiting) <= at =>
            {
                let cause = last.filter(|c| c.blame() == Blame::System);
                self.dropped(cause.unwrap_or(Cause::WaitTimedOut), at)
            }
            InstanceState::Waiting { since, not_before: Some(pause), last } if *pause <= at => {
                self.with(InstanceState::Waiting { since: *since, not_before: None, last: *last })
            }
            InstanceState::Live(attempt) if attempt.deadline(rules.deadlines) <= at => {
                match attempt.stop {
                    // Nobody answers for it any more; `sweep` ends what still runs.
                    Some(_) => {
                        let ended = Ended::without_exit(Cause::AgentLost);
                        self.ended(attempt, &ended, rules, at)
                    }
                    None => self.stopping(attempt, attempt.overdue(), at),
                }
            }
            InstanceState::Waiting { .. }
            | InstanceState::Live(_)
            | InstanceState::Succeeded(_)
            | InstanceState::Failed(_)
            | InstanceState::Stopped(_) => self.clone(),
        }
    }

    /// What the instance calls for. `id` names its latest attempt.
    pub(super) fn owes(&self, id: AttemptId, ready: bool, rules: Rules<'_>, out: &mut Vec<Due>) {
        match &self.state {
            InstanceState::Waiting { since, not_before, .. } if ready => {
                let patience = later(*since, rules.deadlines.waiting);
                let due = not_before.map_or(patience, |pause| pause.min(patience));
                out.push(Due { at: due, duty: Duty::Tick });
            }
            InstanceState::Live(attempt) => attempt.owes(id, rules.deadlines, out),
            InstanceState::Waiting { .. }
            | InstanceState::Succeeded(_)
            | InstanceState::Failed(_)
            | InstanceState::Stopped(_) => {}
        }
    }

    fn with(&self, state: InstanceState) -> Instance {
        Instance { state, ..self.clone() }
    }
}

impl Attempt {
    /// When it is overdue, by its phase; once told to stop, when it is given up.
    fn deadline(&self, deadlines: &Deadlines) -> Timestamp {
        let collected = deadlines.grace + deadlines.collecting + MARGIN_SECONDS;
        if let Some(stop) = self.stop {
            return later(stop.at, collected);
        }
        match self.phase {
            AttemptPhase::Claimed | AttemptPhase::Starting => {
                later(self.claimed_at, deadlines.starting)
            }
            // The agent holds the process to its timeout; this is for its own silence.
            AttemptPhase::Running | AttemptPhase::Collecting => {
                later(self.started_at.unwrap_or(self.claimed_at), deadlines.running + collected)
            }
        }
    }

    /// What an attempt that missed its deadline is stopped for.
    fn overdue(&self) -> Cause {
        match self.phase {
            AttemptPhase::Claimed | AttemptPhase::Starting => Cause::StartTimedOut,
            AttemptPhase::Running => Cause::TimedOut,
            AttemptPhase::Collecting => Cause::OutputFailed,
        }
    }

    fn owes(&self, id: AttemptId, deadlines: &Deadlines, out: &mut Vec<Due>) {
        if let Some(stop) = self.stop {
            out.push(Due { at: stop.at, duty: Duty::Stop(id) });
        } else if self.phase == AttemptPhase::Claimed {
            let at = later(self.claimed_at, LOOK_AFTER_SECONDS);
            out.push(Due { at, duty: Duty::Launch(id) });
        } else {
            let since = self.started_at.unwrap_or(self.claimed_at);
            out.push(Due { at: later(since, LOOK_AFTER_SECONDS), duty: Duty::Look(id) });
        }
        out.push(Due { at: self.deadline(deadlines), duty: Duty::Tick });
    }
}

/// Whether everything is to stop for this, not only the one attempt.
fn is_halt(cause: Cause) -> bool {
    matches!(cause, Cause::Cancelled | Cause::DeadlinePassed | Cause::FailedFast)
}

/// `base` seconds, doubled for each failure after the first, to an hour.
fn backoff(base: u32, failures: u32) -> u32 {
    let doubled = base.saturating_mul(1 << failures.saturating_sub(1).min(16));
    doubled.min(LONGEST_DELAY_SECONDS)
}

/// `at` and so many seconds, or the end of time.
pub(super) fn later(at: Timestamp, seconds: u32) -> Timestamp {
    at.checked_add(SignedDuration::from_secs(seconds.into())).unwrap_or(Timestamp::MAX)
}

//! The attempt that is alive for an instance: how far it is, by when it must
//! be further, and what its ending amounts to.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    AttemptId, Cause, Deadlines, Ended, Exit,
    duty::{Due, Duty},
};

/// What is waited for beyond a deadline that somebody nearer enforces.
const MARGIN_SECONDS: u32 = 60;

/// When a live attempt is looked at without having been heard of.
const LOOK_AFTER_SECONDS: u64 = 60;

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
    /// Since when its outputs are being brought home.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collecting_since: Option<Timestamp>,
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

/// An order to stop. The first one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// Why.
    pub why: Cause,
    /// When it was given.
    pub at: Timestamp,
}

impl Attempt {
    pub(super) fn new(claimed_at: Timestamp) -> Self {
        Attempt {
            phase: AttemptPhase::Claimed,
            claimed_at,
            started_at: None,
            collecting_since: None,
            handle: None,
            stop: None,
        }
    }

    /// When it is overdue, by its phase; once told to stop, when it is given up.
    pub(super) fn deadline(&self, deadlines: &Deadlines) -> Timestamp {
        let seconds = |of: &[u32]| of.iter().map(|&n| u64::from(n)).sum::<u64>();
        let Deadlines { waiting: _, starting, running, grace, collecting } = *deadlines;
        let started_at = self.started_at.unwrap_or(self.claimed_at);
        match (self.stop, self.phase) {
            // What never ran has nothing to bring home.
            (Some(stop), AttemptPhase::Claimed | AttemptPhase::Starting) => {
                later(stop.at, seconds(&[grace, MARGIN_SECONDS]))
            }
            (Some(stop), AttemptPhase::Running | AttemptPhase::Collecting) => {
                later(stop.at, seconds(&[grace, collecting, MARGIN_SECONDS]))
            }
            (None, AttemptPhase::Claimed | AttemptPhase::Starting) => {
                later(self.claimed_at, seconds(&[starting]))
            }
            // The agent itself holds its inputs to `starting` and the process
            // to its timeout; this is for its own silence.
            (None, AttemptPhase::Running) => {
                let all = [starting, running, grace, collecting, MARGIN_SECONDS];
                later(started_at, seconds(&all))
            }
            (None, AttemptPhase::Collecting) => {
                let since = self.collecting_since.unwrap_or(started_at);
                later(since, seconds(&[collecting, MARGIN_SECONDS]))
            }
        }
    }

    /// What an attempt that missed its deadline is stopped for.
    pub(super) fn overdue(&self) -> Cause {
        match self.phase {
            AttemptPhase::Claimed | AttemptPhase::Starting => Cause::StartTimedOut,
            AttemptPhase::Running => Cause::TimedOut,
            AttemptPhase::Collecting => Cause::OutputFailed,
        }
    }

    /// The attempt, told to stop; one that was told before keeps its order.
    pub(super) fn stopping(&self, why: Cause, at: Timestamp) -> Attempt {
        Attempt { stop: self.stop.or(Some(Stop { why, at })), ..self.clone() }
    }

    /// What went wrong, as `ended` tells it and as far as it may be believed;
    /// `None` if all is well.
    pub(super) fn fault(&self, ended: &Ended) -> Option<Cause> {
        let told = match (ended.cause, ended.exit) {
            (None | Some(Cause::Exited), Some(Exit::Code(0))) => return None,
            (None, Some(Exit::Code(_))) => Cause::Exited,
            (None, Some(Exit::Signal(_))) => Cause::Signalled,
            (None, None) => Cause::AgentLost,
            (Some(cause), _) if cause.is_reportable() => cause,
            (Some(_), _) => Cause::Interrupted,
        };
        // The process that ended because we told it to did not fail by itself.
        let ours = matches!(told, Cause::Interrupted | Cause::AgentLost);
        Some(self.stop.filter(|_| ours).map_or(told, |stop| stop.why))
    }

    /// What it calls for.
    pub(super) fn owes(&self, id: AttemptId, deadlines: &Deadlines, out: &mut Vec<Due>) {
        let look_from = |since| later(since, LOOK_AFTER_SECONDS);
        match (self.stop, self.phase) {
            (Some(stop), _) => {
                out.push(Due { at: stop.at, duty: Duty::Stop(id) });
            }
            (None, AttemptPhase::Claimed) => {
                out.push(Due { at: look_from(self.claimed_at), duty: Duty::Launch(id) });
            }
            (None, AttemptPhase::Starting | AttemptPhase::Running | AttemptPhase::Collecting) => {
                let since = self.started_at.unwrap_or(self.claimed_at);
                out.push(Due { at: look_from(since), duty: Duty::Look(id) });
            }
        }
        out.push(Due { at: self.deadline(deadlines), duty: Duty::Tick });
    }
}

/// `at` and so many seconds, or the end of time.
pub(super) fn later(at: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    at.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

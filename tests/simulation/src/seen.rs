//! What came to pass: a simulation in which nothing does finds nothing.

use std::ops::AddAssign;

use shared::job::{Ending, InstanceState, Job};

/// How often something came to pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Jobs that were written down.
    pub jobs: usize,
    /// Jobs that succeeded.
    pub succeeded: usize,
    /// Jobs that failed, in part or as a whole.
    pub failed: usize,
    /// Jobs that were cancelled, or passed their deadline.
    pub stopped: usize,
    /// Jobs that were removed.
    pub removed: usize,
    /// Attempts that were claimed.
    pub attempts: usize,
    /// Attempts that took the place of another.
    pub again: usize,
    /// User processes that were started.
    pub processes: usize,
    /// Submits that were answered with a job that was there.
    pub repeated: usize,
    /// Agents that were refused their plan.
    pub refused: usize,
    /// Servers or invocations that died.
    pub deaths: usize,
    /// The most slots of a queue that were taken at once.
    pub fullest: usize,
}

impl Seen {
    pub(crate) fn job(&mut self, before: Option<&Job>, after: &Job) {
        self.jobs += usize::from(before.is_none());
        let Some(before) = before else { return };
        self.removed += usize::from(before.deleted_at.is_none() && after.deleted_at.is_some());
        if before.ending().is_none() {
            match after.ending() {
                None => {}
                Some((Ending::Succeeded, _)) => self.succeeded += 1,
                Some((Ending::Failed | Ending::PartlyFailed, _)) => self.failed += 1,
                Some((Ending::Cancelled | Ending::TimedOut, _)) => self.stopped += 1,
            }
        }
        for (old, new) in before.tasks.iter().zip(&after.tasks) {
            for (old, new) in old.instances().iter().zip(new.instances()) {
                let claimed = matches!(new.state, InstanceState::Live(_)) && old.live().is_none();
                self.attempts += usize::from(claimed);
                self.again += usize::from(claimed && new.attempts > 1);
            }
        }
    }
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.jobs += other.jobs;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.stopped += other.stopped;
        self.removed += other.removed;
        self.attempts += other.attempts;
        self.again += other.again;
        self.processes += other.processes;
        self.repeated += other.repeated;
        self.refused += other.refused;
        self.deaths += other.deaths;
        self.fullest = self.fullest.max(other.fullest);
    }
}

//! What a saved job still calls for.

use jiff::Timestamp;

use super::{AttemptId, CallbackKey};

/// Something to be done, read off a saved job. Doing it twice does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Duty {
    /// Look up the image at this place.
    Resolve(u32),
    /// Create the chunk of a wide task, as [`super::Job::spread`] makes it.
    Spread {
        /// The task's place.
        task: u32,
        /// The chunk's place in it.
        chunk: u32,
    },
    /// Tell a chunk that everything is to stop, if it has not been told.
    HaltChunk {
        /// The task's place.
        task: u32,
        /// The chunk's place in it.
        chunk: u32,
    },
    /// Bring a chunk's counts into its job.
    Fold,
    /// See whether an equal of this attempt to come was run, or is being run.
    Recall(AttemptId),
    /// Claim a slot for this attempt and launch it: the queue's business.
    Claim(AttemptId),
    /// Launch the claimed attempt, if the runtime does not know it.
    Launch(AttemptId),
    /// Make the runtime stop it, and see whether it still has it.
    Stop(AttemptId),
    /// See whether the runtime still has it.
    Look(AttemptId),
    /// Let a deadline take effect.
    Tick,
    /// Deliver this callback, as [`super::Job::telling`] has it.
    Tell(CallbackKey),
    /// Remove the job and all that belongs to it.
    Purge,
}

/// A duty, and when a sweep should see to it if nobody has before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Due {
    /// From when on.
    pub at: Timestamp,
    /// What.
    pub duty: Duty,
}

/// When a sweep should look at who owes this; `None` if nothing is owed that
/// time would bring about.
pub(super) fn due_at(owed: &[Due]) -> Option<Timestamp> {
    let timed = owed.iter().filter(|due| !matches!(due.duty, Duty::Claim(_)));
    timed.map(|due| due.at).min()
}

/// The attempts that want a slot, in the order in which they should start.
pub(super) fn claims(owed: &[Due]) -> Vec<AttemptId> {
    let claim = |due: &Due| match due.duty {
        Duty::Claim(attempt) => Some(attempt),
        _ => None,
    };
    owed.iter().filter_map(claim).collect()
}

//! A task's instances as its job knows them: each one, or counts of chunks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cause, Counts, Halt, INLINE_INSTANCES, Instance, Spent, array, attempt::later};

/// How many instances all tasks of a job together may keep inside its record,
/// those of tasks with only one aside.
pub(super) const INLINE_IN_ALL: u32 = 1_024;

/// A task's instances: inside the record, or spread over chunks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Members {
    /// Up to 128, as long as the record has room for them.
    Inline(Vec<Instance>),
    /// More.
    Chunked(Vec<ChunkEntry>),
}

/// What the job knows of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkEntry {
    /// Whether the chunk's item exists in this run.
    pub spread: bool,
    /// Until it is spread: since when its patience counts.
    pub since: Timestamp,
    /// The chunk's sequence as of these counts.
    pub sequence: u64,
    /// How its instances stood then.
    pub counts: Counts,
    /// What its attempts had used then, in this run.
    #[serde(default, skip_serializing_if = "Spent::is_nothing")]
    pub spent: Spent,
}

impl ChunkEntry {
    /// Whether instances of the chunk wait, as far as is known here.
    pub(super) fn waits(&self) -> bool {
        self.spread && self.counts.waiting > 0
    }
}

impl Members {
    /// How all instances stand, as far as is known here.
    pub fn counts(&self) -> Counts {
        match self {
            Members::Inline(instances) => Counts::of(instances),
            Members::Chunked(chunks) => chunks.iter().map(|chunk| chunk.counts).sum(),
        }
    }

    /// So many instances, kept in the record if that has `room` for them.
    pub(super) fn new(instances: u32, room: &mut u32, at: Timestamp) -> Members {
        // A chunk of one would cost more than it saves, and there are at most
        // as many of those as tasks.
        let single = instances <= 1;
        if single || instances <= INLINE_INSTANCES.min(*room) {
            *room -= if single { 0 } else { instances };
            return Members::Inline((0..instances).map(|_| Instance::new(at)).collect());
        }
        let sizes = (0..instances).step_by(INLINE_INSTANCES as usize);
        let size = |first: u32| (instances - first).min(INLINE_INSTANCES);
        Members::Chunked(
            sizes.map(|first| ChunkEntry::new(Counts::all_waiting(size(first)), at)).collect(),
        )
    }

    /// The instances in the run after `run`: those that succeeded stay, unless
    /// all are wanted again.
    pub(super) fn start_over(&mut self, all: bool, run: u32, at: Timestamp) {
        match self {
            Members::Inline(instances) => {
                for instance in instances {
                    *instance = instance.again(!all, run, at);
                }
            }
            Members::Chunked(chunks) => {
                for chunk in chunks {
                    let succeeded = if all { 0 } else { chunk.counts.succeeded };
                    let waiting = chunk.counts.total() - succeeded;
                    let counts = Counts { waiting, succeeded, ..Counts::default() };
                    *chunk = ChunkEntry::new(counts, at);
                }
            }
        }
    }

    /// Whether a container has been claimed for any of them in this run, as
    /// far as their counts tell.
    pub(super) fn have_started(&self) -> bool {
        match self {
            Members::Inline(instances) => instances.iter().any(|i| i.live().is_some()),
            Members::Chunked(chunks) => chunks.iter().any(|chunk| chunk.sequence > 0),
        }
    }

    /// What waits starts its patience now.
    pub(super) fn wait_from(&mut self, at: Timestamp) {
        match self {
            Members::Inline(instances) => {
                for instance in instances {
                    *instance = instance.waiting_from(at);
                }
            }
            Members::Chunked(chunks) => {
                for chunk in chunks {
                    chunk.since = at;
                }
            }
        }
    }

    /// What waits will not be tried. A chunk that was spread sees to its own.
    pub(super) fn drop_waiting(&mut self, cause: Cause, at: Timestamp) {
        match self {
            Members::Inline(instances) => {
                for instance in instances {
                    *instance = instance.dropped(cause, at);
                }
            }
            Members::Chunked(chunks) => {
                for chunk in chunks.iter_mut().filter(|chunk| !chunk.spread) {
                    chunk.drop_waiting(cause);
                }
            }
        }
    }

    /// Everything is to stop. A chunk that was spread is owed a word of it.
    pub(super) fn halt(&mut self, why: Halt, at: Timestamp) {
        match self {
            Members::Inline(instances) => array::halt(instances, why, at),
            Members::Chunked(_) => self.drop_waiting(why.cause(), at),
        }
    }
}

impl ChunkEntry {
    fn new(counts: Counts, since: Timestamp) -> Self {
        ChunkEntry { spread: false, since, sequence: 0, counts, spent: Spent::default() }
    }

    /// Whether its item has yet to be created.
    pub(super) fn is_unspread(&self) -> bool {
        !self.spread && self.counts.waiting > 0
    }

    /// Whether its item has been created and has something left to do.
    pub(super) fn is_under_way(&self) -> bool {
        self.spread && !self.counts.is_ended()
    }

    /// When waiting to be spread has taken too long.
    pub(super) fn patience(&self, waiting_seconds: u32) -> Timestamp {
        later(self.since, waiting_seconds.max(1).into())
    }

    pub(super) fn drop_waiting(&mut self, cause: Cause) {
        let dropped = std::mem::take(&mut self.counts.waiting);
        if cause.is_halt() {
            self.counts.stopped += dropped;
        } else {
            self.counts.failed += dropped;
        }
    }
}

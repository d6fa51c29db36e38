//! Telling the caller that a run has ended: once per run, until it is
//! delivered or given up.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Ending, Job, attempt::later};

/// How many earlier runs may wait for their callers to be told.
pub(super) const MOST_UNTOLD: usize = 16;

/// How telling the caller of the current run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Callback {
    /// Nobody asked to be told.
    #[default]
    Unwanted,
    /// Somebody will be, once the run has ended.
    Wanted,
    /// The run has ended.
    Owed {
        /// When to try.
        at: Timestamp,
        /// How often it was tried.
        tries: u32,
    },
    /// It was delivered.
    Told {
        /// When.
        at: Timestamp,
    },
    /// It could not be delivered.
    GivenUp {
        /// Since when.
        at: Timestamp,
    },
}

impl Callback {
    pub(super) fn is_unwanted(&self) -> bool {
        *self == Callback::Unwanted
    }
}

/// The ending of a run that somebody has yet to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telling {
    /// The run.
    pub run: u32,
    /// How it ended.
    pub ending: Ending,
    /// When it ended.
    pub ended_at: Timestamp,
    /// When to try.
    pub at: Timestamp,
    /// How often it was tried.
    pub tries: u32,
}

impl Telling {
    /// The telling after a try that failed; `None` if that was the last one.
    ///
    /// A failure reported before the telling was due is one of a try that has
    /// been counted.
    fn failed(self, again_seconds: Option<u32>, at: Timestamp) -> Option<Telling> {
        if at < self.at {
            return Some(self);
        }
        let again = later(at, again_seconds?.max(1).into());
        Some(Telling { at: again, tries: self.tries + 1, ..self })
    }
}

impl Job {
    /// What is to be told of `run`, while that is owed: of the current run,
    /// or of an earlier one that was retried before its caller was told.
    pub fn telling(&self, run: u32) -> Option<Telling> {
        if self.deleted_at.is_some() {
            return None;
        }
        if run != self.run {
            return self.untold.iter().find(|telling| telling.run == run).copied();
        }
        match (self.callback, self.ending()) {
            (Callback::Owed { at, tries }, Some((ending, ended_at))) => {
                Some(Telling { run, ending, ended_at, at, tries })
            }
            _ => None,
        }
    }

    /// All that is to be told, the earliest run first.
    pub(super) fn tellings(&self) -> impl Iterator<Item = Telling> {
        self.untold.iter().copied().chain(self.telling(self.run))
    }

    /// A callback that was given up is told after all if it is sent again.
    pub(super) fn told(&self, run: u32, at: Timestamp) -> Job {
        let mut next = self.clone();
        if self.deleted_at.is_some() {
            return next;
        }
        if run != self.run {
            next.untold.retain(|telling| telling.run != run);
        } else if let Callback::Owed { .. } | Callback::GivenUp { .. } = self.callback {
            next.callback = Callback::Told { at };
        }
        next
    }

    pub(super) fn tell_failed(&self, run: u32, again_seconds: Option<u32>, at: Timestamp) -> Job {
        let mut next = self.clone();
        let Some(telling) = self.telling(run) else {
            return next;
        };
        let telling = telling.failed(again_seconds, at);
        if run == self.run {
            next.callback = match telling {
                Some(Telling { at, tries, .. }) => Callback::Owed { at, tries },
                None => Callback::GivenUp { at },
            };
        } else {
            next.untold = self
                .untold
                .iter()
                .filter_map(|old| if old.run == run { telling } else { Some(*old) })
                .collect();
        }
        next
    }
}

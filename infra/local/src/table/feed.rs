//! News of every durable change, for whoever reacts to changes.

use std::{collections::BTreeMap, sync::Arc};

use shared::platform::{Index, Key, Mark};
use tokio::sync::broadcast;

/// A change that has become durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The row or set.
    pub key: Key,
    /// What happened to it.
    pub kind: ChangeKind,
    /// The marks that the row now carries; a set has none.
    pub marks: BTreeMap<Index, Mark>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// A row was written.
    Put,
    /// A row was removed. The removal of one that has expired is no news.
    Deleted,
    /// A member joined a set.
    Joined,
    /// A member left a set.
    Left,
}

/// The changes of one commit after the other, in the order in which they took
/// effect. A receiver that falls behind is told `Lagged`, and has to look for itself.
pub type Feed = broadcast::Receiver<Arc<[Change]>>;

/// How many commits a receiver may be behind.
const BACKLOG: usize = 4096;

/// Where the news come from.
pub(super) struct Source(broadcast::Sender<Arc<[Change]>>);

impl Source {
    pub(super) fn new() -> Self {
        Source(broadcast::Sender::new(BACKLOG))
    }

    pub(super) fn subscribe(&self) -> Feed {
        self.0.subscribe()
    }

    pub(super) fn publish(&self, changes: Vec<Change>) {
        if !changes.is_empty() && self.0.receiver_count() > 0 {
            // The last receiver may have left just now.
            drop(self.0.send(changes.into()));
        }
    }
}

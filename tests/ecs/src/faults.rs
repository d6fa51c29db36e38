//! What is to go wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What goes wrong from now on: each count goes down as it does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// How many calls of an operation are throttled.
    pub throttled: BTreeMap<String, u32>,
    /// How many calls of an operation are done, and the answer lost.
    pub unanswered: BTreeMap<String, u32>,
    /// How many registrations of a task definition are refused because others
    /// of its family come at the same time.
    pub crowded: u32,
    /// For which reasons the next `RunTask`s place no task.
    pub unplaced: Vec<String>,
    /// The most that one page of a list has; 100 where it is 0.
    pub page: usize,
    /// How long a task is under way from its containers' end to its own.
    pub stopping_millis: u64,
    /// What goes wrong with events.
    pub events: EventFaults,
}

/// What goes wrong with events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventFaults {
    /// How many are lost.
    pub lost: u32,
    /// How many come twice.
    pub repeated: u32,
    /// How many come after the one that follows them.
    pub swapped: u32,
    /// How long each is under way.
    pub late_millis: u64,
}

impl Faults {
    pub(crate) fn throttles(&mut self, operation: &str) -> bool {
        taken(&mut self.throttled, operation)
    }

    pub(crate) fn loses_answer(&mut self, operation: &str) -> bool {
        taken(&mut self.unanswered, operation)
    }

    pub(crate) fn crowds(&mut self) -> bool {
        take(&mut self.crowded)
    }

    pub(crate) fn next_unplaced(&mut self) -> Option<String> {
        (!self.unplaced.is_empty()).then(|| self.unplaced.remove(0))
    }
}

fn taken(counts: &mut BTreeMap<String, u32>, name: &str) -> bool {
    counts.get_mut(name).is_some_and(take)
}

/// Takes one off the count, if there is one.
pub(crate) fn take(count: &mut u32) -> bool {
    let there = *count > 0;
    *count = count.saturating_sub(1);
    there
}

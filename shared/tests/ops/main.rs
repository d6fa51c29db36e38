//! Verbs that no function has to itself, on a platform in memory.

#![expect(clippy::unwrap_used, reason = "what goes wrong fails the test")]

mod arrays;
mod backlog;
mod caches;
mod callbacks;
mod contents;
mod deadlines;
mod late_tries;
mod layouts;
mod leases;
mod logs;
mod notes;
mod open;
mod reminders;
mod reruns;
mod sharing;
mod slots;
mod sources;
mod specs;
mod staged;
mod sweeps;
mod together;
mod triggers;
mod weights;

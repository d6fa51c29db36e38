//! Plain child processes in the place of containers.
//!
//! No isolation: the agent and what it runs are this user's own processes,
//! see its files, and are held to no limit. For work that is trusted.

mod adapter;
mod child;
mod record;

#[cfg(test)]
mod tests;

pub use adapter::{ProcessConfig, ProcessRuntime};

//! The runtime on ECS: one attempt is one Fargate task.
//!
//! ECS keeps all state. A task definition is named after what it says, a task
//! after its attempt, twice: its `clientToken`, so that starting it again
//! starts nothing, and its `startedBy`, so that it is found.

mod adapter;
mod config;
mod definition;
mod event;
mod fault;
mod naming;
mod pace;
mod request;
mod sighting;

#[cfg(test)]
mod samples;

pub use adapter::{BadInstance, EcsRuntime};
pub use config::{Architecture, Capacity, EcsConfig, Logs};
pub use event::TaskStateChange;

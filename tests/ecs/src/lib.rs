//! An ECS of this machine: the API of tasks, over a container engine.
//!
//! For tests alone. It speaks what `shared::aws::runtime` speaks (JSON 1.1:
//! register and describe task definitions; run, list, describe, stop tasks),
//! runs real containers, and tells what happens as ECS does, to a `PutEvents`.
//! It refuses what ECS refuses, where we could get it wrong. What goes wrong in
//! the cloud goes wrong here when told so: see [`Faults`].

mod answer;
mod containers;
mod definitions;
mod endpoint;
mod events;
mod faults;
mod launches;
mod life;
mod operations;
mod task;

pub use endpoint::{Endpoint, Options};
pub use events::Events;
pub use faults::{EventFaults, Faults};

//! Callbacks: who is told of a job's start and ending, what, and how that went.

mod deliver;
mod kept;
mod message;
mod settings;
mod shape;
mod xml;

pub use deliver::{deliver, due, sweep};
pub use kept::{Kept, State, Try, list, redeliver, state_of};
pub use message::id;
pub(super) use settings::{for_job, for_queue, request};
pub use shape::{News, Shape, Shaped, Shapes};

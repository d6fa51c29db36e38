//! What the probe does, and what the stories have to know of it.

mod pattern;
mod steps;

pub use pattern::{BLOCK, Pattern, write_pattern};
pub use steps::{Failed, steps};

//! The small program inside each container.
//!
//! It is the container's first process: it asks the service what to run
//! ([`story`]), fetches the inputs, runs the user's process, brings its outputs
//! home as one archive, and reports. It only ever calls out, with a token that
//! is good for this one attempt, and it leaves nothing behind.
//!
//! Its exit code is not the user's, which is in the report: 0 once it has
//! reported, 64 if the plan was refused and nothing was run, 70 if the agent
//! itself failed and could not even say so.

mod story;

mod collect;
mod fetch;
mod objects;
mod pieces;
mod process;
mod tries;

mod logs;
mod memory;
mod outputs;
mod program;
mod signals;
mod streams;

mod install;

mod aside;
mod backoff;
mod body;
mod clock;
mod connect;
mod service;
mod settings;

pub use install::install;
pub use settings::{BadSetting, Settings};
pub use story::{Unstarted, live};

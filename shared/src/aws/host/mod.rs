//! The Lambda host: what the local gateway and host are on one machine.
//!
//! `serve` and `serve_with_objects` host an action, `react` a reaction, `tell`
//! the one that tells callers, `serve_dialect` a dialect; each is the whole
//! `main` of a function. What a function is given is built once, at its cold
//! start.

mod adapters;
mod clock;
mod http_event;
mod invocation;
mod master_key;
mod metrics;
mod react;
mod send;
mod serve;
mod settings;
mod sources;
mod speak;
mod start;
mod trace;

pub use lambda_runtime::Error;
pub use react::{react, tell};
pub use serve::{serve, serve_open, serve_with_objects, serve_with_runtime};
pub use speak::serve_dialect;

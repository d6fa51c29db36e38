//! The built agent, lived through with a service that can misbehave.

#![expect(clippy::unwrap_used, reason = "these are tests, helpers included")]

mod service;
mod world;

mod ends;
mod logs;
mod objects;
mod outputs;
mod runs;
mod trouble;

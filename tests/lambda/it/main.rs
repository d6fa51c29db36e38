//! The functions where things go wrong: no job is lost, and none runs twice.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod faults;
mod killed;
mod rights;
mod sweep;

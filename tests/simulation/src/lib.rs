//! The whole system on one thread, with a clock of its own, and everything
//! going wrong that may.
//!
//! A seed is a world: which platform it is, how its weather is, what its
//! clients want. The product's own functions and ops run in it, on ports that
//! drop, delay, repeat, reorder, fail before and after the effect, and end
//! their caller at any await. [`watch::Watch`] holds every write against the
//! invariants; [`rest`] what is left when the faults have stopped.

pub mod agent;
pub mod archive;
pub mod ask;
pub mod clients;
pub mod executor;
pub mod graph;
pub mod host;
pub mod objects;
pub mod outbox;
pub mod ports;
pub mod rest;
pub mod runtime;
pub mod sabotage;
pub mod seen;
pub mod specs;
pub mod table;
pub mod trace;
pub mod transitions;
pub mod watch;
pub mod weather;
pub mod world;

pub use sabotage::Sabotage;
pub use seen::Seen;
pub use trace::Trace;
pub use world::{Told, run};

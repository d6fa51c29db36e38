//! Tarpon on one machine: the local platform, its gateway, and the command line.

pub mod clock;
pub mod objects;
pub mod runtime;
pub mod store;
pub mod table;

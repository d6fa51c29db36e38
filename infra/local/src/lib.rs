//! Tarpon on one machine: the local platform, its gateway, and the command line.

pub mod cli;
pub mod objects;
pub mod runtime;
pub mod table;

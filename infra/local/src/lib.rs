//! Tarpon on one machine: the local platform, its gateway, and the command line.

pub mod agent;
pub mod cli;
pub mod clock;
pub mod data;
pub mod functions;
pub mod gateway;
pub mod host;
pub mod objects;
pub mod operator;
pub mod runtime;
pub mod serve;
pub mod store;
pub mod table;

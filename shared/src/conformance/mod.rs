//! The suites that define the ports: an adapter is what passes them.
//!
//! Each check is a public `async fn` that takes the port and panics with what
//! is wrong; an adapter's test calls them all, on a port of its own.

pub mod objects;
pub mod runtime;
pub mod table;

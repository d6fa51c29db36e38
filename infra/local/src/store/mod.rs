//! The store: one file for all state, and one thread that writes it.
//!
//! The table and the objects each keep their own redb tables in it and share
//! the writer, so whatever happens at one time is made durable by one fsync.

mod file;
mod writer;

pub use file::{Chore, OpenError, Store, StoreError};

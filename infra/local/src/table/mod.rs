//! The table on redb: rows, indexes and sets in the store's file, and news of every change.

mod change;
mod feed;
mod query;
mod redb;
mod rows;
mod tables;
mod waiters;

pub use feed::{Change, ChangeKind, Feed};
pub use redb::RedbTable;

//! The table port on DynamoDB.
//!
//! One on-demand table with the key `p` and `s` holds everything: rows, each an
//! item, and sets (see [`sets`]). The three indexes are sparse and hold nothing
//! but keys, so that a row that is in one costs one unit more to write; the
//! rows themselves are then read from the table.

mod body;
mod commit;
mod dynamo;
mod expression;
mod layout;
mod query;
mod read;
mod refused;
mod reminders;
mod rows;
mod send;
mod sets;

pub use dynamo::DynamoTable;
pub use layout::{CALLS, INDEXES, IndexLayout, KEY, Place, TTL};
pub use refused::Refused;
pub use reminders::{Reminder, Reminders};
pub use sets::REFUSED;

//! Compute environments: queues whose names are `env-` and eight characters. A
//! node is a slot of the queue, and always there.

mod changes;
mod known;
mod views;

pub(crate) use changes::{create, delete, modify, no_nodes};
pub(crate) use known::{check_id, machine};
pub(crate) use views::{activities, create_info, describe, list};

//! The ports: where state is kept, bytes are stored, containers run, callers
//! are told, and what time it is. Nothing else lives here.
//!
//! A port is *defined* by its suite in `crate::conformance`; an adapter is
//! what passes it. Errors are outcomes that callers act on, with the adapter's
//! own error as the source of the last resort.

mod clock;
mod objects;
mod outbox;
mod runtime;
pub mod set;
mod table;

use std::sync::Arc;

pub use clock::Clock;
pub use objects::{
    ByteStream, Grant, GrantMethod, NoObjects, ObjectInfo, ObjectKey, ObjectPage, Objects,
    ObjectsError, Put, Range, SignedUrl, StoredObject, collect, one_chunk,
};
pub use outbox::{Message, NoOutbox, Outbox, OutboxError, Receipt, Recipient};
pub use runtime::{
    Admission, Known, Launch, Launched, NoRuntime, RegistryCredentials, ResolveError, Runtime,
    RuntimeError, Sighting,
};
pub use set::{SetLimit, SetSize};
pub use table::{
    Expect, Index, Key, Mark, Op, Page, Query, Row, Staged, Table, TableError, Wanted, due_sort,
};

/// An adapter's own error, for the log.
pub type Source = Box<dyn std::error::Error + Send + Sync>;

/// A place where functions run.
#[derive(Clone)]
pub struct Platform {
    /// Where state is kept.
    pub table: Arc<dyn Table>,
    /// Where bytes are stored.
    pub objects: Arc<dyn Objects>,
    /// Where containers run.
    pub runtime: Arc<dyn Runtime>,
    /// How callers are told.
    pub outbox: Arc<dyn Outbox>,
    /// Time and randomness.
    pub clock: Arc<dyn Clock>,
}

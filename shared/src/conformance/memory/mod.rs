//! The in-memory platform: every port, honestly kept, for tests.
//!
//! Deterministic on a runtime of one thread whose time is paused: what time it
//! is, what is random and who is woken first depend on the seed alone, and a
//! wait costs no time.

mod clock;
mod objects;
mod outbox;
mod platform;
mod runtime;
mod table;
mod world;

pub use clock::MemoryClock;
pub use objects::MemoryObjects;
pub use outbox::{MemoryOutbox, Reception, Told};
pub use platform::Memory;
pub use runtime::{Happening, MemoryRuntime};
pub use table::MemoryTable;
pub use world::{Answer, Ask, World};

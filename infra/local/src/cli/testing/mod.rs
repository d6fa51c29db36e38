//! A small server that speaks the native API from memory, and commands run
//! against it as if they were typed.

mod fake;
mod server;
mod spoken;

pub use fake::{Fake, FakeJob, Fault, archive, view};
pub use spoken::{Line, Spoken, offline};

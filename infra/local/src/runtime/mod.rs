//! The local runtimes: containers of an engine, or plain child processes.
//!
//! Both keep no state but what the engine or the file system keeps anyway, so
//! a restarted server finds what runs, and what ended meanwhile.

pub mod docker;
pub mod process;

mod detect;
mod folders;
mod local;
mod room;

#[cfg(test)]
mod stand_in;

pub use detect::{Engine, NoEngine, detect};
pub use docker::{BadCidr, Cidr, DockerConfig, DockerRuntime, Guard};
pub use local::{Local, StartError};
pub use process::{ProcessConfig, ProcessRuntime};
pub use room::Room;

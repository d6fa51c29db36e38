//! A Lambda of this machine: the functions' programs, each as a process of its
//! own, and what invokes them.
//!
//! For tests alone. The programs are those that are deployed; the routes, the
//! roles and the rule for tasks' events are the template's. Table, bucket and
//! secret are on a stand-in for AWS, tasks on an ECS of this machine. What a
//! deployment decides by itself is decided by the test here: when a function
//! dies, what its way to AWS is like, which event comes, and when the sweep.

mod api;
mod aws;
mod call;
mod installation;
mod program;
mod rights;
mod template;
mod tour;
mod wire;

pub use call::Call;
pub use installation::{Installation, Setup};
pub use program::Failed;
pub use template::functions;
pub use tour::every_function;
pub use wire::Weather;

/// What the installation is called.
pub(crate) const STACK: &str = "tests";

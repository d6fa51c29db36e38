//! What every function shares: the job, the ports it is kept and run through,
//! the verbs, and the shapes on the wire.
//!
//! Who may see whom is told in `shared/README.md`; in short, `job` sees
//! nothing, `platform` sees `job`, `ops` sees both, and only `wire`, `function`
//! and `auth` know that there is HTTP.

pub mod agent;
pub mod archive;
pub mod job;

#[cfg(feature = "service")]
pub mod auth;
#[cfg(feature = "aws")]
pub mod aws;
#[cfg(feature = "aws")]
pub use aws::host as lambda;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "service")]
pub mod dialect;
#[cfg(feature = "service")]
pub mod fargate;
#[cfg(feature = "service")]
pub mod function;
#[cfg(feature = "service")]
pub mod guard;
#[cfg(feature = "service")]
pub mod keyed;
#[cfg(feature = "service")]
pub mod ops;
#[cfg(feature = "outbox")]
pub mod outbox;
#[cfg(feature = "service")]
pub mod platform;
#[cfg(feature = "service")]
pub mod service;
#[cfg(feature = "service")]
pub mod wire;

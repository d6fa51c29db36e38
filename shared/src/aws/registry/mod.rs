//! What an image reference stands for, asked of its registry.
//!
//! Our own few requests, and not `oci-client`'s: that follows redirects and
//! looks names up by itself, so that a registry could send it to an address
//! inside (a function's own control socket listens on loopback); it takes a
//! token service in trouble for a refusal, which would end jobs for good; and
//! it takes answers of any length.

mod access;
mod challenge;
mod ecr;
mod http;
mod image;
mod name;
mod resolver;
mod secrets;
mod signed;

#[cfg(test)]
mod pretend;

pub use resolver::{Registry, RegistryConfig};
pub use secrets::PullSecrets;
pub use signed::{CallError, Service, SignedCalls};

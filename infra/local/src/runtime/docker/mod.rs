//! Containers of an engine that speaks Docker's Engine API.
//!
//! What an attempt's container may do is all in [`container`]; how the outside
//! is kept from it, and the inside from others, in [`network`].

mod adapter;
mod container;
mod deaths;
mod fault;
mod image;
mod network;

#[cfg(test)]
mod tests;

pub use adapter::{DockerConfig, DockerRuntime};
pub use shared::guard::{BadCidr, Cidr, Guard};

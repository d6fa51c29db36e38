//! The archive: one tar of stdout, stderr, the outputs and a manifest.
//!
//! ```text
//! Stdout  Stderr  <outputs, each under its absolute path less the slash>  manifest.json
//! ```
//!
//! The agent writes it ([`Gathering`], then [`Packing`]): everything is looked
//! at first, so the length is known before the first byte, and then read once,
//! in constant memory. Only the list of members is held, some hundred bytes
//! each.
//!
//! The service reads it: [`find_manifest`] and [`Manifest::member`] tell from
//! one read of the end where a member's bytes are; [`Walker`] does it for tars
//! that have no manifest.
//!
//! What is kept of a member is its name, mode (without the set-id bits) and
//! modification time. Owners are not: user and group are 0, without names, as
//! those of a container mean nothing elsewhere. Hard links and sparse files
//! become plain files.

mod bundle;
mod gather;
mod header;
mod manifest;
mod member;
mod pack;
mod walk;

#[cfg(test)]
mod tests;

pub use bundle::Unbundled;
pub use gather::Gathering;
pub use manifest::{Entry, Facts, Kind, Manifest, Note, Oddity};
pub use pack::{Chunk, Packed, Packing, Threads};
pub use walk::{BadArchive, Found, Step, Walker, find_manifest};

/// The member that holds standard output.
pub const STDOUT: &str = "Stdout";

/// The member that holds standard error.
pub const STDERR: &str = "Stderr";

/// The last member: what the others are.
pub const MANIFEST: &str = "manifest.json";

/// The names that no output may have.
pub const RESERVED: [&str; 3] = [STDOUT, STDERR, MANIFEST];

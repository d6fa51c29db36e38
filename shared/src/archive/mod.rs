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
//! That is [`Layout::Native`](crate::job::Layout). In another there is less: see
//! there. What has been written in one is served in another by [`Rewritten`].
//!
//! What is kept of a member is its name, mode (without the set-id bits) and
//! modification time. Owners are not: user and group are 0, without names, as
//! those of a container mean nothing elsewhere. Hard links and sparse files
//! become plain files.

mod gather;
mod hashing;
mod header;
mod manifest;
mod member;
mod pack;
mod rewrite;
mod ugc;
mod walk;

#[cfg(test)]
mod tests;

pub use gather::Gathering;
pub use manifest::{Entry, Facts, Kind, MAX_NOTES, Manifest, Note, Oddity};
pub use pack::{Chunk, Packed, Packing, Threads};
pub use rewrite::Rewritten;
pub use walk::{BadArchive, Found, Step, Walker, ends_in_manifest, find_manifest};

/// The member that holds standard output.
pub const STDOUT: &str = "Stdout";

/// The member that holds standard error.
pub const STDERR: &str = "Stderr";

/// The last member: what the others are.
pub const MANIFEST: &str = "manifest.json";

/// The names that no output may have.
pub const RESERVED: [&str; 3] = [STDOUT, STDERR, MANIFEST];

//! The local table and objects: they are what their ports say, and what else they promise.

#![expect(clippy::unwrap_used, reason = "an outcome that should not be is a failed test")]

mod crash;
mod objects;
mod table;

/// What the store may keep in memory: little, so that it has to do without.
const CACHE: usize = 1 << 20;

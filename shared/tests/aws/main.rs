//! The AWS adapters against a stand-in for AWS's APIs: they are what their ports
//! say, and what else they promise.
//!
//! `make test-aws` starts the stand-in. Without it, every test fails.

#![expect(clippy::unwrap_used, reason = "an outcome that should not be is a failed test")]

mod cost;
mod objects;
mod objects_faults;
mod table;
mod table_faults;
mod wire;
mod world;

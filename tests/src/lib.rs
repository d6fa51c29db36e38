//! What stories are told with: a [`World`] of their own, and a [`Client`] in it.
//!
//! A world is the real program, `tarpon serve`, as a process with a data
//! directory and a port of its own; everything is asked of it by HTTP, or by
//! its command line. Dropping a world fails the test if work was left behind.

mod agents;
mod answer;
mod archive;
mod client;
mod clients;
mod cpu;
mod deployed;
mod engine;
mod memory;
mod owed;
mod program;
pub mod report;
mod server;
mod spec;
mod until;
mod world;

pub use agents::Agent;
pub use answer::Answer;
pub use archive::{Archive, Bundle, Member, MemberKind};
pub use client::{Client, Credentials, Page, http, is_over, send};
pub use clients::Clients;
pub use cpu::Cpu;
pub use engine::kill as kill_container;
pub use memory::Memory;
pub use program::{Said, clients_python, probe, run, tarpon, webhooks_python, workspace};
pub use server::Options;
pub use spec::Spec;
pub use tests_probe::{BLOCK, Pattern, write_pattern};
pub use until::{PATIENCE, until};
pub use world::{Runtime, World};

/// SHA-256 in lower-case hex.
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(bytes))
}

/// SHA-256 of the first `bytes` of the probe's pattern.
pub fn pattern_sha256(bytes: u64) -> String {
    use sha2::Digest;
    let mut pattern = Pattern::of(bytes);
    let mut digest = sha2::Sha256::new();
    while let Some(block) = pattern.block() {
        digest.update(block);
    }
    data_encoding::HEXLOWER.encode(&digest.finalize())
}

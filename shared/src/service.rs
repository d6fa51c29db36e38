//! What a function is given: the platform it runs on, the keys it may use,
//! and the limits it holds to.

use std::sync::Arc;

use crate::{
    auth::Keyring,
    fargate::Prices,
    job::Name,
    ops::{backlog::Backlog, queues::KnownQueues, turns::Turns},
    platform::Platform,
};

/// Everything a function works with.
#[derive(Clone)]
pub struct Service {
    /// Where state, bytes and containers are.
    pub platform: Platform,
    /// Keys derived from the master key.
    pub keyring: Keyring,
    /// What is allowed at most.
    pub limits: Limits,
    /// What the agent's archive and logs may take.
    pub config: Config,
    /// How many unfinished jobs projects have, as far as this process knows.
    pub backlog: Arc<Backlog>,
    /// Queues that this process knows to be there.
    pub queues: Arc<KnownQueues>,
    /// Who of this process waits to change a part of a wide task.
    pub turns: Arc<Turns>,
}

/// What differs between installations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The service's own address, for links: `http://127.0.0.1:8080`.
    pub public_url: String,
    /// The longest that a request may wait, in seconds.
    pub longest_wait_seconds: u32,
    /// The image of the operation `PicProcess`.
    pub pic_process_image: String,
    /// The message queues that callbacks may go into, by the operator's names.
    pub message_queues: Vec<Name>,
    /// What containers cost on Fargate, by which it is told of jobs what they
    /// would have cost there; `None` where nobody can tell, as on Spot.
    pub prices: Option<Prices>,
}

/// What is allowed at most: one table, the same on every platform unless said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a job's JSON, inline inputs included.
    pub request_bytes: u64,
    /// Bytes of a job's spec as it is stored, without its inputs.
    pub spec_bytes: usize,
    /// Bytes of a body sent as standard input.
    pub body_bytes: u64,
    /// Bytes of one inline input.
    pub inline_bytes: usize,
    /// Thousandths of a CPU that one container may have.
    pub cpu_millis: u32,
    /// MiB of memory that one container may have.
    pub memory_mib: u32,
    /// Bytes of live log kept for an attempt, both streams together.
    pub log_bytes: u64,
    /// Live attempts that a queue may have.
    pub queue_live: u32,
    /// Unfinished jobs that a project may have.
    pub open_jobs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Limits {
            request_bytes: 6 * MIB,
            spec_bytes: 256 << 10,
            body_bytes: 1024 * MIB,
            inline_bytes: 4 << 20,
            cpu_millis: 64_000,
            memory_mib: 512 << 10,
            log_bytes: 16 * MIB,
            queue_live: 10_000,
            open_jobs: 100_000,
        }
    }
}

//! The adapters in memory, together.

use std::sync::Arc;

use super::{MemoryClock, MemoryObjects, MemoryOutbox, MemoryRuntime, MemoryTable};
use crate::{
    auth::Keyring,
    fargate::Prices,
    platform::Platform,
    service::{Config, Limits, Service},
};

/// The in-memory platform, each adapter in reach of the test.
#[derive(Clone)]
pub struct Memory {
    /// Where state is kept.
    pub table: Arc<MemoryTable>,
    /// Where bytes are stored.
    pub objects: Arc<MemoryObjects>,
    /// Where containers would run.
    pub runtime: Arc<MemoryRuntime>,
    /// How callers are told.
    pub outbox: Arc<MemoryOutbox>,
    /// What time it is.
    pub clock: Arc<MemoryClock>,
}

impl Memory {
    /// An empty platform at noon; all that is random follows from the seed.
    pub fn new(seed: u64) -> Self {
        let clock = Arc::new(MemoryClock::new(seed));
        Memory {
            table: Arc::new(MemoryTable::new(clock.clone())),
            objects: Arc::new(MemoryObjects::new(clock.clone())),
            runtime: Arc::new(MemoryRuntime::new()),
            outbox: Arc::new(MemoryOutbox::new()),
            clock,
        }
    }

    /// As functions take it.
    pub fn platform(&self) -> Platform {
        Platform {
            table: self.table.clone(),
            objects: self.objects.clone(),
            runtime: self.runtime.clone(),
            outbox: self.outbox.clone(),
            clock: self.clock.clone(),
        }
    }

    /// A service on it, with the limits that everybody has.
    pub fn service(&self) -> Service {
        Service {
            platform: self.platform(),
            keyring: Keyring::new(&[7; 32]),
            limits: Limits::default(),
            config: Config {
                public_url: "http://127.0.0.1:8080".into(),
                longest_wait_seconds: 60,
                pic_process_image: "tarpon/pic-process".into(),
                message_queues: vec!["told".parse().expect("it is a name")],
                prices: Some(Prices::X86_64),
            },
            backlog: Arc::default(),
            queues: Arc::default(),
            turns: Arc::default(),
        }
    }
}

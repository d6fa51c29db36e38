//! Time that starts at a noon of its own, and randomness out of a seed.

use std::sync::atomic::{AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::platform::Clock;

/// 2026-03-01T12:00:00Z, in seconds since 1970.
const NOON: i64 = 1_772_366_400;

/// A clock that goes as tokio's does: not at all while that is paused, until
/// everybody waits, and then to the next thing that is waited for.
pub struct MemoryClock {
    started: Instant,
    seed: u64,
    drawn: AtomicU64,
}

impl MemoryClock {
    /// It is noon.
    pub fn new(seed: u64) -> Self {
        MemoryClock { started: Instant::now(), seed, drawn: AtomicU64::new(0) }
    }
}

impl Clock for MemoryClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.started.elapsed()).unwrap_or_default();
        let noon = Timestamp::constant(NOON, 0);
        noon.checked_add(passed).unwrap_or(Timestamp::MAX)
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(32) {
            let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
            let digest = Sha256::new()
                .chain_update(self.seed.to_be_bytes())
                .chain_update(drawn.to_be_bytes())
                .finalize();
            part.copy_from_slice(&digest[..part.len()]);
        }
    }
}

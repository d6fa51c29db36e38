//! What the tests of the store have in common.

use jiff::Timestamp;
use shared::platform::Clock;

/// Enough for a test.
pub const CACHE: usize = 4 << 20;

pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).unwrap();
    }
}

//! The clock of the machine that a function runs on.

use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};

use crate::platform::Clock;

/// The real one.
#[derive(Clone, Copy, Debug)]
pub(super) struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time is handed in")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        let filled = SystemRandom::new().fill(bytes);
        filled.expect("the kernel hands out random bytes once it has booted");
    }
}

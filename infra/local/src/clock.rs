//! The machine's own clock and randomness.

use jiff::Timestamp;
use shared::platform::Clock;

/// The real ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where time is handed in")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("the kernel hands out random bytes once it has booted");
    }
}

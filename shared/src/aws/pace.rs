//! How often, and after which pauses, something is tried again that another
//! writer, or a busy service, got in the way of.

use std::time::Duration;

use crate::platform::Clock;

const TRIES: u32 = 24;

const FIRST: Duration = Duration::from_millis(10);

const LONGEST: Duration = Duration::from_millis(500);

/// The tries of one call.
pub(super) struct Pace<'a> {
    clock: &'a dyn Clock,
    tried: u32,
}

impl<'a> Pace<'a> {
    pub(super) fn new(clock: &'a dyn Clock) -> Self {
        Pace { clock, tried: 0 }
    }

    /// Waits before the next try, a random part of a time that doubles. Says
    /// whether there is to be another.
    pub(super) async fn wait(&mut self) -> bool {
        self.tried += 1;
        if self.tried >= TRIES {
            return false;
        }
        let most = LONGEST.min(FIRST * 2_u32.saturating_pow(self.tried.min(10)));
        let [part] = self.clock.random();
        tokio::time::sleep(most * u32::from(part) / 255).await;
        true
    }

    /// Counts a try after which there is nothing to wait for.
    pub(super) fn again(&mut self) -> bool {
        self.tried += 1;
        self.tried < TRIES
    }
}

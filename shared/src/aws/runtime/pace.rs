//! No faster than so many a second, after a burst.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use crate::platform::Clock;

/// Hands out turns.
pub(super) struct Pace {
    clock: Arc<dyn Clock>,
    every: SignedDuration,
    ahead: SignedDuration,
    /// When the next turn would be, had there been no burst.
    next: Mutex<Timestamp>,
}

impl Pace {
    /// So many turns a second, and `burst` at once after a rest.
    pub(super) fn new(clock: Arc<dyn Clock>, per_second: u16, burst: u16) -> Self {
        let every = SignedDuration::from_secs(1) / i32::from(per_second.max(1));
        let ahead = every.saturating_mul(i32::from(burst.saturating_sub(1)));
        Pace { clock, every, ahead, next: Mutex::new(Timestamp::MIN) }
    }

    /// Waits for a turn.
    pub(super) async fn turn(&self) {
        let wait = self.book();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// Takes the next turn, and tells how long it is until then.
    fn book(&self) -> Duration {
        let now = self.clock.now();
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = now.checked_sub(self.ahead).unwrap_or(Timestamp::MIN);
        let turn = (*next).max(rested);
        *next = turn.checked_add(self.every).unwrap_or(Timestamp::MAX);
        Duration::try_from(turn.duration_since(now)).unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Still(Mutex<Timestamp>);

    impl Still {
        fn pass(&self, millis: i64) {
            *self.0.lock().unwrap() += SignedDuration::from_millis(millis);
        }
    }

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }

        fn fill_random(&self, bytes: &mut [u8]) {
            bytes.fill(0);
        }
    }

    fn waits(pace: &Pace, times: usize) -> Vec<u128> {
        (0..times).map(|_| pace.book().as_millis()).collect()
    }

    #[test]
    fn after_a_burst_turns_come_evenly_and_a_rest_brings_the_burst_back() {
        let clock = Arc::new(Still(Mutex::new(Timestamp::UNIX_EPOCH)));
        let pace = Pace::new(clock.clone(), 20, 3);
        assert_eq!(waits(&pace, 6), [0, 0, 0, 50, 100, 150]);
        clock.pass(100);
        assert_eq!(waits(&pace, 1), [100]);
        clock.pass(10_000);
        assert_eq!(waits(&pace, 4), [0, 0, 0, 50]);
    }

    #[test]
    fn a_second_never_sees_more_than_the_burst_and_the_rate() {
        let clock = Arc::new(Still(Mutex::new(Timestamp::UNIX_EPOCH)));
        let pace = Pace::new(clock, 18, 50);
        let within = waits(&pace, 200).into_iter().filter(|wait| *wait < 1_000).count();
        assert!((50..=68).contains(&within), "{within}");
    }
}

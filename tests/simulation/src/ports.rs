//! What all ports have in common: each call takes its time, may fail before or
//! after its effect, and may be the last thing that its caller does.

use std::{
    future::{Future, pending},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use shared::platform::{Clock, Source};

use crate::{
    executor::{Process, Sim},
    weather::Fate,
};

/// Time that is the world's, and randomness out of its seed.
pub struct SimClock {
    sim: Arc<Sim>,
    entropy: Mutex<fastrand::Rng>,
}

impl SimClock {
    /// A clock of this world.
    pub fn new(sim: Arc<Sim>, entropy: fastrand::Rng) -> Self {
        SimClock { sim, entropy: Mutex::new(entropy) }
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        self.sim.now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.entropy.lock().unwrap_or_else(PoisonError::into_inner).fill(bytes);
    }
}

impl Sim {
    /// A call to a port, whatever becomes of it.
    pub async fn call<T, E>(
        &self,
        what: &'static str,
        unavailable: impl FnOnce(Source) -> E,
        effect: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if self.current() == Process::OUTSIDE {
            return effect.await;
        }
        let weather = self.weather();
        let fate = self.roll(|dice| weather.fate(dice));
        if fate != Fate::Answered {
            self.log(|| format!("{what}: {fate:?}"));
        }
        self.dawdle(weather.slow).await;
        match fate {
            Fate::FailsBefore => return Err(unavailable("it did not answer".into())),
            Fate::DiesBefore => return self.die().await,
            Fate::Answered | Fate::FailsAfter | Fate::DiesAfter => {}
        }
        let done = effect.await;
        match fate {
            Fate::FailsAfter => Err(unavailable("its answer was lost".into())),
            Fate::DiesAfter => self.die().await,
            Fate::Answered | Fate::FailsBefore | Fate::DiesBefore => {
                self.dawdle(0).await;
                done
            }
        }
    }

    /// Takes a while, and lets others in between.
    pub async fn dawdle(&self, slow: u32) {
        let time = self.roll(|dice| match dice.u32(0..1_000) {
            n if n < slow => Some(Duration::from_millis(dice.u64(500..150_000))),
            n if n < 600 => None,
            n if n < 900 => Some(Duration::ZERO),
            _ => Some(Duration::from_millis(dice.u64(1..200))),
        });
        match time {
            None => {}
            Some(Duration::ZERO) => self.step_aside().await,
            Some(time) => self.sleep(time).await,
        }
    }

    /// The process whose work this is dies, here.
    async fn die<T>(&self) -> T {
        self.kill(self.current());
        pending().await
    }
}

//! Receivers of callbacks: away now and then, busy, slow, or gone for good.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use shared::platform::{Message, Outbox, OutboxError, Receipt, Recipient};

use crate::{executor::Sim, sabotage::Sabotage, watch::Watch};

/// What a receiver says that is gone for good.
const GONE: u16 = 410;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(15);

/// An outbox in the world.
pub struct SimOutbox {
    sim: Arc<Sim>,
    watch: Arc<Watch>,
}

impl SimOutbox {
    /// Whoever is told is looked at by the watch.
    pub fn new(sim: Arc<Sim>, watch: Arc<Watch>) -> Self {
        SimOutbox { sim, watch }
    }

    async fn received(&self, to: &Recipient, message: &Message) -> Result<Receipt, OutboxError> {
        let (sim, weather) = (&self.sim, self.sim.weather());
        let refused = |status, again_seconds| Err(OutboxError::Refused { status, again_seconds });
        if let Recipient::Url(url) = to {
            if url.ends_with("/down") {
                return Err(OutboxError::NoAnswer("nobody is there".into()));
            }
            if url.ends_with("/gone") || sim.chance(weather.lost / 5) {
                return refused(GONE, None);
            }
        }
        if sim.chance(weather.lost) {
            return refused(503, sim.chance(300).then_some(20));
        }
        if !sim.is_broken(Sabotage::NobodyTold) {
            self.watch.told(message);
        }
        if sim.chance(weather.slow) {
            // It has it all the same.
            sim.sleep(PATIENCE).await;
            return Err(OutboxError::Late);
        }
        Ok(Receipt { status: matches!(to, Recipient::Url(_)).then_some(200) })
    }
}

#[async_trait]
impl Outbox for SimOutbox {
    async fn deliver(&self, to: &Recipient, message: &Message) -> Result<Receipt, OutboxError> {
        let received = self.received(to, message);
        self.sim.call("deliver", OutboxError::NoAnswer, received).await
    }
}

//! Receivers of callbacks: away now and then, busy, or gone for good.

use std::sync::Arc;

use async_trait::async_trait;
use shared::platform::{Message, Outbox, OutboxError, Receipt, Recipient};

use crate::{executor::Sim, sabotage::Sabotage, watch::Watch};

/// What a receiver says that is gone for good.
const GONE: u16 = 410;

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

    fn received(&self, message: &Message) -> Result<Receipt, OutboxError> {
        let weather = self.sim.weather();
        let refused = |status| Err(OutboxError::Refused { status, again_seconds: None });
        if self.sim.chance(weather.lost) {
            return refused(503);
        }
        if self.sim.chance(weather.lost / 3) {
            return refused(GONE);
        }
        if !self.sim.is_broken(Sabotage::NobodyTold) {
            self.watch.told(message);
        }
        Ok(Receipt { status: Some(200) })
    }
}

#[async_trait]
impl Outbox for SimOutbox {
    async fn deliver(&self, _: &Recipient, message: &Message) -> Result<Receipt, OutboxError> {
        let received = async { self.received(message) };
        self.sim.call("deliver", OutboxError::NoAnswer, received).await
    }
}

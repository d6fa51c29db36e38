//! An outbox whose recipients do as the test says.

use std::{
    collections::VecDeque,
    future::pending,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;

use crate::platform::{Message, Outbox, OutboxError, Receipt, Recipient};

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reception {
    /// It is answered with this status.
    Answer(u16),
    /// The recipient wants to be left alone for so many seconds.
    Busy(u32),
    /// It arrives, and nothing more is heard: whoever sent it waits for ever.
    Silence,
    /// The recipient's address is not allowed.
    Barred,
}

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Where.
    pub to: Recipient,
    /// What.
    pub message: Message,
}

impl Told {
    /// One of its headers.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.message.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body, as text.
    pub fn body(&self) -> String {
        String::from_utf8_lossy(&self.message.body).into_owned()
    }
}

/// Recipients in memory: they take what comes, unless told otherwise.
#[derive(Default)]
pub struct MemoryOutbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    script: VecDeque<Reception>,
    told: Vec<Told>,
}

impl MemoryOutbox {
    /// Nothing has arrived yet.
    pub fn new() -> Self {
        MemoryOutbox::default()
    }

    /// What becomes of the next messages, in their order.
    pub fn receive(&self, receptions: &[Reception]) {
        self.state().script.extend(receptions);
    }

    /// What has arrived, in its order.
    pub fn told(&self) -> Vec<Told> {
        self.state().told.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Outbox for MemoryOutbox {
    async fn deliver(&self, to: &Recipient, message: &Message) -> Result<Receipt, OutboxError> {
        let reception = {
            let mut state = self.state();
            let reception = state.script.pop_front().unwrap_or(Reception::Answer(200));
            if reception != Reception::Barred {
                state.told.push(Told { to: to.clone(), message: message.clone() });
            }
            reception
        };
        let refused = |status, again_seconds| Err(OutboxError::Refused { status, again_seconds });
        match reception {
            Reception::Answer(status @ 200..300) => Ok(Receipt { status: Some(status) }),
            Reception::Answer(status) => refused(status, None),
            Reception::Busy(seconds) => refused(503, Some(seconds)),
            Reception::Silence => pending().await,
            Reception::Barred => Err(OutboxError::Barred),
        }
    }
}

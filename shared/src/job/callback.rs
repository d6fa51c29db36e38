//! Telling the caller that a run has started or ended: once for each, until it
//! is delivered or given up.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Ending, Job, Refused, attempt::later};

/// How many callbacks may wait besides that of the current run's ending.
pub(super) const MOST_UNTOLD: usize = 16;

/// What a caller is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackEvent {
    /// The run's first container was claimed.
    Started,
    /// The run has ended.
    Finished,
}

/// One callback of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallbackKey {
    /// The run that it tells of.
    pub run: u32,
    /// What of it.
    pub event: CallbackEvent,
}

impl CallbackKey {
    /// That of a run's start.
    pub fn started(run: u32) -> Self {
        CallbackKey { run, event: CallbackEvent::Started }
    }

    /// That of a run's ending.
    pub fn finished(run: u32) -> Self {
        CallbackKey { run, event: CallbackEvent::Finished }
    }
}

/// How telling the caller of the current run's ending stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Callback {
    /// Nobody asked to be told.
    #[default]
    Unwanted,
    /// Somebody will be, once the run has ended.
    Wanted,
    /// The run has ended.
    Owed(
        /// The tries to deliver it.
        Tries,
    ),
    /// It was delivered.
    Told {
        /// When.
        at: Timestamp,
        /// How many tries were begun.
        begun: u32,
    },
    /// It could not be delivered.
    GivenUp {
        /// Since when.
        at: Timestamp,
        /// How many tries were begun.
        begun: u32,
    },
    /// The API that the job is of has no message for such an ending.
    Needless,
}

impl Callback {
    pub(super) fn is_unwanted(&self) -> bool {
        *self == Callback::Unwanted
    }
}

/// The tries to deliver a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// When to try; while a try is under way, when to try again if nothing is
    /// heard of it.
    pub at: Timestamp,
    /// How many were begun.
    pub begun: u32,
    /// How many of them since it was last asked for: the place in the schedule.
    pub round: u32,
    /// Whether the last one is under way.
    pub under_way: bool,
}

impl Tries {
    /// None yet, the first due at `at`.
    pub(super) fn due(at: Timestamp) -> Self {
        Tries { at, begun: 0, round: 0, under_way: false }
    }

    /// A try is begun, of which news is expected within so many seconds.
    ///
    /// Putting the next try off is what keeps anybody else from making this
    /// one: if we die over it, it comes due again by itself.
    fn begun(self, within_seconds: u32, at: Timestamp) -> Self {
        if at < self.at {
            return self;
        }
        Tries {
            at: later(at, within_seconds.max(1).into()),
            begun: self.begun + 1,
            round: self.round + 1,
            under_way: true,
        }
    }

    /// Somebody asks for it now. A try that is under way goes on.
    fn asked(self, at: Timestamp) -> Self {
        if self.under_way && at < self.at {
            return Tries { round: 0, ..self };
        }
        Tries { at, round: 0, under_way: false, ..self }
    }

    /// The tries after the one of this number failed; `None` if it was the last
    /// one. Late news of another changes nothing.
    fn failed(self, number: u32, again_seconds: Option<u32>, at: Timestamp) -> Option<Self> {
        if !self.under_way || number != self.begun {
            return Some(self);
        }
        let at = later(at, again_seconds?.max(1).into());
        Some(Tries { at, under_way: false, ..self })
    }
}

/// What somebody has yet to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Telling {
    /// The run, and what of it.
    #[serde(flatten)]
    pub key: CallbackKey,
    /// How the run ended, if that is what is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// When it started or ended.
    pub happened_at: Timestamp,
    /// The tries to deliver it.
    pub tries: Tries,
}

impl Job {
    /// What is to be told by this callback, while that is owed: of the current
    /// run, or of an earlier one that was retried before its caller was told.
    pub fn telling(&self, key: CallbackKey) -> Option<Telling> {
        if self.deleted_at.is_some() {
            return None;
        }
        if key != CallbackKey::finished(self.run) {
            return self.untold.iter().find(|telling| telling.key == key).copied();
        }
        match (self.callback, self.ending()) {
            (Callback::Owed(tries), Some((ending, happened_at))) => {
                Some(Telling { key, ending: Some(ending), happened_at, tries })
            }
            _ => None,
        }
    }

    /// All that is to be told, the earliest first.
    pub fn tellings(&self) -> impl Iterator<Item = Telling> {
        let last = self.telling(CallbackKey::finished(self.run));
        self.untold.iter().copied().filter(|_| self.deleted_at.is_none()).chain(last)
    }

    /// The run has started: whoever wants to know is told.
    pub(super) fn owe_start(&mut self, at: Timestamp) {
        if self.tells_start {
            let key = CallbackKey::started(self.run);
            let tries = Tries::due(at);
            self.untold.push(Telling { key, ending: None, happened_at: at, tries });
        }
    }

    pub(super) fn tell_begun(&self, key: CallbackKey, within_seconds: u32, at: Timestamp) -> Job {
        self.with_tries(key, at, |tries| Some(tries.begun(within_seconds, at)))
    }

    /// A callback that was given up is told after all if it is sent again.
    pub(super) fn told(&self, key: CallbackKey, at: Timestamp) -> Job {
        let mut next = self.clone();
        if self.deleted_at.is_some() {
            return next;
        }
        if key != CallbackKey::finished(self.run) {
            next.untold.retain(|telling| telling.key != key);
            return next;
        }
        if let Callback::Owed(Tries { begun, .. }) | Callback::GivenUp { begun, .. } = self.callback
        {
            next.callback = Callback::Told { at, begun };
        }
        next
    }

    /// There is nothing to be told by this callback: it is owed no more, and
    /// was not given up.
    pub(super) fn tell_spared(&self, key: CallbackKey) -> Job {
        let mut next = self.clone();
        if self.telling(key).is_none() {
            return next;
        }
        if key == CallbackKey::finished(self.run) {
            next.callback = Callback::Needless;
        } else {
            next.untold.retain(|telling| telling.key != key);
        }
        next
    }

    pub(super) fn tell_failed(
        &self,
        key: CallbackKey,
        number: u32,
        again_seconds: Option<u32>,
        at: Timestamp,
    ) -> Job {
        self.with_tries(key, at, |tries| tries.failed(number, again_seconds, at))
    }

    /// Somebody asks for a callback to be delivered, again or at once.
    /// `telling` is what is told if it is not owed any more.
    pub(super) fn tell_asked(&self, telling: &Telling, at: Timestamp) -> Result<Job, Refused> {
        if self.deleted_at.is_some() {
            return Err(Refused::Deleted);
        }
        let key = telling.key;
        if self.telling(key).is_some() {
            return Ok(self.with_tries(key, at, |tries| Some(tries.asked(at))));
        }
        let mut next = self.clone();
        let due = |begun| Tries { begun, ..Tries::due(at) };
        if key != CallbackKey::finished(self.run) {
            if self.untold.len() >= MOST_UNTOLD {
                return Err(Refused::TooManyUntold);
            }
            next.untold.push(Telling { tries: due(telling.tries.begun), ..*telling });
            return Ok(next);
        }
        match self.callback {
            Callback::Told { begun, .. } | Callback::GivenUp { begun, .. } => {
                next.callback = Callback::Owed(due(begun));
                Ok(next)
            }
            Callback::Needless => {
                next.callback = Callback::Owed(due(telling.tries.begun));
                Ok(next)
            }
            Callback::Unwanted | Callback::Wanted | Callback::Owed(_) => Err(Refused::NotFinished),
        }
    }

    /// With the tries of this callback changed; without it, if it is owed no
    /// more.
    fn with_tries(
        &self,
        key: CallbackKey,
        at: Timestamp,
        change: impl FnOnce(Tries) -> Option<Tries>,
    ) -> Job {
        let mut next = self.clone();
        let Some(Telling { tries, .. }) = self.telling(key) else {
            return next;
        };
        match (change(tries), key == CallbackKey::finished(self.run)) {
            (Some(tries), true) => next.callback = Callback::Owed(tries),
            (None, true) => next.callback = Callback::GivenUp { at, begun: tries.begun },
            (Some(tries), false) => {
                for telling in next.untold.iter_mut().filter(|telling| telling.key == key) {
                    telling.tries = tries;
                }
            }
            (None, false) => next.untold.retain(|telling| telling.key != key),
        }
        next
    }
}

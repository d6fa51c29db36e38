//! What callers were to be told, and were.

use jiff::Timestamp;
use serde_json::Value;
use shared::{
    job::{CallbackEvent, CallbackKey, Ending, Job, JobId},
    ops::callbacks::Kept,
    platform::{Key, Message, Wanted},
    wire::{callback::event_word, views::ending_word},
};

use super::Account;

/// A callback of a job.
pub type Callback = (JobId, CallbackKey);

/// Something that somebody was to be told.
#[derive(Clone, Copy, Debug)]
pub struct Owed {
    /// How the run ended, if that is it.
    pub ending: Option<Ending>,
    /// When it started or ended.
    pub happened_at: Timestamp,
    /// How many messages of it were received.
    pub received: u32,
    /// How many tries were begun, as the job counts them: one that was not made,
    /// because an earlier one was taken, may be counted once more.
    pub begun: u32,
    /// How many were, as they are seen here.
    seen: u32,
    /// How many of them since somebody asked for it last.
    round: u32,
    /// How many had been begun when one of that round was noted as taken: no
    /// later one sends it again.
    taken: Option<u32>,
}

fn named((job, callback): Callback) -> String {
    format!("{job}-{}-{}", callback.run, event_word(callback.event))
}

fn callback_of(id: &str) -> Option<Callback> {
    let (rest, event) = id.rsplit_once('-')?;
    let (job, run) = rest.rsplit_once('-')?;
    let run = run.parse().ok()?;
    let event = [CallbackEvent::Started, CallbackEvent::Finished]
        .into_iter()
        .find(|known| event_word(*known) == event)?;
    Some((job.parse().ok()?, CallbackKey { run, event }))
}

impl Account {
    /// Keeps account of what the job, as it is written, has yet to tell.
    pub(super) fn owes(&mut self, job: &Job) -> Result<(), String> {
        for telling in job.tellings() {
            let callback = (job.id, telling.key);
            let first = Owed {
                ending: telling.ending,
                happened_at: telling.happened_at,
                received: 0,
                begun: 0,
                seen: 0,
                round: 0,
                taken: None,
            };
            let owed = self.owed.entry(callback).or_insert(first);
            if (owed.ending, owed.happened_at) != (telling.ending, telling.happened_at) {
                return Err(format!("{} was {owed:?}, and is {telling:?}", named(callback)));
            }
            let is_asked = telling.tries.round == 0;
            if telling.tries.begun < owed.begun && !is_asked {
                return Err(format!("{}: tries were forgotten", named(callback)));
            }
            owed.seen += telling.tries.begun.saturating_sub(owed.begun);
            if telling.tries.round < owed.round {
                self.seen.redelivered += usize::from(owed.taken.is_some());
                owed.taken = None;
            }
            (owed.begun, owed.round) = (telling.tries.begun, telling.tries.round);
        }
        Ok(())
    }

    /// What is kept of a callback was written.
    pub(super) fn noted(&mut self, key: &Key, wanted: &Wanted) -> Result<(), String> {
        let job = key.partition.strip_prefix("job#").and_then(|job| job.parse().ok());
        let job: JobId = job.ok_or_else(|| format!("the callback {key}"))?;
        let kept: Kept =
            serde_json::from_slice(&wanted.body).map_err(|error| format!("{key}: {error}"))?;
        let owed = self.owed.get_mut(&(job, kept.key));
        let owed = owed.ok_or_else(|| format!("{key} is kept, and was never owed"))?;
        if kept.tries.last().is_some_and(|last| last.error.is_none()) {
            owed.taken = owed.taken.or(Some(owed.seen));
        }
        Ok(())
    }

    /// A message has arrived: it tells what it was to tell, by its own id, and
    /// comes for a try that was begun.
    pub(super) fn told(&mut self, message: &Message) -> Result<String, String> {
        let named = |name: &str| message.headers.iter().find(|(known, _)| *known == name);
        let (_, id) = named("webhook-id").ok_or("a message without an id")?;
        let callback = callback_of(id).ok_or_else(|| format!("the message {id}"))?;
        let owed = self.owed.get_mut(&callback);
        let owed = owed.ok_or_else(|| format!("{id} is told, and nobody is to be"))?;
        owed.received += 1;
        self.seen.told += 1;
        let most = owed.taken.unwrap_or(owed.seen);
        if owed.received > most {
            return Err(format!("{id} is told again after it was taken, or untried: {owed:?}"));
        }
        let said: Value = serde_json::from_slice(&message.body).map_err(|e| e.to_string())?;
        let (job, CallbackKey { run, event }) = callback;
        let at = said["timestamp"].as_str().and_then(|text| text.parse().ok());
        let is_it = said["type"] == format!("job.{}", event_word(event))
            && said["data"]["id"] == job.to_string()
            && said["data"]["run"] == run
            && at == Some(owed.happened_at)
            && owed.ending.is_none_or(|ending| said["data"]["state"] == ending_word(ending));
        if is_it { Ok(id.clone()) } else { Err(format!("{id} tells {said}, and was {owed:?}")) }
    }
}

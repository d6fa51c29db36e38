//! What is kept of a callback: every try, and how it stands.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::message;
use crate::{
    job::{CallbackKey, Ending, Event, Job, JobKey, Telling, Tries},
    ops::{jobs, record, rows},
    platform::{Expect, Op, Query, Row},
    service::Service,
    wire::Problem,
};

/// How many tries are kept of a callback: the latest ones.
const TRIES_KEPT: usize = 50;

/// A try to deliver a callback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// Counted from 1.
    pub number: u32,
    /// When it was made; `None` of a try that was begun and of which nothing
    /// was heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// How long it took, in milliseconds.
    pub took_ms: u32,
    /// What the receiver answered, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it failed; `None` if it was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A callback, as it is kept beside its job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The stored shape's version.
    pub v: u8,
    /// Which callback of the job.
    pub key: CallbackKey,
    /// How the run ended, if that is what is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ending: Option<Ending>,
    /// When it started or ended.
    pub happened_at: Timestamp,
    /// The latest tries, in their order.
    #[serde(default)]
    pub tries: Vec<Try>,
}

/// How a callback stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It will be tried, again or for the first time.
    Pending {
        /// From when on.
        at: Timestamp,
    },
    /// It was delivered.
    Delivered,
    /// It could not be delivered.
    GivenUp,
}

impl Kept {
    fn new(telling: &Telling) -> Self {
        let Telling { key, ending, happened_at, .. } = *telling;
        Kept { v: 1, key, ending, happened_at, tries: Vec::new() }
    }

    /// Adds a try, and those before it of which nothing was heard.
    pub(super) fn note(&mut self, made: Try) {
        let known = self.tries.last().map_or(0, |last| last.number);
        let silent = (known + 1..made.number).map(|number| Try {
            number,
            at: None,
            took_ms: 0,
            status: None,
            error: Some("it was cut short; whether it arrived is not known".into()),
        });
        self.tries.extend(silent);
        self.tries.push(made);
        let surplus = self.tries.len().saturating_sub(TRIES_KEPT);
        self.tries.drain(..surplus);
    }

    /// What is told once more.
    fn telling(&self) -> Telling {
        let begun = self.tries.last().map_or(0, |last| last.number);
        Telling {
            key: self.key,
            ending: self.ending,
            happened_at: self.happened_at,
            tries: Tries { at: self.happened_at, begun, round: 0, under_way: false },
        }
    }
}

/// How a callback of the job stands.
pub fn state_of(job: &Job, kept: &Kept) -> State {
    match (job.telling(kept.key), kept.tries.last()) {
        (Some(telling), _) => State::Pending { at: telling.tries.at },
        (None, Some(last)) if last.error.is_none() => State::Delivered,
        (None, _) => State::GivenUp,
    }
}

/// The callback's row, and what a writer has to expect there.
pub(super) async fn load_or_new(
    service: &Service,
    key: JobKey,
    telling: &Telling,
) -> Result<(Expect, Kept), Problem> {
    match service.platform.table.get(&rows::callback(key.job, telling.key)).await? {
        Some(row) => Ok((Expect::Version(row.version), rows::read(&row)?)),
        None => Ok((Expect::Absent, Kept::new(telling))),
    }
}

/// Writes the row. Nobody else does while a try is under way; who comes after
/// one that took too long finds it changed, and tries again.
pub(super) async fn write(
    service: &Service,
    key: JobKey,
    expect: Expect,
    kept: &Kept,
) -> Result<(), Problem> {
    let put = Op::Put(rows::callback(key.job, kept.key), expect, rows::plain(kept));
    Ok(service.platform.table.commit(vec![put]).await?)
}

/// Every callback of the job, those that were not tried yet included, and the
/// job as they stand with it.
pub async fn list(service: &Service, key: JobKey) -> Result<(Job, Vec<Kept>), Problem> {
    let job = jobs::load(service, key).await?;
    let mut query = Query::partition(rows::parts(key)).prefix("callback#");
    let mut all: Vec<Kept> = Vec::new();
    loop {
        let page = service.platform.table.query(&query).await?;
        let kept: Result<Vec<Kept>, Problem> =
            page.rows.iter().map(|row: &Row| rows::read(row)).collect();
        all.extend(kept?);
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    for telling in job.tellings() {
        if !all.iter().any(|kept| kept.key == telling.key) {
            all.push(Kept::new(&telling));
        }
    }
    all.sort_by_key(|kept| kept.key);
    Ok((job, all))
}

/// Has a callback delivered, again or now; it keeps its id. The callback as it
/// stands then, and its job.
pub async fn redeliver(service: &Service, key: JobKey, id: &str) -> Result<(Job, Kept), Problem> {
    let (_, all) = list(service, key).await?;
    let found = all.into_iter().find(|kept| message::id(key, kept.key) == id);
    let kept = found.ok_or_else(|| Problem::not_found("callback", id))?;
    let asked = Event::TellAsked(kept.telling());
    let job = record::record(service, key, &asked).await?.job;
    Ok((job, kept))
}

//! The only loop that changes a job.

use tracing::{info, instrument, warn};

use super::{
    chunks,
    duties::chain,
    rows::{self, QueueKey},
    slots,
};
use crate::{
    job::{AttemptEvent, AttemptId, AttemptKey, Due, Duty, Event, Instance, Job, JobKey},
    platform::{Expect, Key, Op, Platform, Row, Staged, TableError, Wanted},
    service::Service,
    wire::{Problem, views::job_state},
};

/// How often a writer that keeps being overtaken tries again.
const TRIES: u32 = 100;

/// A job after an event.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its row as it now is.
    pub row: Row,
    /// The job.
    pub job: Job,
    /// Whether the event changed anything.
    pub changed: bool,
}

/// The job, and the row it is in; a job that is being removed is not there.
pub async fn load(service: &Service, key: JobKey) -> Result<Option<(Row, Job)>, Problem> {
    let found = load_any(service, key).await?;
    Ok(found.filter(|(_, job)| job.deleted_at.is_none()))
}

/// The job, also while it is being removed.
pub async fn load_any(service: &Service, key: JobKey) -> Result<Option<(Row, Job)>, Problem> {
    let Some(row) = service.platform.table.get(&rows::job(key)).await? else {
        return Ok(None);
    };
    let job: Job = rows::read(&row)?;
    Ok(Some((row, job)))
}

/// Applies `event` to the stored job, again if another writer got there first.
/// What happens to an attempt of a wide task changes the chunk that holds it.
pub async fn record(service: &Service, key: JobKey, event: &Event) -> Result<Recorded, Problem> {
    record_on(service, key, None, event).await
}

/// The same of a job that was read just now, if it was: it is read again only
/// if it has changed since.
pub async fn record_on(
    service: &Service,
    key: JobKey,
    read: Option<(Row, Job)>,
    event: &Event,
) -> Result<Recorded, Problem> {
    let read = read.map(|(row, job)| Found { row, job, as_of: AsOf::Now });
    match try_until(service, key, read, event, |_, _| None).await? {
        Once::Recorded(recorded) => Ok(*recorded),
        Once::InChunk(found, attempt, event) => {
            let Found { row, job, .. } = *found;
            let recorded = chunks::record(service, (row, job), attempt, &event, None).await?;
            recorded.ok_or_else(|| outrun(key))
        }
        Once::Overtaken | Once::Preceded => Err(outrun(key)),
    }
}

/// The same of an attempt's event, with a row that is written before the job
/// is: `first` is given the attempt's instance before and after, and is asked
/// only if something changes; `read` is the job, if it was read a moment ago.
/// `None` if that row is there already, and nothing
/// was changed.
pub async fn record_after(
    service: &Service,
    attempt: AttemptKey,
    read: Option<Found>,
    event: &AttemptEvent,
    first: impl Fn(Option<&Instance>, Option<&Instance>) -> (Key, Wanted) + Send + Sync + 'static,
) -> Result<Option<Recorded>, Problem> {
    let (key, id) = (attempt.job(), attempt.attempt);
    let event = Event::Attempt(id, event.clone());
    let of_job = |before: &Job, after: &Job| Some(first(before.instance(id), after.instance(id)));
    match try_until(service, key, read, &event, of_job).await? {
        Once::Recorded(recorded) => Ok(Some(*recorded)),
        Once::InChunk(found, _, event) => {
            let Found { row, job, .. } = *found;
            let first = chunks::before_chunk(id, first);
            chunks::record(service, (row, job), id, &event, Some(first)).await
        }
        Once::Preceded => Ok(None),
        Once::Overtaken => Err(outrun(key)),
    }
}

fn outrun(key: JobKey) -> Problem {
    Problem::Unavailable(format!("{} is written to by too many at once", key.job).into())
}

/// A job, and how old the news of it may be.
pub struct Found {
    row: Row,
    job: Job,
    as_of: AsOf,
}

impl Found {
    /// The job.
    pub fn job(&self) -> &Job {
        &self.job
    }
}

/// The job as it was a moment ago: the cheaper read.
pub async fn glance(service: &Service, key: JobKey) -> Result<Option<Found>, Problem> {
    found(service, key, AsOf::Lately).await
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AsOf {
    /// As of the latest write.
    Now,
    /// It may have changed a moment ago.
    Lately,
}

async fn found(service: &Service, key: JobKey, as_of: AsOf) -> Result<Option<Found>, Problem> {
    let (table, row) = (&service.platform.table, rows::job(key));
    let row = match as_of {
        AsOf::Now => table.get(&row).await?,
        AsOf::Lately => table.glance(&row).await?,
    };
    let Some(row) = row else { return Ok(None) };
    let job: Job = rows::read(&row)?;
    Ok(Some(Found { row, job, as_of }))
}

/// What came of one try.
enum Once {
    Recorded(Box<Recorded>),
    /// Another writer has changed the job meanwhile.
    Overtaken,
    /// The row that is written first is there already.
    Preceded,
    /// A chunk is to change, not the job: this attempt of it.
    InChunk(Box<Found>, AttemptId, AttemptEvent),
}

/// Most events find the job as it was a moment ago: the first try is made on
/// the cheaper read, which a write that is conditional on it proves right.
async fn try_until(
    service: &Service,
    key: JobKey,
    read: Option<Found>,
    event: &Event,
    first: impl Fn(&Job, &Job) -> Option<(Key, Wanted)>,
) -> Result<Once, Problem> {
    let mut next = match read {
        None => found(service, key, AsOf::Lately).await?,
        read => read,
    };
    for _ in 0..TRIES {
        if let Some(found) = next {
            match once(service, found, event, &first).await? {
                Once::Overtaken => {}
                settled => return Ok(settled),
            }
        }
        next = found(service, key, AsOf::Now).await?;
        if next.is_none() {
            return Err(Problem::not_found("job", key.job));
        }
    }
    Ok(Once::Overtaken)
}

/// Slots are given back after the job has changed: one that we die before
/// giving back, a sweep finds. The other way round, a queue's limit would be
/// passed by what takes the slot while its attempt still counts.
#[instrument(level = "debug", name = "job.record", skip_all, fields(job.id = %found.job.id, job.event = event.name()))]
async fn once(
    service: &Service,
    found: Found,
    event: &Event,
    first: impl Fn(&Job, &Job) -> Option<(Key, Wanted)>,
) -> Result<Once, Problem> {
    let table = &service.platform.table;
    // Which attempts those are never changes: a job of a moment ago will do.
    if let Event::Attempt(id, event) = event
        && found.job.chunk_of(*id).is_some()
    {
        return Ok(Once::InChunk(Box::new(found), *id, event.clone()));
    }
    let Found { row, job, as_of } = found;
    let next = match (job.after(event, service.platform.clock.now()), as_of) {
        (Ok(next), _) if next != job => next,
        // That nothing comes of it is believed of nothing but the latest.
        (_, AsOf::Lately) => return Ok(Once::Overtaken),
        (unchanged, AsOf::Now) => {
            let job = unchanged?;
            return Ok(Once::Recorded(Box::new(Recorded { row, job, changed: false })));
        }
    };
    // A commit takes one change of a set. Attempts that end together are rare.
    let mut freed = freed(&job, &next).into_iter();
    let first = first(&job, &next).map(|(key, wanted)| Op::Put(key, Expect::Absent, wanted));
    let (put, row) = replace(service, &row, &next);
    let staged = Staged {
        before: first.into_iter().collect(),
        ops: vec![put],
        after: freed.next().into_iter().collect(),
    };
    match table.commit_staged(staged).await {
        Ok(()) => {}
        Err(TableError::Stale(_)) => return Ok(Once::Overtaken),
        Err(TableError::Exists(_)) => return Ok(Once::Preceded),
        Err(other) => return Err(other.into()),
    }
    diary(&job, &next, event);
    remind(service, Some(&job), &next).await;
    for leave in freed {
        if let Err(error) = table.commit(vec![leave]).await {
            warn!(job.id = %next.id, error = chain(&error), "a slot is not given back yet");
        }
    }
    Ok(Once::Recorded(Box::new(Recorded { row, job: next, changed: true })))
}

/// The change from the row that was read to the job that follows, and the row
/// as it is then.
pub fn replace(service: &Service, row: &Row, next: &Job) -> (Op, Row) {
    let Platform { table, clock, .. } = &service.platform;
    let wanted = rows::next_job_row(next, row, clock.now(), table.mark_slack());
    let put = Op::Put(row.key.clone(), Expect::Version(row.version), wanted.clone());
    (put, row.replaced(wanted))
}

/// Moves the mark of a row for which a sweep has come in vain; the row as it is
/// then. `wanted` is the same, as it is written without regard to the mark that
/// it had. `None` if it has changed: whoever did that has seen to its mark.
pub async fn put_off(service: &Service, row: &Row, wanted: Wanted) -> Result<Option<Row>, Problem> {
    let put = Op::Put(row.key.clone(), Expect::Version(row.version), wanted.clone());
    match service.platform.table.commit(vec![put]).await {
        Err(TableError::Stale(_)) => Ok(None),
        moved => Ok(moved.map(|()| Some(row.replaced(wanted)))?),
    }
}

/// Has the job looked at when it next comes due, where nobody else knows when
/// that is, it is soon, and it was not so before. What is only looked at in case
/// a message was lost can wait for a sweep.
pub async fn remind(service: &Service, before: Option<&Job>, next: &Job) {
    let Platform { table, clock, .. } = &service.platform;
    let reach = table.reminds_within();
    if reach.is_zero() {
        return;
    }
    let now = clock.now();
    let is_soon = |due: &Due| {
        let can_wait = matches!(due.duty, Duty::Claim(_) | Duty::Launch(_) | Duty::Look(_));
        !can_wait && now < due.at && due.at <= now + reach
    };
    let soon = |job: &Job| job.owes().into_iter().filter(is_soon).map(|due| due.at).min();
    if let Some(at) = soon(next)
        && before.and_then(soon) != Some(at)
    {
        table.remind(&rows::job(next.key()), at).await;
    }
}

/// The slots that a change gives back.
fn freed(before: &Job, after: &Job) -> Vec<Op> {
    let key = rows::slots(&QueueKey::of(before));
    let live = after.live_attempts();
    let ended = before.live_attempts().into_iter().filter(|attempt| !live.contains(attempt));
    let slot =
        |attempt: AttemptId| slots::member(attempt, before.tasks[attempt.task as usize].resources);
    ended.map(|attempt| Op::Leave { key: key.clone(), member: slot(attempt) }).collect()
}

/// One line for each change of state: the system's diary.
pub fn diary(before: &Job, after: &Job, event: &Event) {
    info!(
        job.id = %after.id,
        job.event = event.name(),
        from = job_state(before),
        to = job_state(after),
        "job changed"
    );
}

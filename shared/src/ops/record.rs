//! The only loop that changes a job.

use tracing::{info, instrument, warn};

use super::{
    duties::chain,
    rows::{self, QueueKey},
};
use crate::{
    job::{Event, Job, JobKey},
    platform::{Expect, Op, Row, TableError},
    service::Service,
    wire::{Problem, views::job_state},
};

/// How often a writer that keeps being overtaken tries again.
const TRIES: u32 = 100;

/// A job after an event.
#[derive(Clone, Debug)]
pub struct Recorded {
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
pub async fn record(service: &Service, key: JobKey, event: &Event) -> Result<Recorded, Problem> {
    record_with(service, key, event, |_, _| Vec::new()).await
}

/// The same, with further changes in the same commit: `more` is given the job
/// before and after, and is asked only if they differ.
#[instrument(level = "debug", name = "job.record", skip_all, fields(job.id = %key.job, job.event = event.name()))]
pub async fn record_with(
    service: &Service,
    key: JobKey,
    event: &Event,
    more: impl Fn(&Job, &Job) -> Vec<Op>,
) -> Result<Recorded, Problem> {
    for _ in 0..TRIES {
        let Some((row, job)) = load_any(service, key).await? else {
            return Err(Problem::not_found("job", key.job));
        };
        let next = job.after(event, service.platform.clock.now())?;
        if next == job {
            return Ok(Recorded { job, changed: false });
        }
        let mut ops = vec![replace(&row, &next)];
        // A commit takes one change of a set. Attempts that end together are
        // rare, and a slot that we die before giving back is found by a sweep.
        let mut freed = freed(&job, &next).into_iter();
        ops.extend(freed.next());
        ops.extend(more(&job, &next));
        match service.platform.table.commit(ops).await {
            Ok(()) => {
                diary(&job, &next, event);
                for leave in freed {
                    if let Err(error) = service.platform.table.commit(vec![leave]).await {
                        warn!(job.id = %next.id, error = chain(&error), "a slot is not given back yet");
                    }
                }
                return Ok(Recorded { job: next, changed: true });
            }
            Err(TableError::Stale(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(Problem::Unavailable(format!("{} is written to by too many at once", key.job).into()))
}

/// The change from the row that was read to the job that follows.
pub fn replace(row: &Row, next: &Job) -> Op {
    Op::Put(row.key.clone(), Expect::Version(row.version), rows::job_row(next))
}

/// The slots that a change gives back.
fn freed(before: &Job, after: &Job) -> Vec<Op> {
    let key = rows::slots(&QueueKey::of(before));
    let live = after.live_attempts();
    let ended = before.live_attempts().into_iter().filter(|attempt| !live.contains(attempt));
    ended.map(|attempt| Op::Leave { key: key.clone(), member: attempt.to_string() }).collect()
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

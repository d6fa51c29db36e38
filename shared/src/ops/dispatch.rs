//! From waiting to launched: slots, claims, launches.
//!
//! Strict order within a queue: priority, then age. The head of a queue that
//! finds no room is waited for, so that small jobs do not starve a big one.

use std::collections::BTreeMap;

use tracing::{instrument, warn};

use super::{
    attempts, duties, queues, record,
    rows::{self, QueueKey},
};
use crate::{
    job::{AttemptEvent, AttemptKey, Cause, Event, Job, JobKey},
    platform::{Admission, Expect, Index, Launch, Op, Query, RuntimeError, Staged, TableError},
    service::Service,
    wire::Problem,
};

/// How many claims one call makes before it hands them over.
const BATCH: usize = 16;

/// Why dispatching a queue came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Nothing waits that could be claimed.
    Drained,
    /// The queue is paused, or is not there.
    Paused,
    /// Every slot of the queue is taken.
    QueueFull,
    /// The runtime has no room for the head of the queue.
    NoRoom,
    /// A batch is full; there may be more.
    Batch,
}

/// Attempts that now hold a slot and are to be launched, each with its job.
#[derive(Debug)]
pub struct Claims {
    /// In the order in which they should start.
    pub claimed: Vec<(AttemptKey, Job)>,
    /// Why there are no more.
    pub blocked: Blocked,
}

/// Claims slots for what waits in the queue, in its order.
#[instrument(level = "debug", name = "queue.claim", skip_all, fields(queue.name = %key.name))]
pub async fn claim(service: &Service, key: &QueueKey) -> Result<Claims, Problem> {
    let mut claimed = Vec::new();
    let Some((settings, queue)) = queues::load(service, key).await? else {
        return Ok(Claims { claimed, blocked: Blocked::Paused });
    };
    if queue.paused {
        return Ok(Claims { claimed, blocked: Blocked::Paused });
    }
    let gate = Gate {
        queue: key,
        limit: queue.limit,
        check: Op::Check(settings.key.clone(), Expect::Version(settings.version)),
    };
    let mut query = Query::index(Index::Queue, rows::waiting(key));
    query.limit = BATCH;
    loop {
        let page = service.platform.table.query(&query).await?;
        for row in &page.rows {
            let job: Job = rows::read(row)?;
            let blocked = claim_job(service, &gate, job.key(), &mut claimed).await?;
            if blocked != Blocked::Drained {
                return Ok(Claims { claimed, blocked });
            }
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return Ok(Claims { claimed, blocked: Blocked::Drained });
        }
    }
}

/// What every claim of a queue has to pass.
struct Gate<'a> {
    queue: &'a QueueKey,
    limit: u32,
    check: Op,
}

/// Claims all that the job wants claimed, one instance at a time.
async fn claim_job(
    service: &Service,
    gate: &Gate<'_>,
    key: JobKey,
    claimed: &mut Vec<(AttemptKey, Job)>,
) -> Result<Blocked, Problem> {
    loop {
        if claimed.len() >= BATCH {
            return Ok(Blocked::Batch);
        }
        let Some((row, job)) = record::load(service, key).await? else {
            return Ok(Blocked::Drained);
        };
        let Some(id) = job.claims().first().copied() else { return Ok(Blocked::Drained) };
        let attempt = AttemptKey { project: key.project, attempt: id };
        let resources = job.tasks[id.task as usize].resources;
        let unclaimable = match service.platform.runtime.admit(attempt, resources).await {
            Admission::Admitted => None,
            Admission::Full => return Ok(Blocked::NoRoom),
            Admission::TooLarge(why) => Some(why),
        };
        let event = Event::Attempt(id, AttemptEvent::Claimed);
        let next = job.after(&event, service.platform.clock.now())?;
        // If we die between the two, the attempt has a slot and is not live: it
        // is claimed again, and joins again, or a sweep takes it out. The queue
        // is looked at last before that: a pause that is answered while a claim
        // is under way counts as after it.
        let join =
            Op::Join { key: rows::slots(gate.queue), member: id.to_string(), limit: gate.limit };
        let staged = Staged {
            before: vec![gate.check.clone(), join],
            ops: vec![record::replace(service, &row, &next)],
            after: Vec::new(),
        };
        match service.platform.table.commit_staged(staged).await {
            Ok(()) => {
                record::diary(&job, &next, &event);
                match unclaimable {
                    None => claimed.push((attempt, next)),
                    Some(why) => {
                        attempts::end_unreported(service, attempt, Cause::TooLarge, Some(why))
                            .await?;
                    }
                }
            }
            Err(error) => {
                let overtaken = matches!(&error, TableError::Stale(stale) if *stale == row.key);
                unclaim(service, gate.queue, attempt, overtaken).await?;
                match error {
                    TableError::Full(_) => return Ok(Blocked::QueueFull),
                    TableError::Stale(_) if overtaken => {}
                    TableError::Stale(_) => return Ok(Blocked::Batch),
                    other => return Err(other.into()),
                }
            }
        }
    }
}

/// Gives back what a claim had taken that did not come to its end, unless
/// another claim of the same attempt did: then it is that one's.
async fn unclaim(
    service: &Service,
    queue: &QueueKey,
    attempt: AttemptKey,
    joined: bool,
) -> Result<(), Problem> {
    let id = attempt.attempt;
    let found = record::load_any(service, attempt.job()).await?;
    let job = found.map(|(_, job)| job);
    if job.as_ref().is_some_and(|job| job.is_live(id)) {
        return Ok(());
    }
    service.platform.runtime.forget(attempt).await?;
    // What is still to be claimed keeps its slot for the next claim.
    if joined && !job.is_some_and(|job| job.claims().contains(&id)) {
        queues::free(service, queue, id).await?;
    }
    Ok(())
}

/// Starts a claimed attempt. Starting it again does nothing.
#[instrument(level = "debug", name = "attempt.launch", skip_all, fields(attempt.id = %attempt.attempt))]
pub async fn launch(service: &Service, attempt: AttemptKey, job: &Job) -> Result<(), Problem> {
    let spec = attempts::load_spec(service, job).await?;
    let id = attempt.attempt;
    let (Some(task), Some(image)) = (spec.tasks.get(id.task as usize), attempts::image_of(job, id))
    else {
        return Err(Problem::internal(format!("{id} is of no task with a pinned image")));
    };
    let launch = Launch {
        attempt,
        image: image.clone(),
        token: service.keyring.attempt_token(attempt).reveal().to_owned(),
        resources: task.resources,
        network: task.network,
        read_only_root: task.read_only_root,
        user: task.user.clone().or_else(|| image.user.clone()),
        grace_seconds: task.deadlines.grace,
        labels: BTreeMap::from([("task".into(), task.name.to_string())]),
    };
    match service.platform.runtime.launch(&launch).await {
        Ok(launched) => {
            // Without a handle there is nothing to remember: the attempt's own
            // first call tells that it has started.
            if launched.handle.is_some() {
                let event = AttemptEvent::Launched { handle: launched.handle };
                record::record(service, attempt.job(), &Event::Attempt(id, event)).await?;
            }
            Ok(())
        }
        Err(RuntimeError::Refused(why)) => refused(service, attempt, Cause::StartFailed, why).await,
        Err(RuntimeError::NoCapacity(why)) => {
            refused(service, attempt, Cause::NoCapacity, why).await
        }
        Err(RuntimeError::Unavailable(source)) => {
            // Still claimed: the sweep launches it again.
            warn!(attempt.id = %id, error = source, "launch failed; it will be tried again");
            Ok(())
        }
    }
}

async fn refused(
    service: &Service,
    attempt: AttemptKey,
    cause: Cause,
    why: String,
) -> Result<(), Problem> {
    attempts::end_unreported(service, attempt, cause, Some(why)).await?;
    duties::forget(service, attempt).await
}

/// Claims and launches all that the queue lets start now, and waits for the
/// launches. For hosts that end when the call does.
pub async fn dispatch(service: &Service, key: &QueueKey) -> Result<(), Problem> {
    loop {
        let Claims { claimed, blocked } = claim(service, key).await?;
        let launches = claimed.iter().map(|(attempt, job)| launch(service, *attempt, job));
        for launched in futures::future::join_all(launches).await {
            launched?;
        }
        if blocked != Blocked::Batch {
            return Ok(());
        }
    }
}

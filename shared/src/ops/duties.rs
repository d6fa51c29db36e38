//! Doing what a saved job calls for.

use std::collections::BTreeSet;

use tracing::{debug, instrument, warn};

use super::{
    attempts, chunks,
    dispatch::{self, Claimed},
    images, leases, objects, recall, record, rows,
};
use crate::{
    job::{AttemptKey, AttemptPhase, Cause, Due, Duty, Event, ImageState, Instance, Job, JobKey},
    platform::{Expect, Index, Key, Known, ObjectKey, Op, Query, ResolveError, Row, Sighting},
    service::Service,
    wire::Problem,
};

/// Does what the job calls for now, but for claims, which are its queue's, for
/// looking at containers, which a sweep does, and for telling its caller.
///
/// One duty's failure does not keep the others waiting; the first is returned,
/// and whatever failed is still owed.
#[instrument(level = "debug", name = "job.duties", skip_all, fields(job.id = %key.job))]
pub async fn perform(service: &Service, key: JobKey) -> Result<(), Problem> {
    match record::load_any(service, key).await? {
        Some((row, job)) => perform_on(service, row, job).await,
        None => Ok(()),
    }
}

/// The same of a job that was read just now.
async fn perform_on(service: &Service, mut row: Row, job: Job) -> Result<(), Problem> {
    let (id, now) = (job.id, service.platform.clock.now());
    let mut failed = None;
    let is_due = |due: &Due| due.at <= now && !matches!(due.duty, Duty::Claim(_));
    let due: Vec<Due> = job.owes().into_iter().filter(is_due).collect();
    let marked = row.marks.get(&Index::Due).and_then(rows::due_of);
    let is_in_vain = due.is_empty() && marked.is_some_and(|at| at <= now);
    if is_in_vain || rows::is_unlisted(&row, &job, now) {
        let moved = record::put_off(service, &row, rows::job_row(&job)).await?;
        let Some(moved) = moved else { return Ok(()) };
        row = moved;
    }
    let mut seen = Seen { row, job, claimed: Vec::new() };
    let mut spread = BTreeSet::new();
    for due in due {
        // One call creates all chunks of a task.
        if matches!(due.duty, Duty::Spread { task, .. } if !spread.insert(task)) {
            continue;
        }
        debug!(job.id = %id, duty = ?due.duty, "duty");
        let done = Box::pin(perform_one(service, &mut seen, due.duty)).await;
        if let Err(problem) = done {
            warn!(job.id = %id, duty = ?due.duty, error = %problem, "duty failed");
            failed.get_or_insert(problem);
        }
    }
    let launches = seen.claimed.into_iter().map(|claimed| dispatch::launch(service, claimed));
    for launched in futures::future::join_all(launches).await {
        if let Err(problem) = launched {
            warn!(job.id = %id, error = %problem, "launch failed");
            failed.get_or_insert(problem);
        }
    }
    failed.map_or(Ok(()), Err)
}

/// A job as its duties find it, and what they have claimed of it.
struct Seen {
    row: Row,
    job: Job,
    claimed: Vec<Claimed>,
}

async fn perform_one(service: &Service, seen: &mut Seen, duty: Duty) -> Result<(), Problem> {
    let job = &seen.job;
    let attempt_key = |attempt| AttemptKey { project: job.project, attempt };
    match duty {
        Duty::Resolve(image) => resolve(service, seen, image).await,
        Duty::Launch(attempt) => {
            let (row, job) = (seen.row.clone(), job.clone());
            let attempt = attempt_key(attempt);
            dispatch::launch(service, Claimed { attempt, row, job }).await
        }
        Duty::Stop(attempt) => {
            stop(service, &known(job.instance(attempt), attempt_key(attempt))).await
        }
        Duty::Recall(attempt) => {
            let claimed = recall::perform(service, attempt_key(attempt)).await?;
            seen.claimed.extend(claimed);
            Ok(())
        }
        Duty::Tick => {
            let given_up = job.given_up(service.platform.clock.now());
            attempts::give_up(service, job.project, given_up).await?;
            record::record(service, job.key(), &Event::Ticked).await.map(|_| ())
        }
        Duty::Purge => purge(service, job).await,
        Duty::Spread { task, .. } => chunks::spread(service, job.key(), task).await,
        Duty::HaltChunk { task, chunk } => chunks::halt(service, job, task, chunk).await,
        // The queue claims, a sweep looks, a chunk folds, `callbacks` tells.
        Duty::Claim(_) | Duty::Look(_) | Duty::Fold | Duty::Tell(_) => Ok(()),
    }
}

/// Pins an image of the job, or learns why it cannot be. What can start with
/// that is claimed with the same write.
async fn resolve(service: &Service, seen: &mut Seen, place: u32) -> Result<(), Problem> {
    let Seen { row, job, claimed } = seen;
    let image = &job.images[place as usize];
    if !matches!(image.state, ImageState::Wanted { .. }) {
        return Ok(());
    }
    let registered = match &image.registered {
        Some(name) => images::load(service, job.project, name).await?,
        None => None,
    };
    let credentials = registered.and_then(|r| images::credentials(service, job.project, &r));
    let resolved =
        service.platform.runtime.resolve(job.project, &image.reference, credentials.as_ref()).await;
    let event = match resolved {
        Ok(resolved) => Event::ImageResolved { image: place, resolved },
        Err(error) => {
            let cause = match &error {
                ResolveError::NotFound(_) => Cause::ImageNotFound,
                ResolveError::Denied(_) => Cause::ImageDenied,
                ResolveError::Unusable { .. } => Cause::ImageUnusable,
                ResolveError::Unavailable(_) => Cause::ImageUnavailable,
            };
            warn!(job.id = %job.id, image = %image.reference, error = chain(&error), "no image");
            Event::ImageFailed { image: place, cause }
        }
    };
    if let Some(at_once) = dispatch::claim_at_once(service, row, job, &event).await? {
        (*row, *job) = (at_once.row.clone(), at_once.job.clone());
        claimed.push(at_once);
        return Ok(());
    }
    let read = Some((row.clone(), job.clone()));
    let recorded = record::record_on(service, job.key(), read, &event).await?;
    (*row, *job) = (recorded.row, recorded.job);
    Ok(())
}

/// Makes the runtime stop an attempt, and ends one that it does not have.
pub(super) async fn stop(service: &Service, known: &Known) -> Result<(), Problem> {
    service.platform.runtime.stop(known.attempt, false).await?;
    observe(service, known).await
}

/// The attempt, and what its launch told.
pub(super) fn known(instance: Option<&Instance>, attempt: AttemptKey) -> Known {
    let live = instance.and_then(Instance::live);
    Known { attempt, handle: live.and_then(|live| live.handle.clone()) }
}

/// Holds what the runtime sees of an attempt against what the job believes.
///
/// An agent reports before it exits: one that has exited and has not been
/// heard of is lost. The order of the two reads is what makes that sound.
#[instrument(level = "debug", name = "attempt.observe", skip_all, fields(attempt.id = %known.attempt.attempt))]
pub async fn observe(service: &Service, known: &Known) -> Result<(), Problem> {
    let seen = service.platform.runtime.inspect(std::slice::from_ref(known)).await?;
    settle(service, known.attempt, seen.into_iter().next().unwrap_or(Sighting::Gone)).await
}

/// The same for several attempts, which are looked at in one go. Gives those
/// that have been seen to; one that has not keeps no other waiting.
pub(super) async fn observe_all(
    service: &Service,
    known: &[Known],
) -> Result<Vec<AttemptKey>, Problem> {
    let seen = service.platform.runtime.inspect(known).await?;
    let mut settled = Vec::with_capacity(known.len());
    for (Known { attempt, .. }, sighting) in known.iter().zip(seen) {
        match settle(service, *attempt, sighting).await {
            Ok(()) => settled.push(*attempt),
            Err(problem) => {
                warn!(attempt.id = %attempt.attempt, error = %problem, "an attempt was not seen to");
            }
        }
    }
    Ok(settled)
}

/// Acts on what was seen of an attempt, if its job, read after that, does not
/// know better.
async fn settle(service: &Service, attempt: AttemptKey, sighting: Sighting) -> Result<(), Problem> {
    // As is most of what is looked at.
    if sighting == Sighting::Running {
        return Ok(());
    }
    let held = chunks::held(service, attempt).await?;
    let Some(held) = held.filter(|held| held.is_live(attempt.attempt)) else {
        return match sighting {
            Sighting::Exited { .. } | Sighting::NotStarted { .. } | Sighting::Gone => {
                forget(service, attempt).await
            }
            Sighting::Pending | Sighting::Running => Ok(()),
        };
    };
    let live = held.instance(attempt.attempt).and_then(|instance| instance.live());
    let stopping = live.is_some_and(|live| live.stop.is_some());
    match sighting {
        // Launched by half, perhaps, by a server that died over it.
        Sighting::Pending
            if !stopping && live.is_some_and(|live| live.phase == AttemptPhase::Claimed) =>
        {
            dispatch::launch(service, held.claimed(attempt)).await
        }
        Sighting::Pending | Sighting::Running => Ok(()),
        Sighting::Exited { code, out_of_memory, message } => {
            let cause = if out_of_memory { Cause::OutOfMemory } else { Cause::AgentLost };
            let message = message.or_else(|| {
                code.map(|code| format!("the agent ended with code {code} and had not reported"))
            });
            attempts::end_unreported(service, attempt, cause, message).await?;
            forget(service, attempt).await
        }
        Sighting::NotStarted { cause, message } => {
            attempts::end_unreported(service, attempt, cause, Some(message)).await?;
            forget(service, attempt).await
        }
        Sighting::Gone => {
            if live.is_some_and(|live| live.started_at.is_none()) && !stopping {
                // Its room may have been forgotten with the server that claimed it.
                let resources = held.job.tasks[attempt.attempt.task as usize].resources;
                service.platform.runtime.admit(attempt, resources).await;
                return dispatch::launch(service, held.claimed(attempt)).await;
            }
            let message = Some("the runtime has no trace of the container".to_owned());
            attempts::end_unreported(service, attempt, Cause::AgentLost, message).await?;
            forget(service, attempt).await
        }
    }
}

/// Removes what the runtime still has of an attempt that has ended.
pub(super) async fn forget(service: &Service, attempt: AttemptKey) -> Result<(), Problem> {
    Ok(service.platform.runtime.forget(attempt).await?)
}

/// Removes all that belongs to a job, the record last.
///
/// An archive may still be on its way, by a URL that is good for longer than
/// the job has been over, and so may rows that somebody was about to write when
/// it ended: a lease stays behind for them.
async fn purge(service: &Service, job: &Job) -> Result<(), Problem> {
    let key = job.key();
    objects::delete_all(service, &ObjectKey::job_prefix(key)).await?;
    delete_partition(service, &rows::parts(key)).await?;
    let mut ops = vec![Op::Delete(rows::job(key), Expect::Anything)];
    let granted = attempts::granted_until(job);
    if granted.is_some_and(|until| until > service.platform.clock.now()) {
        ops.push(leases::for_late(service, key));
    }
    Ok(service.platform.table.commit(ops).await?)
}

/// Removes all rows of a partition.
pub(super) async fn delete_partition(service: &Service, partition: &str) -> Result<(), Problem> {
    loop {
        let page = service.platform.table.query(&Query::partition(partition)).await?;
        if page.rows.is_empty() && page.cursor.is_none() {
            return Ok(());
        }
        let delete = |key: Key| Op::Delete(key, Expect::Anything);
        let ops: Vec<Op> = page.rows.into_iter().map(|row| delete(row.key)).collect();
        if !ops.is_empty() {
            service.platform.table.commit(ops).await?;
        }
    }
}

/// An error and all that it came from, for a log line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

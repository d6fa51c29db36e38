//! Finding what was left undone: duties whose time has come, queues that no
//! message woke, containers that nobody waits for any more.

use std::collections::BTreeSet;

use futures::{FutureExt, Stream, StreamExt, TryStreamExt, future::BoxFuture, stream};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tracing::{instrument, warn};

use super::{
    chunks, dispatch, duties, leases, queues,
    rows::{self, ChunkKey, QueueKey},
    slots, triggers,
};
use crate::{
    job::{AttemptKey, Duty, JobKey},
    platform::{Index, Key, Known, Query, Row},
    service::Service,
    wire::Problem,
};

/// How many rows, slots and containers are seen to side by side.
const AT_ONCE: usize = 16;

/// How many attempts the runtime is asked about in one go: as many as ECS tells
/// of in one answer.
const LOOKED_AT: usize = 100;

/// Attempts whose containers were just looked at.
pub type Seen = BTreeSet<AttemptKey>;

/// What there may be to do, as a change of the table tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wake {
    /// The job has duties that are due.
    Job(JobKey),
    /// The chunk has duties that are due.
    Chunk(ChunkKey),
    /// The queue may be able to start something.
    Queue(QueueKey),
    /// It is time to look for what is due.
    Due,
}

/// What a changed row calls for, read off its key and marks alone, and whether
/// it calls for something at once: its own mark may say when a sweep should
/// look for what went amiss.
pub fn wakes<'a>(
    key: &'a Key,
    marks: &'a std::collections::BTreeMap<Index, crate::platform::Mark>,
    is_due: bool,
) -> impl Iterator<Item = Wake> + 'a {
    let part = || rows::chunk_at(key).map(Wake::Chunk);
    let job = is_due.then(|| job_of(key).map(Wake::Job).or_else(part)).flatten();
    let waiting = marks.get(&Index::Queue).and_then(|mark| rows::waiting_of(&mark.partition));
    let settings = queue_of(key);
    let slots = rows::slots_of(key);
    job.into_iter().chain(waiting.or(settings).or(slots).map(Wake::Queue))
}

/// The job whose record is at `key`, if one is.
pub(super) fn job_of(key: &Key) -> Option<JobKey> {
    let (project, _) = key.partition.split_once('#')?;
    Some(JobKey { project: project.parse().ok()?, job: key.sort.parse().ok()? })
}

fn queue_of(key: &Key) -> Option<QueueKey> {
    let name = key.sort.strip_prefix("queue#")?;
    Some(QueueKey { project: key.partition.parse().ok()?, name: name.parse().ok()? })
}

/// When the next duty comes due after `now`; `None` if none will.
pub async fn next_due(service: &Service, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    let mut next: Option<Timestamp> = None;
    for partition in rows::due_partitions() {
        let query = Query {
            from: rows::due_sort(now + jiff::SignedDuration::from_millis(1)),
            limit: 1,
            ..Query::index(Index::Due, partition)
        };
        let page = service.platform.table.query(&query).await?;
        let due = page.rows.first().and_then(|row| rows::due_of(row.marks.get(&Index::Due)?));
        next = match (next, due) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
    Ok(next)
}

/// Does every duty that is due, for all jobs, many side by side, but for telling
/// their callers: [`super::callbacks::sweep`] does. Without `again`, only what
/// came due within the last minute, which is what no earlier sweep can have seen.
#[instrument(level = "debug", name = "sweep.duties", skip_all)]
pub async fn duties(service: &Service, again: bool) -> Result<(), Problem> {
    let see_to = |row: Row| async move {
        // What a row calls for is much, or little.
        match work(&row) {
            // Said in the log, duty by duty; what failed is owed still.
            Some(Wake::Job(job)) => drop(Box::pin(duties::perform(service, job)).await),
            Some(Wake::Chunk(chunk)) => drop(Box::pin(chunks::perform(service, chunk)).await),
            Some(Wake::Queue(_) | Wake::Due) | None => see_to(service, &row).await,
        }
        Ok(())
    };
    due(service, again).try_for_each_concurrent(AT_ONCE, see_to).await
}

/// Has every job and every chunk woken that has something due, for a host that
/// sees to them by itself; sees to all else that is due.
#[instrument(level = "debug", name = "sweep.wake", skip_all)]
pub async fn wake(service: &Service, again: bool, wake: impl Fn(Wake)) -> Result<(), Problem> {
    let mut rows = std::pin::pin!(due(service, again));
    while let Some(row) = rows.try_next().await? {
        match work(&row) {
            Some(found) => wake(found),
            None => see_to(service, &row).await,
        }
    }
    Ok(())
}

/// The rows that have something due.
fn due(service: &Service, again: bool) -> impl Stream<Item = Result<Row, Problem>> {
    let now = service.platform.clock.now();
    let since = if again { Timestamp::MIN } else { now - SignedDuration::from_secs(61) };
    let query = move |partition| Query {
        from: rows::due_sort(since),
        to: Some(rows::due_sort(now + SignedDuration::from_millis(1))),
        ..Query::index(Index::Due, partition)
    };
    let found = move |partition| found(service, query(partition));
    stream::iter(rows::due_partitions()).flat_map(found)
}

/// All rows that a query finds, page by page.
fn found(service: &Service, query: Query) -> impl Stream<Item = Result<Row, Problem>> {
    let pages = stream::try_unfold(Some(query), async |query| {
        let Some(query) = query else { return Ok::<_, Problem>(None) };
        let page = service.platform.table.query(&query).await?;
        let next = page.cursor.map(|cursor| Query { cursor: Some(cursor), ..query });
        Ok(Some((stream::iter(page.rows).map(Ok), next)))
    });
    pages.try_flatten().boxed()
}

/// Whose duties a due row tells of.
fn work(row: &Row) -> Option<Wake> {
    job_of(&row.key).map(Wake::Job).or_else(|| rows::chunk_at(&row.key).map(Wake::Chunk))
}

/// Does what a due row calls for that is no job's. What fails is owed still.
async fn see_to(service: &Service, row: &Row) {
    if rows::is_lease(&row.key)
        && let Err(problem) = leases::end(service, row).await
    {
        warn!(lease = %row.key, error = %problem, "objects are left that nothing refers to");
    } else if rows::is_schedule(&row.key)
        && let Err(problem) = triggers::come_due(service, row).await
    {
        // Still due: the next sweep finds it.
        warn!(schedule = %row.key, error = %problem, "a trigger's time has come, and it did not fire");
    }
}

/// Every queue. Each of their slots is held against its attempt, unless that
/// was `seen`: of one that is over it is given back, one that is to be looked for
/// is looked for. Without `seen` the runtime does not answer: nothing is looked
/// for.
#[instrument(level = "debug", name = "sweep.queues", skip_all)]
pub async fn queues(service: &Service, seen: Option<&Seen>) -> Result<Vec<QueueKey>, Problem> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let (page, next) = queues::page(service, cursor).await?;
        for key in page {
            if let Err(problem) = slots(service, &key, seen).await {
                warn!(queue.name = %key.name, error = %problem, "a queue's slots were not seen to");
            }
            all.push(key);
        }
        cursor = next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

async fn slots(service: &Service, key: &QueueKey, seen: Option<&Seen>) -> Result<(), Problem> {
    let members = queues::live(service, key).await?;
    let attempts = members.iter().filter_map(|member| slots::attempt(member));
    let attempts = attempts.map(|attempt| AttemptKey { project: key.project, attempt });
    let unseen = attempts.filter(|attempt| seen.is_none_or(|seen| !seen.contains(attempt)));
    let looks = unseen.map(|attempt| slot(service, key, attempt, seen.is_some()).boxed());
    side_by_side(looks.collect()).await;
    Ok(())
}

/// What came of looking at attempts, so many at once, in their order. Those for
/// which it failed are left to the next sweep, which finds them again.
async fn side_by_side<T: Send>(looks: Vec<BoxFuture<'_, Result<T, Problem>>>) -> Vec<T> {
    let found = stream::iter(looks).buffered(AT_ONCE).filter_map(async |looked| {
        let warn = |problem| warn!(error = %problem, "an attempt was not seen to");
        looked.map_err(warn).ok()
    });
    found.collect().await
}

/// Takes an attempt out of its queue's slots once a strong read of its job says
/// that it is not live; looks for one that is, if it is time to.
async fn slot(
    service: &Service,
    key: &QueueKey,
    attempt: AttemptKey,
    looks: bool,
) -> Result<(), Problem> {
    let id = attempt.attempt;
    let held = chunks::held(service, attempt).await?;
    let Some(held) = held.filter(|held| held.is_live(id)) else {
        if queues::free(service, key, id).await? {
            warn!(attempt.id = %id, "a slot was held by an attempt that is not live");
        }
        return Ok(());
    };
    if looks && held.is_due(Duty::Look(id), service.platform.clock.now()) {
        duties::observe(service, &duties::known(held.instance(id), attempt)).await?;
    }
    Ok(())
}

/// Holds every container that the runtime has against its job: ends what
/// nobody waits for, learns of what ended unseen. Fails if the runtime does not
/// answer; what is not done to one container keeps no other waiting.
#[instrument(level = "debug", name = "sweep.containers", skip_all)]
pub async fn containers(service: &Service) -> Result<Seen, Problem> {
    let mut seen = Seen::new();
    for attempts in service.platform.runtime.list().await?.chunks(LOOKED_AT) {
        let looks = attempts.iter().map(|attempt| container(service, *attempt).boxed());
        let known = side_by_side(looks.collect()).await;
        let known: Vec<Known> = known.into_iter().flatten().collect();
        if !known.is_empty() {
            seen.extend(duties::observe_all(service, &known).await?);
        }
    }
    Ok(seen)
}

/// What is known of the attempt that has a container; one that is not live has
/// none from now on.
async fn container(service: &Service, attempt: AttemptKey) -> Result<Option<Known>, Problem> {
    let held = chunks::held(service, attempt).await?;
    if let Some(held) = held.filter(|held| held.is_live(attempt.attempt)) {
        return Ok(Some(duties::known(held.instance(attempt.attempt), attempt)));
    }
    duties::forget(service, attempt).await.map(|()| None)
}

/// Holds every attempt that has a slot against the runtime: for a host that has
/// just started, and knows that nobody else is launching anything.
#[instrument(level = "debug", name = "sweep.adopt", skip_all)]
pub async fn adopt(service: &Service) -> Result<(), Problem> {
    for key in queues(service, None).await? {
        let members = queues::live(service, &key).await?;
        let attempts = members.iter().filter_map(|member| slots::attempt(member));
        let looks = attempts
            .map(|attempt| AttemptKey { project: key.project, attempt })
            .map(|attempt| async move { duties::observe(service, &attempt.into()).await }.boxed());
        side_by_side(looks.collect()).await;
    }
    Ok(())
}

/// All of it, for hosts that end when the call does. What cannot be done of it
/// keeps nothing else waiting; the first problem is returned.
pub async fn sweep(service: &Service) -> Result<(), Problem> {
    let seen = containers(service).await;
    let starting = async {
        let queues = queues(service, seen.as_ref().ok()).await?;
        dispatch::dispatch_all(service, queues).await
    };
    let (done, started) = futures::join!(duties(service, true), starting);
    seen.map(|_| ()).and(done).and(started)
}

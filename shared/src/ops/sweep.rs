//! Finding what was left undone: duties whose time has come, queues that no
//! message woke, containers that nobody waits for any more.

use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::{instrument, warn};

use super::{
    chunks, dispatch, duties, leases, queues,
    rows::{self, ChunkKey, QueueKey},
    slots, triggers,
};
use crate::{
    job::{AttemptKey, JobKey},
    platform::{Index, Key, Query, Row},
    service::Service,
    wire::Problem,
};

/// How many attempts are looked at, and launched, side by side.
const AT_ONCE: usize = 8;

/// How many attempts the runtime is asked about in one go: as many as ECS tells
/// of in one answer.
const LOOKED_AT: usize = 100;

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

/// Does every duty that is due, for all jobs, but for telling their callers:
/// [`super::callbacks::sweep`] does. Without `again`, only what came
/// due within the last minute, which is what no earlier sweep can have seen.
#[instrument(level = "debug", name = "sweep.duties", skip_all)]
pub async fn duties(service: &Service, again: bool) -> Result<(), Problem> {
    let now = service.platform.clock.now();
    let since = if again { Timestamp::MIN } else { now - jiff::SignedDuration::from_secs(61) };
    for partition in rows::due_partitions() {
        let mut query = Query {
            from: rows::due_sort(since),
            to: Some(rows::due_sort(now + jiff::SignedDuration::from_millis(1))),
            ..Query::index(Index::Due, partition)
        };
        loop {
            let page = service.platform.table.query(&query).await?;
            for row in &page.rows {
                // What a row calls for is much, or little.
                Box::pin(see_to(service, row)).await;
            }
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
    }
    Ok(())
}

/// Does what a due row calls for. What fails is owed still.
async fn see_to(service: &Service, row: &Row) {
    if let Some(job) = job_of(&row.key) {
        // Said in the log, duty by duty.
        let _ = duties::perform(service, job).await;
    } else if let Some(chunk) = rows::chunk_at(&row.key) {
        let _ = chunks::perform(service, chunk).await;
    } else if rows::is_lease(&row.key)
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

/// Lets every queue start what it can; gives back slots whose attempt is over.
#[instrument(level = "debug", name = "sweep.queues", skip_all)]
pub async fn queues(service: &Service) -> Result<Vec<QueueKey>, Problem> {
    let mut all = Vec::new();
    let mut cursor = None;
    loop {
        let (page, next) = queues::page(service, cursor).await?;
        for key in page {
            free_slots(service, &key).await?;
            all.push(key);
        }
        cursor = next;
        if cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Takes ids out of a queue's slots once a strong read of their job says that
/// they are not live.
async fn free_slots(service: &Service, key: &QueueKey) -> Result<(), Problem> {
    for member in queues::live(service, key).await? {
        let Some(attempt) = slots::attempt(&member) else { continue };
        if queues::free(service, key, attempt).await? {
            warn!(attempt.id = %attempt, "a slot was held by an attempt that is not live");
        }
    }
    Ok(())
}

/// Holds every container that the runtime has against its job: ends what
/// nobody waits for, learns of what ended unseen.
#[instrument(level = "debug", name = "sweep.containers", skip_all)]
pub async fn containers(service: &Service) -> Result<(), Problem> {
    for attempts in service.platform.runtime.list().await?.chunks(LOOKED_AT) {
        let mut known = Vec::with_capacity(attempts.len());
        for attempt in attempts {
            let held = chunks::held(service, *attempt).await?;
            match held.filter(|held| held.is_live(attempt.attempt)) {
                Some(held) => {
                    known.push(duties::known(held.instance(attempt.attempt), *attempt));
                }
                None => duties::forget(service, *attempt).await?,
            }
        }
        if !known.is_empty() {
            duties::observe_all(service, &known).await?;
        }
    }
    Ok(())
}

/// Holds every attempt that has a slot against the runtime: for a host that has
/// just started, and knows that nobody else is launching anything.
#[instrument(level = "debug", name = "sweep.adopt", skip_all)]
pub async fn adopt(service: &Service) -> Result<(), Problem> {
    for key in queues(service).await? {
        let members = queues::live(service, &key).await?;
        let attempts = members.iter().filter_map(|member| slots::attempt(member));
        let looks: Vec<_> = attempts
            .map(|attempt| AttemptKey { project: key.project, attempt })
            .map(|attempt| async move { duties::observe(service, &attempt.into()).await }.boxed())
            .collect();
        let mut looks = stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some(observed) = looks.next().await {
            if let Err(problem) = observed {
                // The minute's sweep finds it again.
                warn!(error = %problem, "an attempt was not seen to");
            }
        }
    }
    Ok(())
}

/// All of it, for hosts that end when the call does.
pub async fn sweep(service: &Service) -> Result<(), Problem> {
    containers(service).await?;
    duties(service, true).await?;
    dispatch::dispatch_all(service, queues(service).await?).await
}

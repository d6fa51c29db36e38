//! Queues: where jobs wait, and how many of them are let run at once.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    record,
    rows::{self, QueueKey},
};
use crate::{
    job::{AttemptId, JobKey, Name, ProjectId},
    platform::{Expect, Index, Mark, Op, Query, Row, TableError, Wanted},
    service::Service,
    wire::Problem,
};

/// The partition of the index that lists the queues of all projects.
const ALL: &str = "queues";

/// A queue's settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// The stored shape's version.
    pub v: u8,
    /// Its name.
    pub name: Name,
    /// Whether nothing starts from it.
    pub paused: bool,
    /// How many attempts may be live at once.
    pub limit: u32,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What is to be changed of a queue; what is absent stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueChange {
    /// Whether nothing starts from it.
    pub paused: Option<bool>,
    /// How many attempts may be live at once.
    pub limit: Option<u32>,
}

/// The queue that every project has from the start.
pub(super) fn default(service: &Service, project: ProjectId) -> Op {
    let name = "default".parse().expect("it is a name");
    let queue = fresh(service, name);
    let key = QueueKey { project, name: queue.name.clone() };
    Op::Put(rows::queue(&key), Expect::Absent, written(&key, &queue))
}

fn fresh(service: &Service, name: Name) -> Queue {
    Queue {
        v: 1,
        name,
        paused: false,
        limit: service.limits.queue_live,
        created_at: service.platform.clock.now(),
    }
}

fn written(key: &QueueKey, queue: &Queue) -> Wanted {
    let mark = Mark { partition: ALL.into(), sort: rows::waiting(key) };
    Wanted { marks: BTreeMap::from([(Index::Open, mark)]), ..rows::plain(queue) }
}

/// The queue and its row, or `None`.
pub async fn load(service: &Service, key: &QueueKey) -> Result<Option<(Row, Queue)>, Problem> {
    let Some(row) = service.platform.table.get(&rows::queue(key)).await? else {
        return Ok(None);
    };
    let queue = rows::read(&row)?;
    Ok(Some((row, queue)))
}

/// Queues that are there, as far as this process knows. None is ever removed.
#[derive(Debug, Default)]
pub struct KnownQueues(Mutex<HashSet<QueueKey>>);

impl KnownQueues {
    /// How many are remembered; then all are looked up again.
    const MOST: usize = 10_000;

    fn names(&self) -> MutexGuard<'_, HashSet<QueueKey>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, key: &QueueKey) {
        let mut names = self.names();
        if names.len() >= KnownQueues::MOST {
            names.clear();
        }
        names.insert(key.clone());
    }
}

/// Whether there is such a queue.
pub async fn exists(service: &Service, key: &QueueKey) -> Result<bool, Problem> {
    if service.queues.names().contains(key) {
        return Ok(true);
    }
    let is_there = service.platform.table.find(&rows::queue(key)).await?.is_some();
    if is_there {
        service.queues.note(key);
    }
    Ok(is_there)
}

/// Makes the queue, or changes it. Tells whether it is new.
pub async fn put(
    service: &Service,
    key: &QueueKey,
    change: QueueChange,
) -> Result<(Queue, bool), Problem> {
    loop {
        let found = load(service, key).await?;
        let (expect, mut queue) = match found {
            Some((row, queue)) => (Expect::Version(row.version), queue),
            None => (Expect::Absent, fresh(service, key.name.clone())),
        };
        queue.paused = change.paused.unwrap_or(queue.paused);
        queue.limit = change.limit.unwrap_or(queue.limit);
        let put = Op::Put(rows::queue(key), expect, written(key, &queue));
        match service.platform.table.commit(vec![put]).await {
            Err(TableError::Stale(_) | TableError::Exists(_)) => {}
            settled => return Ok(settled.map(|()| (queue, expect == Expect::Absent))?),
        }
    }
}

/// Every queue of a project.
pub async fn list(service: &Service, project: ProjectId) -> Result<Vec<Queue>, Problem> {
    let mut query = Query::partition(project.to_string()).prefix("queue#");
    let mut queues = Vec::new();
    loop {
        let page = service.platform.table.query(&query).await?;
        for row in &page.rows {
            queues.push(rows::read(row)?);
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return Ok(queues);
        }
    }
}

/// The attempts that hold a slot of the queue.
pub async fn live(service: &Service, key: &QueueKey) -> Result<Vec<String>, Problem> {
    Ok(service.platform.table.members(&rows::slots(key)).await?)
}

/// Takes an attempt out of the slots of its queue, unless it is live. Tells
/// whether it was taken out.
///
/// A claim joins the slots first, and then changes the job as it was read
/// before that. So who is in the slots and not live may be on the way to be.
/// He is taken out in one commit with a new version of the job: a claim that
/// has joined by then finds the job changed, and one that comes later joins
/// again. Either way nothing is live without a slot.
pub(super) async fn free(
    service: &Service,
    key: &QueueKey,
    attempt: AttemptId,
) -> Result<bool, Problem> {
    let leave = Op::Leave { key: rows::slots(key), member: attempt.to_string() };
    let job = JobKey { project: key.project, job: attempt.job };
    let ops = match record::load_any(service, job).await? {
        Some((_, job)) if job.is_live(attempt) => return Ok(false),
        Some((row, job)) => vec![leave, record::replace(service, &row, &job).0],
        None => vec![leave],
    };
    match service.platform.table.commit(ops).await {
        // Claimed, or changed in another way: the next sweep looks again.
        Err(TableError::Stale(_)) => Ok(false),
        freed => Ok(freed.map(|()| true)?),
    }
}

/// A page of the queues of all projects, for the sweep.
pub(super) async fn page(
    service: &Service,
    cursor: Option<String>,
) -> Result<(Vec<QueueKey>, Option<String>), Problem> {
    let query = Query { cursor, ..Query::index(Index::Open, ALL) };
    let page = service.platform.table.query(&query).await?;
    let key = |row: &Row| rows::waiting_of(&row.marks.get(&Index::Open)?.sort);
    Ok((page.rows.iter().filter_map(key).collect(), page.cursor))
}

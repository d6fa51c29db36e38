//! Queues: where jobs wait, and how many of them are let run at once, with how
//! much of the machine.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    callbacks, chunks,
    jobs::{self, Filter},
    rows::{self, QueueKey},
    slots,
};
use crate::{
    job::{AttemptId, AttemptKey, CallbackSpec, Name, Origin, ProjectId, Resources, TaskSpec},
    platform::{Expect, Index, Mark, Op, Query, Row, SetLimit, SetSize, TableError, Wanted},
    service::Service,
    wire::{
        Problem,
        callback::CallbackChoice,
        submit::Submission,
        views::{OPEN_STATES, QueueView},
    },
};

/// The partition of the index that lists the queues of all projects.
const ALL: &str = "queues";

/// The queue that every project has.
const DEFAULT: &str = "default";

/// How often a writer that keeps being overtaken tries again.
const TRIES: u32 = 20;

/// To here jobs that wait are counted.
pub const COUNTED: usize = 100;

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
    /// Thousandths of a CPU that these may have together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_millis: Option<u32>,
    /// MiB of memory that these may have together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// What a container has whose task does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Who is told of its jobs, where they do not say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackSpec>,
    /// What a client of another API said of it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<Timestamp>,
}

/// What is to be changed of a queue; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueChange {
    /// Whether nothing starts from it.
    pub paused: Option<bool>,
    /// How many attempts may be live at once.
    pub limit: Option<u32>,
    /// Thousandths of a CPU that these may have together.
    pub cpu_millis: Option<Setting<u32>>,
    /// MiB of memory that these may have together.
    pub memory_mib: Option<Setting<u32>>,
    /// What a container has whose task does not say.
    pub resources: Option<Setting<Resources>>,
    /// Who is told of its jobs.
    pub callback: CallbackChoice,
    /// Whether a callback that it says keeps the secrets and the events of the
    /// one before, and what another API has said stays: for APIs that have no
    /// words for them.
    pub keeps_unsaid: bool,
    /// What a client of another API says of it.
    pub origin: Option<Origin>,
}

/// What becomes of a setting that a queue may have or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting<T> {
    /// The queue has it.
    To(T),
    /// The queue no longer has it.
    Lifted,
}

impl<T: Copy> Setting<T> {
    fn over(change: Option<Self>, before: Option<T>) -> Option<T> {
        match change {
            None => before,
            Some(Setting::To(value)) => Some(value),
            Some(Setting::Lifted) => None,
        }
    }
}

impl QueueChange {
    /// What is said of a queue of which that was said before.
    fn origin_over(&self, before: Option<Origin>) -> Option<Origin> {
        match (&self.origin, before) {
            (Some(said), Some(before)) if self.keeps_unsaid && before.api != said.api => {
                Some(before)
            }
            (said, before) => said.clone().or(before),
        }
    }
}

impl Queue {
    /// How much its slots may hold.
    pub fn slots(&self) -> SetLimit {
        slots::limit(self.limit, self.cpu_millis, self.memory_mib)
    }

    /// Fills in what the tasks leave to their queue. Refuses what could never
    /// start from it, as it is set now.
    pub(super) fn prepare(&self, submission: &mut Submission) -> Result<(), Problem> {
        for (task, asked) in submission.spec.tasks.iter_mut().zip(&submission.resources) {
            if let Some(standard) = self.resources {
                task.resources = asked.filled(task.resources, standard);
            }
            if !slots::ever_fits(task.resources, self.slots()) {
                return Err(Problem::invalid("queue", self.too_small(task)));
            }
        }
        Ok(())
    }

    fn too_small(&self, task: &TaskSpec) -> String {
        let TaskSpec { name, resources: Resources { cpu_millis, memory_mib }, .. } = task;
        let cpus = |millis: u32| f64::from(millis) / 1_000.0;
        match (self.cpu_millis, self.memory_mib) {
            (Some(most), _) if most < *cpu_millis => format!(
                "the task `{name}` asks for {} CPUs, and all that runs from `{}` together may \
                 have {}",
                cpus(*cpu_millis),
                self.name,
                cpus(most)
            ),
            (_, most) => format!(
                "the task `{name}` asks for {memory_mib} MiB of memory, and all that runs from \
                 `{}` together may have {}",
                self.name,
                most.unwrap_or(u32::MAX)
            ),
        }
    }

    fn changed(self, change: &QueueChange) -> Queue {
        Queue {
            paused: change.paused.unwrap_or(self.paused),
            limit: change.limit.unwrap_or(self.limit),
            cpu_millis: Setting::over(change.cpu_millis, self.cpu_millis),
            memory_mib: Setting::over(change.memory_mib, self.memory_mib),
            resources: Setting::over(change.resources, self.resources),
            origin: change.origin_over(self.origin),
            ..self
        }
    }
}

/// The queue that every project has from the start.
pub(super) fn default(service: &Service, project: ProjectId) -> Op {
    let name = DEFAULT.parse().expect("it is a name");
    let queue = fresh(service, name);
    let key = QueueKey { project, name: queue.name.clone() };
    Op::Put(rows::queue(&key), Expect::Absent, written(&key, &queue))
}

/// The queue that this would be if it was made now.
pub fn fresh(service: &Service, name: Name) -> Queue {
    Queue {
        v: 1,
        name,
        paused: false,
        limit: service.limits.queue_live,
        cpu_millis: None,
        memory_mib: None,
        resources: None,
        callback: None,
        origin: None,
        created_at: service.platform.clock.now(),
        updated_at: None,
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

/// Queues as this process saw them last.
#[derive(Debug, Default)]
pub struct KnownQueues(Mutex<HashMap<QueueKey, (Timestamp, Queue)>>);

impl KnownQueues {
    /// How many are remembered; then all are looked up again.
    const MOST: usize = 10_000;

    /// How long one is good. What this process changes itself, it knows at once.
    const GOOD_FOR: SignedDuration = SignedDuration::from_secs(30);

    fn all(&self) -> MutexGuard<'_, HashMap<QueueKey, (Timestamp, Queue)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &QueueKey, now: Timestamp) -> Option<Queue> {
        let all = self.all();
        let (seen, queue) = all.get(key)?;
        (now.duration_since(*seen) < KnownQueues::GOOD_FOR).then(|| queue.clone())
    }

    fn note(&self, key: &QueueKey, queue: &Queue, now: Timestamp) {
        let mut all = self.all();
        if all.len() >= KnownQueues::MOST {
            all.clear();
        }
        all.insert(key.clone(), (now, queue.clone()));
    }

    fn forget(&self, key: &QueueKey) {
        self.all().remove(key);
    }
}

/// The queue as it is, or was half a minute ago if another process has changed
/// it: for what is held against it again before it starts.
pub async fn known(service: &Service, key: &QueueKey) -> Result<Option<Queue>, Problem> {
    let now = service.platform.clock.now();
    if let Some(queue) = service.queues.get(key, now) {
        return Ok(Some(queue));
    }
    let Some(row) = service.platform.table.find(&rows::queue(key)).await? else {
        return Ok(None);
    };
    let queue = rows::read(&row)?;
    service.queues.note(key, &queue, now);
    Ok(Some(queue))
}

/// Makes the queue, or changes it. Tells whether it is new.
pub async fn put(
    service: &Service,
    key: &QueueKey,
    change: QueueChange,
) -> Result<(Queue, bool), Problem> {
    let callback = match &change.callback {
        CallbackChoice::OfQueue | CallbackChoice::OfQueueIn(_) => None,
        CallbackChoice::Nobody => Some(None),
        CallbackChoice::Own(settings) => Some(Some(callbacks::for_queue(service, key, settings)?)),
    };
    loop {
        let found = load(service, key).await?;
        let (expect, queue) = match found {
            Some((row, queue)) => (Expect::Version(row.version), queue),
            None => (Expect::Absent, fresh(service, key.name.clone())),
        };
        let mut queue = queue.changed(&change);
        if let Some(callback) = &callback {
            let before = std::mem::replace(&mut queue.callback, callback.clone());
            if let (Some(now), Some(before), true) =
                (&mut queue.callback, before, change.keeps_unsaid)
            {
                (now.secrets, now.started) = (before.secrets, before.started);
            }
        }
        if let Some(queue) = replace(service, key, expect, queue).await? {
            return Ok((queue, expect == Expect::Absent));
        }
    }
}

/// Changes the queue as it follows from what it is, however many do so at once.
/// `None` if there is none: it is not made again. Whom it tells stays.
pub async fn change<E: From<Problem>>(
    service: &Service,
    key: &QueueKey,
    change: impl Fn(&Queue) -> Result<QueueChange, E>,
) -> Result<Option<Queue>, E> {
    loop {
        let Some((row, queue)) = load(service, key).await? else { return Ok(None) };
        let change = change(&queue)?;
        let next = replace(service, key, Expect::Version(row.version), queue.changed(&change));
        if let Some(queue) = next.await? {
            return Ok(Some(queue));
        }
    }
}

/// Writes the queue where it is as expected; `None` where it is not any more.
async fn replace(
    service: &Service,
    key: &QueueKey,
    expect: Expect,
    queue: Queue,
) -> Result<Option<Queue>, Problem> {
    let updated_at = (expect != Expect::Absent).then(|| service.platform.clock.now());
    let queue = Queue { updated_at, ..queue };
    let put = Op::Put(rows::queue(key), expect, written(key, &queue));
    match service.platform.table.commit(vec![put]).await {
        Err(TableError::Stale(_) | TableError::Exists(_)) => Ok(None),
        settled => {
            service.queues.forget(key);
            Ok(settled.map(|()| Some(queue))?)
        }
    }
}

/// The queue as a client sees it.
pub async fn view(
    service: &Service,
    project: ProjectId,
    queue: &Queue,
) -> Result<QueueView, Problem> {
    let key = QueueKey { project, name: queue.name.clone() };
    let held = held(service, &key).await?;
    let waiting = Query::index(Index::Queue, rows::waiting(&key));
    let waiting = service.platform.table.count(&waiting, COUNTED + 1).await?;
    Ok(QueueView::of(queue, held, counted(waiting)))
}

/// A number of jobs as clients are told it.
pub fn counted(jobs: usize) -> String {
    if jobs > COUNTED { format!("{COUNTED}+") } else { jobs.to_string() }
}

/// Removes a queue in which nothing waits or runs.
///
/// A job that is submitted at the same moment may be accepted all the same: it
/// waits as in a paused queue, until the queue is made again or its patience
/// ends. To rule that out, each submit would have to write the queue as well.
pub async fn delete(service: &Service, key: &QueueKey) -> Result<(), Problem> {
    let Some((row, _)) = load(service, key).await? else {
        return Err(Problem::not_found("queue", &key.name));
    };
    if key.name.as_str() == DEFAULT {
        let detail = "the queue `default` is every project's: pause it instead";
        return Err(Problem::conflict("default_queue", detail));
    }
    if !live(service, key).await?.is_empty() || has_open_jobs(service, key).await? {
        let detail = format!("jobs of the queue `{}` are not over yet", key.name);
        return Err(Problem::conflict("queue_in_use", detail));
    }
    let delete = Op::Delete(row.key.clone(), Expect::Version(row.version));
    match service.platform.table.commit(vec![delete]).await {
        Err(TableError::Stale(_)) => {
            Err(Problem::conflict("queue_changed", "the queue was changed at the same time"))
        }
        deleted => {
            service.queues.forget(key);
            Ok(deleted?)
        }
    }
}

/// Whether a job of the queue is not over, in whatever state it is: what waits
/// for another task or its image is not in line yet.
async fn has_open_jobs(service: &Service, key: &QueueKey) -> Result<bool, Problem> {
    let states = OPEN_STATES.map(str::to_owned).into();
    let filter = Filter { states, queue: Some(key.name.to_string()), ..Filter::default() };
    let mut after = None;
    loop {
        let (found, next) = jobs::list(service, key.project, &filter, after, 1).await?;
        if !found.is_empty() || next.is_none() {
            return Ok(!found.is_empty());
        }
        after = next;
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

/// What holds slots of the queue: how many attempts, and what they have
/// together.
pub async fn held(service: &Service, key: &QueueKey) -> Result<SetSize, Problem> {
    Ok(SetSize::of(live(service, key).await?))
}

/// The attempts that hold a slot of the queue, as [`slots::attempt`] reads them.
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
    // What it weighs is told by nobody but the slot itself.
    let members = live(service, key).await?;
    let Some(member) = members.into_iter().find(|slot| slots::attempt(slot) == Some(attempt))
    else {
        return Ok(false);
    };
    let leave = Op::Leave { key: rows::slots(key), member };
    for _ in 0..TRIES {
        let held = chunks::held(service, AttemptKey { project: key.project, attempt }).await?;
        let renewed = match held {
            Some(held) if held.is_live(attempt) => return Ok(false),
            held => held.map(|held| held.renewed(service)),
        };
        let ops = [leave.clone()].into_iter().chain(renewed).collect();
        match service.platform.table.commit(ops).await {
            // Claimed, or changed in another way.
            Err(TableError::Stale(_)) => {}
            freed => return Ok(freed.map(|()| true)?),
        }
    }
    // The next sweep looks again.
    Ok(false)
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

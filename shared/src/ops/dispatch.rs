//! From waiting to launched: slots, claims, launches.
//!
//! Strict order within a queue: priority, then age. The head of a queue that
//! finds no room is waited for, so that small jobs do not starve a big one.
//! What asks for more than its queue may ever have waits beside that order
//! until the queue is given more: nobody is served by waiting for it.

use std::collections::{BTreeMap, VecDeque};

use jiff::SignedDuration;
use tracing::{instrument, warn};

use super::{
    attempts, chunks, duties, plan, queues, record,
    rows::{self, QueueKey},
    slots,
};
use crate::{
    job::{AttemptEvent, AttemptId, AttemptKey, Cause, Event, Job},
    platform::{
        Admission, Expect, Index, Key, Launch, Op, Platform, Query, Row, RuntimeError, SetLimit,
        Staged, TableError,
    },
    service::Service,
    wire::Problem,
};

/// How many claims one call makes before it hands them over, if nobody else
/// waits for his.
pub const BATCH: usize = 16;

/// For how long a call begins launches, which a runtime may pace: what else waits
/// for the same host should not wait for longer, and a sweep comes each minute.
pub const PATIENCE: SignedDuration = SignedDuration::from_secs(60);

/// Why dispatching a queue came to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// Nothing waits that could be claimed.
    Drained,
    /// The queue is paused, or is not there.
    Paused,
    /// Every slot of the queue is taken.
    QueueFull,
    /// The runtime has no room for the head of the queue.
    NoRoom {
        /// The attempt that is to have it.
        head: AttemptKey,
        /// The row that wants it.
        row: Key,
    },
    /// A batch is full; there may be more.
    Batch,
}

/// An attempt that holds a slot and is to be launched.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Which.
    pub attempt: AttemptKey,
    /// Its job's row as it was seen last.
    pub row: Row,
    /// The job in it.
    pub job: Job,
}

/// Attempts that now hold a slot and are to be launched.
#[derive(Debug)]
pub struct Claims {
    /// In the order in which they should start.
    pub claimed: Vec<Claimed>,
    /// Why there are no more.
    pub blocked: Blocked,
}

/// Claims slots for what waits in the queue, in its order: `most` at most.
#[instrument(level = "debug", name = "queue.claim", skip_all, fields(queue.name = %key.name))]
pub async fn claim(service: &Service, key: &QueueKey, most: usize) -> Result<Claims, Problem> {
    let mut claimed = Vec::new();
    let mut query = waiting(key, most.min(BATCH));
    let mut gate = None;
    loop {
        let page = service.platform.table.query(&query).await?;
        for row in page.rows {
            // How the queue is set is of interest once somebody waits in it.
            let gate = match &mut gate {
                Some(gate) => gate,
                unseen => match Gate::of(service, key, most).await? {
                    Some(seen) => unseen.insert(seen),
                    None => return Ok(Claims { claimed, blocked: Blocked::Paused }),
                },
            };
            let blocked = if let Some(chunk) = rows::chunk_at(&row.key) {
                chunks::claim(service, gate, chunk, &mut claimed).await?
            } else {
                let job: Job = rows::read(&row)?;
                claim_job(service, gate, (row, job), &mut claimed).await?
            };
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

/// What waits in the queue, in its order.
fn waiting(key: &QueueKey, limit: usize) -> Query {
    Query { limit, ..Query::index(Index::Queue, rows::waiting(key)) }
}

/// Brings `event` into the job and claims the first attempt that it lets start,
/// in one write: where nobody waits in the queue, and a slot is free. Else
/// `None`, as when the job is not as it was read: then nothing has changed.
///
/// Who waits is never overtaken. Who comes at the same moment, and finds no
/// slot then, may be.
pub(super) async fn claim_at_once(
    service: &Service,
    row: &Row,
    job: &Job,
    event: &Event,
) -> Result<Option<Claimed>, Problem> {
    let ready = job.after(event, service.platform.clock.now())?;
    if ready.claims().is_empty() {
        return Ok(None);
    }
    let queue = QueueKey::of(job);
    if !service.platform.table.query(&waiting(&queue, 1)).await?.rows.is_empty() {
        return Ok(None);
    }
    let Some(mut gate) = Gate::of(service, &queue, 1).await? else { return Ok(None) };
    let Some(id) = first_claim(&ready, gate.limit) else { return Ok(None) };
    let attempt = AttemptKey { project: job.project, attempt: id };
    let resources = ready.tasks[id.task as usize].resources;
    if service.platform.runtime.admit(attempt, resources).await != Admission::Admitted {
        return Ok(None);
    }
    match take(service, &mut gate, row, &ready, attempt).await? {
        Taken::Claimed(claimed) => {
            record::diary(job, &ready, event);
            Ok(Some(*claimed))
        }
        Taken::Full | Taken::Overtaken | Taken::QueueChanged => Ok(None),
    }
}

/// What every claim of a queue has to pass.
pub(super) struct Gate<'a> {
    pub queue: &'a QueueKey,
    pub limit: SetLimit,
    pub most: usize,
    pub check: Op,
    /// Whether nothing was claimed since the queue was looked at.
    is_fresh: bool,
}

impl<'a> Gate<'a> {
    /// That of the queue, unless it is paused, or gone.
    async fn of(
        service: &Service,
        queue: &'a QueueKey,
        most: usize,
    ) -> Result<Option<Self>, Problem> {
        let found = queues::load(service, queue).await?;
        Ok(found.filter(|(_, settings)| !settings.paused).map(|(row, settings)| Gate {
            queue,
            limit: settings.slots(),
            most,
            check: Op::Check(row.key, Expect::Version(row.version)),
            is_fresh: true,
        }))
    }
}

/// Claims all that the job wants claimed, one instance at a time.
async fn claim_job(
    service: &Service,
    gate: &mut Gate<'_>,
    (mut row, mut job): (Row, Job),
    claimed: &mut Vec<Claimed>,
) -> Result<Blocked, Problem> {
    let key = job.key();
    loop {
        if claimed.len() >= gate.most {
            return Ok(Blocked::Batch);
        }
        let Some(id) = first_claim(&job, gate.limit) else { return Ok(Blocked::Drained) };
        let attempt = AttemptKey { project: key.project, attempt: id };
        let resources = job.tasks[id.task as usize].resources;
        let unclaimable = match service.platform.runtime.admit(attempt, resources).await {
            Admission::Admitted => None,
            Admission::Full => return Ok(Blocked::NoRoom { head: attempt, row: row.key }),
            Admission::TooLarge(why) => Some(why),
        };
        match (take(service, gate, &row, &job, attempt).await?, unclaimable) {
            (Taken::Claimed(taken), None) => {
                (row, job) = (taken.row.clone(), taken.job.clone());
                claimed.push(*taken);
                continue;
            }
            (Taken::Claimed(_), Some(why)) => {
                attempts::end_unreported(service, attempt, Cause::TooLarge, Some(why)).await?;
            }
            (Taken::Full, _) => return Ok(Blocked::QueueFull),
            (Taken::QueueChanged, _) => return Ok(Blocked::Batch),
            (Taken::Overtaken, _) => {}
        }
        let Some(found) = record::load(service, key).await? else { return Ok(Blocked::Drained) };
        (row, job) = found;
    }
}

/// What came of a claim. If it is not made, what it had taken is given back.
enum Taken {
    Claimed(Box<Claimed>),
    Full,
    /// The job has changed since it was read.
    Overtaken,
    /// The queue has.
    QueueChanged,
}

/// Takes a slot for the attempt, and claims it: the job takes the place of what
/// is in the row.
///
/// If we die between the two, the attempt has a slot and is not live: it is
/// claimed again, and joins again, or a sweep takes it out. The queue is looked
/// at last before that: a pause that is answered while a claim is under way
/// counts as after it.
async fn take(
    service: &Service,
    gate: &mut Gate<'_>,
    row: &Row,
    job: &Job,
    attempt: AttemptKey,
) -> Result<Taken, Problem> {
    let id = attempt.attempt;
    let event = Event::Attempt(id, AttemptEvent::Claimed);
    let next = job.after(&event, service.platform.clock.now())?;
    let member = slots::member(id, job.tasks[id.task as usize].resources);
    let join = Op::Join { key: rows::slots(gate.queue), member, limit: gate.limit };
    let looked = std::mem::take(&mut gate.is_fresh);
    let check = (!looked).then(|| gate.check.clone());
    let (put, replaced) = record::replace(service, row, &next);
    let before = check.into_iter().chain([join]).collect();
    let staged = Staged { before, ops: vec![put], after: Vec::new() };
    let Err(error) = service.platform.table.commit_staged(staged).await else {
        record::diary(job, &next, &event);
        return Ok(Taken::Claimed(Box::new(Claimed { attempt, row: replaced, job: next })));
    };
    let overtaken = matches!(&error, TableError::Stale(stale) if *stale == row.key);
    unclaim(service, gate.queue, attempt, overtaken).await?;
    match error {
        TableError::Full(_) => Ok(Taken::Full),
        TableError::Stale(_) if overtaken => Ok(Taken::Overtaken),
        TableError::Stale(_) => Ok(Taken::QueueChanged),
        other => Err(other.into()),
    }
}

/// The first attempt of the job that wants a slot and could ever have one.
pub(super) fn first_claim(job: &Job, limit: SetLimit) -> Option<AttemptId> {
    let resources = |id: &AttemptId| job.tasks[id.task as usize].resources;
    job.claims().into_iter().find(|id| slots::ever_fits(resources(id), limit))
}

/// Gives back what a claim had taken that did not come to its end, unless
/// another claim of the same attempt did: then it is that one's.
pub(super) async fn unclaim(
    service: &Service,
    queue: &QueueKey,
    attempt: AttemptKey,
    joined: bool,
) -> Result<(), Problem> {
    let id = attempt.attempt;
    let held = chunks::held(service, attempt).await?;
    if held.as_ref().is_some_and(|held| held.is_live(id)) {
        return Ok(());
    }
    service.platform.runtime.forget(attempt).await?;
    // What is still to be claimed keeps its slot for the next claim.
    if joined && !held.is_some_and(|held| held.wants(id)) {
        queues::free(service, queue, id).await?;
    }
    Ok(())
}

/// Starts a claimed attempt. Starting it again does nothing.
#[instrument(level = "debug", name = "attempt.launch", skip_all, fields(attempt.id = %claimed.attempt.attempt))]
pub async fn launch(service: &Service, claimed: Claimed) -> Result<(), Problem> {
    let Claimed { attempt, row, job } = claimed;
    let spec = attempts::load_spec(service, &job).await?;
    let id = attempt.attempt;
    let (Some(task), Some(image)) = (spec.tasks.get(id.task as usize), plan::image_of(&job, id))
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
                let event = Event::Attempt(id, event);
                record::record_on(service, attempt.job(), Some((row, job)), &event).await?;
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

/// Claims and launches what the queue lets start now, and waits for the
/// launches. For hosts that end when the call does: what is not begun within
/// [`PATIENCE`] is left to another call, which is asked for.
pub async fn dispatch(service: &Service, key: &QueueKey) -> Result<(), Problem> {
    let Served { left, failed } = serve(service, vec![key.clone()]).await;
    if let Some(queue) = left.front() {
        let Platform { table, clock, .. } = &service.platform;
        table.remind(&rows::queue(queue), clock.now()).await;
    }
    failed.map_or(Ok(()), Err)
}

/// The same for many queues, a batch of each in turn: so that a long one does
/// not keep other projects waiting for as long as launches take. What cannot
/// be done to one queue keeps no other waiting; the first problem is returned.
/// What is left is the next sweep's.
pub async fn dispatch_all(service: &Service, queues: Vec<QueueKey>) -> Result<(), Problem> {
    serve(service, queues).await.failed.map_or(Ok(()), Err)
}

/// What came of serving queues.
struct Served {
    /// Those that may be able to start more.
    left: VecDeque<QueueKey>,
    failed: Option<Problem>,
}

async fn serve(service: &Service, queues: Vec<QueueKey>) -> Served {
    let clock = &service.platform.clock;
    let start = clock.now();
    let (mut left, mut failed) = (by_turns(queues), None);
    while clock.now().duration_since(start) < PATIENCE
        && let Some(queue) = left.pop_front()
    {
        match batch(service, &queue).await {
            Ok(true) => left.push_back(queue),
            Ok(false) => {}
            Err(problem) => {
                warn!(queue.name = %queue.name, error = %problem, "a queue was not dispatched");
                failed.get_or_insert(problem);
            }
        }
    }
    Served { left, failed }
}

/// The first queue of each project, then the second of each that has two.
fn by_turns(queues: Vec<QueueKey>) -> VecDeque<QueueKey> {
    let mut before = BTreeMap::new();
    let place = |queue: QueueKey| {
        let place = before.entry(queue.project).or_insert(0_u32);
        *place += 1;
        (*place, queue)
    };
    let mut placed: Vec<_> = queues.into_iter().map(place).collect();
    placed.sort_by_key(|(place, _)| *place);
    placed.into_iter().map(|(_, queue)| queue).collect()
}

/// Starts what fits into a batch; whether there may be more.
async fn batch(service: &Service, key: &QueueKey) -> Result<bool, Problem> {
    let Claims { claimed, blocked } = claim(service, key, BATCH).await?;
    let launches = claimed.into_iter().map(|claimed| launch(service, claimed));
    for launched in futures::future::join_all(launches).await {
        launched?;
    }
    Ok(blocked == Blocked::Batch)
}

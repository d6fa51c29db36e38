//! Wide tasks: chunks are created, told to stop, folded into their job, and
//! what they call for is done.
//!
//! A chunk is a row of its own, which changes without its job. What the job
//! has to know of it, its counts, the chunk owes until the job has them: so a
//! death between the two writes only puts off the second. The other way round
//! it is the same: what a job wants of its chunks it owes until their counts
//! say that it was done.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt, StreamExt, stream};
use jiff::Timestamp;
use tracing::{debug, instrument, warn};

use super::{
    attempts,
    dispatch::{self, Blocked, Claimed, Gate},
    duties, recall,
    record::{self, Recorded},
    rows::{self, ChunkKey},
    slots,
    turns::{self, First, Outcome},
};
use crate::{
    job::{
        AttemptEvent, AttemptId, AttemptKey, Cause, Chunk, Due, Duty, Event, INLINE_INSTANCES,
        Instance, Job, JobKey, Members, Refused,
    },
    platform::{Admission, Expect, Index, Key, Op, Query, Row, TableError, Wanted},
    service::Service,
    wire::Problem,
};

/// The most chunks of one commit.
const SPREAD_AT_ONCE: usize = 50;

/// How many instances' equals are looked for side by side.
const RECALLS_AT_ONCE: usize = 16;

/// How often a writer that keeps being overtaken tries again.
const TRIES: u32 = 100;

/// An attempt's job, and the row that holds the attempt's instance: the job's
/// own, or that of a chunk.
#[derive(Clone, Debug)]
pub struct Held {
    /// The job.
    pub job: Job,
    /// The row that changes with the instance.
    pub row: Row,
    /// The job's own row, where that is another.
    job_row: Option<Row>,
    chunk: Option<Chunk>,
}

impl Held {
    /// The instance of this attempt, if it is there.
    pub fn instance(&self, attempt: AttemptId) -> Option<&Instance> {
        match &self.chunk {
            Some(chunk) => chunk.instance(attempt),
            None => self.job.instance(attempt),
        }
    }

    /// Whether this attempt is the one that counts for its instance.
    pub fn is_live(&self, attempt: AttemptId) -> bool {
        match &self.chunk {
            Some(chunk) => chunk.is_live(attempt),
            None => self.job.is_live(attempt),
        }
    }

    /// Whether the record itself holds the instance.
    pub(super) fn is_inline(&self) -> bool {
        self.chunk.is_none()
    }

    /// Whether this is to be done by now.
    pub(super) fn is_due(&self, duty: Duty, now: Timestamp) -> bool {
        let owed = match &self.chunk {
            Some(chunk) => chunk.owes(),
            None => self.job.owes(),
        };
        owed.iter().any(|due| due.at <= now && due.duty == duty)
    }

    /// The change of the row that holds the instance, by an event of its
    /// attempt, if that changes anything.
    pub(super) fn change(
        &self,
        service: &Service,
        attempt: AttemptId,
        event: &AttemptEvent,
    ) -> Result<Option<Op>, Refused> {
        let now = service.platform.clock.now();
        if let Some(chunk) = &self.chunk {
            let next = chunk.after(attempt, event, now)?;
            return Ok((next != *chunk).then(|| turns::replace(service, &self.row, &next)));
        }
        if self.job.chunk_of(attempt).is_some() {
            return Ok(None);
        }
        let next = self.job.after(&Event::Attempt(attempt, event.clone()), now)?;
        let change = || record::replace(service, &self.row, &next).0;
        Ok((next != self.job).then(change))
    }

    /// The attempt, as who launches it takes it.
    pub(super) fn claimed(self, attempt: AttemptKey) -> Claimed {
        Claimed { attempt, row: self.job_row.unwrap_or(self.row), job: self.job }
    }

    /// Whether this attempt wants a slot. A chunk may not have been told yet that
    /// its job stops.
    pub(super) fn wants(&self, attempt: AttemptId) -> bool {
        match &self.chunk {
            Some(_) if self.job.halt().is_some() => false,
            Some(chunk) => chunk.claims().contains(&attempt),
            None => self.job.claims().contains(&attempt),
        }
    }

    /// The row in a new version, by which who claims knows that a slot was
    /// taken back since he read it.
    pub(super) fn renewed(&self, service: &Service) -> Op {
        match &self.chunk {
            Some(chunk) => turns::replace(service, &self.row, &chunk.swept()),
            None => record::replace(service, &self.row, &self.job).0,
        }
    }

    /// The id of the instance's latest attempt, its number 0 before the first;
    /// of an earlier run, if it succeeded in that.
    pub fn latest(&self, task: u32, instance: u32) -> AttemptId {
        let none = AttemptId { job: self.job.id, run: self.job.run, task, instance, number: 0 };
        if let Some(chunk) = &self.chunk {
            return chunk.latest_attempt(instance).unwrap_or(none);
        }
        let number = self.job.instance(none).map_or(0, |instance| instance.attempts);
        self.job.attempt_id(task as usize, instance as usize, number)
    }
}

/// The attempt's job and instance; also of a job that is being removed.
pub async fn held(service: &Service, attempt: AttemptKey) -> Result<Option<Held>, Problem> {
    match record::load_any(service, attempt.job()).await? {
        Some((row, job)) => within(service, row, job, attempt.attempt).await.map(Some),
        None => Ok(None),
    }
}

/// The same, given its job.
pub(super) async fn within(
    service: &Service,
    row: Row,
    job: Job,
    attempt: AttemptId,
) -> Result<Held, Problem> {
    if job.chunk_of(attempt).is_none() {
        return Ok(Held { job, row, job_row: None, chunk: None });
    }
    let key = ChunkKey::of(AttemptKey { project: job.project, attempt });
    Ok(match turns::load(service, key).await? {
        Some((own, chunk)) => Held { job, row: own, job_row: Some(row), chunk: Some(chunk) },
        // It will be there once the job has changed.
        None => Held { job, row, job_row: None, chunk: None },
    })
}

/// All chunks of a job, or of one of its tasks, that there are.
pub async fn all(service: &Service, job: JobKey, task: Option<u32>) -> Result<Vec<Chunk>, Problem> {
    let prefix = task.map_or(rows::CHUNKS.to_owned(), |task| format!("{}{task:04}#", rows::CHUNKS));
    let mut query = Query::partition(rows::parts(job)).prefix(&prefix);
    let mut chunks = Vec::new();
    loop {
        let page = service.platform.table.query(&query).await?;
        for row in &page.rows {
            chunks.push(rows::read(row)?);
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return Ok(chunks);
        }
    }
}

/// One chunk, if it is there.
pub async fn load(service: &Service, key: ChunkKey) -> Result<Option<Chunk>, Problem> {
    Ok(turns::load(service, key).await?.map(|(_, chunk)| chunk))
}

/// Applies an attempt's event to the chunk that holds it, after `first` is
/// written, as [`record::record_after`] does.
pub(super) async fn record(
    service: &Service,
    (row, job): (Row, Job),
    attempt: AttemptId,
    event: &AttemptEvent,
    first: Option<Box<First>>,
) -> Result<Option<Recorded>, Problem> {
    // The chunk may not have been told yet.
    if *event == AttemptEvent::PlanRead && job.halt().is_some() {
        return Err(Refused::Stopping.into());
    }
    let key = ChunkKey::of(AttemptKey { project: job.project, attempt });
    let event = event.clone();
    let change = Box::new(move |chunk: &Chunk, at| chunk.after(attempt, &event, at));
    let changed = match turns::change(service, key, change, first).await? {
        Outcome::Preceded => return Ok(None),
        outcome => outcome == Outcome::Changed,
    };
    Ok(Some(Recorded { row, job, changed }))
}

/// Claims what the chunk wants claimed, many instances with one write.
///
/// Slots are taken first, and then the chunk is let know, as it was read before
/// that: see [`Chunk::claimed`]. If we die between the two, the slots are there
/// for the next claim of the same attempts, or a sweep takes them back.
pub(super) async fn claim(
    service: &Service,
    gate: &Gate<'_>,
    key: ChunkKey,
    claimed: &mut Vec<Claimed>,
) -> Result<Blocked, Problem> {
    loop {
        let room = gate.most.saturating_sub(claimed.len());
        if room == 0 {
            return Ok(Blocked::Batch);
        }
        let Some((row, job)) = record::load(service, key.job).await? else {
            return Ok(Blocked::Drained);
        };
        let Some(chunk) = load(service, key).await? else { return Ok(Blocked::Drained) };
        let wanted = chunk.claims();
        // It may not have been told yet that its job stops.
        let ever = slots::ever_fits(chunk.resources, gate.limit);
        if wanted.is_empty() || !ever || job.halt().is_some() || job.run != chunk.run {
            return Ok(Blocked::Drained);
        }
        let (admitted, full) = admit(service, &chunk, &wanted, room).await;
        let attempts: Vec<AttemptKey> = admitted.iter().map(|(attempt, _)| *attempt).collect();
        let mut joined = Vec::new();
        let slots = take_slots(service, gate, (&chunk, &attempts), &mut joined).await;
        let ours = let_know(service, key, chunk, &joined).await;
        for (attempt, unclaimable) in admitted {
            if !ours.as_ref().is_ok_and(|ours| ours.contains(&attempt.attempt)) {
                let joined = joined.contains(&attempt);
                dispatch::unclaim(service, gate.queue, attempt, joined).await?;
            } else if let Some(why) = unclaimable {
                attempts::end_unreported(service, attempt, Cause::TooLarge, Some(why)).await?;
            } else {
                claimed.push(Claimed { attempt, row: row.clone(), job: job.clone() });
            }
        }
        ours?;
        if let Some(blocked) = slots?.or(full) {
            return Ok(blocked);
        }
    }
}

/// As many of the wanted attempts as there is room for, each with why it can
/// never be launched, if it cannot.
async fn admit(
    service: &Service,
    chunk: &Chunk,
    wanted: &[AttemptId],
    most: usize,
) -> (Vec<(AttemptKey, Option<String>)>, Option<Blocked>) {
    let mut admitted = Vec::new();
    for id in wanted.iter().take(most) {
        let attempt = AttemptKey { project: chunk.job.project, attempt: *id };
        match service.platform.runtime.admit(attempt, chunk.resources).await {
            Admission::Admitted => admitted.push((attempt, None)),
            Admission::TooLarge(why) => admitted.push((attempt, Some(why))),
            Admission::Full => {
                let row = rows::chunk(ChunkKey::of(attempt));
                return (admitted, Some(Blocked::NoRoom { head: attempt, row }));
            }
        }
    }
    (admitted, None)
}

/// Takes slots for the attempts, in their order and ever more at once: a queue
/// that is full is not asked for many in vain. Returns why there are no more.
async fn take_slots(
    service: &Service,
    gate: &Gate<'_>,
    (chunk, attempts): (&Chunk, &[AttemptKey]),
    joined: &mut Vec<AttemptKey>,
) -> Result<Option<Blocked>, Problem> {
    let set = rows::slots(gate.queue);
    let join = |attempt: &AttemptKey| {
        let (key, member) = (set.clone(), slots::member(attempt.attempt, chunk.resources));
        let join = Op::Join { key, member, limit: gate.limit };
        service.platform.table.commit(vec![gate.check.clone(), join])
    };
    let mut rest = attempts;
    while !rest.is_empty() {
        let (some, later) = rest.split_at(joined.len().clamp(1, rest.len()));
        rest = later;
        let taken = futures::future::join_all(some.iter().map(join)).await;
        let mut blocked = None;
        for (attempt, taken) in some.iter().zip(taken) {
            match taken {
                Ok(()) => joined.push(*attempt),
                Err(TableError::Full(_)) => blocked = Some(Blocked::QueueFull),
                // The queue has changed: it is looked at anew.
                Err(TableError::Stale(_)) => blocked = Some(Blocked::Batch),
                Err(other) => return Err(other.into()),
            }
        }
        if blocked.is_some() {
            return Ok(blocked);
        }
    }
    Ok(None)
}

/// Lets the chunk know of the attempts that have a slot, as of the chunk that
/// was `seen` before they had. Returns those that it took: what another has
/// claimed meanwhile, or is not wanted any more, is not ours.
async fn let_know(
    service: &Service,
    key: ChunkKey,
    seen: Chunk,
    joined: &[AttemptKey],
) -> Result<Vec<AttemptId>, Problem> {
    let taken = Arc::new(Mutex::new(Vec::new()));
    let (told, joined) = (Arc::clone(&taken), joined.to_vec());
    let claim = move |chunk: &Chunk, at| {
        let mut next = chunk.clone();
        let mut ours = Vec::new();
        for attempt in joined.iter().map(|attempt| attempt.attempt) {
            match next.claimed(attempt, &seen, at) {
                Ok(after) if after != next => {
                    ours.push(attempt);
                    next = after;
                }
                Ok(_) | Err(_) => {}
            }
        }
        // If the chunk has changed by the time it is written, this comes anew.
        *told.lock().unwrap_or_else(PoisonError::into_inner) = ours;
        Ok(next)
    };
    turns::change(service, key, Box::new(claim), None).await?;
    let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *taken))
}

/// Creates the chunks of a task that are wanted now.
///
/// The job says which in the same commit as they are written: neither is there
/// without the other.
pub(super) async fn spread(service: &Service, key: JobKey, task: u32) -> Result<(), Problem> {
    for _ in 0..TRIES {
        let Some((row, job)) = record::load(service, key).await? else { return Ok(()) };
        let wanted = |due: &Due| match due.duty {
            Duty::Spread { task: of, chunk } if of == task => Some(chunk),
            _ => None,
        };
        let wanted: Vec<u32> = job.owes().iter().filter_map(wanted).take(SPREAD_AT_ONCE).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let now = service.platform.clock.now();
        let mut next = job.clone();
        let mut ops = Vec::with_capacity(wanted.len() + 1);
        for chunk in wanted {
            let place = ChunkKey { job: key, task, chunk };
            // The first run finds nothing in its place.
            let before = if job.run == 1 { None } else { turns::load(service, place).await? };
            let made = job.spread(task, chunk, before.as_ref().map(|(_, chunk)| chunk), now)?;
            next = next.after(&Event::Spread { task, chunk }, now)?;
            let expect = before
                .map_or(Expect::Absent, |(row, _): (Row, Chunk)| Expect::Version(row.version));
            ops.push(Op::Put(rows::chunk(place), expect, rows::chunk_row(&made)));
        }
        ops.push(record::replace(service, &row, &next).0);
        match service.platform.table.commit(ops).await {
            Ok(()) => debug!(job.id = %key.job, task, "a wide task was spread"),
            Err(TableError::Stale(_) | TableError::Exists(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(Problem::Unavailable(format!("{} is written to by too many at once", key.job).into()))
}

/// Tells a chunk that everything is to stop.
pub(super) async fn halt(
    service: &Service,
    job: &Job,
    task: u32,
    chunk: u32,
) -> Result<(), Problem> {
    let Some(why) = job.halt() else { return Ok(()) };
    let (key, run) = (ChunkKey { job: job.key(), task, chunk }, job.run);
    let halted = move |chunk: &Chunk, at| {
        Ok(if chunk.run == run { chunk.halted(why, at) } else { chunk.clone() })
    };
    turns::change(service, key, Box::new(halted), None).await.map(|_| ())
}

/// Asks for one instance of a wide task to stop. One whose chunk is yet to be
/// created cannot be told.
pub(super) async fn call_off(
    service: &Service,
    job: &Job,
    task: u32,
    instance: u32,
) -> Result<(), Problem> {
    let (chunk, run) = (instance / INLINE_INSTANCES, job.run);
    let key = ChunkKey { job: job.key(), task, chunk };
    if load(service, key).await?.is_none_or(|chunk| chunk.run != run) {
        let detail = format!("the part of the task that has instance {instance} is yet to begin");
        return Err(Problem::conflict("not_begun", detail));
    }
    let called = move |chunk: &Chunk, at| {
        if chunk.run == run { chunk.called_off(instance, at) } else { Ok(chunk.clone()) }
    };
    turns::change(service, key, Box::new(called), None).await.map(|_| ())
}

/// Does what the chunk calls for now, but for claims, which are its queue's, and
/// for looking at containers, which a sweep does.
#[instrument(level = "debug", name = "chunk.duties", skip_all, fields(job.id = %key.job.job))]
pub async fn perform(service: &Service, key: ChunkKey) -> Result<(), Problem> {
    let Some((row, chunk)) = turns::load(service, key).await? else { return Ok(()) };
    let now = service.platform.clock.now();
    let is_due = |due: &Due| due.at <= now && !matches!(due.duty, Duty::Claim(_));
    let due: BTreeSet<Due> = chunk.owes().into_iter().filter(is_due).collect();
    let marked = row.marks.get(&Index::Due).and_then(rows::due_of);
    if due.is_empty() && marked.is_some_and(|at| at <= now) {
        return record::put_off(service, &row, rows::chunk_row(&chunk)).await.map(|_| ());
    }
    let recalls = due.iter().filter_map(|due| match due.duty {
        Duty::Recall(attempt) => Some(AttemptKey { project: key.job.project, attempt }),
        _ => None,
    });
    let mut failed = recall_all(service, recalls.collect()).await.err();
    for due in due {
        debug!(job.id = %key.job.job, duty = ?due.duty, "duty");
        let done = Box::pin(perform_one(service, key, &chunk, due.duty)).await;
        if let Err(problem) = done {
            warn!(job.id = %key.job.job, duty = ?due.duty, error = %problem, "duty failed");
            failed.get_or_insert(problem);
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Looks for equals, many side by side: what comes of it goes into few writes.
async fn recall_all(service: &Service, attempts: Vec<AttemptKey>) -> Result<(), Problem> {
    let looks: Vec<_> = attempts
        .into_iter()
        .map(|attempt| async move { recall::perform(service, attempt).await.map(|_| ()) }.boxed())
        .collect();
    let looked: Vec<_> = stream::iter(looks).buffer_unordered(RECALLS_AT_ONCE).collect().await;
    looked.into_iter().collect()
}

async fn perform_one(
    service: &Service,
    key: ChunkKey,
    chunk: &Chunk,
    duty: Duty,
) -> Result<(), Problem> {
    let known = |attempt: AttemptId| {
        let key = AttemptKey { project: key.job.project, attempt };
        duties::known(chunk.instance(attempt), key)
    };
    match duty {
        Duty::Fold => fold(service, key, chunk).await,
        Duty::Tick => {
            let given_up = chunk.given_up(service.platform.clock.now());
            attempts::give_up(service, key.job.project, given_up).await?;
            let ticked = |chunk: &Chunk, at| Ok(chunk.ticked(at));
            turns::change(service, key, Box::new(ticked), None).await.map(|_| ())
        }
        Duty::Launch(attempt) => match record::load_any(service, key.job).await? {
            Some((row, job)) => {
                let attempt = known(attempt).attempt;
                dispatch::launch(service, Claimed { attempt, row, job }).await
            }
            None => Ok(()),
        },
        Duty::Stop(attempt) => duties::stop(service, &known(attempt)).await,
        // The queue claims, a sweep looks, equals were looked for before; the rest
        // a job owes.
        Duty::Claim(_)
        | Duty::Look(_)
        | Duty::Recall(_)
        | Duty::Resolve(_)
        | Duty::Spread { .. }
        | Duty::HaltChunk { .. }
        | Duty::Tell { .. }
        | Duty::Purge => Ok(()),
    }
}

/// Brings the chunk's counts into its job; then the chunk learns that it has.
///
/// If we die between the two, they are brought in again, which changes nothing.
async fn fold(service: &Service, key: ChunkKey, chunk: &Chunk) -> Result<(), Problem> {
    let (task, place) = (key.task, key.chunk);
    let (run, sequence, counts, spent) = (chunk.run, chunk.sequence, chunk.counts(), chunk.spent);
    let event = Event::Folded { task, chunk: place, run, sequence, counts, spent };
    match record::record(service, key.job, &event).await {
        Err(Problem::NotFound { .. }) => return Ok(()),
        folded => folded?,
    };
    let folded = move |chunk: &Chunk, at| {
        Ok(if chunk.run == run { chunk.folded(sequence, at) } else { chunk.clone() })
    };
    turns::change(service, key, Box::new(folded), None).await.map(|_| ())
}

/// The attempts of the job that are live, those in chunks included.
pub async fn live_attempts(service: &Service, job: &Job) -> Result<Vec<AttemptId>, Problem> {
    let mut live = job.live_attempts();
    if job.tasks.iter().any(|task| matches!(task.members, Members::Chunked(_))) {
        for chunk in all(service, job.key(), None).await? {
            live.extend(chunk.live_attempts());
        }
        live.sort_unstable();
    }
    Ok(live)
}

/// A row that comes before a chunk changes, from the instance it is about.
pub(super) fn before_chunk(
    attempt: AttemptId,
    first: impl Fn(Option<&Instance>, Option<&Instance>) -> (Key, Wanted) + Send + Sync + 'static,
) -> Box<First> {
    Box::new(move |before, after| first(before.instance(attempt), after.instance(attempt)))
}

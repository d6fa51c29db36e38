//! What is held of a job, and of the parts of its wide tasks, as they are
//! written.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use shared::{
    job::{AttemptId, Chunk, Instance, Job, Recall, Task},
    ops::rows,
    platform::{Index, Key, Wanted},
};

use super::Account;
use crate::{graph, host::Kind, transitions};

impl Account {
    /// A job is written; whether somebody may have begun to run who leads.
    pub(super) fn job(
        &mut self,
        kind: Kind,
        now: Timestamp,
        key: &Key,
        wanted: &Wanted,
    ) -> Result<bool, String> {
        let job: Job =
            serde_json::from_slice(&wanted.body).map_err(|error| format!("{key}: {error}"))?;
        let said = |what| format!("{}: {what}", job.id);
        marks_tell(kind, &job, wanted, !self.jobs.contains_key(key), now)?;
        match self.jobs.get(key) {
            Some(before) => transitions::check(before, &job, now).map_err(said)?,
            None => self.is_new(key, &job)?,
        }
        graph::check(&job).map_err(said)?;
        for attempt in job.live_attempts() {
            self.let_run(attempt, job.instance(attempt));
        }
        for task in job.tasks.iter().filter(|task| task.max_concurrent.is_some()) {
            at_once(task.max_concurrent, task.instances()).map_err(said)?;
        }
        self.owes(&job)?;
        if self.seen.job(self.jobs.get(key), &job) {
            self.passes(now, job.key(), (&job.queue, job.priority))?;
        }
        let caches = job.tasks.iter().any(|task| task.caches);
        self.jobs.insert(key.clone(), job);
        Ok(caches)
    }

    /// A part of a wide task is, likewise.
    pub(super) fn chunk(
        &mut self,
        now: Timestamp,
        key: &Key,
        wanted: &Wanted,
    ) -> Result<bool, String> {
        let chunk: Chunk =
            serde_json::from_slice(&wanted.body).map_err(|error| format!("{key}: {error}"))?;
        let before = self.chunks.get(key).filter(|before| before.run == chunk.run);
        let said = |what| format!("{key}: {what}");
        if let Some(before) = before {
            transitions::check_chunk(before, &chunk, now).map_err(said)?;
        }
        let is_claimed = self.seen.chunk(before, &chunk);
        if is_claimed {
            self.passes(now, chunk.job, (&chunk.queue, chunk.priority))?;
        }
        for attempt in chunk.live_attempts() {
            self.let_run(attempt, chunk.instance(attempt));
        }
        let caches = chunk.caches;
        let job = self.jobs.get(&rows::job(chunk.job));
        let task = job.and_then(|job| job.tasks.get(chunk.task as usize));
        let most = task.and_then(|task| task.max_concurrent);
        let (job, place, run) = (chunk.job, chunk.task, chunk.run);
        self.chunks.insert(key.clone(), chunk);
        let is_part = |part: &&Chunk| (part.job, part.task, part.run) == (job, place, run);
        let parts = self.chunks.values().filter(is_part);
        at_once(most, parts.flat_map(|part| &part.instances)).map_err(said)?;
        Ok(caches)
    }

    fn let_run(&mut self, attempt: AttemptId, instance: Option<&Instance>) {
        let live = instance.and_then(Instance::live);
        if live.is_some_and(|live| live.started_at.is_some()) {
            self.let_run.insert(attempt);
        }
    }

    fn is_new(&mut self, key: &Key, job: &Job) -> Result<(), String> {
        if job.run != 1 || job.deleted_at.is_some() || *key != rows::job(job.key()) {
            return Err(format!("{} is no new job", job.id));
        }
        let Some(name) = &job.name else { return Ok(()) };
        let known = self.names.insert((job.project, name.clone()), job.id);
        known.map_or(Ok(()), |known| Err(format!("{known} and {} are of one token", job.id)))
    }

    /// Of those that run the same one is live at a time, unless one stood in a
    /// queue that was paused.
    pub(super) fn lead_alone(&self) -> Result<(), String> {
        if self.queues.values().flatten().any(|(_, queue)| queue.paused) {
            return Ok(());
        }
        // The key tells projects apart as well.
        let of_jobs = self.jobs.values().flat_map(|job| job.tasks.iter().flat_map(Task::instances));
        let of_chunks = self.chunks.values().flat_map(|chunk| &chunk.instances);
        let mut led = BTreeSet::new();
        match of_jobs.chain(of_chunks).filter_map(leads).find(|key| !led.insert(*key)) {
            Some(key) => Err(format!("two that run the same are live at once: {key}")),
            None => Ok(()),
        }
    }
}

/// What a live instance is known by to its equals.
fn leads(instance: &Instance) -> Option<&str> {
    instance.live()?;
    match &instance.recall {
        Some(Recall::Leads { key }) => key.as_deref(),
        Some(Recall::Awaits { .. }) | None => None,
    }
}

/// No more are live than may be at once.
fn at_once<'a>(
    most: Option<u32>,
    instances: impl IntoIterator<Item = &'a Instance>,
) -> Result<(), String> {
    let Some(most) = most else { return Ok(()) };
    let live = instances.into_iter().filter(|instance| instance.live().is_some()).count();
    if live <= most as usize { Ok(()) } else { Err(format!("{live} are live, and {most} may be")) }
}

/// How old a job is when it is marked as open, where that costs something; and
/// what a write may take that was made up before.
const YOUNG: SignedDuration = SignedDuration::from_mins(5 + 15);

/// Whether the row's marks say what the job calls for: late never, early no
/// more than the table has a use for.
fn marks_tell(
    kind: Kind,
    job: &Job,
    wanted: &Wanted,
    is_new: bool,
    now: Timestamp,
) -> Result<(), String> {
    let marked = wanted.marks.get(&Index::Due).and_then(rows::due_of);
    let slack = SignedDuration::from_mins(1);
    let sound = match (job.due_at(), marked) {
        (None, None) => true,
        (Some(due), Some(mark)) => {
            let latest = if is_new && kind == Kind::Aws { due + slack } else { due };
            let exact = mark.as_millisecond() == latest.as_millisecond();
            mark <= latest && (kind == Kind::Aws || exact)
        }
        (Some(_), None) | (None, Some(_)) => false,
    };
    let waits = wanted.marks.contains_key(&Index::Queue) != job.claims().is_empty();
    // Where a mark costs something, a young job has none.
    let is_young = kind == Kind::Aws && now < job.id.created_at() + YOUNG;
    let (is_open, is_listed) = (job.ending().is_none(), wanted.marks.contains_key(&Index::Open));
    let open = is_open == is_listed || (is_young && !is_listed);
    if sound && waits && open {
        return Ok(());
    }
    Err(format!("{} is marked {:?} and calls for {:?}", job.id, wanted.marks, job.owes()))
}

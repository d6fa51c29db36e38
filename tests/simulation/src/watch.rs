//! Whoever sees to it that all is well, at each write: it is told what is
//! written, believes nothing else, and keeps account of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use shared::{
    job::{
        AttemptId, Callback, Chunk, Instance, Job, JobId, JobKey, ProjectId, Recall, Resources,
        Task,
    },
    ops::{
        queues::Queue,
        rows::{self, QueueKey},
        slots,
    },
    platform::{Index, Key, Message, Op, SetLimit, SetSize, Wanted},
    wire::views::ending_word,
};

use crate::{executor::Sim, host::Kind, seen::Seen, transitions};

/// The longest that a call may be under way.
const A_CALL: SignedDuration = SignedDuration::from_mins(15);

/// The account.
pub struct Watch {
    sim: Arc<Sim>,
    kind: Kind,
    state: Mutex<Account>,
}

#[derive(Default)]
struct Account {
    projects: Vec<ProjectId>,
    jobs: BTreeMap<Key, Job>,
    /// The parts of wide tasks.
    chunks: BTreeMap<Key, Chunk>,
    /// Each name is used by one client, for one job; by one event, for one of a
    /// trigger.
    names: BTreeMap<(ProjectId, String), JobId>,
    /// Jobs that triggers are to make, by their names.
    expected: BTreeSet<(ProjectId, String)>,
    /// The callbacks that were received.
    told: BTreeSet<String>,
    /// Each queue's settings, and since when.
    queues: BTreeMap<QueueKey, Vec<(Timestamp, Queue)>>,
    slots: BTreeMap<QueueKey, BTreeSet<String>>,
    /// Whose user code may run.
    let_run: BTreeSet<AttemptId>,
    /// Whose user code has started, and how it ended.
    ran: BTreeMap<AttemptId, Option<bool>>,
    /// Who is still about, and may ask for more.
    clients: usize,
    seen: Seen,
}

/// What the changes are of, for who reads it.
pub fn named(ops: &[Op]) -> String {
    let name = |op: &Op| match op {
        Op::Put(key, ..) => format!("put {key}"),
        Op::Delete(key, _) => format!("delete {key}"),
        Op::Check(key, _) => format!("check {key}"),
        Op::Join { key, member, .. } => format!("join {key} {member}"),
        Op::Leave { key, member } => format!("leave {key} {member}"),
    };
    ops.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// Whether a job's record is kept there.
pub fn is_job(key: &Key) -> bool {
    let project = key.partition.split_once('#').map(|(project, _)| project);
    project.is_some_and(|text| text.parse::<ProjectId>().is_ok())
        && key.sort.parse::<JobId>().is_ok()
}

fn queue_of(key: &Key) -> Option<QueueKey> {
    let name = key.sort.strip_prefix("queue#")?;
    Some(QueueKey { project: key.partition.parse().ok()?, name: name.parse().ok()? })
}

impl Watch {
    /// Nothing has happened yet.
    pub fn new(sim: Arc<Sim>, kind: Kind) -> Self {
        Watch { sim, kind, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, Account> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another project.
    pub fn project(&self, project: ProjectId) {
        self.state().projects.push(project);
    }

    /// Somebody comes who will ask for things.
    pub fn comes(&self) {
        self.state().clients += 1;
    }

    /// One of them will ask for nothing more.
    pub fn goes(&self) {
        self.state().clients -= 1;
    }

    /// How many are about.
    pub fn clients(&self) -> usize {
        self.state().clients
    }

    /// The same month of another project's jobs, if it is a month of one's.
    pub fn neighbour(&self, partition: &str) -> Option<String> {
        let state = self.state();
        let [one, two] = state.projects[..] else { return None };
        let (one, two) = (one.to_string(), two.to_string());
        let other = |mine: &str, other: &str| {
            let month = partition.strip_prefix(mine)?.strip_prefix('#')?;
            month.parse::<u32>().ok().map(|month| format!("{other}#{month}"))
        };
        other(&one, &two).or_else(|| other(&two, &one))
    }

    /// Every queue from which nothing starts, or not all that may wait in it.
    pub fn held_back(&self) -> Vec<QueueKey> {
        let state = self.state();
        let is_held = |(_, queue): &(Timestamp, Queue)| {
            queue.paused || queue.cpu_millis.is_some() || queue.memory_mib.is_some()
        };
        let held = state.queues.iter().filter(|(_, all)| all.last().is_some_and(is_held));
        held.map(|(key, _)| key.clone()).collect()
    }

    /// Every project.
    pub fn projects(&self) -> Vec<ProjectId> {
        self.state().projects.clone()
    }

    /// The queue that a job waits in.
    pub fn queue_of(&self, job: JobKey) -> Option<QueueKey> {
        self.state().jobs.get(&rows::job(job)).map(QueueKey::of)
    }

    /// Every job there is.
    pub fn jobs(&self) -> Vec<Job> {
        self.state().jobs.values().cloned().collect()
    }

    /// Every part of a wide task there is.
    pub fn chunks(&self) -> Vec<Chunk> {
        self.state().chunks.values().cloned().collect()
    }

    /// A trigger is to make a job of this name, sooner or later.
    pub fn expects(&self, project: ProjectId, name: String) {
        self.state().expected.insert((project, name));
    }

    /// The jobs that triggers were to make, and have not.
    pub fn missing(&self) -> Vec<String> {
        let state = self.state();
        let missing = state.expected.iter().filter(|named| !state.names.contains_key(*named));
        missing.map(|(_, name)| name.clone()).collect()
    }

    /// Somebody is told.
    pub fn told(&self, message: &Message) {
        let checked = self.state().told(message);
        match checked {
            Ok(id) => self.sim.log(|| format!("told {id}")),
            Err(what) => self.sim.violated(what),
        }
    }

    /// Whether a callback was received.
    pub fn was_told(&self, id: &str) -> bool {
        self.state().told.contains(id)
    }

    /// Who has a slot.
    pub fn slots(&self) -> Vec<String> {
        self.state().slots.values().flatten().cloned().collect()
    }

    /// How user code of this attempt ended, if it did.
    pub fn outcome(&self, attempt: AttemptId) -> Option<bool> {
        self.state().ran.get(&attempt).copied().flatten()
    }

    /// Counts what is worth having seen.
    pub fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.state().seen);
    }

    /// What was seen.
    pub fn seen(&self) -> Seen {
        self.state().seen.clone()
    }

    /// The changes have been made, together.
    pub fn committed(&self, now: Timestamp, ops: &[Op]) {
        let checked = self.state().commit(self.kind, now, ops);
        if let Err(what) = checked {
            self.sim.violated(what);
        }
    }

    /// User code starts.
    pub fn user_code_starts(&self, now: Timestamp, attempt: AttemptId) {
        let mut state = self.state();
        state.seen.processes += 1;
        let may = state.let_run.contains(&attempt);
        let before = state.ran.insert(attempt, None);
        drop(state);
        self.sim.log(|| format!("{attempt} user code starts at {now}"));
        if !may {
            self.sim.violated(format!("{attempt} runs user code and was not let run"));
        }
        if before.is_some() {
            self.sim.violated(format!("{attempt} runs user code twice"));
        }
    }

    /// User code has ended, well or not.
    pub fn user_code_ends(&self, attempt: AttemptId, well: bool) {
        self.state().ran.insert(attempt, Some(well));
    }
}

impl Account {
    fn commit(&mut self, kind: Kind, now: Timestamp, ops: &[Op]) -> Result<(), String> {
        let mut left = Vec::new();
        for op in ops {
            match op {
                Op::Put(key, _, wanted) if is_job(key) => self.job(kind, now, key, wanted)?,
                Op::Put(key, _, wanted) if rows::chunk_at(key).is_some() => {
                    self.chunk(now, key, wanted)?;
                }
                Op::Put(key, _, wanted) => {
                    if let Some(queue) = queue_of(key) {
                        let settings = serde_json::from_slice(&wanted.body);
                        let settings = settings.map_err(|error| format!("{key}: {error}"))?;
                        self.queues.entry(queue).or_default().push((now, settings));
                    }
                }
                Op::Delete(key, _) => {
                    self.chunks.remove(key);
                    let gone = self.jobs.remove(key);
                    if gone.is_some_and(|job| job.deleted_at.is_none()) {
                        return Err(format!("{key} is gone, and nobody asked for that"));
                    }
                }
                Op::Check(..) => {}
                Op::Join { key, member, limit } => self.join(now, key, member, *limit)?,
                Op::Leave { key, member } => {
                    let queue = rows::slots_of(key).ok_or_else(|| format!("the set {key}"))?;
                    self.slots.entry(queue).or_default().remove(member);
                    left.push(member);
                }
            }
        }
        // Once all is written: what is live has a slot.
        for op in ops {
            let Op::Put(key, ..) = op else { continue };
            if let Some(job) = self.jobs.get(key) {
                let resources = |live: &AttemptId| job.tasks[live.task as usize].resources;
                let live = job.live_attempts();
                let live = live.iter().map(|live| (*live, resources(live)));
                self.have_slots(&QueueKey::of(job), live)?;
            }
            if let Some(chunk) = self.chunks.get(key) {
                let queue = QueueKey { project: chunk.job.project, name: chunk.queue.clone() };
                let live = chunk.live_attempts().into_iter().map(|live| (live, chunk.resources));
                self.have_slots(&queue, live)?;
            }
        }
        if self.lead_changes(ops) {
            self.lead_alone()?;
        }
        for member in left {
            let attempt = slots::attempt(member).ok_or_else(|| format!("the slot {member}"))?;
            if self.jobs.values().any(|job| job.id == attempt.job && job.is_live(attempt)) {
                return Err(format!("{member} is live, and has given back its slot"));
            }
        }
        Ok(())
    }

    /// Whether somebody may have begun to run who leads.
    fn lead_changes(&self, ops: &[Op]) -> bool {
        ops.iter().any(|op| {
            let key = op.key();
            let job = self.jobs.get(key).is_some_and(|job| job.tasks.iter().any(|t| t.caches));
            job || self.chunks.get(key).is_some_and(|chunk| chunk.caches)
        })
    }

    fn have_slots(
        &self,
        queue: &QueueKey,
        all: impl Iterator<Item = (AttemptId, Resources)>,
    ) -> Result<(), String> {
        let slots = self.slots.get(queue);
        for (live, resources) in all {
            let member = slots::member(live, resources);
            if !slots.is_some_and(|slots| slots.contains(&member)) {
                return Err(format!("{live} is live without a slot"));
            }
        }
        Ok(())
    }

    /// A limit holds if it was that of a queue which was not paused, when
    /// whoever joins may have looked at it.
    fn join(
        &mut self,
        now: Timestamp,
        key: &Key,
        member: &str,
        limit: SetLimit,
    ) -> Result<(), String> {
        let queue = rows::slots_of(key).ok_or_else(|| format!("the set {key}"))?;
        let settings = self.queues.get(&queue).ok_or_else(|| format!("no queue {queue:?}"))?;
        let (known, earlier) = settings.split_last().ok_or("a queue without settings")?;
        let lately = earlier.iter().zip(&settings[1..]).filter(|(_, next)| now < next.0 + A_CALL);
        let mut held = lately.map(|(then, _)| &then.1).chain([&known.1]);
        let is_held = held.any(|queue| queue.slots() == limit && !queue.paused);
        let slots = self.slots.entry(queue).or_default();
        if !slots.insert(member.to_owned()) {
            return Ok(());
        }
        self.seen.fullest = self.seen.fullest.max(slots.len());
        if !is_held {
            return Err(format!("{member} joins by {limit:?}, which is not the queue's"));
        }
        if !SetSize::of(&*slots).is_within(limit) {
            return Err(format!("{} slots are taken, more than {limit:?}", slots.len()));
        }
        Ok(())
    }

    fn job(
        &mut self,
        kind: Kind,
        now: Timestamp,
        key: &Key,
        wanted: &Wanted,
    ) -> Result<(), String> {
        let job: Job =
            serde_json::from_slice(&wanted.body).map_err(|error| format!("{key}: {error}"))?;
        marks_tell(kind, &job, wanted, !self.jobs.contains_key(key), now)?;
        match self.jobs.get(key) {
            Some(before) => {
                transitions::check(before, &job, now)
                    .map_err(|what| format!("{}: {what}", job.id))?;
            }
            None => self.is_new(key, &job)?,
        }
        for attempt in job.live_attempts() {
            let live = job.instance(attempt).and_then(|instance| instance.live());
            if live.is_some_and(|live| live.started_at.is_some()) {
                self.let_run.insert(attempt);
            }
        }
        self.seen.job(self.jobs.get(key), &job);
        self.jobs.insert(key.clone(), job);
        Ok(())
    }

    fn chunk(&mut self, now: Timestamp, key: &Key, wanted: &Wanted) -> Result<(), String> {
        let chunk: Chunk =
            serde_json::from_slice(&wanted.body).map_err(|error| format!("{key}: {error}"))?;
        let before = self.chunks.get(key).filter(|before| before.run == chunk.run);
        if let Some(before) = before {
            transitions::check_chunk(before, &chunk, now)
                .map_err(|what| format!("{key}: {what}"))?;
        }
        for attempt in chunk.live_attempts() {
            let live = chunk.instance(attempt).and_then(|instance| instance.live());
            if live.is_some_and(|live| live.started_at.is_some()) {
                self.let_run.insert(attempt);
            }
        }
        self.seen.chunk(before, &chunk);
        self.chunks.insert(key.clone(), chunk);
        Ok(())
    }

    /// Of those that run the same one is live at a time, unless one stood in a
    /// queue that was paused.
    fn lead_alone(&self) -> Result<(), String> {
        if self.queues.values().flatten().any(|(_, queue)| queue.paused) {
            return Ok(());
        }
        let of_jobs = self.jobs.values().flat_map(|job| job.tasks.iter().flat_map(Task::instances));
        let of_chunks = self.chunks.values().flat_map(|chunk| &chunk.instances);
        let mut led = BTreeSet::new();
        match of_jobs.chain(of_chunks).filter_map(leads).find(|key| !led.insert(*key)) {
            Some(key) => Err(format!("two that run the same are live at once: {key}")),
            None => Ok(()),
        }
    }

    fn told(&mut self, message: &Message) -> Result<String, String> {
        let named = |name: &str| message.headers.iter().find(|(known, _)| *known == name);
        let (_, id) = named("webhook-id").ok_or("a message without an id")?;
        let body: Value = serde_json::from_slice(&message.body).map_err(|e| e.to_string())?;
        let job = body["data"]["id"].as_str().and_then(|id| id.parse::<JobId>().ok());
        let job = self.jobs.values().find(|known| Some(known.id) == job);
        // It may have been removed while the message was on its way.
        let Some(job) = job else { return Ok(id.clone()) };
        let run = body["data"]["run"].as_u64().unwrap_or_default();
        let is_this = run == u64::from(job.run);
        let ended = job.ending().map(|(ending, _)| ending_word(ending));
        let tells_end = body["type"] == "job.finished";
        if tells_end && is_this && Some(body["data"]["state"].as_str().unwrap_or("")) != ended {
            return Err(format!("{id} tells of {}, and it is {ended:?}", body["data"]["state"]));
        }
        if job.callback == Callback::Unwanted || run > u64::from(job.run) {
            return Err(format!("{id} is told, and nobody wants to know"));
        }
        self.seen.told += 1;
        self.told.insert(id.clone());
        Ok(id.clone())
    }

    fn is_new(&mut self, key: &Key, job: &Job) -> Result<(), String> {
        if job.run != 1 || job.deleted_at.is_some() || *key != rows::job(job.key()) {
            return Err(format!("{} is no new job", job.id));
        }
        let Some(name) = &job.name else { return Ok(()) };
        let known = self.names.insert((job.project, name.clone()), job.id);
        known.map_or(Ok(()), |known| Err(format!("{known} and {} are of one token", job.id)))
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

/// How old a job is when it is marked as open, where that costs something.
const YOUNG: SignedDuration = SignedDuration::from_mins(5);

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

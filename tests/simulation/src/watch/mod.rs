//! Whoever sees to it that all is well, at each write: it is told what is
//! written, believes nothing else, and keeps account of its own.

mod jobs;
mod order;
mod slots;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use shared::{
    job::{AttemptId, Chunk, Job, JobId, JobKey, ProjectId},
    ops::{
        queues::Queue,
        rows::{self, QueueKey},
        slots as members,
    },
    platform::{Index, Key, Message, Op},
};

pub use self::told::Owed;
use crate::{executor::Sim, host::Kind, seen::Seen};

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
    /// Triggers that wait for times.
    schedules: BTreeSet<Key>,
    /// All that somebody was to be told.
    owed: BTreeMap<told::Callback, Owed>,
    /// Whether a job said itself that somebody is to be told, or nobody.
    wishes: BTreeMap<JobId, bool>,
    /// Each queue's settings, and since when.
    queues: BTreeMap<QueueKey, Vec<(Timestamp, Queue)>>,
    slots: BTreeMap<QueueKey, BTreeSet<String>>,
    /// What waits in a queue.
    waiting: BTreeMap<Key, order::Waiting>,
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

    /// Every queue from which not all starts that may wait in it.
    pub fn held_back(&self, is_held: impl Fn(&Queue) -> bool) -> Vec<QueueKey> {
        let state = self.state();
        let is_held = |(_, queue): &(Timestamp, Queue)| is_held(queue);
        let held = state.queues.iter().filter(|(_, all)| all.last().is_some_and(is_held));
        held.map(|(key, _)| key.clone()).collect()
    }

    /// The projects that have triggers which wait for times.
    pub fn with_schedules(&self) -> Vec<ProjectId> {
        let state = self.state();
        let due = |project: &ProjectId| {
            let partition = format!("schedules#{project}");
            state.schedules.iter().any(|key| key.partition == partition)
        };
        state.projects.iter().copied().filter(due).collect()
    }

    /// The queue that a job waits in.
    pub fn queue_of(&self, job: JobKey) -> Option<QueueKey> {
        self.state().jobs.get(&rows::job(job)).map(QueueKey::of)
    }

    /// What is to be told of every job there is.
    pub fn jobs<T>(&self, tell: impl FnMut(&Job) -> Option<T>) -> Vec<T> {
        self.state().jobs.values().filter_map(tell).collect()
    }

    /// Every part of a wide task of the job.
    pub fn chunks(&self, job: JobKey) -> Vec<Chunk> {
        let state = self.state();
        state.chunks.values().filter(|chunk| chunk.job == job).cloned().collect()
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

    /// Somebody is to be told of this job, whatever its queue says; or nobody.
    pub fn wishes(&self, job: JobId, is_told: bool) {
        self.state().wishes.insert(job, is_told);
    }

    /// What was said of that.
    pub fn wish(&self, job: JobId) -> Option<bool> {
        self.state().wishes.get(&job).copied()
    }

    /// Somebody is told.
    pub fn told(&self, message: &Message) {
        let checked = self.state().told(message);
        match checked {
            Ok(id) => self.sim.log(|| format!("told {id}")),
            Err(what) => self.sim.violated(what),
        }
    }

    /// All that somebody was to be told of a job.
    pub fn owed(&self, job: JobId) -> Vec<(told::Callback, Owed)> {
        let state = self.state();
        let of_job = state.owed.iter().filter(|((of, _), _)| *of == job);
        of_job.map(|(callback, owed)| (*callback, *owed)).collect()
    }

    /// How many messages were received.
    pub fn received(&self) -> u32 {
        self.state().owed.values().map(|owed| owed.received).sum()
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
        let mut leads = false;
        for op in ops {
            match op {
                Op::Put(key, _, wanted) if is_job(key) => {
                    leads |= self.job(kind, now, key, wanted)?;
                }
                Op::Put(key, _, wanted) if rows::chunk_at(key).is_some() => {
                    leads |= self.chunk(now, key, wanted)?;
                }
                Op::Put(key, ..) if rows::is_schedule(key) => {
                    self.schedules.insert(key.clone());
                }
                Op::Put(key, _, wanted) if key.sort.starts_with("callback#") => {
                    self.noted(key, wanted)?;
                }
                Op::Put(key, _, wanted) => {
                    if let Some(queue) = queue_of(key) {
                        let settings = serde_json::from_slice(&wanted.body);
                        let settings: Queue =
                            settings.map_err(|error| format!("{key}: {error}"))?;
                        self.seen.paused += usize::from(settings.paused);
                        self.queues.entry(queue).or_default().push((now, settings));
                    }
                }
                Op::Delete(key, _) => self.gone(key)?,
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
            if let Op::Put(key, _, wanted) = op {
                self.have_slots(key)?;
                self.waits(now, key, wanted.marks.get(&Index::Queue));
            }
        }
        for member in left {
            let attempt = members::attempt(member).ok_or_else(|| format!("the slot {member}"))?;
            if self.is_live(attempt) {
                return Err(format!("{member} is live, and has given back its slot"));
            }
        }
        if leads { self.lead_alone() } else { Ok(()) }
    }

    fn gone(&mut self, key: &Key) -> Result<(), String> {
        self.chunks.remove(key);
        self.schedules.remove(key);
        self.waiting.remove(key);
        match self.jobs.remove(key) {
            Some(job) if job.deleted_at.is_none() => {
                Err(format!("{key} is gone, and nobody asked for that"))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn is_live(&self, attempt: AttemptId) -> bool {
        let is_of = |job: &&Job| job.id == attempt.job;
        let Some(job) = self.jobs.values().find(is_of) else { return false };
        match job.chunk_of(attempt) {
            None => job.is_live(attempt),
            Some(_) => self.chunks.values().any(|chunk| {
                chunk.job == job.key() && chunk.run == job.run && chunk.is_live(attempt)
            }),
        }
    }
}

//! Whoever sees to it that all is well, at each write: it is told what is
//! written, believes nothing else, and keeps account of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use shared::{
    job::{AttemptId, Job, JobId, JobKey, ProjectId},
    ops::{
        queues::Queue,
        rows::{self, QueueKey},
        slots,
    },
    platform::{Index, Key, Op, SetLimit, SetSize, Wanted},
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
    /// Each name is used by one client, for one job.
    names: BTreeMap<(ProjectId, String), JobId>,
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

    /// Every queue from which nothing starts.
    pub fn paused(&self) -> Vec<QueueKey> {
        let state = self.state();
        let paused = |all: &[(Timestamp, Queue)]| all.last().is_some_and(|(_, queue)| queue.paused);
        let paused = state.queues.iter().filter(|(_, all)| paused(all));
        paused.map(|(key, _)| key.clone()).collect()
    }

    /// The queue that a job waits in.
    pub fn queue_of(&self, job: JobKey) -> Option<QueueKey> {
        self.state().jobs.get(&rows::job(job)).map(QueueKey::of)
    }

    /// Every job there is.
    pub fn jobs(&self) -> Vec<Job> {
        self.state().jobs.values().cloned().collect()
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
                Op::Put(key, _, wanted) => {
                    if let Some(queue) = queue_of(key) {
                        let settings = serde_json::from_slice(&wanted.body);
                        let settings = settings.map_err(|error| format!("{key}: {error}"))?;
                        self.queues.entry(queue).or_default().push((now, settings));
                    }
                }
                Op::Delete(key, _) => {
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
            if let Op::Put(key, ..) = op
                && let Some(job) = self.jobs.get(key)
            {
                self.have_slots(job)?;
            }
        }
        for member in left {
            let attempt = slots::attempt(member).ok_or_else(|| format!("the slot {member}"))?;
            if self.jobs.values().any(|job| job.id == attempt.job && job.is_live(attempt)) {
                return Err(format!("{member} is live, and has given back its slot"));
            }
        }
        Ok(())
    }

    fn have_slots(&self, job: &Job) -> Result<(), String> {
        let slots = self.slots.get(&QueueKey::of(job));
        for live in job.live_attempts() {
            let resources = job.tasks[live.task as usize].resources;
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

    fn is_new(&mut self, key: &Key, job: &Job) -> Result<(), String> {
        if job.run != 1 || job.deleted_at.is_some() || *key != rows::job(job.key()) {
            return Err(format!("{} is no new job", job.id));
        }
        let Some(name) = &job.name else { return Ok(()) };
        let known = self.names.insert((job.project, name.clone()), job.id);
        known.map_or(Ok(()), |known| Err(format!("{known} and {} are of one token", job.id)))
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

//! On a table that writes what is staged step by step, nothing is lost and no
//! limit passed, whoever dies between two steps and however steps of several
//! interleave.

use std::{
    collections::BTreeSet,
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use shared::{
    agent::Report,
    conformance::memory::{MemoryTable, World},
    job::{AttemptKey, Cause, Chunk, Ending, Exit, Job, JobId, Usage},
    ops::{
        attempts, dispatch, duties, jobs,
        queues::{self, QueueChange, Setting},
        rows::{self, QueueKey},
        slots, sweep,
    },
    platform::{
        Clock, Index, Key, Op, Page, Query, Row, SetLimit, SetSize, Staged, Table, TableError,
    },
    wire::Problem,
};

/// Thousandths of a CPU that a container has unless it says.
const CPU_OF_ONE: u32 = 250;

/// Writes step by step, lets others in between, and dies when told to.
pub struct Stepwise {
    table: Arc<MemoryTable>,
    pub queue: QueueKey,
    limit: SetLimit,
    /// How many writes there are until it dies.
    writes_left: AtomicU64,
    dead: AtomicBool,
    /// What decides who is next; 0 where nobody else is.
    dice: AtomicU64,
    /// Rows as they were before they were last written.
    before: Mutex<HashMap<Key, Option<Row>>>,
    /// Whom it was to remind of what, and when.
    pub reminders: Mutex<Vec<(Key, Timestamp)>>,
}

impl Stepwise {
    /// Takes the place of the world's table, the queue's limit being this: by
    /// number, or with an odd seed by what so many containers have together.
    pub async fn under(world: &mut World, limit: u32, seed: u64) -> Arc<Self> {
        let queue =
            QueueKey { project: world.project, name: "default".parse().expect("it is a name") };
        let by_weight = !seed.is_multiple_of(2);
        let cpu = by_weight.then(|| limit * (CPU_OF_ONE + 1) - 1);
        let limit = limit + u32::from(by_weight);
        let change = QueueChange {
            limit: Some(limit),
            cpu_millis: cpu.map(Setting::To),
            ..QueueChange::default()
        };
        queues::put(&world.service, &queue, change).await.unwrap();
        let stepwise = Arc::new(Stepwise {
            table: world.memory.table.clone(),
            queue,
            limit: slots::limit(limit, cpu, None),
            writes_left: AtomicU64::new(u64::MAX),
            dead: AtomicBool::new(false),
            dice: AtomicU64::new(seed),
            before: Mutex::default(),
            reminders: Mutex::default(),
        });
        world.service.platform.table = stepwise.clone();
        stepwise
    }

    /// From now on it lives, for so many writes.
    pub fn live(&self, writes: u64) {
        self.writes_left.store(writes, Relaxed);
        self.dead.store(false, Relaxed);
    }

    fn died(&self) -> TableError {
        self.dead.store(true, Relaxed);
        TableError::Unavailable("it is dead".into())
    }

    /// Lets others go first, or not.
    pub async fn step(&self) -> Result<(), TableError> {
        let dice = self.dice.load(Relaxed);
        if dice != 0 {
            let dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
            self.dice.store(dice, Relaxed);
            for _ in 0..(dice >> 61) {
                tokio::task::yield_now().await;
            }
        }
        if self.dead.load(Relaxed) { Err(self.died()) } else { Ok(()) }
    }

    async fn write(&self, ops: Vec<Op>) -> Result<(), TableError> {
        self.step().await?;
        let left = self.writes_left.load(Relaxed);
        if left == 0 {
            return Err(self.died());
        }
        self.writes_left.store(left - 1, Relaxed);
        let mut before = Vec::new();
        for key in ops.iter().map(Op::key) {
            before.push((key.clone(), self.table.get(key).await?));
        }
        // An attempt's own row, and one slot more, are nothing to hold against
        // each other.
        let adds = |op: &Op| match op {
            Op::Put(key, ..) => key.sort.starts_with("attempt#"),
            Op::Join { .. } | Op::Check(..) => true,
            Op::Delete(..) | Op::Leave { .. } => false,
        };
        let only_adds = ops.iter().all(adds);
        self.table.commit(ops).await?;
        self.before.lock().unwrap().extend(before);
        if !only_adds {
            self.hold().await;
        }
        Ok(())
    }

    /// What is live has a slot, and there are no more than the limit.
    async fn hold(&self) {
        let members = self.table.members(&rows::slots(&self.queue)).await.unwrap();
        assert!(SetSize::of(&members).is_within(self.limit), "{members:?}");
        let held: BTreeSet<_> = members.iter().filter_map(|slot| slots::attempt(slot)).collect();
        assert_eq!(held.len(), members.len());
        for AttemptKey { attempt, .. } in stored_live(&self.table) {
            assert!(held.contains(&attempt), "{attempt} is live without a slot");
        }
    }
}

/// Every job that there is.
fn stored(table: &MemoryTable) -> Vec<Job> {
    let all = table.rows();
    let jobs = all.iter().filter(|row| row.key.sort.parse::<JobId>().is_ok());
    jobs.map(|row| rows::read(row).unwrap()).collect()
}

/// Every attempt that is live, in a job's record or in a chunk.
pub fn stored_live(table: &MemoryTable) -> Vec<AttemptKey> {
    let mut live = Vec::new();
    for job in stored(table) {
        let key = |attempt| AttemptKey { project: job.project, attempt };
        live.extend(job.live_attempts().into_iter().map(key));
    }
    for row in table.rows().iter().filter(|row| rows::chunk_at(&row.key).is_some()) {
        let chunk: Chunk = rows::read(row).unwrap();
        let key = |attempt| AttemptKey { project: chunk.job.project, attempt };
        live.extend(chunk.live_attempts().into_iter().map(key));
    }
    live
}

#[async_trait]
impl Table for Stepwise {
    async fn get(&self, key: &Key) -> Result<Option<Row>, TableError> {
        self.step().await?;
        self.table.get(key).await
    }

    /// As late as can be, unless chance has it otherwise.
    async fn glance(&self, key: &Key) -> Result<Option<Row>, TableError> {
        self.step().await?;
        let before = self.before.lock().unwrap().get(key).cloned();
        match before {
            Some(before) if self.dice.load(Relaxed) >> 62 == 0 => Ok(before),
            _ => self.table.get(key).await,
        }
    }

    async fn query(&self, query: &Query) -> Result<Page, TableError> {
        self.step().await?;
        self.table.query(query).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<(), TableError> {
        self.write(ops).await
    }

    async fn commit_staged(&self, staged: Staged) -> Result<(), TableError> {
        for op in staged.before {
            self.write(vec![op]).await?;
        }
        self.write(staged.ops).await?;
        for op in staged.after {
            self.write(vec![op]).await?;
        }
        Ok(())
    }

    /// As where a move of a mark costs something.
    fn mark_slack(&self) -> SignedDuration {
        SignedDuration::from_mins(1)
    }

    fn reminds_within(&self) -> SignedDuration {
        SignedDuration::from_secs(50)
    }

    async fn remind(&self, key: &Key, at: Timestamp) {
        self.reminders.lock().unwrap().push((key.clone(), at));
    }

    async fn members(&self, key: &Key) -> Result<Vec<String>, TableError> {
        self.step().await?;
        self.table.members(key).await
    }

    async fn changed(
        &self,
        key: &Key,
        seen: Option<u64>,
        patience: Duration,
    ) -> Result<Option<Row>, TableError> {
        self.step().await?;
        self.table.changed(key, seen, patience).await
    }
}

pub fn succeeded(message: &str) -> Report {
    Report {
        exit: Some(Exit::Code(0)),
        cause: None,
        message: Some(message.to_owned()),
        started_at: None,
        ended_at: None,
        usage: Usage::default(),
        archive: None,
        stdout_tail: String::new(),
        stderr_tail: String::new(),
        stdout_bytes: 0,
        stderr_bytes: 0,
    }
}

fn live(world: &World) -> Vec<AttemptKey> {
    stored_live(&world.memory.table)
}

/// What happens within a minute: a sweep, and what agents do of what runs.
pub async fn minute(world: &World) -> Result<(), Problem> {
    tokio::time::sleep(Duration::from_secs(61)).await;
    sweep::sweep(&world.service).await?;
    let running = world.memory.runtime.launched();
    for attempt in live(world) {
        if running.iter().any(|launch| launch.attempt == attempt) {
            attempts::read_plan(&world.service, attempt).await?;
            attempts::report(&world.service, attempt, succeeded("by the agent")).await?;
            world.memory.runtime.exit(attempt, 0, false);
        }
    }
    sweep::sweep(&world.service).await
}

#[tokio::test(start_paused = true)]
async fn jobs_end_and_slots_are_given_back_wherever_it_dies_twice() {
    for first in 0..22 {
        for second in [0, 1, 2, 3, 5, 8, 13] {
            let mut world = World::new().await;
            let table = Stepwise::under(&mut world, 1, 0).await;
            table.live(first);
            let large = "x".repeat(4_000);
            let large = format!(r#"{{"image": "b", "env": {{"LARGE": "{large}"}}}}"#);
            let mut accepted = Vec::new();
            for json in [r#"{"image": "a"}"#, large.as_str()] {
                if let Ok(job) = submit(&world, json).await {
                    accepted.push(job);
                }
            }
            // What was begun is cut short: here, and once more.
            let cut = minute(&world).await;
            table.live(if cut.is_err() { second } else { u64::MAX });
            let cut = minute(&world).await.is_err();
            table.live(u64::MAX);
            // One that was launched may have been lost, and taken its time.
            for _ in 0..6 {
                minute(&world).await.unwrap();
            }
            for job in accepted {
                let ending = world.job(job).await.ending().map(|(ending, _)| ending);
                assert_eq!(ending, Some(Ending::Succeeded), "{first}, {second}, {cut}");
            }
            assert_eq!(queues::live(&world.service, &table.queue).await.unwrap(), [""; 0]);
        }
    }
}

pub async fn submit(world: &World, json: &str) -> Result<JobId, Problem> {
    let (job, tasks) = shared::wire::submit::JobRequest::parse(json.as_bytes())?;
    let submission = job.check(tasks, &world.service.limits)?;
    let bytes = json.as_bytes();
    let accepted =
        shared::ops::submit::submit(&world.service, world.project, submission, bytes, None).await;
    accepted.map(|accepted| accepted.job.id)
}

#[tokio::test(start_paused = true)]
async fn an_ending_that_was_written_and_not_brought_in_stands() {
    let mut world = World::new().await;
    let table = Stepwise::under(&mut world, 1, 0).await;
    let job = world.submit(r#"{"image": "a"}"#).await;
    duties::perform(&world.service, job.key()).await.unwrap();
    let (attempt, _) = world.start(job.id).await;
    // What it left behind is written, and then the service dies.
    table.live(1);
    attempts::report(&world.service, attempt, succeeded("by the agent")).await.unwrap_err();
    table.live(u64::MAX);
    assert!(world.job(job.id).await.is_live(attempt.attempt));

    // Its container is gone without another word.
    world.memory.runtime.exit(attempt, 70, true);
    duties::observe(&world.service, &attempt.into()).await.unwrap();

    let ending = world.job(job.id).await.ending().map(|(ending, _)| ending);
    assert_eq!(ending, Some(Ending::Succeeded));
    let left = attempts::load(&world.service, attempt.attempt).await.unwrap().unwrap();
    assert_eq!(left.message.as_deref(), Some("by the agent"));
    let again = attempts::end_unreported(&world.service, attempt, Cause::AgentLost, None).await;
    again.unwrap();
    assert_eq!(attempts::load(&world.service, attempt.attempt).await.unwrap(), Some(left));
}

#[tokio::test(start_paused = true)]
async fn who_loses_a_race_for_an_attempt_leaves_the_winners_container_alone() {
    for seed in 1..60 {
        let mut world = World::new().await;
        let table = Stepwise::under(&mut world, 1, seed).await;
        let job = world.submit(r#"{"image": "a"}"#).await;
        duties::perform(&world.service, job.key()).await.unwrap();
        let dispatch = || dispatch::dispatch(&world.service, &table.queue);
        let (a, b, c) = tokio::join!(dispatch(), dispatch(), dispatch());
        a.and(b).and(c).unwrap();
        assert_eq!(world.memory.runtime.launched().len(), 1, "with seed {seed}");
        assert_eq!(live(&world).len(), 1, "with seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_in_whatever_order_claims_sweeps_and_endings_come() {
    for seed in 1..200 {
        let mut world = World::new().await;
        let table = Stepwise::under(&mut world, 2, seed).await;
        let mut submitted = Vec::new();
        for json in [
            r#"{"image": "a", "instances": 3, "max_concurrent": 1}"#,
            r#"{"image": "b", "instances": 2}"#,
            r#"{"image": "c"}"#,
        ] {
            let job = world.submit(json).await;
            duties::perform(&world.service, job.key()).await.unwrap();
            submitted.push(job.key());
        }
        let dispatching = async || {
            for _ in 0..8 {
                dispatch::dispatch(&world.service, &table.queue).await.unwrap();
            }
        };
        let sweeping = async {
            for _ in 0..8 {
                sweep::queues(&world.service, None).await.unwrap();
            }
        };
        let ending = async || {
            for _ in 0..12 {
                for attempt in live(&world) {
                    let report = succeeded("by the agent");
                    attempts::report(&world.service, attempt, report).await.unwrap();
                }
                table.step().await.unwrap();
            }
        };
        let cancelling = async {
            for _ in 0..seed % 30 {
                tokio::task::yield_now().await;
            }
            jobs::cancel(&world.service, submitted[1]).await.unwrap();
        };
        tokio::join!(dispatching(), dispatching(), sweeping, ending(), ending(), cancelling);
        for _ in 0..8 {
            minute(&world).await.unwrap();
        }
        let jobs = stored(&world.memory.table);
        assert!(jobs.iter().all(|job| job.ending().is_some()), "with seed {seed}");
        assert_eq!(queues::live(&world.service, &table.queue).await.unwrap(), [""; 0]);
    }
}

/// The job's row, and when a sweep is to look at it.
async fn marked(world: &World, job: &Job) -> (Row, Timestamp) {
    let row = world.memory.table.get(&rows::job(job.key())).await.unwrap().unwrap();
    let at = rows::due_of(&row.marks[&Index::Due]).unwrap();
    (row, at)
}

#[tokio::test(start_paused = true)]
async fn a_mark_stays_while_a_job_starts_and_is_never_late() {
    let mut world = World::new().await;
    let table = Stepwise::under(&mut world, 1, 0).await;
    let job = world.submit(r#"{"image": "a"}"#).await;
    let (_, first) = marked(&world, &job).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    duties::perform(&world.service, job.key()).await.unwrap();
    dispatch::dispatch(&world.service, &table.queue).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let attempt = live(&world)[0];
    attempts::read_plan(&world.service, attempt).await.unwrap();
    let (row, mark) = marked(&world, &job).await;
    let running: Job = rows::read(&row).unwrap();
    assert_eq!((row.version, mark), (3, first));
    assert!(mark <= running.due_at().unwrap());

    jobs::cancel(&world.service, job.key()).await.unwrap();
    let (_, mark) = marked(&world, &job).await;
    assert!(mark <= world.memory.clock.now(), "a stop is due now, and has to say so");
    attempts::report(&world.service, attempt, succeeded("by the agent")).await.unwrap();
    let (row, mark) = marked(&world, &job).await;
    let over: Job = rows::read(&row).unwrap();
    assert_eq!(mark.as_millisecond(), over.due_at().unwrap().as_millisecond());
}

#[tokio::test(start_paused = true)]
async fn a_sweep_comes_to_a_waiting_job_in_vain_but_once() {
    let mut world = World::new().await;
    Stepwise::under(&mut world, 0, 0).await;
    let job = world.submit(r#"{"image": "a"}"#).await;
    duties::perform(&world.service, job.key()).await.unwrap();
    let (row, mark) = marked(&world, &job).await;
    let waiting: Job = rows::read(&row).unwrap();
    assert!(mark < waiting.due_at().unwrap());
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(61)).await;
        world.settle().await;
        let (later, mark) = marked(&world, &job).await;
        assert_eq!(mark.as_millisecond(), waiting.due_at().unwrap().as_millisecond());
        assert_eq!((later.version, later.body), (row.version + 1, row.body.clone()));
    }
    // Its deadline is kept all the same.
    tokio::time::sleep(Duration::from_hours(7 * 24)).await;
    world.settle().await;
    let ending = world.job(job.id).await.ending().map(|(ending, _)| ending);
    assert_eq!(ending, Some(Ending::Failed));
}

//! What a job costs: every call of the table and the bucket, by step.
//!
//! A job of one task goes its way through the ops as the functions call them.
//! After each step its changes of the table are reacted to as the table's
//! stream would have it, batch by batch.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use shared::{
    agent::{ArchiveInfo, Plan, Report},
    auth::Keyring,
    aws::{
        config::Aws,
        meter::{Meter, Reading},
        table::DynamoTable,
    },
    conformance::memory::MemoryRuntime,
    job::{AttemptKey, Exit, ImageReference, JobKey, ProjectId, ResolvedImage, Resources, Usage},
    ops::{
        attempts, chunks, dispatch, duties, jobs, keys, projects, rows, submit,
        sweep::{self, Wake},
    },
    platform::{
        Admission, Expect, Index, Key, Known, Launch, Launched, Mark, NoOutbox, ObjectKey, Objects,
        Op, Page, Platform, Put, Query, RegistryCredentials, ResolveError, Row, Runtime,
        RuntimeError, Sighting, Staged, Table, TableError, one_chunk,
    },
    service::{Config, Limits, Service},
    wire::submit::JobRequest,
};

use super::world;

/// What AWS takes for a million, in dollars: us-east-1, on demand, 2025.
const WRITE_UNITS: f64 = 0.625;
const READ_UNITS: f64 = 0.125;
const INVOCATIONS: f64 = 0.20;
const PUTS: f64 = 5.0;
const GETS: f64 = 0.40;

const JOB: &str = r#"{
    "name": "resize",
    "image": "registry.example.com/team/resize:1.4",
    "command": ["--width", "640", "/in/picture.png", "/tmp/out.png"],
    "env": {"LEVEL": "info"},
    "outputs": ["/tmp/out.png"],
    "resources": {"cpu": 0.25, "memory_mib": 512}
}"#;

/// The table, which notes what its stream would tell of.
struct Streamed {
    table: DynamoTable,
    changes: Mutex<Vec<Change>>,
}

struct Change {
    key: Key,
    marks: BTreeMap<Index, Mark>,
    calls: bool,
}

impl Change {
    /// A set in which nobody was refused calls for nothing.
    fn of(op: &Op, now: Timestamp) -> Option<Change> {
        let Op::Put(key, expect, wanted) = op else { return None };
        let marks = wanted.marks.clone();
        let is_due = |mark: &Mark| *expect == Expect::Absent || mark.sort <= rows::due_sort(now);
        let calls = marks.get(&Index::Due).is_some_and(is_due);
        Some(Change { key: key.clone(), marks, calls })
    }

    /// Whether the stream's filter lets it pass.
    fn invokes(&self) -> bool {
        self.calls || self.marks.contains_key(&Index::Queue) || self.key.sort.starts_with("queue#")
    }
}

impl Streamed {
    fn note(&self, ops: &[Op]) {
        let now = world::clock().now();
        self.changes().extend(ops.iter().filter_map(|op| Change::of(op, now)));
    }

    fn changes(&self) -> MutexGuard<'_, Vec<Change>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Table for Streamed {
    async fn get(&self, key: &Key) -> Result<Option<Row>, TableError> {
        self.table.get(key).await
    }

    async fn glance(&self, key: &Key) -> Result<Option<Row>, TableError> {
        self.table.glance(key).await
    }

    async fn query(&self, query: &Query) -> Result<Page, TableError> {
        self.table.query(query).await
    }

    async fn count(&self, query: &Query, most: usize) -> Result<usize, TableError> {
        self.table.count(query, most).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<(), TableError> {
        self.table.commit(ops.clone()).await?;
        self.note(&ops);
        Ok(())
    }

    fn mark_slack(&self) -> SignedDuration {
        self.table.mark_slack()
    }

    async fn commit_staged(&self, staged: Staged) -> Result<(), TableError> {
        self.table.commit_staged(staged.clone()).await?;
        self.note(&Vec::from(staged));
        Ok(())
    }

    async fn members(&self, key: &Key) -> Result<Vec<String>, TableError> {
        self.table.members(key).await
    }

    async fn changed(
        &self,
        key: &Key,
        seen: Option<u64>,
        patience: Duration,
    ) -> Result<Option<Row>, TableError> {
        self.table.changed(key, seen, patience).await
    }
}

/// Runs nothing, and has a name of its own for each container, as ECS has.
struct Tasks(MemoryRuntime);

#[async_trait]
impl Runtime for Tasks {
    async fn resolve(
        &self,
        project: ProjectId,
        image: &ImageReference,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError> {
        self.0.resolve(project, image, credentials).await
    }

    async fn admit(&self, attempt: AttemptKey, resources: Resources) -> Admission {
        self.0.admit(attempt, resources).await
    }

    async fn launch(&self, launch: &Launch) -> Result<Launched, RuntimeError> {
        self.0.launch(launch).await?;
        let task =
            "arn:aws:ecs:us-east-1:123456789012:task/tarpon/0f9de17a6465404e8b1b2356dc13c2f8";
        Ok(Launched { handle: Some(task.to_owned()) })
    }

    async fn stop(&self, attempt: AttemptKey, kill: bool) -> Result<(), RuntimeError> {
        self.0.stop(attempt, kill).await
    }

    async fn inspect(&self, attempts: &[Known]) -> Result<Vec<Sighting>, RuntimeError> {
        self.0.inspect(attempts).await
    }

    async fn list(&self) -> Result<Vec<AttemptKey>, RuntimeError> {
        self.0.list().await
    }

    async fn forget(&self, attempt: AttemptKey) -> Result<(), RuntimeError> {
        self.0.forget(attempt).await
    }
}

/// A service on a metered table and bucket, and the bill so far.
struct Metered {
    service: Service,
    table: Arc<Streamed>,
    objects: Arc<dyn Objects>,
    meter: Meter,
    bill: Bill,
}

impl Metered {
    async fn new(aws: &Aws, meter: Meter) -> Self {
        let table =
            Arc::new(Streamed { table: world::table(aws).await, changes: Mutex::default() });
        let objects: Arc<dyn Objects> = Arc::new(world::objects(aws).await);
        let platform = Platform {
            table: table.clone(),
            objects: objects.clone(),
            runtime: Arc::new(Tasks(MemoryRuntime::new())),
            outbox: Arc::new(NoOutbox("nobody is told")),
            clock: world::clock(),
        };
        let config = Config {
            public_url: "https://tarpon.example".into(),
            longest_wait_seconds: 26,
            pic_process_image: "tarpon/pic-process".into(),
            message_queues: Vec::new(),
            prices: None,
        };
        let service = Service {
            platform,
            keyring: Keyring::new(&[7; 32]),
            limits: Limits::default(),
            config,
            backlog: Arc::default(),
            queues: Arc::default(),
            turns: Arc::default(),
        };
        Metered { service, table, objects, meter, bill: Bill::default() }
    }

    /// Writes what was called since onto the bill.
    fn charge(&mut self, step: &'static str, invocations: u32) {
        self.bill.charge(step, invocations, &self.meter.take());
    }

    /// Reacts to the changes, and to what changes by that.
    async fn react(&mut self) {
        loop {
            let changes = std::mem::take(&mut *self.table.changes());
            if !changes.iter().any(Change::invokes) {
                return;
            }
            let mut known = HashSet::new();
            let wakes = changes
                .iter()
                .filter(|change| change.invokes())
                .flat_map(|change| sweep::wakes(&change.key, &change.marks, change.calls));
            let wakes: Vec<Wake> = wakes.filter(|wake| known.insert(wake.clone())).collect();
            for wake in &wakes {
                match wake {
                    Wake::Job(key) => duties::perform(&self.service, *key).await.unwrap(),
                    Wake::Chunk(key) => chunks::perform(&self.service, *key).await.unwrap(),
                    Wake::Queue(key) => dispatch::dispatch(&self.service, key).await.unwrap(),
                    Wake::Due => panic!("no change says that"),
                }
            }
            self.charge(if wakes.is_empty() { "  nothing to do" } else { "  dispatch-jobs" }, 1);
        }
    }

    async fn submit(&mut self, project: ProjectId) -> JobKey {
        let (job, tasks) = JobRequest::parse(JOB.as_bytes()).unwrap();
        let submission = job.check(tasks, &self.service.limits).unwrap();
        let bytes = JOB.as_bytes();
        let accepted = submit::submit(&self.service, project, submission, bytes, None).await;
        accepted.unwrap().job.key()
    }

    /// The agent's archive, put where its plan says.
    async fn upload(&self, attempt: AttemptKey, plan: &Plan) -> ArchiveInfo {
        assert!(plan.upload.is_some());
        let body = one_chunk(world::noise(9_000));
        let put = Put { if_absent: true, length: Some(9_000), content_type: None };
        let info = self.objects.put(&ObjectKey::archive(attempt), body, put).await.unwrap();
        ArchiveInfo {
            bytes: info.size,
            sha256: Some("5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef".into()),
            manifest_sha256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
                .into(),
            etag: info.etag,
            members: 4,
        }
    }

    fn report(&self, archive: ArchiveInfo) -> Report {
        let now = self.service.platform.clock.now();
        Report {
            exit: Some(Exit::Code(0)),
            cause: None,
            message: None,
            started_at: Some(now),
            ended_at: Some(now),
            usage: Usage {
                wall_ms: 1_512,
                cpu_ms: 1_203,
                peak_memory_bytes: 91_234_304,
                ..Usage::default()
            },
            archive: Some(archive),
            stdout_tail: data_encoding::BASE64.encode(b"resized picture.png to 640 x 480\n"),
            stderr_tail: String::new(),
            stdout_bytes: 33,
            stderr_bytes: 0,
        }
    }
}

/// What was charged.
#[derive(Default)]
struct Bill {
    lines: String,
    total: Sum,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Sum {
    writes: f64,
    reads: f64,
    puts: u32,
    gets: u32,
    invocations: u32,
}

impl Bill {
    fn charge(&mut self, step: &str, invocations: u32, readings: &[Reading]) {
        self.total.invocations += invocations;
        let mut step = step;
        if readings.is_empty() {
            writeln!(self.lines, "{step:16}").unwrap();
        }
        // What was only signed was not sent.
        let sent = readings.iter().filter(|reading| reading.done || reading.service != "S3");
        for Reading { operation, table_units, index_units, requests, done, .. } in sent {
            let units = table_units + index_units;
            let kind = match operation.as_str() {
                "UpdateItem" | "DeleteItem" | "TransactWriteItems" => {
                    self.total.writes += units;
                    format!("writes {table_units} + {index_units}")
                }
                // The stand-in does not say what this took: one small item.
                "BatchGetItem" => {
                    self.total.reads += 1.0;
                    "reads 1".to_owned()
                }
                "GetItem" | "Query" => {
                    self.total.reads += units;
                    format!("reads {units}")
                }
                "PutObject" => {
                    self.total.puts += 1;
                    "S3".to_owned()
                }
                _ => {
                    self.total.gets += 1;
                    "S3".to_owned()
                }
            };
            let again = if *done && *requests == 1 { "" } else { "  (again, or refused)" };
            writeln!(self.lines, "{step:16} {operation:19} {kind}{again}").unwrap();
            step = "";
        }
    }
}

impl std::fmt::Display for Bill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Sum { writes, reads, puts, gets, invocations } = self.total;
        let dollars = writes * WRITE_UNITS
            + reads * READ_UNITS
            + f64::from(puts) * PUTS
            + f64::from(gets) * GETS
            + f64::from(invocations) * INVOCATIONS;
        writeln!(f, "{}", self.lines)?;
        writeln!(
            f,
            "write units {writes}, read units {reads}, S3 PUTs {puts}, other S3 calls {gets},"
        )?;
        write!(f, "invocations {invocations}: a million such jobs take {dollars:.2} dollars,")?;
        write!(f, " the functions' time and Fargate apart")
    }
}

#[tokio::test]
async fn a_small_job_costs_what_is_written_here() {
    let meter = Meter::default();
    let mut metered = Metered::new(&world::aws().metered(&meter), meter).await;
    let projects::NewProject { project, key, .. } =
        projects::create(&metered.service, "project").await.unwrap();
    // What a process looks up once and then knows for a while is of no job's bill.
    metered.submit(project.id).await;
    metered.table.changes().clear();
    metered.meter.take();

    let service = metered.service.clone();
    keys::load(&service, key).await.unwrap();
    let job = metered.submit(project.id).await;
    metered.charge("submit-job", 1);
    metered.react().await;

    let live = jobs::load(&service, job).await.unwrap().live_attempts();
    metered.meter.take();
    let [attempt] = live[..] else { panic!("the job has not started:\n{}", metered.bill) };
    let attempt = AttemptKey { project: project.id, attempt };
    let plan = attempts::read_plan(&service, attempt).await.unwrap();
    metered.charge("read-plan", 1);
    metered.react().await;
    let archive = metered.upload(attempt, &plan).await;
    metered.charge("  the archive", 0);
    attempts::report(&service, attempt, metered.report(archive)).await.unwrap();
    metered.charge("report-attempt", 1);
    metered.react().await;
    // Of a container that ends after its agent has reported, nobody is told.
    keys::load(&service, key).await.unwrap();
    let ended = jobs::load(&service, job).await.unwrap();
    jobs::view(&service, &ended).await.unwrap();
    metered.charge("get-job", 1);

    assert!(ended.ending().is_some(), "{}", metered.bill);
    println!("{}", metered.bill);
    let expected = Sum { writes: 11.0, reads: 6.0, puts: 1, gets: 1, invocations: 5 };
    assert_eq!(metered.bill.total, expected, "\n{}", metered.bill);
}

//! All functions, and what is around them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Answer, Client, Credentials, Memory, Spec, is_over, send, until, workspace};
use tests_ecs::{Endpoint, Events, Faults, Options};
use tokio::net::TcpListener;

use crate::{
    STACK, api,
    aws::{Aws, Stream},
    call::HERE,
    program::{Failed, Program, now},
    rights::Names,
    template,
    wire::{Places, Weather, Wire},
};

/// What the cluster is called.
const CLUSTER: &str = "tests";

/// How long a job is left alone before the sweep looks after it, and how long
/// from one sweep to the next: a minute elsewhere.
const SWEEP: Duration = Duration::from_secs(3);

/// How long a job may take: what is left undone is found a minute later, and
/// that may happen more than once.
const PATIENCE: Duration = Duration::from_mins(4);

/// How often a batch of the stream is brought to a function that dies over it.
const TRIES: u32 = 3;

pub(crate) type Programs = Arc<BTreeMap<String, Program>>;

/// How things are around the functions.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The folder of the functions' programs.
    pub programs: PathBuf,
    /// What every function's way to AWS is like.
    pub weather: Weather,
    /// Whether the table's stream tells of changes.
    pub stream: bool,
    /// What goes wrong with tasks and their events.
    pub faults: Faults,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            programs: workspace().join("target/debug"),
            weather: Weather::default(),
            stream: true,
            faults: Faults::default(),
        }
    }
}

/// All functions, each as a process, for one test.
pub struct Installation {
    /// A client of the first project.
    pub client: Client,
    /// Where tasks run.
    pub ecs: Endpoint,
    programs: Programs,
    names: Names,
    /// The probe's image.
    pub image: String,
    /// The URLs of the dialects, by their functions' names.
    pub urls: BTreeMap<&'static str, String>,
    logs: tempfile::TempDir,
}

impl Installation {
    /// Sets everything up.
    ///
    /// # Panics
    ///
    /// If there is nothing to set it up on: `make test-aws` starts that.
    pub async fn start(setup: Setup) -> Self {
        let aws = Aws::at(told("TARPON_TEST_AWS"));
        let name = format!("killed-{}", now().as_nanosecond());
        let stream = aws.table(&name).await;
        aws.bucket(&name).await;
        let key = "0123456789abcdef".repeat(4);
        let master_key = aws.secret(&format!("{name}/master-key"), &key).await;
        let gateway = listen().await;
        let service = address(&gateway);
        let bus = listen().await;
        let events = Some(Events::to(address(&bus), None));
        let ecs = Endpoint::start(Options { events, ..Options::default() }).await;
        let ecs = ecs.expect("tasks need a container engine");
        ecs.set_faults(setup.faults);

        let role = "arn:aws:iam::000000000000:role/execution";
        let names = Names::new(&name, &name, CLUSTER, &master_key, role);
        let variables = variables(&name, &master_key, &service, role);
        let strip = |url: &str| url.trim_start_matches("http://").to_owned();
        let places = Places { aws: strip(&aws.url), ecs: strip(&ecs.url()) };
        let logs = tempfile::tempdir().expect("a folder can be made");
        let mut programs = BTreeMap::new();
        for (_, name) in template::functions() {
            let wire = Wire::open(places.clone(), setup.weather).await;
            let wire = wire.expect("there is a port");
            let program = Program::new(
                name,
                built(&setup.programs, name),
                variables.clone(),
                wire,
                logs.path(),
            );
            programs.insert(name.to_owned(), program);
        }
        let programs = Arc::new(programs);
        api::serve(gateway, Arc::clone(&programs));
        let mut urls = BTreeMap::new();
        for (_, name) in template::functions() {
            if name.starts_with("dialect-") {
                let listener = listen().await;
                urls.insert(name, address(&listener));
                api::serve_url(listener, Arc::clone(&programs), name);
            }
        }
        serve_bus(bus, Arc::clone(&programs));
        if setup.stream {
            tokio::spawn(pump(aws, stream, Arc::clone(&programs)));
        }
        let made = until("the first project", async || {
            programs["create-project"].invoke(json!({ "name": "first" })).await.ok()
        });
        let client = Client::new(&service, Credentials::read(&made.await));
        let image = told("TARPON_TEST_PROBE");
        Installation { client, ecs, programs, names, image, urls, logs }
    }

    /// A job that makes the probe take these steps: words told apart by blanks.
    pub fn probe(&self, steps: &str) -> Spec {
        Spec::new(&self.image, steps.split_whitespace())
    }

    /// Has a function die once it has made so many changes from now on.
    pub fn kill(&self, function: &str, changes: u32) {
        self.programs[function].wire.set_trap(changes);
    }

    /// Whether it is still to die.
    pub fn is_doomed(&self, function: &str) -> bool {
        self.programs[function].wire.is_set()
    }

    /// Invokes a function with an event.
    pub async fn invoke(&self, function: &str, event: Value) -> Result<Value, Failed> {
        self.programs[function].invoke(event).await
    }

    /// How long a function takes from its start to its first question for an
    /// invocation.
    pub async fn cold_start(&self, function: &str) -> Duration {
        self.programs[function].cold_start().await
    }

    /// What a function's process holds; `None` if it has none.
    pub async fn memory(&self, function: &str) -> Option<Memory> {
        self.programs[function].memory().await
    }

    /// What a minute's schedule does.
    pub async fn sweep(&self) {
        // What it did not do, the next one does.
        let _ = self.invoke("sweep-jobs", json!({ "detail-type": "Scheduled Event" })).await;
    }

    /// Submits a job as a client does that does not give up.
    pub async fn submit(&self, job: Spec) -> String {
        let token = format!("token-{}", now().as_nanosecond());
        let body = Value::from(job);
        let answer = self.asked(202, || {
            let request = self.client.request(Method::POST, "/v1/jobs").json(&body);
            request.header("idempotency-key", &token)
        });
        let answer = answer.await.json();
        answer["id"].as_str().expect("a job has an id").to_owned()
    }

    /// What is at `path`, asked for until it is told.
    pub async fn get(&self, path: &str) -> Value {
        self.asked(200, || self.client.request(Method::GET, path)).await.json()
    }

    /// Asks until there is an answer that is no failure of ours.
    async fn asked(&self, status: u16, make: impl Fn() -> reqwest::RequestBuilder) -> Answer {
        let answer = until("an answer", async || {
            let answer = send(make()).await;
            (answer.status < 500).then_some(answer)
        });
        answer.await.expect(status)
    }

    /// The job once it is over, and nothing is owed any more.
    ///
    /// # Panics
    ///
    /// If it does not come to that.
    pub async fn finish(&self, job: &str) -> Value {
        let (start, mut swept) = (Instant::now(), Instant::now());
        loop {
            let view = self.get(&format!("/v1/jobs/{job}")).await;
            if is_over(&view) && self.is_settled().await {
                return view;
            }
            if swept.elapsed() > SWEEP {
                self.sweep().await;
                swept = Instant::now();
            }
            assert!(start.elapsed() < PATIENCE, "not settled: {view:#}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Whether no slot is held and no task runs.
    async fn is_settled(&self) -> bool {
        let queues = self.get("/v1/queues").await;
        let queues = queues["queues"].as_array().expect("queues are listed");
        self.ecs.is_idle() && queues.iter().all(|queue| queue["running"] == 0)
    }

    /// What the functions have asked for without a right to it, and what they
    /// have asked for that nobody here knows; for each function the number of
    /// its calls.
    pub fn rights(&self) -> (Vec<String>, BTreeMap<&'static str, usize>) {
        let mut wrong = Vec::new();
        let mut counts = BTreeMap::new();
        for (id, name) in template::functions() {
            let wire = &self.programs[name].wire;
            let calls = wire.noted();
            wrong.extend(self.names.refused(id, &calls));
            wrong.extend(wire.strange().into_iter().map(|call| format!("{id}: {call}")));
            counts.insert(name, calls.len());
        }
        wrong.sort();
        wrong.dedup();
        (wrong, counts)
    }

    /// The end of what the functions have logged.
    pub fn log(&self) -> String {
        let files = std::fs::read_dir(self.logs.path()).into_iter().flatten();
        let mut text = String::new();
        for file in files.filter_map(Result::ok) {
            let log = std::fs::read_to_string(file.path()).unwrap_or_default();
            text.push_str("--- ");
            text.push_str(&file.file_name().to_string_lossy());
            let lines: Vec<_> = log.lines().filter(|line| !line.contains("_aws")).collect();
            for line in &lines[lines.len().saturating_sub(20)..] {
                text.push('\n');
                text.push_str(line);
            }
            text.push('\n');
        }
        text
    }
}

fn built(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    assert!(path.exists(), "{} is not there: `make test-aws` builds it", path.display());
    path
}

/// As the template sets them.
fn variables(name: &str, master_key: &str, service: &str, role: &str) -> BTreeMap<String, String> {
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
    let agent = told("TARPON_TEST_AGENT");
    let mut variables: BTreeMap<String, String> = [
        ("TARPON_STACK", STACK),
        ("TARPON_TABLE", name),
        ("TARPON_BUCKET", name),
        ("TARPON_MASTER_KEY_SECRET", master_key),
        ("TARPON_PUBLIC_URL", service),
        ("TARPON_LOG", "info"),
        ("TARPON_CLUSTER", CLUSTER),
        ("TARPON_AGENT_IMAGE", &agent),
        ("TARPON_EXECUTION_ROLE", role),
        ("TARPON_SUBNETS", "subnet-1,subnet-2"),
        ("TARPON_SECURITY_GROUP", "sg-1"),
        ("TARPON_PUBLIC_IP", "ENABLED"),
        ("TARPON_ARCHITECTURE", architecture),
        ("TARPON_SPOT", "false"),
        ("TARPON_TASK_LOGS", "/tarpon/tests/tasks"),
        ("TARPON_ALLOW_REGISTRY_AT", "127.0.0.0/8"),
        ("TARPON_ALLOW_CALLBACK_TO", "127.0.0.0/8"),
        ("TARPON_PULL_SECRETS", "tests/pull"),
        ("TARPON_SERVICE", service),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
        variables.insert(name.to_owned(), told(name));
    }
    variables
}

fn told(name: &str) -> String {
    let value = std::env::var_os(name).and_then(|value| value.into_string().ok());
    value.unwrap_or_else(|| panic!("no {name}: `make test-aws` sets it"))
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("there is a port")
}

fn address(listener: &TcpListener) -> String {
    format!("http://{}", listener.local_addr().expect("it listens"))
}

/// Brings the stream's changes to whom they are for, a batch at a time; one
/// that a function dies over, a few times.
async fn pump(aws: Aws, mut stream: Stream, programs: Programs) {
    loop {
        let changes = aws.changes(&mut stream).await;
        if changes.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        for _ in 0..TRIES {
            let event = json!({ "Records": changes });
            if programs["dispatch-jobs"].invoke(event).await.is_ok() {
                break;
            }
        }
    }
}

/// Takes what the ECS tells, and hands on what the rule lets pass: once, so
/// that what a function dies over is lost.
fn serve_bus(listener: TcpListener, programs: Programs) {
    let routes = Router::new().route("/", post(put_events)).with_state(programs);
    tokio::spawn(async move { axum::serve(listener, routes).await });
}

async fn put_events(State(programs): State<Programs>, body: Bytes) -> String {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    for entry in body["Entries"].as_array().into_iter().flatten() {
        let detail = entry["Detail"].as_str().unwrap_or_default();
        let event = json!({
            "version": "0",
            "id": now().as_nanosecond().to_string(),
            "source": entry["Source"],
            "detail-type": entry["DetailType"],
            "resources": entry["Resources"],
            "detail": serde_json::from_str::<Value>(detail).unwrap_or_default(),
        });
        if template::tells_of_stopped(&event, &format!("arn:aws:ecs:{HERE}:cluster/{CLUSTER}")) {
            let programs = Arc::clone(&programs);
            tokio::spawn(async move { programs["observe-attempt"].invoke(event).await });
        }
    }
    json!({ "FailedEntryCount": 0, "Entries": [] }).to_string()
}

//! One function: its program as a process, and Lambda's runtime API, by which
//! the process is given one invocation after the other.

use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io,
    path::{Path, PathBuf},
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path as Named, State},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use data_encoding::BASE64;
use jiff::Timestamp;
use serde_json::Value;
use tests::Memory;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{Mutex, mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::wire::Wire;

/// How long an invocation may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// The header by which a function says that its answer is streamed.
const MODE: &str = "lambda-runtime-function-response-mode";

/// What is between the status and headers of a streamed answer and its bytes.
const PRELUDE_END: [u8; 8] = [0; 8];

/// How an invocation went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// The process is gone.
    Died,
    /// The function says so.
    Said(String),
}

/// A function.
pub struct Program {
    /// Its way to AWS.
    pub wire: Wire,
    path: PathBuf,
    name: String,
    variables: BTreeMap<String, String>,
    log: PathBuf,
    process: Mutex<Option<Process>>,
}

/// An event, and who waits for what comes of it.
type Invocation = (Value, oneshot::Sender<Result<Value, Failed>>);

struct Process {
    child: Child,
    spawned: Instant,
    /// When it asked for an invocation for the first time.
    asked: watch::Receiver<Option<Instant>>,
    invocations: mpsc::Sender<Invocation>,
    api: JoinHandle<()>,
}

impl Program {
    /// The program at `path`, with these variables, its log in this folder.
    pub fn new(
        name: &str,
        path: PathBuf,
        variables: BTreeMap<String, String>,
        wire: Wire,
        logs: &Path,
    ) -> Self {
        let log = logs.join(format!("{name}.log"));
        Program { wire, path, name: name.to_owned(), variables, log, process: Mutex::default() }
    }

    /// Invokes it. Whoever dies over it is started anew at the next invocation.
    pub async fn invoke(&self, event: Value) -> Result<Value, Failed> {
        let mut held = self.process.lock().await;
        if held.is_none() {
            *held = Some(self.start().await.expect("the function's program can be started"));
        }
        let process = held.as_mut().expect("it has just been started");
        let (answer, mut answered) = oneshot::channel();
        // One that is gone does not take it.
        let _ = process.invocations.send((event, answer)).await;
        let outcome = tokio::select! {
            outcome = &mut answered => outcome.unwrap_or(Err(Failed::Died)),
            _ = process.child.wait() => Err(Failed::Died),
            () = self.wire.doomed() => Err(Failed::Died),
            () = tokio::time::sleep(PATIENCE) => panic!("{} does not end", self.name),
        };
        if outcome == Err(Failed::Died)
            && let Some(process) = held.take()
        {
            process.end().await;
        }
        outcome
    }

    /// Starts it anew, and tells how long that takes: to its first question for
    /// an invocation.
    pub async fn cold_start(&self) -> Duration {
        let mut held = self.process.lock().await;
        if let Some(old) = held.take() {
            old.end().await;
        }
        let process = self.start().await.expect("the function's program can be started");
        let Process { spawned, asked, .. } = held.insert(process);
        let asked = tokio::time::timeout(PATIENCE, asked.wait_for(Option::is_some)).await;
        let asked = asked.expect("it asks for an invocation").ok().and_then(|asked| *asked);
        asked.expect("the runtime API is there").duration_since(*spawned)
    }

    /// What its process holds; `None` if it has none.
    pub async fn memory(&self) -> Option<Memory> {
        Memory::of(self.process.lock().await.as_ref()?.child.id()?)
    }

    async fn start(&self) -> io::Result<Process> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (invocations, next) = mpsc::channel(1);
        let (first, asked) = watch::channel(None);
        let desk = Arc::new(Desk { first, next: Mutex::new(next), waiting: Mutex::default() });
        let routes = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(hand_out))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(answered))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(failed))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(desk);
        let api = tokio::spawn(async move {
            // It ends with the process.
            let _ = axum::serve(listener, routes).await;
        });
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let spawned = Instant::now();
        let child = Command::new(&self.path)
            .env_clear()
            .envs(&self.variables)
            .env("AWS_LAMBDA_RUNTIME_API", address)
            .env("AWS_LAMBDA_FUNCTION_NAME", &self.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_ENDPOINT_URL", self.wire.address())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Process { child, spawned, asked, invocations, api })
    }
}

impl Process {
    async fn end(mut self) {
        self.child.kill().await.expect("a process of ours can be killed");
        self.api.abort();
    }
}

/// The runtime API's side of it.
struct Desk {
    first: watch::Sender<Option<Instant>>,
    next: Mutex<mpsc::Receiver<Invocation>>,
    waiting: Mutex<Option<oneshot::Sender<Result<Value, Failed>>>>,
}

async fn hand_out(State(desk): State<Arc<Desk>>) -> (StatusCode, HeaderMap, String) {
    desk.first.send_if_modified(|first| {
        let is_first = first.is_none();
        first.get_or_insert_with(Instant::now);
        is_first
    });
    let mut headers = HeaderMap::new();
    let Some((event, answer)) = desk.next.lock().await.recv().await else {
        return (StatusCode::GONE, headers, String::new());
    };
    *desk.waiting.lock().await = Some(answer);
    let deadline = now() + PATIENCE / 2;
    headers.insert("lambda-runtime-deadline-ms", deadline.as_millisecond().into());
    headers.insert("lambda-runtime-aws-request-id", now().as_millisecond().into());
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:it";
    headers.insert("lambda-runtime-invoked-function-arn", arn.parse().expect("it is text"));
    (StatusCode::OK, headers, event.to_string())
}

async fn answered(
    State(desk): State<Arc<Desk>>,
    Named(_): Named<String>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    let is_streamed = headers.get(MODE).is_some_and(|mode| mode == "streaming");
    let answer = if is_streamed { gathered(&body) } else { serde_json::from_slice(&body).ok() };
    settle(&desk, Ok(answer.unwrap_or_default())).await
}

/// A streamed answer in the form of one that is not.
fn gathered(body: &[u8]) -> Option<Value> {
    let end = body.windows(PRELUDE_END.len()).position(|bytes| bytes == PRELUDE_END)?;
    let mut answer: Value = serde_json::from_slice(&body[..end]).ok()?;
    answer["body"] = BASE64.encode(&body[end + PRELUDE_END.len()..]).into();
    answer["isBase64Encoded"] = true.into();
    Some(answer)
}

async fn failed(State(desk): State<Arc<Desk>>, Named(_): Named<String>, body: Bytes) -> StatusCode {
    settle(&desk, Err(Failed::Said(String::from_utf8_lossy(&body).into_owned()))).await
}

async fn settle(desk: &Desk, outcome: Result<Value, Failed>) -> StatusCode {
    if let Some(waiting) = desk.waiting.lock().await.take() {
        // Who asked may have gone.
        let _ = waiting.send(outcome);
    }
    StatusCode::ACCEPTED
}

/// What time it is.
#[expect(clippy::disallowed_methods, reason = "processes run by the machine's time")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

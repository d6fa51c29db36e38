//! The endpoint: one listener, and all that it keeps.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::{get, post, put},
};
use jiff::Timestamp;
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    answer::{self, Refusal},
    containers::Engine,
    definitions::Definitions,
    events::{Events, Teller},
    faults::Faults,
    launches::Launches,
    operations,
};

/// How an endpoint is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The engine's network of all tasks. `host` reaches what listens on
    /// loopback, as stand-ins of other services do.
    pub network: String,
    /// Whom it tells what happens.
    pub events: Option<Events>,
}

impl Default for Options {
    fn default() -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        Options { listen, network: "host".into(), events: None }
    }
}

/// An ECS of this machine.
#[derive(Debug)]
pub struct Endpoint {
    address: SocketAddr,
    ecs: Arc<Ecs>,
    server: JoinHandle<()>,
}

/// All that it keeps.
#[derive(Debug)]
pub(crate) struct Ecs {
    pub(crate) definitions: Definitions,
    pub(crate) launches: Launches,
    pub(crate) engine: Engine,
    pub(crate) teller: Teller,
    faults: Arc<Mutex<Faults>>,
    calls: Mutex<BTreeMap<String, u64>>,
    made: AtomicU64,
}

/// An endpoint cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is nowhere to listen.
    #[error("cannot listen")]
    Listen(#[from] std::io::Error),
    /// No engine answers.
    #[error("the container engine does not answer")]
    Engine(#[from] bollard::errors::Error),
}

impl Endpoint {
    /// Starts one.
    pub async fn start(options: Options) -> Result<Endpoint, StartError> {
        // Somebody else may have chosen one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        // Unique on this machine as long as it lives.
        let instance = format!("{}-{}", std::process::id(), address.port());
        let faults = Arc::new(Mutex::new(Faults::default()));
        let ecs = Arc::new(Ecs {
            definitions: Definitions::default(),
            launches: Launches::default(),
            engine: Engine::connect(instance, options.network).await?,
            teller: Teller::start(options.events, Arc::clone(&faults)),
            faults,
            calls: Mutex::default(),
            made: AtomicU64::new(0),
        });
        let routes = Router::new()
            .route("/", post(call))
            .route("/faults", put(set_faults))
            .route("/calls", get(calls))
            .with_state(Arc::clone(&ecs));
        let server = tokio::spawn(async move {
            // It ends with us.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Endpoint { address, ecs, server })
    }

    /// Where it listens.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        *guard(&self.ecs.faults) = faults;
    }

    /// How often this operation was called.
    pub fn calls(&self, operation: &str) -> u64 {
        guard(&self.ecs.calls).get(operation).copied().unwrap_or(0)
    }

    /// How many tasks were ever started.
    pub fn tasks(&self) -> usize {
        self.ecs.launches.count()
    }

    /// Whether every task has stopped.
    pub fn is_idle(&self) -> bool {
        self.ecs.launches.all().iter().all(|task| task.has_stopped())
    }

    /// Removes the task definition's revisions, as an operator may.
    pub fn forget_definitions(&self) {
        self.ecs.definitions.forget();
    }

    /// Ends everything, and leaves nothing behind.
    pub async fn close(&self) {
        self.server.abort();
        self.ecs.launches.abandon();
        self.ecs.engine.sweep().await;
    }
}

impl Drop for Endpoint {
    /// There is no waiting in a drop, hence the thread with a runtime of its own.
    fn drop(&mut self) {
        self.server.abort();
        self.ecs.launches.abandon();
        let engine = self.ecs.engine.clone();
        let sweep = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            if let Ok(runtime) = runtime {
                runtime.block_on(async { engine.reconnected().await.sweep().await });
            }
        };
        let _ = std::thread::spawn(sweep).join();
    }
}

impl Ecs {
    /// A name that nothing here has: 32 hex digits.
    pub(crate) fn fresh(&self) -> String {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        format!("{:016x}{number:016x}", now().as_nanosecond())
    }

    /// What goes wrong now.
    pub(crate) fn faults(&self) -> MutexGuard<'_, Faults> {
        guard(&self.faults)
    }
}

/// One call of the API.
async fn call(State(ecs): State<Arc<Ecs>>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers.get("x-amz-target").and_then(|it| it.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    *guard(&ecs.calls).entry(operation.clone()).or_default() += 1;
    if ecs.faults().throttles(&operation) {
        return answer::response(Err(Refusal::throttled()));
    }
    let answer = match serde_json::from_slice(&body) {
        Ok(request) => operations::perform(&ecs, &operation, request).await,
        Err(error) => Err(Refusal::client(format!("the body is not JSON: {error}"))),
    };
    if ecs.faults().loses_answer(&operation) {
        return answer::response(Err(Refusal::lost()));
    }
    answer::response(answer)
}

async fn set_faults(State(ecs): State<Arc<Ecs>>, body: Bytes) -> (StatusCode, String) {
    match serde_json::from_slice(&body) {
        Ok(faults) => {
            *ecs.faults() = faults;
            (StatusCode::NO_CONTENT, String::new())
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    }
}

async fn calls(State(ecs): State<Arc<Ecs>>) -> String {
    serde_json::to_string(&*guard(&ecs.calls)).unwrap_or_default()
}

/// What time it is.
#[expect(clippy::disallowed_methods, reason = "containers run by the machine's time")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

pub(crate) fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The runtime under test, and what happens around it.

use std::sync::Arc;

use async_trait::async_trait;
use bollard::Docker;
use jiff::Timestamp;
use shared::{
    aws::{
        config::{Aws, Credentials},
        registry::{self, RegistryConfig},
        runtime::{Architecture, Capacity, EcsConfig, EcsRuntime, TaskStateChange},
    },
    conformance::runtime::{Act, Stage, attempt, launch_of, soon},
    guard::Guard,
    job::{AttemptId, AttemptKey, Network, ProjectId, ResolvedImage},
    platform::{Clock, Known, Launch, Runtime, Sighting},
};
use tests_ecs::{Endpoint, Events, Options};
use tokio::sync::watch;

use crate::{
    agent::{self, Ears},
    bus::Bus,
    registry::Registry,
};

/// What the deployment is called.
const INSTANCE: &str = "tests";

/// The runtime, an ECS of its own, a bus and a registry. They go in this order:
/// images last, when no container needs them.
pub struct EcsStage {
    pub endpoint: Endpoint,
    pub bus: Bus,
    pub config: EcsConfig,
    _registry: Registry,
    image: ResolvedImage,
    runtime: Arc<EcsRuntime>,
    ears: Ears,
    freed: watch::Sender<u64>,
}

/// The machine's own time.
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "real containers run in real time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

impl EcsStage {
    pub async fn new() -> Self {
        let engine = Docker::connect_with_defaults().unwrap().negotiate_version().await;
        let engine = engine.expect("these tests need a container engine");
        agent::ensure_image(&engine).await;
        let (bus, ears, registry) =
            (Bus::open().await, Ears::open().await, Registry::start().await);
        let events = Some(Events::to(bus.url.clone(), Some("tests.ecs")));
        let endpoint = Endpoint::start(Options { events, ..Options::default() }).await.unwrap();
        let config = EcsConfig {
            instance: INSTANCE.into(),
            cluster: "tests".into(),
            agent_image: agent::IMAGE.into(),
            execution_role: "arn:aws:iam::000000000000:role/execution".into(),
            service: ears.url(),
            subnets: vec!["subnet-1".into()],
            security_groups: vec!["sg-1".into()],
            public_ip: true,
            architecture: architecture(),
            capacity: Capacity::OnDemand,
            logs: None,
            disk_gib: None,
        };
        let runtime = Arc::new(runtime(&endpoint, &config));
        let pushed = registry.push(&engine).await;
        let image = runtime.resolve(ProjectId::new([7; 16]), &pushed, None).await.unwrap();
        let freed = watch::Sender::new(0);
        EcsStage { endpoint, bus, config, _registry: registry, image, runtime, ears, freed }
    }

    /// Another runtime on the same ECS, as of a deployment that says other things.
    pub fn other(&self, config: &EcsConfig) -> EcsRuntime {
        runtime(&self.endpoint, config)
    }

    /// A launch of a stand-in that runs this shell code.
    pub async fn script(&self, number: u32, code: &str) -> Launch {
        let launch = launch_of(self, attempt(number), Act::Exit(0)).await;
        Launch { token: code.to_owned(), ..launch }
    }

    /// What a stand-in says.
    pub async fn hears(&mut self, launch: &Launch) -> String {
        let (attempt, text) = soon("a word", self.ears.said()).await;
        assert_eq!(attempt, launch.attempt.attempt);
        text
    }

    /// Starts it, and waits for what it says.
    pub async fn says(&mut self, launch: &Launch) -> String {
        self.started(launch).await;
        self.hears(launch).await
    }

    /// Starts it.
    pub async fn started(&self, launch: &Launch) -> Known {
        let launched = self.runtime.launch(launch).await.unwrap();
        Known { attempt: launch.attempt, handle: launched.handle }
    }

    pub async fn seen(&self, known: &Known) -> Sighting {
        let seen = self.runtime.inspect(std::slice::from_ref(known)).await.unwrap();
        seen.into_iter().next().unwrap()
    }

    /// What is seen of it in the end, whether or not anybody tells of it.
    pub async fn end(&self, known: &Known) -> Sighting {
        soon("an end", async {
            loop {
                match self.seen(known).await {
                    Sighting::Pending | Sighting::Running => tokio::task::yield_now().await,
                    ended => return ended,
                }
            }
        })
        .await
    }
}

fn runtime(endpoint: &Endpoint, config: &EcsConfig) -> EcsRuntime {
    let credentials = Credentials::new("test", "test", None, None, "tests");
    let aws = Aws::new("us-east-1".into(), credentials, Some(endpoint.url()));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let images = RegistryConfig {
        guard: Guard::new(vec!["127.0.0.0/8".parse().unwrap()]),
        architecture: config.architecture.as_str(),
        calls: None,
        secrets: None,
    };
    let images = registry::Registry::new(images, Arc::clone(&clock));
    EcsRuntime::new(aws_sdk_ecs::Client::new(aws.sdk()), config.clone(), images, clock).unwrap()
}

fn architecture() -> Architecture {
    if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::Amd64 }
}

#[async_trait]
impl Stage for EcsStage {
    fn runtime(&self) -> Arc<dyn Runtime> {
        self.runtime.clone()
    }

    async fn image(&self) -> ResolvedImage {
        self.image.clone()
    }

    /// A task is never without one.
    fn network(&self) -> Network {
        Network::Least
    }

    fn token(&self, act: Act) -> String {
        agent::token(act)
    }

    async fn arrival(&mut self) -> AttemptId {
        self.ears.said().await.0
    }

    async fn death(&mut self) -> AttemptKey {
        loop {
            let event = self.bus.event().await;
            let change: TaskStateChange = serde_json::from_value(event["detail"].clone()).unwrap();
            if let Some(known) = change.ended(INSTANCE) {
                return known.attempt;
            }
        }
    }

    /// Room is the platform's.
    fn freed(&self) -> watch::Receiver<u64> {
        self.freed.subscribe()
    }

    async fn restart(&mut self) {
        self.runtime = Arc::new(runtime(&self.endpoint, &self.config));
    }
}

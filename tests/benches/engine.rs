//! The container engine alone, by its own API: what containers cost without us.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use bollard::{
    Docker,
    models::{ContainerCreateBody, HostConfig},
    query_parameters::{
        CreateContainerOptionsBuilder, EventsOptionsBuilder, RemoveContainerOptionsBuilder,
        StartContainerOptions, WaitContainerOptions,
    },
};
use futures::StreamExt;
use tokio::{sync::mpsc, time::timeout};

/// CPUs and MiB of every container that is measured, ours and bare ones.
pub const RESOURCES: (f64, i64) = (1.0, 256);

/// The image that they are of: the stories' own.
const IMAGE: &str = "tarpon/probe";

/// However slow the engine is, waiting for it comes to an end.
const LONGEST: Duration = Duration::from_mins(1);

/// The engine.
#[derive(Clone)]
pub struct Engine(Docker);

impl Engine {
    /// The engine that a server finds by itself.
    pub async fn connect() -> Self {
        let docker = Docker::connect_with_defaults().expect("the engine's address is one");
        Engine(docker.negotiate_version().await.expect("the engine answers"))
    }

    /// Creates, starts, awaits and removes a container without a network.
    /// `folder` of this machine is its `/out`, if there is one.
    pub async fn run(&self, name: &str, command: &[&str], folder: Option<&str>) {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        let (cpus, mebibytes) = RESOURCES;
        #[expect(clippy::cast_possible_truncation, reason = "a few CPUs are a few billion")]
        let nano_cpus = (cpus * 1e9) as i64;
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                nano_cpus: Some(nano_cpus),
                memory: Some(mebibytes << 20),
                memory_swap: Some(mebibytes << 20),
                binds: folder.map(|folder| vec![format!("{folder}:/out")]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let Engine(docker) = self;
        docker.create_container(Some(options), body).await.expect("it can be created");
        let started = docker.start_container(name, None::<StartContainerOptions>).await;
        started.expect("it can be started");
        let ended = docker.wait_container(name, None::<WaitContainerOptions>).next().await;
        ended.expect("it ends").expect("it ends well");
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        docker.remove_container(name, Some(options)).await.expect("it can be removed");
    }

    /// News of every container that is removed from now on.
    pub fn removals(&self) -> Removals {
        let filters = HashMap::from([("type", vec!["container"]), ("event", vec!["destroy"])]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        let (tell, told) = mpsc::unbounded_channel();
        let Engine(docker) = self.clone();
        tokio::spawn(async move {
            let mut events = std::pin::pin!(docker.events(Some(options)));
            while let Some(Ok(event)) = events.next().await {
                let attributes = event.actor.and_then(|actor| actor.attributes);
                let name = attributes.and_then(|mut attributes| attributes.remove("name"));
                if tell.send((name.unwrap_or_default(), Instant::now())).is_err() {
                    return;
                }
            }
        });
        Removals { told, known: HashMap::new() }
    }
}

/// When containers were removed.
pub struct Removals {
    told: mpsc::UnboundedReceiver<(String, Instant)>,
    known: HashMap<String, Instant>,
}

impl Removals {
    /// When the container of a job of one was removed; waits until it is.
    pub async fn of(&mut self, job: &str) -> Instant {
        let hex = job.strip_prefix("job-").expect("it is a job's id");
        let name = format!("att-{hex}-1-0-0-1");
        let waiting = async {
            loop {
                if let Some(at) = self.known.remove(&name) {
                    return at;
                }
                let (name, at) = self.told.recv().await.expect("the engine goes on telling");
                // Its server's own mark comes last.
                let attempt = name.rsplit_once('-').map_or(&*name, |(attempt, _)| attempt);
                self.known.insert(attempt.to_owned(), at);
            }
        };
        timeout(LONGEST, waiting).await.expect("the container is removed in time")
    }
}

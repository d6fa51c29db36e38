//! The port, on the Engine API.
//!
//! One attempt is one container named after it and this server, so the engine's
//! own refusal of a second one of that name is what makes a launch idempotent.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bollard::{
    Docker,
    errors::Error,
    models::{
        ContainerState, ContainerStateStatusEnum as Status, ContainerSummary,
        ContainerSummaryStateEnum as Listed, SystemInfo,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder,
        ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    },
};
use futures::{StreamExt, TryStreamExt, stream};
use shared::{
    guard::Guard,
    job::{AttemptKey, ImageReference, ProjectId, ResolvedImage, Resources},
    keyed::Keyed,
    platform::{
        Admission, Known, Launch, Launched, RegistryCredentials, ResolveError, Runtime,
        RuntimeError, Sighting,
    },
};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::{
    container::{self, Surroundings},
    deaths, fault,
    image::{self, Images},
    network::Networks,
};
use crate::runtime::{
    detect::Engine,
    folders::Folders,
    local::{DEATHS, Local, StartError},
    room::Room,
};

/// How the containers of one server are set up.
#[derive(Clone, Debug)]
pub struct DockerConfig {
    /// Tells this data directory's containers from another's on the same
    /// engine: up to 32 letters and digits that stay as long as the directory.
    pub instance: String,
    /// The folder on the engine's machine with the agent and its socket. The
    /// folder is what containers see, so a new socket in it is seen as well.
    pub home: PathBuf,
    /// Where a folder per attempt is made for its agent to write in.
    pub scratch: PathBuf,
    /// Where the agent finds the service, such as `unix:/.tarpon/socket`.
    pub service: String,
    /// What containers may use in all; the engine's whole machine without it.
    pub total: Option<Resources>,
    /// Where registries may be.
    pub registries: Guard,
    /// Whether to add rules to the machine's packet filter that keep
    /// containers from the machine itself and from metadata services.
    pub shield: bool,
}

/// How many containers are looked at in detail at once.
const LOOKS: usize = 8;

/// Containers of an engine.
pub struct DockerRuntime {
    engine: Docker,
    config: DockerConfig,
    scratch: Folders,
    images: Images,
    networks: Networks,
    room: Arc<Room>,
    launching: Keyed<AttemptKey>,
}

/// What a create call has led to.
enum Created {
    /// There is a container that has never been started.
    Fresh,
    /// It was launched before.
    Before,
}

impl DockerRuntime {
    /// The runtime on `engine`, with what runs there already adopted.
    pub async fn connect(engine: &Engine, config: DockerConfig) -> Result<Local, StartError> {
        let failed = |error| StartError::new("the container engine did not answer", error);
        let client = engine.client();
        let scratch = Folders::in_(&config.scratch, 0o777)
            .map_err(|error| StartError::new("the scratch folder cannot be used", error))?;
        let home = enterable(&config.home).map_err(|error| {
            StartError::new(format!("{} cannot be used", config.home.display()), error)
        })?;
        let config = DockerConfig { home, ..config };
        let version = client.version().await.map_err(failed)?;
        let about = client.info().await.map_err(failed)?;
        let kind = image::kind(&version, &about);
        let total = config.total.unwrap_or_else(|| whole_machine(&about));
        let runtime = Arc::new(DockerRuntime {
            images: Images::new(client.clone(), kind, config.registries.clone()),
            networks: Networks::new(client.clone(), &config.instance, config.shield),
            room: Arc::new(Room::new(total)),
            launching: Keyed::default(),
            engine: client,
            scratch,
            config,
        });
        let adopted = runtime.adopt().await.map_err(failed)?;
        info!(
            engine.host = engine.host(),
            engine.version = version.version,
            containers = adopted,
            "containers run on this engine"
        );
        let (tell, deaths) = mpsc::channel(DEATHS);
        let instance = runtime.config.instance.clone();
        tokio::spawn(deaths::watch(runtime.engine.clone(), instance, tell));
        Ok(Local { room: runtime.room.clone(), runtime, deaths })
    }

    /// Holds the room of every container that there is.
    async fn adopt(&self) -> Result<usize, Error> {
        let found = self.containers().await?;
        for (attempt, summary) in &found {
            let resources = summary.labels.as_ref().map(container::resources);
            self.room.hold(*attempt, resources.unwrap_or(NOTHING));
        }
        Ok(found.len())
    }

    /// Every container of this server, ended ones included.
    async fn containers(&self) -> Result<Vec<(AttemptKey, ContainerSummary)>, Error> {
        let filters = container::of_instance(&self.config.instance);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.engine.list_containers(Some(options)).await?.into_iter();
        Ok(found.filter_map(|it| Some((container::attempt(it.labels.as_ref()?)?, it))).collect())
    }

    fn name(&self, attempt: AttemptKey) -> String {
        format!("{}-{}", attempt.attempt, self.config.instance)
    }

    async fn create(&self, launch: &Launch) -> Result<Created, RuntimeError> {
        let attempt = launch.attempt;
        let network = self.networks.mode(attempt.project, launch.network).await;
        let network = network.map_err(fault::launch_error)?;
        let folders = self.scratch.clone();
        let scratch = blocking(move || folders.make(attempt)).await?;
        let around = Surroundings {
            instance: &self.config.instance,
            home: &self.config.home,
            service: &self.config.service,
        };
        let body = container::body(launch, network, &scratch, &around);
        let name = self.name(attempt);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        match self.engine.create_container(Some(options), body).await {
            Ok(_) => Ok(Created::Fresh),
            Err(error) if fault::is_conflict(&error) => self.found(attempt).await,
            Err(error) => Err(fault::launch_error(error)),
        }
    }

    /// A container of that name was there: from an earlier launch, which may
    /// have been cut off before the start.
    async fn found(&self, attempt: AttemptKey) -> Result<Created, RuntimeError> {
        match self.look(attempt).await? {
            Sighting::Pending => Ok(Created::Fresh),
            Sighting::Running
            | Sighting::Exited { .. }
            | Sighting::NotStarted { .. }
            | Sighting::Gone => Ok(Created::Before),
        }
    }

    async fn start(&self, attempt: AttemptKey) -> Result<(), Error> {
        let name = self.name(attempt);
        match self.engine.start_container(&name, None).await {
            Err(error) if is_network_lost(&error) => {
                self.networks.lost(attempt.project);
                self.networks.mode(attempt.project, shared::job::Network::Egress).await?;
                self.engine.start_container(&name, None).await
            }
            settled => settled,
        }
    }

    /// Removes the container and then its scratch folder; a crash in between
    /// leaves the folder, which [`Runtime::list`] finds.
    async fn remove(&self, attempt: AttemptKey) -> Result<(), RuntimeError> {
        let name = self.name(attempt);
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.engine.remove_container(&name, Some(options)).await {
            Err(error) if !fault::is_missing(&error) && !fault::is_conflict(&error) => {
                return Err(RuntimeError::Unavailable(Box::new(error)));
            }
            Ok(()) | Err(_) => {}
        }
        self.clear(attempt).await;
        Ok(())
    }

    /// Takes away what an attempt without a container still has.
    async fn clear(&self, attempt: AttemptKey) {
        let folders = self.scratch.clone();
        if let Err(error) = blocking(move || folders.remove(attempt)).await {
            // Without root, what a container's root has written there stays.
            // No reason to keep the attempt's room.
            warn!(
                attempt.id = %attempt.attempt,
                error = &error as &dyn std::error::Error,
                "a scratch folder could not be removed"
            );
        }
        self.room.free(attempt);
    }

    async fn look(&self, attempt: AttemptKey) -> Result<Sighting, RuntimeError> {
        let name = self.name(attempt);
        match self.engine.inspect_container(&name, None::<InspectContainerOptions>).await {
            Ok(found) => Ok(found.state.map_or(Sighting::Pending, sighting)),
            Err(error) if fault::is_missing(&error) => Ok(Sighting::Gone),
            Err(error) => Err(RuntimeError::Unavailable(Box::new(error))),
        }
    }
}

#[async_trait]
impl Runtime for DockerRuntime {
    async fn resolve(
        &self,
        project: ProjectId,
        image: &ImageReference,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError> {
        self.images.resolve(project, image, credentials).await
    }

    fn sold(&self, resources: Resources) -> Result<Option<Resources>, String> {
        self.room.excess(resources).map_or(Ok(None), Err)
    }

    async fn admit(&self, attempt: AttemptKey, resources: Resources) -> Admission {
        self.room.admit(attempt, resources)
    }

    async fn launch(&self, launch: &Launch) -> Result<Launched, RuntimeError> {
        let attempt = launch.attempt;
        let _turn = self.launching.lock(attempt).await;
        self.room.hold(attempt, launch.resources);
        let created = self.create(launch).await;
        if let Err(RuntimeError::Refused(_)) = &created {
            self.clear(attempt).await;
        }
        if let Created::Before = created? {
            return Ok(Launched::default());
        }
        let started = self.start(attempt).await.map_err(fault::launch_error);
        if let Err(RuntimeError::Refused(_)) = &started {
            self.remove(attempt).await?;
        }
        started.map(|()| Launched::default())
    }

    async fn stop(&self, attempt: AttemptKey, kill: bool) -> Result<(), RuntimeError> {
        let signal = if kill { "SIGKILL" } else { "SIGTERM" };
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        match self.engine.kill_container(&self.name(attempt), Some(options)).await {
            Err(error) if !fault::is_missing(&error) && !fault::is_conflict(&error) => {
                Err(RuntimeError::Unavailable(Box::new(error)))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn inspect(&self, attempts: &[Known]) -> Result<Vec<Sighting>, RuntimeError> {
        // A list says who lives, in one call; how a container ended takes a
        // look at each.
        if let [known] = attempts {
            return Ok(vec![self.look(known.attempt).await?]);
        }
        let found = self.containers().await;
        let found = found.map_err(|error| RuntimeError::Unavailable(Box::new(error)))?;
        let listed: HashMap<_, _> =
            found.iter().map(|(attempt, it)| (attempt, alive(it))).collect();
        let sightings = attempts.iter().map(|it| (it.attempt, listed.get(&it.attempt).cloned()));
        let sightings =
            sightings.collect::<Vec<_>>().into_iter().map(async |(attempt, listed)| match listed {
                Some(Some(alive)) => Ok(alive),
                Some(None) => self.look(attempt).await,
                None => Ok(Sighting::Gone),
            });
        stream::iter(sightings).buffered(LOOKS).try_collect().await
    }

    async fn list(&self) -> Result<Vec<AttemptKey>, RuntimeError> {
        let found = self.containers().await;
        let found = found.map_err(|error| RuntimeError::Unavailable(Box::new(error)))?;
        let folders = self.scratch.clone();
        let mut attempts = blocking(move || folders.list()).await?;
        attempts.extend(found.into_iter().map(|(attempt, _)| attempt));
        attempts.sort_unstable();
        attempts.dedup();
        Ok(attempts)
    }

    async fn forget(&self, attempt: AttemptKey) -> Result<(), RuntimeError> {
        let _turn = self.launching.lock(attempt).await;
        self.remove(attempt).await
    }
}

const NOTHING: Resources = Resources { cpu_millis: 0, memory_mib: 0 };

/// The folder's absolute path, once every user in a container may enter it.
fn enterable(folder: &Path) -> io::Result<PathBuf> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    folder.canonicalize()
}

fn whole_machine(engine: &SystemInfo) -> Resources {
    let number = |found: Option<i64>| u32::try_from(found.unwrap_or(0)).unwrap_or(u32::MAX);
    Resources {
        cpu_millis: number(engine.ncpu).saturating_mul(1_000),
        memory_mib: number(engine.mem_total.map(|bytes| bytes >> 20)),
    }
}

fn is_network_lost(error: &Error) -> bool {
    let lost = |message: &str| message.starts_with("network ") && message.ends_with(" not found");
    fault::answer(error).is_some_and(|(status, message)| status == 404 && lost(message))
}

/// What a list says of a container that has not ended.
fn alive(summary: &ContainerSummary) -> Option<Sighting> {
    match summary.state? {
        Listed::CREATED | Listed::EMPTY => Some(Sighting::Pending),
        Listed::RUNNING | Listed::PAUSED | Listed::RESTARTING | Listed::STOPPING => {
            Some(Sighting::Running)
        }
        Listed::EXITED | Listed::DEAD | Listed::REMOVING => None,
    }
}

fn sighting(state: ContainerState) -> Sighting {
    match state.status.unwrap_or(Status::EMPTY) {
        Status::EMPTY | Status::CREATED => Sighting::Pending,
        Status::RUNNING | Status::PAUSED | Status::RESTARTING | Status::STOPPING => {
            Sighting::Running
        }
        Status::EXITED | Status::DEAD | Status::REMOVING => Sighting::Exited {
            code: state.exit_code.and_then(|code| i32::try_from(code).ok()),
            out_of_memory: state.oom_killed.unwrap_or(false),
            message: state.error.filter(|error| !error.is_empty()),
        },
    }
}

/// Runs what waits for the file system where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, RuntimeError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    done.flatten().map_err(|error| RuntimeError::Unavailable(Box::new(error)))
}

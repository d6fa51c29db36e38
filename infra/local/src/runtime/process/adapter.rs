//! The port, on child processes.

use std::{
    collections::{BTreeMap, HashMap},
    io,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use rustix::process::Pid;
use shared::{
    agent,
    job::{AttemptKey, ImageReference, ProjectId, ResolvedImage, Resources},
    keyed::{Keyed, guard},
    platform::{
        Admission, Known, Launch, Launched, RegistryCredentials, ResolveError, Runtime,
        RuntimeError, Sighting,
    },
};
use tokio::{runtime::Handle, sync::mpsc};
use tracing::{info, warn};

use super::{
    child::Child,
    record::{self, Found},
};
use crate::runtime::{
    folders::Folders,
    local::{DEATHS, Local, StartError},
    room::Room,
};

/// How the processes of one server are set up.
#[derive(Clone, Debug)]
pub struct ProcessConfig {
    /// The agent's program.
    pub agent: PathBuf,
    /// Where a folder per attempt is made: its record, the agent's scratch
    /// files, and `work`, in which the agent starts.
    pub folder: PathBuf,
    /// Where the agent finds the service, such as `unix:/path/to/socket`.
    pub service: String,
    /// What attempts may use in all.
    pub total: Resources,
}

/// Child processes in the place of containers.
pub struct ProcessRuntime {
    inner: Arc<Inner>,
}

struct Inner {
    config: ProcessConfig,
    env: BTreeMap<String, String>,
    folders: Folders,
    room: Arc<Room>,
    launching: Keyed<AttemptKey>,
    known: Mutex<HashMap<AttemptKey, Life>>,
    tell: mpsc::Sender<AttemptKey>,
}

/// What is known of an attempt's agent.
#[derive(Clone)]
enum Life {
    Running(Arc<Child>),
    Ended(Option<i32>),
}

impl ProcessRuntime {
    /// The runtime over what is in the folder, with what runs adopted. Within
    /// a tokio runtime.
    pub async fn start(config: ProcessConfig) -> Result<Local, StartError> {
        let unusable = |error| StartError::new("the folder for processes cannot be used", error);
        let folders = Folders::in_(&config.folder, 0o700).map_err(unusable)?;
        let (tell, deaths) = mpsc::channel(DEATHS);
        let room = Arc::new(Room::new(config.total));
        // What takes an image's place: commands are found where the server's are.
        let path = std::env::var_os("PATH").and_then(|path| path.into_string().ok());
        let inner = Arc::new(Inner {
            config,
            env: path.map(|path| ("PATH".to_owned(), path)).into_iter().collect(),
            folders,
            room: room.clone(),
            launching: Keyed::default(),
            known: Mutex::default(),
            tell,
        });
        let adopting = inner.clone();
        let adopted = tokio::task::spawn_blocking(move || adopting.adopt()).await;
        let adopted = adopted.map_err(io::Error::other).flatten().map_err(unusable)?;
        info!(
            processes = adopted,
            "jobs run as plain processes: without isolation, as this user, held to no limit"
        );
        Ok(Local { runtime: Arc::new(ProcessRuntime { inner }), deaths, room })
    }
}

impl Inner {
    fn adopt(self: &Arc<Self>) -> io::Result<usize> {
        let attempts = self.folders.list()?;
        for attempt in &attempts {
            if !self.adopt_one(*attempt)? {
                self.folders.remove(*attempt)?;
            }
        }
        Ok(guard(&self.known).len())
    }

    /// Takes over what the attempt's folder tells of; whether it tells of any.
    fn adopt_one(self: &Arc<Self>, attempt: AttemptKey) -> io::Result<bool> {
        match record::read(&self.folders.path(attempt), attempt.attempt)? {
            Found::Alive(pid, resources) => {
                self.room.hold(attempt, resources);
                match Child::of(pid) {
                    // Still it, now that nobody else can get its pid.
                    Ok(child) if record::is_agent(pid, attempt.attempt) => {
                        self.watch(attempt, child);
                    }
                    Ok(_) | Err(_) => self.ended_before(attempt),
                }
                Ok(true)
            }
            Found::Ended(resources) => {
                self.room.hold(attempt, resources);
                self.ended_before(attempt);
                Ok(true)
            }
            Found::Nothing => Ok(false),
        }
    }

    fn ended_before(self: &Arc<Self>, attempt: AttemptKey) {
        guard(&self.known).insert(attempt, Life::Ended(None));
        let inner = self.clone();
        Handle::current().spawn(async move { inner.tell.send(attempt).await });
    }

    /// Follows a process that lives, until its end is told.
    fn watch(self: &Arc<Self>, attempt: AttemptKey, child: Child) {
        let child = Arc::new(child);
        guard(&self.known).insert(attempt, Life::Running(child.clone()));
        let inner = self.clone();
        Handle::current().spawn(async move {
            if let Err(error) = child.ended().await {
                // Seen as running from now on; the sweep's deadlines end it.
                let error = &error as &dyn std::error::Error;
                warn!(attempt.id = %attempt.attempt, error, "a process cannot be followed");
                return;
            }
            let code = child.reap();
            if let Some(life) = guard(&inner.known).get_mut(&attempt) {
                *life = Life::Ended(code);
            }
            let _ = inner.tell.send(attempt).await;
        });
    }

    /// Starts the agent. Blocks for as long as a process takes to start.
    fn launch(self: &Arc<Self>, launch: &Launch) -> io::Result<()> {
        let attempt = launch.attempt;
        let folder = self.folders.make(attempt)?;
        let work = folder.join("work");
        match std::fs::create_dir(&work) {
            // From a launch that failed halfway, perhaps after the start.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if self.adopt_one(attempt)? {
                    return Ok(());
                }
            }
            made => made?,
        }
        let record = record::open(&folder, launch.resources)?;
        let mut command = Command::new(&self.config.agent);
        command
            // For us alone, who look for it after a restart.
            .arg(attempt.attempt.to_string())
            .env_clear()
            .env(agent::ATTEMPT_VARIABLE, attempt.attempt.to_string())
            .env(agent::TOKEN_VARIABLE, &launch.token)
            .env(agent::SERVICE_VARIABLE, &self.config.service)
            .env(agent::SCRATCH_VARIABLE, &folder)
            .current_dir(&work)
            // Out of reach of a terminal's Ctrl-C, which is for the server.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(record.try_clone()?));
        // Dropped without being waited for: the watch does that.
        let pid = command.spawn()?.id();
        let pid =
            i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        record::note(&record, pid, launch.resources)?;
        self.watch(attempt, Child::of(pid)?);
        Ok(())
    }

    fn life(&self, attempt: AttemptKey) -> Option<Life> {
        guard(&self.known).get(&attempt).cloned()
    }

    async fn forget(self: Arc<Self>, attempt: AttemptKey) -> Result<(), RuntimeError> {
        if let Some(Life::Running(child)) = self.life(attempt) {
            child.kill().map_err(unavailable)?;
            child.ended().await.map_err(unavailable)?;
        }
        let inner = self.clone();
        blocking(move || inner.folders.remove(attempt)).await?;
        guard(&self.known).remove(&attempt);
        self.room.free(attempt);
        Ok(())
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    /// Any image will do: its name is a label here, its commands are looked
    /// for on this machine.
    async fn resolve(
        &self,
        _: ProjectId,
        _: &ImageReference,
        _: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError> {
        Ok(ResolvedImage {
            digest: "process".to_owned(),
            entrypoint: Vec::new(),
            command: Vec::new(),
            env: self.inner.env.clone(),
            // The attempt's own folder, in which its agent starts.
            workdir: Some(".".to_owned()),
            user: None,
            platform: format!("{}/{}", std::env::consts::OS, architecture()),
            pull_secret: None,
        })
    }

    fn sold(&self, resources: Resources) -> Result<Option<Resources>, String> {
        self.inner.room.excess(resources).map_or(Ok(None), Err)
    }

    async fn admit(&self, attempt: AttemptKey, resources: Resources) -> Admission {
        self.inner.room.admit(attempt, resources)
    }

    async fn launch(&self, launch: &Launch) -> Result<Launched, RuntimeError> {
        if launch.user.is_some() {
            let why = "plain processes run as the server's own user, and no other";
            return Err(RuntimeError::Refused(why.to_owned()));
        }
        let attempt = launch.attempt;
        let turn = self.inner.launching.lock(attempt).await;
        self.inner.room.hold(attempt, launch.resources);
        if self.inner.life(attempt).is_none() {
            let (inner, launch) = (self.inner.clone(), launch.clone());
            // The turn goes along: a caller that stops waiting does not stop
            // the start.
            blocking(move || {
                let _turn = turn;
                inner.launch(&launch)
            })
            .await?;
        }
        Ok(Launched::default())
    }

    async fn stop(&self, attempt: AttemptKey, kill: bool) -> Result<(), RuntimeError> {
        match self.inner.life(attempt) {
            Some(Life::Running(child)) if kill => child.kill().map_err(unavailable),
            Some(Life::Running(child)) => child.terminate().map_err(unavailable),
            Some(Life::Ended(_)) | None => Ok(()),
        }
    }

    async fn inspect(&self, attempts: &[Known]) -> Result<Vec<Sighting>, RuntimeError> {
        let known = guard(&self.inner.known);
        let sighting = |it: &Known| match known.get(&it.attempt) {
            Some(Life::Running(_)) => Sighting::Running,
            Some(Life::Ended(code)) => {
                Sighting::Exited { code: *code, out_of_memory: false, message: None }
            }
            None => Sighting::Gone,
        };
        Ok(attempts.iter().map(sighting).collect())
    }

    async fn list(&self) -> Result<Vec<AttemptKey>, RuntimeError> {
        Ok(guard(&self.inner.known).keys().copied().collect())
    }

    async fn forget(&self, attempt: AttemptKey) -> Result<(), RuntimeError> {
        let turn = self.inner.launching.lock(attempt).await;
        let inner = self.inner.clone();
        let done = tokio::spawn(async move {
            let _turn = turn;
            inner.forget(attempt).await
        });
        done.await.map_err(|error| RuntimeError::Unavailable(Box::new(error)))?
    }
}

/// This machine's, as images call it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn unavailable(error: io::Error) -> RuntimeError {
    use io::ErrorKind::{OutOfMemory, QuotaExceeded, StorageFull, WouldBlock};
    match error.kind() {
        // As much as this user may have, for now.
        WouldBlock | OutOfMemory | StorageFull | QuotaExceeded => {
            RuntimeError::NoCapacity(error.to_string())
        }
        _ => RuntimeError::Unavailable(Box::new(error)),
    }
}

/// Runs what waits for the system where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, RuntimeError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    done.flatten().map_err(unavailable)
}

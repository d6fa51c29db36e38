//! A runtime that runs nothing: it keeps account of containers, and whoever
//! watches it plays what would run in them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};

use crate::{
    job::{AttemptKey, Cause, ImageReference, ProjectId, ResolvedImage, Resources},
    platform::{
        Admission, Known, Launch, Launched, RegistryCredentials, ResolveError, Runtime,
        RuntimeError, Sighting,
    },
};

/// A runtime that keeps account.
pub struct MemoryRuntime {
    state: Arc<Mutex<State>>,
    freed: watch::Sender<u64>,
}

/// What happens to a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happening {
    /// It came up.
    Launched(Box<Launch>),
    /// Its first process was sent TERM.
    Stopped(AttemptKey),
    /// Its first process has ended. Told again to whoever starts to watch.
    Ended(AttemptKey),
}

#[derive(Default)]
struct State {
    room: Option<Resources>,
    reserved: BTreeMap<AttemptKey, Resources>,
    containers: BTreeMap<AttemptKey, Container>,
    watching: Vec<mpsc::UnboundedSender<Happening>>,
    /// Containers that cannot be removed.
    stuck: BTreeSet<AttemptKey>,
    launch_takes: Duration,
    looks: usize,
}

struct Container {
    launch: Launch,
    sighting: Sighting,
    stopped: bool,
}

impl Default for MemoryRuntime {
    fn default() -> Self {
        MemoryRuntime { state: Arc::default(), freed: watch::Sender::new(0) }
    }
}

impl MemoryRuntime {
    /// A runtime with room for everything.
    pub fn new() -> Self {
        MemoryRuntime::default()
    }

    /// From now on there is this much room, all containers together.
    pub fn set_room(&self, room: Resources) {
        self.state().room = Some(room);
    }

    /// Another adapter to the same containers, as after a crash of this one:
    /// what was reserved and not launched is not reserved any more.
    #[must_use]
    pub fn restarted(&self) -> Self {
        {
            let mut state = self.state();
            let State { reserved, containers, watching, .. } = &mut *state;
            reserved.retain(|attempt, _| containers.contains_key(attempt));
            watching.clear();
        }
        MemoryRuntime { state: Arc::clone(&self.state), freed: watch::Sender::new(0) }
    }

    /// What happens from now on, and every end that happened before.
    pub fn happenings(&self) -> mpsc::UnboundedReceiver<Happening> {
        let (told, happenings) = mpsc::unbounded_channel();
        let mut state = self.state();
        for (attempt, container) in &state.containers {
            if matches!(container.sighting, Sighting::Exited { .. }) {
                // The other end is in our hands.
                drop(told.send(Happening::Ended(*attempt)));
            }
        }
        state.watching.push(told);
        happenings
    }

    /// Changes when room was freed.
    pub fn freed(&self) -> watch::Receiver<u64> {
        self.freed.subscribe()
    }

    /// What was launched and has not been forgotten, in the order of ids.
    pub fn launched(&self) -> Vec<Launch> {
        self.state().containers.values().map(|container| container.launch.clone()).collect()
    }

    /// Whether the container was told to stop.
    pub fn is_stopped(&self, attempt: AttemptKey) -> bool {
        self.state().containers.get(&attempt).is_some_and(|container| container.stopped)
    }

    /// The container's first process ends, if it has not.
    pub fn exit(&self, attempt: AttemptKey, code: i32, out_of_memory: bool) {
        self.state().exit(attempt, code, out_of_memory);
    }

    /// The container never came up, for this reason.
    pub fn never_starts(&self, attempt: AttemptKey, cause: Cause) {
        if let Some(container) = self.state().containers.get_mut(&attempt) {
            let message = "it could not be started".to_owned();
            container.sighting = Sighting::NotStarted { cause, message };
        }
    }

    /// The container is gone without a trace, as after a loss of the machine.
    pub fn lose(&self, attempt: AttemptKey) {
        {
            let mut state = self.state();
            state.containers.remove(&attempt);
            state.reserved.remove(&attempt);
        }
        self.freed.send_modify(|times| *times += 1);
    }

    /// From now on the container cannot be removed.
    pub fn hold_fast(&self, attempt: AttemptKey) {
        self.state().stuck.insert(attempt);
    }

    /// From now on every launch takes so long.
    pub fn slow_down(&self, launch_takes: Duration) {
        self.state().launch_takes = launch_takes;
    }

    /// How often it was asked about containers, about however many at once.
    pub fn looks(&self) -> usize {
        self.state().looks
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tell(&mut self, happening: &Happening) {
        self.watching.retain(|watcher| watcher.send(happening.clone()).is_ok());
    }

    fn exit(&mut self, attempt: AttemptKey, code: i32, out_of_memory: bool) {
        let Some(container) = self.containers.get_mut(&attempt) else { return };
        if container.sighting == Sighting::Running {
            container.sighting =
                Sighting::Exited { code: Some(code), out_of_memory, message: None };
            self.tell(&Happening::Ended(attempt));
        }
    }

    fn admit(&mut self, attempt: AttemptKey, asked: Resources) -> Admission {
        let Some(room) = self.room else { return Admission::Admitted };
        let fits = |cpu: u32, memory: u32| cpu <= room.cpu_millis && memory <= room.memory_mib;
        if !fits(asked.cpu_millis, asked.memory_mib) {
            return Admission::TooLarge("it asks for more than there is".into());
        }
        let others = self.reserved.iter().filter(|(other, _)| **other != attempt);
        let (cpu, memory) = others.fold((0_u32, 0_u32), |(cpu, memory), (_, taken)| {
            (cpu.saturating_add(taken.cpu_millis), memory.saturating_add(taken.memory_mib))
        });
        let cpu = cpu.saturating_add(asked.cpu_millis);
        if !fits(cpu, memory.saturating_add(asked.memory_mib)) {
            return Admission::Full;
        }
        self.reserved.insert(attempt, asked);
        Admission::Admitted
    }
}

#[async_trait]
impl Runtime for MemoryRuntime {
    /// Every named image is there, with an entrypoint and a command, except
    /// where the name starts with `missing/`, `denied/` (unless there are
    /// credentials), `unusable/` or `away/`; of those in `silent/` it is never
    /// known. None is there by id alone.
    async fn resolve(
        &self,
        _: ProjectId,
        image: &ImageReference,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError> {
        let name = image.as_str();
        match name.split(['/', ':']).next() {
            Some("missing" | "sha256") => return Err(ResolveError::NotFound(image.clone())),
            Some("denied") if credentials.is_none() => {
                return Err(ResolveError::Denied(image.clone()));
            }
            Some("unusable") => {
                let why = "it is for another platform".into();
                return Err(ResolveError::Unusable { image: image.clone(), why });
            }
            Some("away") => {
                return Err(ResolveError::Unavailable("the registry is away".into()));
            }
            Some("silent") => std::future::pending().await,
            _ => {}
        }
        let digest = HEXLOWER.encode(&Sha256::digest(name.as_bytes()));
        Ok(ResolvedImage {
            digest: format!("{name}@sha256:{digest}"),
            entrypoint: vec!["/entrypoint".into()],
            command: vec!["default".into()],
            env: BTreeMap::from([("PATH".into(), "/bin".into())]),
            workdir: None,
            user: None,
            platform: "linux/amd64".into(),
            pull_secret: None,
        })
    }

    async fn admit(&self, attempt: AttemptKey, resources: Resources) -> Admission {
        self.state().admit(attempt, resources)
    }

    async fn launch(&self, launch: &Launch) -> Result<Launched, RuntimeError> {
        let takes = self.state().launch_takes;
        if !takes.is_zero() {
            tokio::time::sleep(takes).await;
        }
        let mut state = self.state();
        if !state.containers.contains_key(&launch.attempt) {
            let (launch, sighting) = (launch.clone(), Sighting::Running);
            let told = Happening::Launched(Box::new(launch.clone()));
            state.reserved.insert(launch.attempt, launch.resources);
            let container = Container { launch, sighting, stopped: false };
            state.containers.insert(container.launch.attempt, container);
            state.tell(&told);
        }
        Ok(Launched::default())
    }

    async fn stop(&self, attempt: AttemptKey, kill: bool) -> Result<(), RuntimeError> {
        let mut state = self.state();
        let Some(container) = state.containers.get_mut(&attempt) else { return Ok(()) };
        container.stopped = true;
        if container.sighting == Sighting::Running {
            state.tell(&Happening::Stopped(attempt));
        }
        if kill {
            state.exit(attempt, 137, false);
        }
        Ok(())
    }

    async fn inspect(&self, attempts: &[Known]) -> Result<Vec<Sighting>, RuntimeError> {
        let mut state = self.state();
        state.looks += 1;
        let sighting = |known: &Known| {
            state
                .containers
                .get(&known.attempt)
                .map_or(Sighting::Gone, |found| found.sighting.clone())
        };
        Ok(attempts.iter().map(sighting).collect())
    }

    async fn list(&self) -> Result<Vec<AttemptKey>, RuntimeError> {
        Ok(self.state().containers.keys().copied().collect())
    }

    async fn forget(&self, attempt: AttemptKey) -> Result<(), RuntimeError> {
        if self.state().stuck.contains(&attempt) {
            return Err(RuntimeError::Unavailable("it cannot be removed".into()));
        }
        self.lose(attempt);
        Ok(())
    }
}

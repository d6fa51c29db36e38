//! A runtime that runs nothing: it keeps account of what was launched, and a
//! test plays what would run.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use crate::{
    job::{AttemptKey, ImageReference, ProjectId, ResolvedImage, Resources},
    platform::{
        Admission, Launch, Launched, RegistryCredentials, ResolveError, Runtime, RuntimeError,
        Sighting,
    },
};

/// A runtime that keeps account.
#[derive(Default)]
pub struct MemoryRuntime(Mutex<State>);

#[derive(Default)]
struct State {
    room: Option<Resources>,
    admitted: BTreeMap<AttemptKey, Resources>,
    containers: BTreeMap<AttemptKey, Container>,
}

struct Container {
    launch: Launch,
    sighting: Sighting,
    stopped: bool,
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

    /// What was launched and has not been forgotten, in the order of ids.
    pub fn launched(&self) -> Vec<Launch> {
        self.state().containers.values().map(|container| container.launch.clone()).collect()
    }

    /// Whether the container was told to stop.
    pub fn is_stopped(&self, attempt: AttemptKey) -> bool {
        self.state().containers.get(&attempt).is_some_and(|container| container.stopped)
    }

    /// The container's first process ends.
    pub fn exit(&self, attempt: AttemptKey, code: i32, out_of_memory: bool) {
        if let Some(container) = self.state().containers.get_mut(&attempt) {
            container.sighting =
                Sighting::Exited { code: Some(code), out_of_memory, message: None };
        }
    }

    /// The container is gone without a trace, as after a loss of the machine.
    pub fn lose(&self, attempt: AttemptKey) {
        let mut state = self.state();
        state.containers.remove(&attempt);
        state.admitted.remove(&attempt);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Runtime for MemoryRuntime {
    /// Every image is there, with an entrypoint and a command, except those
    /// whose names start with `missing/`, `denied/`, `unusable/` and `away/`.
    async fn resolve(
        &self,
        _: ProjectId,
        image: &ImageReference,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError> {
        let name = image.as_str();
        match name.split('/').next() {
            Some("missing") => return Err(ResolveError::NotFound(image.clone())),
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
        })
    }

    async fn admit(&self, attempt: AttemptKey, resources: Resources) -> Admission {
        let mut state = self.state();
        let Some(room) = state.room else { return Admission::Admitted };
        let fits = |cpu: u32, memory: u32| cpu <= room.cpu_millis && memory <= room.memory_mib;
        if !fits(resources.cpu_millis, resources.memory_mib) {
            return Admission::TooLarge("it asks for more than there is".into());
        }
        let others = state.admitted.iter().filter(|(other, _)| **other != attempt);
        let (cpu, memory) = others.fold((0_u32, 0_u32), |(cpu, memory), (_, taken)| {
            (cpu.saturating_add(taken.cpu_millis), memory.saturating_add(taken.memory_mib))
        });
        let cpu = cpu.saturating_add(resources.cpu_millis);
        if !fits(cpu, memory.saturating_add(resources.memory_mib)) {
            return Admission::Full;
        }
        state.admitted.insert(attempt, resources);
        Admission::Admitted
    }

    async fn launch(&self, launch: &Launch) -> Result<Launched, RuntimeError> {
        self.state().containers.entry(launch.attempt).or_insert_with(|| Container {
            launch: launch.clone(),
            sighting: Sighting::Running,
            stopped: false,
        });
        Ok(Launched::default())
    }

    async fn stop(&self, attempt: AttemptKey, kill: bool) -> Result<(), RuntimeError> {
        if let Some(container) = self.state().containers.get_mut(&attempt) {
            container.stopped = true;
            if kill && container.sighting == Sighting::Running {
                let code = Some(137);
                container.sighting = Sighting::Exited { code, out_of_memory: false, message: None };
            }
        }
        Ok(())
    }

    async fn inspect(&self, attempts: &[AttemptKey]) -> Result<Vec<Sighting>, RuntimeError> {
        let state = self.state();
        let sighting = |attempt| {
            state.containers.get(attempt).map_or(Sighting::Gone, |found| found.sighting.clone())
        };
        Ok(attempts.iter().map(sighting).collect())
    }

    async fn list(&self) -> Result<Vec<AttemptKey>, RuntimeError> {
        Ok(self.state().containers.keys().copied().collect())
    }

    async fn forget(&self, attempt: AttemptKey) -> Result<(), RuntimeError> {
        self.lose(attempt);
        Ok(())
    }
}

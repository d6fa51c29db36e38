//! Containers: each starts late or not at all, runs an agent, and ends by
//! itself, by order, or because its platform has lost it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::channel::mpsc::UnboundedSender;
use jiff::{SignedDuration, Timestamp};
use shared::{
    conformance::memory::MemoryRuntime,
    job::{AttemptKey, Cause, ImageReference, ProjectId, ResolvedImage, Resources},
    platform::{
        Admission, Known, Launch, Launched, RegistryCredentials, ResolveError, Runtime,
        RuntimeError, Sighting,
    },
};
use tokio::sync::watch;

use crate::{
    executor::{Process, Sim},
    host::{Kind, News},
    sabotage::Sabotage,
};

/// How long a task that has ended can be described.
const SHOWN: SignedDuration = SignedDuration::from_hours(1);

/// A runtime in the world.
pub struct SimRuntime {
    sim: Arc<Sim>,
    kind: Kind,
    /// What images stand for, and what is reserved.
    inner: Mutex<Arc<MemoryRuntime>>,
    containers: Mutex<BTreeMap<AttemptKey, Container>>,
    /// For whom there was no room when they were last looked at.
    turned_away: Mutex<BTreeSet<AttemptKey>>,
    news: UnboundedSender<News>,
}

struct Container {
    launch: Launch,
    sighting: Sighting,
    process: Process,
    terminated: watch::Sender<bool>,
    /// Since when others than who launched it see it.
    listed: Timestamp,
    told_to_stop: bool,
    ended: Option<Timestamp>,
}

impl Container {
    fn is_up(&self) -> bool {
        matches!(self.sighting, Sighting::Pending | Sighting::Running)
    }
}

impl SimRuntime {
    /// A runtime that starts nothing yet, with so much room.
    pub fn new(
        sim: Arc<Sim>,
        kind: Kind,
        room: Option<Resources>,
        news: UnboundedSender<News>,
    ) -> Self {
        let inner = MemoryRuntime::new();
        if let Some(room) = room {
            inner.set_room(room);
        }
        let inner = Mutex::new(Arc::new(inner));
        SimRuntime {
            sim,
            kind,
            inner,
            containers: Mutex::default(),
            turned_away: Mutex::default(),
            news,
        }
    }

    fn containers(&self) -> MutexGuard<'_, BTreeMap<AttemptKey, Container>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turned_away(&self) -> MutexGuard<'_, BTreeSet<AttemptKey>> {
        self.turned_away.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inner(&self) -> Arc<MemoryRuntime> {
        Arc::clone(&self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, news: News) {
        // Nobody listens any more once the world has come to its end.
        self.news.unbounded_send(news).ok();
    }

    /// Who held reservations has died.
    pub fn restarted(&self) {
        let after = Arc::new(self.inner().restarted());
        *self.inner.lock().unwrap_or_else(PoisonError::into_inner) = after;
    }

    /// What has been launched and is still up.
    pub fn up(&self) -> Vec<AttemptKey> {
        let containers = self.containers();
        containers.iter().filter(|(_, one)| one.is_up()).map(|(attempt, _)| *attempt).collect()
    }

    /// What the platform still knows of, where that can be forgotten.
    pub fn left(&self) -> Vec<AttemptKey> {
        match self.kind {
            Kind::Local => self.containers().keys().copied().collect(),
            Kind::Aws => self.up(),
        }
    }

    /// The container is up, if it has not been ended; told to stop, this says so.
    pub fn started(&self, attempt: AttemptKey) -> Option<watch::Receiver<bool>> {
        let terminated = {
            let mut containers = self.containers();
            let container = containers.get_mut(&attempt).filter(|one| one.is_up())?;
            container.sighting = Sighting::Running;
            container.terminated.subscribe()
        };
        self.tell(News::Seen(self.known(attempt)));
        Some(terminated)
    }

    /// The container's first process has ended, or was.
    pub fn ended(&self, attempt: AttemptKey, sighting: Sighting) {
        let process = {
            let mut containers = self.containers();
            let Some(container) = containers.get_mut(&attempt).filter(|one| one.is_up()) else {
                return;
            };
            self.sim.log(|| format!("{} ended: {sighting:?}", attempt.attempt));
            container.sighting = sighting;
            container.ended = Some(self.sim.now());
            container.process
        };
        self.sim.kill(process);
        self.tell(News::Seen(self.known(attempt)));
    }

    fn known(&self, attempt: AttemptKey) -> Known {
        Known { attempt, handle: self.handle(attempt) }
    }

    fn handle(&self, attempt: AttemptKey) -> Option<String> {
        (self.kind == Kind::Aws).then(|| format!("task/{}", attempt.attempt))
    }

    fn start(self: &Arc<Self>, launch: &Launch) -> Result<(), RuntimeError> {
        let weather = self.sim.weather();
        let amiss =
            self.sim.chance(weather.unstarted).then(|| self.sim.roll(|dice| dice.u32(0..10)));
        let sighting = match amiss {
            Some(0..4) => return Err(RuntimeError::NoCapacity("there is none".into())),
            Some(4) => return Err(RuntimeError::Refused("not that".into())),
            Some(5..8) => {
                let cause = [Cause::NoCapacity, Cause::Interrupted, Cause::ImageUnavailable];
                let cause = cause[self.sim.roll(|dice| dice.usize(0..3))];
                Sighting::NotStarted { cause, message: "it never came up".into() }
            }
            // It comes up when nobody waits for it any more.
            Some(_) | None => Sighting::Pending,
        };
        let late = amiss.is_some_and(|n| n >= 8);
        let process = self.sim.process();
        let lag =
            if self.kind == Kind::Aws && self.sim.chance(weather.lagging) { 20_000 } else { 1 };
        let lag = self.sim.roll(|dice| dice.i64(0..lag));
        let container = Container {
            launch: launch.clone(),
            ended: (sighting != Sighting::Pending).then(|| self.sim.now()),
            sighting,
            process,
            terminated: watch::Sender::new(false),
            listed: self.sim.now() + SignedDuration::from_millis(lag),
            told_to_stop: false,
        };
        let is_up = container.is_up();
        self.containers().insert(launch.attempt, container);
        self.sim.log(|| format!("{} launched", launch.attempt.attempt));
        if is_up {
            let wait = self.sim.roll(|dice| dice.u64(0..if late { 1_500_000 } else { 15_000 }));
            self.tell(News::Launched {
                attempt: launch.attempt,
                process,
                after: Duration::from_millis(wait),
            });
        } else {
            self.tell(News::Seen(self.known(launch.attempt)));
        }
        Ok(())
    }

    /// Where others see a task that has not been told to stop.
    fn listed(&self, container: &Container) -> bool {
        let seen = container.listed <= self.sim.now();
        seen && container.is_up() && !container.told_to_stop
    }

    fn sighting(&self, known: &Known) -> Sighting {
        let containers = self.containers();
        let Some(container) = containers.get(&known.attempt) else { return Sighting::Gone };
        let shown = match (self.kind, &known.handle) {
            (Kind::Local, _) => true,
            (Kind::Aws, None) => self.listed(container),
            (Kind::Aws, Some(_)) => {
                let now = self.sim.now();
                container.listed <= now && container.ended.is_none_or(|at| now < at + SHOWN)
            }
        };
        if shown { container.sighting.clone() } else { Sighting::Gone }
    }

    /// Sends TERM; a platform that has patience for so long kills after that.
    fn stop_one(self: &Arc<Self>, attempt: AttemptKey) {
        let grace = {
            let mut containers = self.containers();
            let Some(container) = containers.get_mut(&attempt) else { return };
            if self.kind == Kind::Aws && !self.listed(container) {
                return;
            }
            container.told_to_stop = true;
            container.terminated.send_replace(true);
            container.launch.grace_seconds.min(120)
        };
        if self.kind == Kind::Aws {
            let this = Arc::clone(self);
            self.sim.spawn(Process::OUTSIDE, async move {
                this.sim.sleep(Duration::from_secs(u64::from(grace) + 2)).await;
                this.ended(attempt, exited(137));
            });
        }
    }

    fn forget_one(self: &Arc<Self>, attempt: AttemptKey) {
        if self.sim.is_broken(Sabotage::UndeadContainers) {
            return;
        }
        match self.kind {
            Kind::Aws => self.stop_one(attempt),
            Kind::Local => {
                if let Some(container) = self.containers().remove(&attempt) {
                    self.sim.kill(container.process);
                    self.sim.log(|| format!("{} forgotten", attempt.attempt));
                }
                self.inner().lose(attempt);
                for attempt in std::mem::take(&mut *self.turned_away()) {
                    self.tell(News::Freed(attempt));
                }
            }
        }
    }
}

/// It has ended with this code.
pub fn exited(code: i32) -> Sighting {
    Sighting::Exited { code: Some(code), out_of_memory: false, message: None }
}

/// The runtime as a port: what is called lives on after the call.
pub struct RuntimePort(pub Arc<SimRuntime>);

#[async_trait]
impl Runtime for RuntimePort {
    async fn resolve(
        &self,
        project: ProjectId,
        image: &ImageReference,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError> {
        let inner = self.0.inner();
        let resolved = inner.resolve(project, image, credentials);
        self.0.sim.call("resolve", ResolveError::Unavailable, resolved).await
    }

    async fn admit(&self, attempt: AttemptKey, resources: Resources) -> Admission {
        self.0.sim.dawdle(0).await;
        match self.0.kind {
            Kind::Aws => Admission::Admitted,
            Kind::Local => {
                let admission = self.0.inner().admit(attempt, resources).await;
                if admission == Admission::Full {
                    self.0.turned_away().insert(attempt);
                }
                admission
            }
        }
    }

    async fn launch(&self, launch: &Launch) -> Result<Launched, RuntimeError> {
        let start = async {
            let known = self.0.containers().contains_key(&launch.attempt);
            if !known {
                self.0.start(launch)?;
                self.0.inner().launch(launch).await?;
            }
            Ok(Launched { handle: self.0.handle(launch.attempt) })
        };
        self.0.sim.call("launch", RuntimeError::Unavailable, start).await
    }

    async fn stop(&self, attempt: AttemptKey, kill: bool) -> Result<(), RuntimeError> {
        let stop = async {
            self.0.stop_one(attempt);
            if kill && self.0.kind == Kind::Local {
                self.0.ended(attempt, exited(137));
            }
            Ok(())
        };
        self.0.sim.call("stop", RuntimeError::Unavailable, stop).await
    }

    async fn inspect(&self, attempts: &[Known]) -> Result<Vec<Sighting>, RuntimeError> {
        let see = async { Ok(attempts.iter().map(|known| self.0.sighting(known)).collect()) };
        self.0.sim.call("inspect", RuntimeError::Unavailable, see).await
    }

    async fn list(&self) -> Result<Vec<AttemptKey>, RuntimeError> {
        let list = async {
            let containers = self.0.containers();
            let is_shown = |one: &Container| self.0.kind == Kind::Local || self.0.listed(one);
            let shown = containers.iter().filter(|(_, one)| is_shown(one));
            Ok(shown.map(|(attempt, _)| *attempt).collect())
        };
        self.0.sim.call("list", RuntimeError::Unavailable, list).await
    }

    async fn forget(&self, attempt: AttemptKey) -> Result<(), RuntimeError> {
        let forget = async {
            self.0.forget_one(attempt);
            Ok(())
        };
        self.0.sim.call("forget", RuntimeError::Unavailable, forget).await
    }
}

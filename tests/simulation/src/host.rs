//! Where functions run, and the network between them and everybody else.
//!
//! Two kinds of hosts: one server for everything, which dies and comes back as
//! a whole; or one short-lived process for each invocation. Messages to
//! reactions may be lost, come late, twice and out of order; calls of actions
//! likewise, in both directions.

use std::{
    collections::{BTreeMap, HashSet},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use deliver_callback::DeliverCallback;
use dispatch_jobs::DispatchJobs;
use futures::{
    FutureExt,
    channel::oneshot,
    future::{Either, select},
};
use observe_attempt::ObserveAttempt;
use shared::{
    conformance::memory::Memory,
    function::Reaction,
    job::AttemptKey,
    ops::{
        rows,
        sweep::{self, Wake},
        triggers::ObjectCreated,
    },
    platform::{Clock, Index, Key, Known, Mark, ObjectKey, Objects, Platform, collect},
    service::{Limits, Service},
    wire::Problem,
};
use submit_from_event::SubmitFromEvent;
use sweep_jobs::{SweepJobs, Tick};

use crate::{
    ask::{Answer, Ask},
    executor::{Process, Sim},
    objects::SimObjects,
    outbox::SimOutbox,
    runtime::{RuntimePort, SimRuntime},
    sabotage::Sabotage,
    table::SimTable,
    watch::Watch,
};

/// How long somebody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which of the two platforms it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One server; a table whose commits are whole and whose indexes are exact.
    Local,
    /// A process for each invocation; staged commits, indexes that lag, a
    /// runtime that shows things late.
    Aws,
}

/// What somebody may want to react to.
pub enum News {
    /// A row has changed.
    Changed {
        /// Which.
        key: Key,
        /// Its places in the indexes, none if it is gone.
        marks: BTreeMap<Index, Mark>,
        /// Whether it calls for something at once.
        is_due: bool,
    },
    /// A container has changed.
    Seen(Known),
    /// A container is coming up.
    Launched {
        /// Which.
        attempt: AttemptKey,
        /// What its agent belongs to.
        process: Process,
        /// How long it takes.
        after: Duration,
    },
    /// There may be room again for whom there was none.
    Freed(AttemptKey),
}

/// What a reaction is told.
#[derive(Clone, Debug)]
enum Message {
    Wake(Wake),
    Tell(Wake),
    Observe(Known),
    Written(ObjectCreated),
    Sweep,
}

/// Where functions run.
pub struct Host {
    /// The world.
    pub sim: Arc<Sim>,
    /// Which platform it is.
    pub kind: Kind,
    /// Its table.
    pub table: Arc<SimTable>,
    /// Its objects.
    pub objects: Arc<SimObjects>,
    /// Its runtime.
    pub runtime: Arc<SimRuntime>,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Who sees to it that all is well.
    pub watch: Arc<Watch>,
    /// What every process knows: the key that all have, and nothing else yet.
    fresh: Service,
    server: Mutex<Option<(Process, Service)>>,
    /// Who is to be woken and has not been: once is enough.
    asleep: Mutex<HashSet<Wake>>,
}

/// Work of a process.
pub type Work<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Host {
    /// A host on these ports, not serving yet.
    pub fn new(
        sim: Arc<Sim>,
        kind: Kind,
        (table, objects, runtime): (Arc<SimTable>, Arc<SimObjects>, Arc<SimRuntime>),
        clock: Arc<dyn Clock>,
        watch: Arc<Watch>,
    ) -> Arc<Self> {
        let (server, asleep) = (Mutex::new(None), Mutex::default());
        let outbox = Arc::new(SimOutbox::new(Arc::clone(&sim), Arc::clone(&watch)));
        let memory = Memory::new(0).service();
        let fresh = Service {
            platform: Platform {
                table: table.clone(),
                objects: objects.clone(),
                runtime: Arc::new(RuntimePort(Arc::clone(&runtime))),
                outbox,
                clock: Arc::clone(&clock),
            },
            limits: Limits { queue_live: 4, ..Limits::default() },
            ..memory
        };
        Arc::new(Host { sim, kind, table, objects, runtime, clock, watch, fresh, server, asleep })
    }

    /// What a process that has just started is given.
    pub fn service(&self) -> Service {
        Service {
            backlog: Arc::default(),
            queues: Arc::default(),
            turns: Arc::default(),
            ..self.fresh.clone()
        }
    }

    /// The object's bytes, as they are stored.
    pub fn object(&self, key: &ObjectKey) -> Option<Bytes> {
        let read = async {
            let found = self.objects.inner().get(key, None).await.ok()??;
            collect(found.body).await.ok()
        };
        // What is in memory is there at once.
        read.now_or_never().flatten()
    }

    fn asleep(&self) -> MutexGuard<'_, HashSet<Wake>> {
        self.asleep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server(&self) -> MutexGuard<'_, Option<(Process, Service)>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the server, if there is one; it is started again when it dies.
    pub fn serve(self: &Arc<Self>) {
        if self.kind == Kind::Aws {
            return;
        }
        let process = self.sim.process();
        let service = self.service();
        *self.server() = Some((process, service.clone()));
        self.sim.log(|| "the server starts".into());
        let heart = Heart(Arc::clone(self));
        self.sim.spawn(process, async move {
            // What fails is found again by the minute's sweep.
            sweep::adopt(&service).await.ok();
            // It lives as long as its server does.
            let _heart = heart;
            std::future::pending::<()>().await;
        });
    }

    fn died(self: Arc<Self>) {
        let Some((process, _)) = self.server().take() else { return };
        self.sim.log(|| format!("the server dies: {process:?}"));
        self.watch.note(|seen| seen.deaths += 1);
        self.runtime.restarted();
        let sim = Arc::clone(&self.sim);
        sim.clone().spawn(Process::OUTSIDE, async move {
            let away = sim.roll(|dice| dice.u64(100..60_000));
            sim.sleep(Duration::from_millis(away)).await;
            self.serve();
        });
    }

    /// Starts this in a process that serves; `None` if there is none.
    fn invoke<T: Send + 'static>(
        &self,
        work: impl FnOnce(Service) -> Work<T>,
    ) -> Option<oneshot::Receiver<T>> {
        let (process, service) = match self.kind {
            Kind::Aws => (self.sim.process(), self.service()),
            Kind::Local => self.server().clone()?,
        };
        let (send, done) = oneshot::channel();
        let work = work(service);
        self.sim.spawn(process, async move {
            // Who asked may have gone.
            send.send(work.await).ok();
        });
        Some(done)
    }

    /// What comes of what has happened.
    pub fn take(self: &Arc<Self>, news: News) {
        match news {
            News::Changed { key, marks, is_due } => {
                let this = Arc::clone(self);
                let server = self.server().as_ref().map(|(process, _)| *process);
                self.sim.spawn(Process::OUTSIDE, async move {
                    this.sim.dawdle(this.sim.weather().slow).await;
                    // A server's feed dies with it.
                    if server != this.server().as_ref().map(|(process, _)| *process) {
                        return;
                    }
                    let tells = marks.get(&Index::Due).is_some_and(rows::tells);
                    for wake in sweep::wakes(&key, &marks, is_due) {
                        if tells && matches!(wake, Wake::Job(_)) {
                            this.post(&Message::Tell(wake.clone()));
                        }
                        this.post(&Message::Wake(wake));
                    }
                });
            }
            News::Seen(known) => self.post(&Message::Observe(known)),
            News::Freed(attempt) => {
                if let Some(queue) = self.watch.queue_of(attempt.job()) {
                    self.post(&Message::Wake(Wake::Queue(queue)));
                }
            }
            News::Launched { attempt, process, after } => {
                crate::agent::come_up(self, attempt, process, after);
            }
        }
    }

    /// It is time to look for what was left undone.
    pub fn sweep(self: &Arc<Self>) {
        self.post(&Message::Sweep);
        self.post(&Message::Tell(Wake::Due));
    }

    /// An object was written: that is told until somebody has seen to it.
    pub fn written(self: &Arc<Self>, created: ObjectCreated) {
        let this = Arc::clone(self);
        self.sim.spawn(Process::OUTSIDE, async move {
            let message = Message::Written(created);
            let is_told_once = this.sim.is_broken(Sabotage::ToldOnce);
            while !Arc::clone(&this).carry(message.clone()).await && !is_told_once {
                this.sim.sleep(Duration::from_secs(20)).await;
            }
            if this.sim.chance(this.sim.weather().doubled) {
                this.carry(message).await;
            }
        });
    }

    fn post(self: &Arc<Self>, message: &Message) {
        let weather = self.sim.weather();
        if self.sim.chance(weather.lost) {
            self.sim.log(|| format!("lost: {message:?}"));
            return;
        }
        if let Message::Wake(wake) = message
            && !self.asleep().insert(wake.clone())
        {
            return;
        }
        let copies = if self.sim.chance(weather.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            let (this, message) = (Arc::clone(self), message.clone());
            self.sim.spawn(Process::OUTSIDE, async move {
                this.carry(message).await;
            });
        }
    }

    /// Brings a message to where it is reacted to, again if that fails, where
    /// somebody sees to that. Whether it was, in the end.
    async fn carry(self: Arc<Self>, message: Message) -> bool {
        let tries = if self.kind == Kind::Aws { 3 } else { 1 };
        for _ in 0..tries {
            self.sim.dawdle(self.sim.weather().slow).await;
            if let Message::Wake(wake) = &message {
                self.asleep().remove(wake);
            }
            let reaction = message.clone();
            let work = |service| -> Work<Result<(), Problem>> {
                Box::pin(async move {
                    match reaction {
                        Message::Wake(wake) => DispatchJobs.react(&service, wake).await,
                        Message::Tell(wake) => DeliverCallback.react(&service, wake).await,
                        Message::Written(created) => SubmitFromEvent.react(&service, created).await,
                        Message::Observe(known) => ObserveAttempt.react(&service, known).await,
                        Message::Sweep => SweepJobs.react(&service, Tick::default()).await,
                    }
                })
            };
            self.sim.log(|| format!("react to {message:?}"));
            let Some(done) = self.invoke(work) else { return false };
            match done.await {
                Ok(Ok(())) => return true,
                Ok(Err(problem)) => self.sim.log(|| format!("{message:?} failed: {problem}")),
                Err(_) => {
                    self.watch.note(|seen| seen.deaths += 1);
                    self.sim.log(|| format!("{message:?}: who reacted has died"));
                }
            }
            self.sim.sleep(Duration::from_secs(1)).await;
        }
        false
    }

    /// Asks an action over the network; `None` if no answer comes.
    pub async fn ask(self: &Arc<Self>, ask: Ask) -> Option<Answer> {
        let weather = self.sim.weather();
        self.sim.dawdle(weather.slow).await;
        if self.sim.chance(weather.lost) {
            self.sim.log(|| format!("lost: {ask}"));
            self.sim.sleep(PATIENCE).await;
            return None;
        }
        if self.sim.chance(weather.doubled) {
            let (this, ask) = (Arc::clone(self), ask.clone());
            self.sim.spawn(Process::OUTSIDE, async move {
                this.sim.dawdle(500).await;
                if let Some(done) = this.invoke(|service| ask.work(service)) {
                    done.await.ok();
                }
            });
        }
        let asked = ask.clone();
        let done = self.invoke(|service| asked.work(service))?;
        let patience = std::pin::pin!(self.sim.sleep(PATIENCE + ask.waits()));
        let answer = match select(done, patience).await {
            Either::Left((answer, _)) => answer.ok()?,
            // It is done all the same, perhaps.
            Either::Right(_) => return None,
        };
        self.sim.dawdle(weather.slow).await;
        if self.sim.chance(weather.lost) {
            self.sim.log(|| format!("answer lost: {ask}: {}", answer.status));
            return None;
        }
        self.sim.log(|| format!("{ask}: {}", answer.status));
        Some(answer)
    }
}

/// What stops when the server does.
struct Heart(Arc<Host>);

impl Drop for Heart {
    fn drop(&mut self) {
        Arc::clone(&self.0).died();
    }
}

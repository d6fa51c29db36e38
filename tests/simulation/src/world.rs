//! One seed's world: a while in which things go wrong, a calm in which
//! everything comes to its end, and a look at what is left.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::{StreamExt, channel::mpsc};
use jiff::{SignedDuration, Timestamp};
use shared::{
    job::{ProjectId, Resources},
    ops::{
        projects::{self, NewProject},
        queues::{self, Queue, QueueChange, Setting},
        triggers,
    },
    platform::Clock,
    service::Service,
    wire::Problem,
};

use crate::{
    clients::Client,
    executor::{Executor, Process, Sim},
    host::{Host, Kind},
    objects::SimObjects,
    ports::SimClock,
    rest,
    runtime::SimRuntime,
    sabotage::Sabotage,
    seen::Seen,
    specs::Means,
    table::SimTable,
    trace::Trace,
    watch::Watch,
    weather::Weather,
};

/// How long everything may take once nothing goes wrong any more: the longest
/// deadline of what hangs, and then some.
const REST_WITHIN: SignedDuration = SignedDuration::from_hours(16);

/// The same where receivers of callbacks are away for days: until they are
/// given up.
const GIVEN_UP_WITHIN: SignedDuration = SignedDuration::from_hours(4 * 24);

/// How long after the calm has come something may still be on its way.
const STRAYS_WITHIN: SignedDuration = SignedDuration::from_mins(30);

/// After so many looks at what is due whatever there was is gone.
const LOOKS: u32 = 1_000;

/// What came of a seed.
#[derive(Clone, Debug)]
pub struct Told {
    /// The seed.
    pub seed: u64,
    /// What must not be and was, if anything was.
    pub violation: Option<String>,
    /// What came to pass.
    pub seen: Seen,
    /// What happened, line by line, if that was asked for.
    pub trace: Trace,
}

/// Lets a seed's world live, with something broken perhaps.
pub fn run(seed: u64, sabotage: Option<Sabotage>, trace: Trace) -> Told {
    let world = World::new(seed, sabotage, trace);
    let (sim, watch) = (Arc::clone(&world.host.sim), Arc::clone(&world.host.watch));
    if let Err(panicked) = catch_unwind(AssertUnwindSafe(|| world.live())) {
        let text = panicked.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panicked.downcast_ref::<&str>().copied());
        sim.violated(format!("a panic: {}", text.unwrap_or("without a word")));
    }
    Told { seed, violation: sim.violation(), seen: watch.seen(), trace: sim.told() }
}

struct World {
    host: Arc<Host>,
    executor: Executor,
    means: Means,
    calm_since: Timestamp,
}

impl World {
    fn new(seed: u64, sabotage: Option<Sabotage>, trace: Trace) -> Self {
        let mut dice = fastrand::Rng::with_seed(seed);
        let kind = if dice.bool() { Kind::Local } else { Kind::Aws };
        let weather = Weather::drawn(&mut dice);
        // A listing walks months; some worlds see one end.
        let noon: Timestamp = "2026-03-01T12:00:00Z".parse().expect("it is a time");
        let eve: Timestamp = "2026-03-31T23:56:00Z".parse().expect("it is a time");
        let start = if dice.u32(0..6) == 0 { eve } else { noon };
        let room = dice.bool().then_some(Resources { cpu_millis: 2_000, memory_mib: 65_536 });
        let means = Means::drawn(&mut dice);
        let entropy = dice.fork();
        let sim = Sim::new(start, dice, weather.clone(), sabotage, trace);
        sim.log(|| format!("seed {seed}: {kind:?}, {weather:?}, {room:?}, {means:?}"));

        let clock: Arc<dyn Clock> = Arc::new(SimClock::new(Arc::clone(&sim), entropy));
        let (feed, mut news) = mpsc::unbounded();
        let watch = Arc::new(Watch::new(Arc::clone(&sim), kind));
        let table = SimTable::new(sim.clone(), kind, clock.clone(), watch.clone(), feed.clone());
        let objects = SimObjects::new(sim.clone(), clock.clone());
        let runtime = SimRuntime::new(sim.clone(), kind, room, feed);
        let ports = (Arc::new(table), Arc::new(objects), Arc::new(runtime));
        let host = Host::new(sim.clone(), kind, ports, clock, watch);
        let postman = Arc::clone(&host);
        sim.spawn(Process::OUTSIDE, async move {
            while let Some(news) = news.next().await {
                postman.take(news);
            }
        });
        World { executor: Executor::new(sim), host, means, calm_since: start }
    }

    fn live(mut self) {
        self.storm();
        self.host.sim.calm();
        self.calm_since = self.host.sim.now();
        self.host.sim.log(|| "calm".into());
        self.come_to_rest();
        if self.host.sim.violation().is_none() {
            rest::check(&self.host);
        }
        self.outlive();
        if self.host.sim.violation().is_none() {
            rest::check_empty(&self.host);
        }
    }

    fn project(&mut self, name: &'static str) -> Option<NewProject> {
        let service = self.host.service();
        let made = self.executor.finish(async move { projects::create(&service, name).await });
        made.and_then(Result::ok)
    }

    /// Things go wrong.
    fn storm(&mut self) {
        let lasting = self.host.sim.roll(|dice| dice.u64(1..12));
        let lasting = Duration::from_mins(lasting);
        let others = Arc::new(Mutex::new(Vec::new()));
        for name in ["one", "two"] {
            let Some(new) = self.project(name) else { return };
            self.host.watch.project(new.project.id);
            for n in 0..self.host.sim.roll(|dice| dice.usize(1..3)) {
                // What costs most is one client's business.
                let means =
                    Means { wide: self.means.wide && (name, n) == ("one", 0), ..self.means };
                let name = format!("{name}-{n}");
                Client::new(&self.host, &new, name, means, Arc::clone(&others)).start(lasting);
            }
        }
        self.host.serve();
        let minutes = lasting.as_secs() / 60 + 1;
        for _ in 0..minutes {
            self.executor.run_for(Duration::from_mins(1));
            self.sweep();
        }
    }

    fn sweep(&self) {
        if !self.host.sim.is_broken(Sabotage::NoSweeps) {
            self.host.sweep();
        }
    }

    /// Whoever runs the place lets every queue go on with all that waits in it,
    /// and has no job made by the clock; its clients may not have come to their
    /// end yet, and change that.
    fn release(&mut self) {
        for key in self.host.watch.held_back(is_held) {
            let service = self.host.service();
            let change = QueueChange {
                paused: Some(false),
                limit: Some(4),
                cpu_millis: Some(Setting::To(LARGEST.cpu_millis)),
                memory_mib: Some(Setting::Lifted),
                ..QueueChange::default()
            };
            let put = async move { queues::put(&service, &key, change).await.map(|_| ()) };
            self.executor.finish(put);
        }
        for project in self.host.watch.with_schedules() {
            let service = self.host.service();
            self.executor.finish(async move { no_more_times(&service, project).await.ok() });
        }
    }

    /// A sweep a minute, until nothing is left to be done; those that would
    /// come in vain are left out.
    fn come_to_rest(&mut self) {
        let days = if self.means.days { GIVEN_UP_WITHIN } else { SignedDuration::ZERO };
        let until = self.host.sim.now() + REST_WITHIN + days;
        while self.host.sim.violation().is_none() {
            self.release();
            self.executor.run_for(Duration::from_mins(1));
            self.sweep();
            self.executor.run_for(Duration::from_secs(5));
            if self.is_quiet() && rest::is_at_rest(&self.host) {
                return;
            }
            if self.host.sim.now() > until {
                self.host.sim.violated(format!("no rest: {}", rest::unrest(&self.host)));
                return;
            }
            self.skip();
        }
    }

    /// Whether nothing comes any more but what is owed.
    fn is_quiet(&self) -> bool {
        let is_late = self.host.sim.now() > self.calm_since + STRAYS_WITHIN;
        is_late && self.host.watch.clients() == 0
    }

    /// Goes on to shortly before a sweep finds something to do. What is still
    /// asked for, or was long ago, may change that.
    fn skip(&mut self) {
        let now = self.host.sim.now();
        let wait = match self.host.table.next_due() {
            Some(next) => next.duration_since(now) - SignedDuration::from_mins(1),
            None => STRAYS_WITHIN,
        };
        // A container that nobody waits for is found by a sweep alone.
        let is_idle = self.is_quiet() && self.host.runtime.left().is_empty();
        let most = Duration::from_mins(if is_idle { 24 * 60 } else { 10 });
        if let Ok(wait) = Duration::try_from(wait) {
            self.executor.run_for(wait.min(most));
        }
    }

    /// Until nobody wants any of it any more, and nobody is told of it.
    fn outlive(&mut self) {
        let told = self.host.watch.received();
        for _ in 0..LOOKS {
            if self.host.sim.violation().is_some() || self.host.table.next_due().is_none() {
                break;
            }
            // What was asked for long ago may only now have come.
            self.release();
            self.skip();
            self.executor.run_for(Duration::from_mins(2));
            self.sweep();
            self.executor.run_for(Duration::from_secs(5));
        }
        if self.host.watch.received() > told {
            self.host.sim.violated("somebody was told of what was over");
        }
    }
}

/// The most that a container asks for.
const LARGEST: Resources = Resources { cpu_millis: 1_000, memory_mib: 64 };

/// Whether something may wait in the queue that does not start from it.
fn is_held(queue: &Queue) -> bool {
    queue.paused
        || queue.cpu_millis.is_some_and(|most| most < LARGEST.cpu_millis)
        || queue.memory_mib.is_some()
}

/// Forgets the triggers that wait for times: those never end.
async fn no_more_times(service: &Service, project: ProjectId) -> Result<(), Problem> {
    for trigger in triggers::list(service, project).await? {
        if matches!(trigger.draft.on, triggers::Rule::Schedule(_)) {
            triggers::delete(service, project, &trigger.name).await?;
        }
    }
    Ok(())
}

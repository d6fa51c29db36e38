//! One thread, a clock that goes on when everybody waits, and dice that decide
//! who is next.
//!
//! What happens depends on the seed alone: nothing here looks at the machine's
//! time, and nothing is kept in the order of memory addresses.

use std::{
    collections::BTreeMap,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use crate::{sabotage::Sabotage, trace::Trace, weather::Weather};

/// Steps after which a world that does not come to rest is given up.
const MOST_STEPS: u64 = 2_000_000;

/// Who dies together: a Lambda's invocation, a server, a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process(u64);

impl Process {
    /// What no simulated process is: the network, the clients, time.
    pub const OUTSIDE: Process = Process(0);
}

type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

struct Task {
    id: u64,
    process: Process,
    work: Work,
}

/// The world's time, dice and tasks, shared by all that is in it.
pub struct Sim {
    state: Mutex<State>,
}

struct State {
    now: Timestamp,
    dice: fastrand::Rng,
    next: u64,
    /// Tasks that can go on.
    ready: Vec<u64>,
    timers: BTreeMap<(Timestamp, u64), Waker>,
    spawned: Vec<Task>,
    killed: Vec<Process>,
    current: Process,
    weather: Weather,
    sabotage: Option<Sabotage>,
    trace: Trace,
    violation: Option<String>,
}

impl Sim {
    /// A world at `now`, in which everything follows from `dice`.
    pub fn new(
        now: Timestamp,
        dice: fastrand::Rng,
        weather: Weather,
        sabotage: Option<Sabotage>,
        trace: Trace,
    ) -> Arc<Self> {
        let state = State {
            now,
            dice,
            next: 1,
            ready: Vec::new(),
            timers: BTreeMap::new(),
            spawned: Vec::new(),
            killed: Vec::new(),
            current: Process::OUTSIDE,
            weather,
            sabotage,
            trace,
            violation: None,
        };
        Arc::new(Sim { state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        self.state().now
    }

    /// Lets the dice decide.
    pub fn roll<T>(&self, roll: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        roll(&mut self.state().dice)
    }

    /// Whether something happens that happens so many times in a thousand.
    pub fn chance(&self, per_mille: u32) -> bool {
        per_mille > 0 && self.roll(|dice| dice.u32(0..1_000) < per_mille)
    }

    /// How things go just now.
    pub fn weather(&self) -> Weather {
        self.state().weather.clone()
    }

    /// From now on nothing goes wrong any more.
    pub fn calm(&self) {
        self.state().weather = Weather::calm();
    }

    /// Whether this is broken on purpose.
    pub fn is_broken(&self, what: Sabotage) -> bool {
        self.state().sabotage == Some(what)
    }

    /// Notes what happens, for who reads it.
    pub fn log(&self, line: impl FnOnce() -> String) {
        let mut state = self.state();
        let now = state.now;
        state.trace.add(now, line);
    }

    /// Something is that must not be. The first stands.
    pub fn violated(&self, what: impl Into<String>) {
        let what = what.into();
        self.log(|| format!("VIOLATED: {what}"));
        self.state().violation.get_or_insert(what);
    }

    /// What was violated, if anything was.
    pub fn violation(&self) -> Option<String> {
        self.state().violation.clone()
    }

    /// All that was noted.
    pub fn told(&self) -> Trace {
        self.state().trace.clone()
    }

    /// A process that nothing belongs to yet.
    pub fn process(&self) -> Process {
        let mut state = self.state();
        state.next += 1;
        Process(state.next)
    }

    /// The process whose work is being done.
    pub fn current(&self) -> Process {
        self.state().current
    }

    /// Does this beside everything else, until the process dies.
    pub fn spawn(&self, process: Process, work: impl Future<Output = ()> + Send + 'static) {
        let mut state = self.state();
        state.next += 1;
        let id = state.next;
        state.ready.push(id);
        state.spawned.push(Task { id, process, work: Box::pin(work) });
    }

    /// Ends all that belongs to the process, wherever it is.
    pub fn kill(&self, process: Process) {
        self.state().killed.push(process);
    }

    /// Waits so long.
    pub async fn sleep(&self, time: Duration) {
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        let until = self.now().checked_add(time).unwrap_or(Timestamp::MAX);
        self.sleep_until(until).await;
    }

    /// Waits until then.
    pub async fn sleep_until(&self, until: Timestamp) {
        poll_fn(|context| {
            let mut state = self.state();
            if state.now >= until {
                return Poll::Ready(());
            }
            state.next += 1;
            let place = (until, state.next);
            state.timers.insert(place, context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Lets others go first.
    pub async fn step_aside(&self) {
        let mut stepped = false;
        poll_fn(|context| {
            if std::mem::replace(&mut stepped, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

struct TaskWaker {
    id: u64,
    sim: Weak<Sim>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if let Some(sim) = self.sim.upgrade() {
            let mut state = sim.state();
            if !state.ready.contains(&self.id) {
                state.ready.push(self.id);
            }
        }
    }
}

/// What holds the tasks and carries them on.
pub struct Executor {
    sim: Arc<Sim>,
    tasks: BTreeMap<u64, (Process, Work, Waker)>,
    steps: u64,
}

impl Executor {
    /// Nothing to do yet.
    pub fn new(sim: Arc<Sim>) -> Self {
        Executor { sim, tasks: BTreeMap::new(), steps: 0 }
    }

    /// Lets things happen for so long, or until something is violated.
    pub fn run_for(&mut self, time: Duration) {
        let time = SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        let until = self.sim.now() + time;
        while self.sim.violation().is_none() {
            self.bury();
            self.adopt();
            let Some(id) = self.next(until) else { return };
            self.poll(id);
            self.steps += 1;
            if self.steps > MOST_STEPS {
                self.sim.violated("it does not come to rest");
            }
        }
    }

    /// Waits for nothing but this to be done, at most an hour.
    pub fn finish<T: Send + 'static>(
        &mut self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let done = Arc::new(Mutex::new(None));
        let result = Arc::clone(&done);
        self.sim.spawn(Process::OUTSIDE, async move {
            let value = work.await;
            *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        });
        for _ in 0..3_600 {
            self.run_for(Duration::from_secs(1));
            let value = done.lock().unwrap_or_else(PoisonError::into_inner).take();
            if value.is_some() || self.sim.violation().is_some() {
                return value;
            }
        }
        self.sim.violated("a call without an end");
        None
    }

    fn adopt(&mut self) {
        let spawned = std::mem::take(&mut self.sim.state().spawned);
        for Task { id, process, work } in spawned {
            let waker = Waker::from(Arc::new(TaskWaker { id, sim: Arc::downgrade(&self.sim) }));
            self.tasks.insert(id, (process, work, waker));
        }
    }

    /// Drops what belongs to the dead: what it was in the middle of stays as it is.
    fn bury(&mut self) {
        let killed = std::mem::take(&mut self.sim.state().killed);
        if killed.is_empty() {
            return;
        }
        self.adopt();
        let (dead, alive) = std::mem::take(&mut self.tasks)
            .into_iter()
            .partition(|(_, (process, ..))| killed.contains(process));
        self.tasks = alive;
        drop::<BTreeMap<_, _>>(dead);
    }

    /// Whoever's turn it is; time goes on if it is nobody's.
    fn next(&self, until: Timestamp) -> Option<u64> {
        loop {
            let mut state = self.sim.state();
            if !state.ready.is_empty() {
                let ready = state.ready.len();
                let place = state.dice.usize(0..ready);
                return Some(state.ready.swap_remove(place));
            }
            let due = state.timers.keys().next().map(|(at, _)| *at).filter(|at| *at <= until);
            let Some(due) = due else {
                state.now = state.now.max(until);
                return None;
            };
            state.now = state.now.max(due);
            let later = state.timers.split_off(&(due, u64::MAX));
            let wakers = std::mem::replace(&mut state.timers, later);
            drop(state);
            wakers.into_values().for_each(Waker::wake);
        }
    }

    fn poll(&mut self, id: u64) {
        // One that has ended or was killed may still have been woken.
        let Some((process, mut work, waker)) = self.tasks.remove(&id) else { return };
        self.sim.state().current = process;
        let polled = work.as_mut().poll(&mut Context::from_waker(&waker));
        self.sim.state().current = Process::OUTSIDE;
        if polled.is_pending() {
            self.tasks.insert(id, (process, work, waker));
        }
    }
}

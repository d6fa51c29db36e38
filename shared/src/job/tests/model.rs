//! Any job, any order of events: what must hold whatever happens.
//!
//! A world does what a platform would, now and then, and what it would not:
//! it repeats events, mixes them up, sends them late and on behalf of attempts
//! that are long over. After every step it looks at all that it can see.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, sample::Index};

use crate::job::{
    tests::{walk::*, wide::*},
    *,
};

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    /// One of the duties that are owed is done, in one of several ways.
    Duty(Index, u8),
    /// One of the attempts there ever were, or the next one, is heard of.
    News(Index, News),
    /// An event that was sent before is sent again.
    Again(Index),
    /// An image is told about, asked for or not.
    Image(Index, Option<Cause>),
    Pass(u16),
    Tick,
    Cancel,
    Retry(bool),
    Delete,
    Told(u8),
    TellFailed(u8, Option<u32>),
}

#[derive(Clone, Debug)]
enum News {
    Claimed,
    Launched,
    PlanRead,
    Collecting(i32),
    Ended(Ended),
}

fn causes() -> impl Strategy<Value = Cause> {
    prop::sample::select(Cause::ALL.to_vec())
}

fn endings() -> impl Strategy<Value = Ended> {
    let exit = prop_oneof![
        (-1..3).prop_map(Exit::Code),
        prop::sample::select(vec![9, 15, i32::MAX]).prop_map(Exit::Signal),
    ];
    (prop::option::of(exit), prop::option::of(causes()), prop::option::of(0..9_u64))
        .prop_map(|(exit, cause, archive_bytes)| Ended { exit, cause, archive_bytes })
}

fn news() -> impl Strategy<Value = News> {
    prop_oneof![
        2 => Just(News::Claimed),
        1 => Just(News::Launched),
        3 => Just(News::PlanRead),
        1 => (0..2).prop_map(News::Collecting),
        3 => endings().prop_map(News::Ended),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        90 => (any::<Index>(), any::<u8>()).prop_map(|(which, how)| Step::Duty(which, how)),
        60 => (any::<Index>(), news()).prop_map(|(which, news)| Step::News(which, news)),
        15 => any::<Index>().prop_map(Step::Again),
        2 => (any::<Index>(), prop::option::of(causes())).prop_map(|(i, c)| Step::Image(i, c)),
        15 => (0..60_u16).prop_map(Step::Pass),
        10 => Just(Step::Tick),
        1 => Just(Step::Cancel),
        6 => any::<bool>().prop_map(Step::Retry),
        1 => Just(Step::Delete),
        1 => (0..4_u8).prop_map(Step::Told),
        3 => (0..4_u8, prop::option::of(0..90_u32)).prop_map(|(r, s)| Step::TellFailed(r, s)),
    ];
    prop::collection::vec(step, 0..150)
}

fn tasks() -> impl Strategy<Value = Vec<TaskSpec>> {
    let whens = [When::Succeeded, When::Partly, When::Failed, When::Finished];
    (1..=8_usize).prop_flat_map(move |size| {
        let edge = (0..size, 0..size, prop::sample::select(whens.to_vec()));
        let edges = prop::collection::vec(edge, 0..size * 2);
        let places = Just((0..size).collect::<Vec<_>>()).prop_shuffle();
        (prop::collection::vec(a_task(), size), edges, places).prop_map(|(tasks, edges, places)| {
            let name = |(n, task): (usize, TaskSpec)| {
                task.with(|task| task.name = format!("t{n}").parse().unwrap())
            };
            let mut tasks: Vec<_> = tasks.into_iter().enumerate().map(name).collect();
            for (a, b, when) in edges.into_iter().filter(|(a, b, _)| a != b) {
                let task = u32::try_from(places[a.min(b)]).unwrap();
                tasks[places[a.max(b)]].after.push(Edge { task, when });
            }
            tasks
        })
    })
}

fn a_task() -> impl Strategy<Value = TaskSpec> {
    let instances = prop_oneof![40 => 1..=5_u32, 1 => 129..=140_u32];
    let seconds = || prop_oneof![1 => 0..40_u32, 4 => 40..1_000_u32];
    let deadlines = (seconds(), seconds(), seconds(), 0..20_u32, 0..20_u32).prop_map(
        |(waiting, starting, running, grace, collecting)| Deadlines {
            waiting,
            starting,
            running,
            grace,
            collecting,
        },
    );
    let retry = (1..4_u32, prop::collection::vec(0..3, 0..2), 0..50_u32).prop_map(
        |(max_attempts, exit_codes, delay_seconds)| RetryRules {
            max_attempts,
            exit_codes,
            delay_seconds,
        },
    );
    (instances, prop::option::of(0..4_u32), deadlines, retry, any::<bool>()).prop_map(
        |(instances, max_concurrent, deadlines, retry, other)| TaskSpec {
            image: if other { "other" } else { "one" }.parse().unwrap(),
            ..array("t", instances).with(|task| {
                (task.max_concurrent, task.deadlines, task.retry) =
                    (max_concurrent, deadlines, retry);
            })
        },
    )
}

fn specs() -> impl Strategy<Value = JobSpec> {
    let deadline = prop_oneof![3 => Just(None), 1 => (0..1_000_u32).prop_map(Some)];
    (tasks(), prop::bool::weighted(0.3), deadline, any::<bool>()).prop_map(
        |(tasks, fail_fast, deadline_seconds, told)| JobSpec {
            fail_fast,
            deadline_seconds,
            retain_days: 1,
            callback: told.then(|| told_at("https://example.com/hook")),
            ..job(tasks)
        },
    )
}

/// A job and its chunks, with a memory of all that happened to them.
struct World {
    spec: JobSpec,
    wide: Wide,
    /// Every attempt that was ever claimed.
    known: Vec<AttemptId>,
    sent: Vec<Event>,
    /// The highest attempt of each instance whose plan was read, by run.
    read: BTreeMap<(u32, u32, u32), u32>,
}

impl World {
    fn new(spec: JobSpec, resolved: bool) -> World {
        let walk = if resolved { Walk::new(&spec) } else { Walk::unresolved(&spec) };
        let wide = Wide { walk, chunks: BTreeMap::new() };
        World { spec, wide, known: Vec::new(), sent: Vec::new(), read: BTreeMap::new() }
    }

    fn job(&self) -> &Job {
        self.wide.job()
    }

    fn now(&self) -> Timestamp {
        self.wide.walk.now
    }

    fn take(&mut self, step: &Step) {
        let job = self.job();
        match step {
            Step::Duty(which, how) => {
                let mut owed = self.owed();
                owed.retain(|(due, _)| due.duty != Duty::Tick);
                if let Some(due) = pick(&owed, *which) {
                    self.perform(*due, *how);
                }
            }
            Step::News(which, news) => {
                let next = self.claims();
                let all: Vec<_> = self.known.iter().chain(&next).collect();
                if let Some(id) = pick(&all, *which) {
                    self.hear(**id, &news.event());
                }
            }
            Step::Again(which) => {
                if let Some(event) = pick(&self.sent, *which).cloned() {
                    self.send(&event);
                }
            }
            Step::Image(which, cause) => {
                let image = u32::try_from(which.index(job.images.len())).unwrap();
                self.send(&match cause {
                    None => Event::ImageResolved { image, resolved: resolved() },
                    Some(cause) => Event::ImageFailed { image, cause: *cause },
                });
            }
            Step::Pass(seconds) => self.pass((*seconds).into()),
            Step::Tick => self.tick(),
            Step::Cancel => self.send(&Event::CancelAsked),
            Step::Retry(all) => self.send(&Event::RetryAsked { all: *all }),
            Step::Delete => self.send(&Event::DeleteAsked),
            Step::Told(run) => self.send(&Event::Told { run: (*run).into() }),
            Step::TellFailed(run, again_seconds) => {
                let (run, again_seconds) = ((*run).into(), *again_seconds);
                self.send(&Event::TellFailed { run, again_seconds });
            }
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.wide.walk.now += SignedDuration::from_secs(seconds);
    }

    fn owed(&self) -> Vec<(Due, Option<(u32, u32)>)> {
        let of = |place| move |due| (due, place);
        let chunks =
            self.chunks().flat_map(|(place, chunk)| chunk.owes().into_iter().map(of(Some(*place))));
        self.job().owes().into_iter().map(of(None)).chain(chunks).collect()
    }

    /// The chunks that the current run has made.
    fn chunks(&self) -> impl Iterator<Item = (&(u32, u32), &Chunk)> {
        self.wide.chunks.iter().filter(|(_, chunk)| chunk.run == self.job().run)
    }

    fn claims(&self) -> Vec<AttemptId> {
        let claim = |(due, _): (Due, _)| match due.duty {
            Duty::Claim(id) => Some(id),
            _ => None,
        };
        self.owed().into_iter().filter_map(claim).collect()
    }

    fn perform(&mut self, (due, place): (Due, Option<(u32, u32)>), how: u8) {
        let resolved = |image| Event::ImageResolved { image, resolved: resolved() };
        let unavailable = Cause::ImageUnavailable;
        match due.duty {
            Duty::Resolve(image) if how.is_multiple_of(4) => {
                self.send(&Event::ImageFailed { image, cause: unavailable });
            }
            Duty::Resolve(image) => self.send(&resolved(image)),
            Duty::Spread { task, chunk } => self.wide.spread(task, chunk).unwrap(),
            Duty::HaltChunk { task, chunk } => self.wide.halt_chunk(task, chunk),
            Duty::Fold => self.wide.fold(place.unwrap()),
            Duty::Claim(id) => self.hear(id, &AttemptEvent::Claimed),
            Duty::Launch(id) => self.hear(id, &AttemptEvent::Launched { handle: None }),
            Duty::Stop(id) => self.hear(id, &AttemptEvent::Ended(interrupted())),
            Duty::Look(id) if how.is_multiple_of(4) => self.hear(id, &AttemptEvent::Ended(lost())),
            Duty::Look(id) if how.is_multiple_of(2) => self.hear(id, &AttemptEvent::PlanRead),
            Duty::Look(id) => {
                self.hear(id, &AttemptEvent::Ended(exit(i32::from(how == 3))));
            }
            Duty::Tell { run } if how.is_multiple_of(4) => {
                self.send(&Event::TellFailed { run, again_seconds: Some(5) });
            }
            Duty::Tell { run } => self.send(&Event::Told { run }),
            Duty::Tick | Duty::Purge => {}
        }
    }

    /// What was done before may have settled it.
    fn perform_if_owed(&mut self, (due, place): (Due, Option<(u32, u32)>), how: u8) {
        let owed = match place {
            Some(place) => self.wide.chunks[&place].owes(),
            None => self.job().owes(),
        };
        if owed.contains(&due) {
            self.perform((due, place), how);
        }
    }

    /// An attempt's event finds its way to the record or to a chunk.
    fn hear(&mut self, id: AttemptId, event: &AttemptEvent) {
        let inline = self.spec.tasks[id.task as usize].instances <= INLINE_INSTANCES;
        if inline {
            self.send(&Event::Attempt(id, event.clone()));
        } else if let Some(chunk) = self.wide.chunks.get(&(id.task, id.instance / INLINE_INSTANCES))
        {
            let (now, before) = (self.now(), chunk.clone());
            if let Ok(after) = before.after(id, event, now) {
                assert_eq!(after.after(id, event, now).as_ref(), Ok(&after), "{event:?} twice");
                let place = (id.instance % INLINE_INSTANCES) as usize;
                let new = after.instances[place].clone();
                self.wide.chunks.insert((id.task, id.instance / INLINE_INSTANCES), after);
                self.heard(id, event, &before.instances[place], &new);
            }
        }
        self.known.push(id);
    }

    /// What an event may have done to the instance that it is about.
    fn heard(&mut self, id: AttemptId, event: &AttemptEvent, old: &Instance, new: &Instance) {
        match event {
            AttemptEvent::Claimed if old != new => {
                assert_eq!(new.attempts, old.attempts + 1, "numbers rise one by one");
                assert_eq!(new.attempts, id.number);
                assert!(old.live().is_none(), "there was another");
            }
            AttemptEvent::PlanRead => {
                let live = new.live().expect("only what is live reads its plan");
                assert_eq!((live.phase, live.stop), (AttemptPhase::Running, None));
                assert_eq!(new.attempts, id.number, "and only the latest");
                let read = self.read.entry((id.run, id.task, id.instance)).or_default();
                assert!(*read <= id.number);
                *read = id.number;
            }
            _ => {}
        }
        if old.is_ended() {
            assert_eq!(old, new, "the first ending stands");
        }
    }

    fn send(&mut self, event: &Event) {
        let now = self.now();
        self.sent.push(event.clone());
        let before = self.job().clone();
        let Ok(after) = before.after(event, now) else { return };
        match event {
            // Asked again, it would be a run of the run.
            Event::RetryAsked { .. } => {
                assert_eq!(after.after(event, now), Err(Refused::NotFinished));
            }
            _ => assert_eq!(after.after(event, now).as_ref(), Ok(&after), "{event:?} twice"),
        }
        compare(&before, &after);
        self.wide.walk.job = after;
        if let Event::Attempt(id, event) = event
            && id.run == before.run
        {
            let new = self.job().instance(*id).unwrap().clone();
            self.heard(*id, event, before.instance(*id).unwrap(), &new);
        }
    }

    /// A sweep comes by the job and its chunks.
    fn tick(&mut self) {
        let now = self.now();
        self.send(&Event::Ticked);
        for chunk in self.wide.chunks.values_mut() {
            let ticked = chunk.ticked(now);
            assert_eq!(ticked.ticked(now), ticked, "twice");
            *chunk = ticked;
        }
        for (due, _) in self.owed() {
            assert!(due.duty != Duty::Tick || due.at > now, "a sweep would come at once again");
        }
    }

    /// All that must hold at any time.
    fn check(&self) {
        let (job, owed) = (self.job(), self.owed());
        let claims = |task| {
            let of = |id: AttemptId| id.task == task;
            owed.iter().filter(|(due, _)| matches!(due.duty, Duty::Claim(id) if of(id))).count()
        };
        for (place, (task, spec)) in (0..).zip(job.tasks.iter().zip(&self.spec.tasks)) {
            assert_eq!(task.members.counts().total(), spec.instances);
            let chunks = self.chunks().filter(|((task, _), _)| *task == place);
            let live = task.instances().iter().chain(chunks.flat_map(|(_, c)| &c.instances));
            let live = live.filter(|instance| instance.live().is_some()).count();
            let claims = claims(place);
            let most = task.max_concurrent.map_or(usize::MAX, |most| most.max(1) as usize);
            assert!(live <= most && (live + claims <= most || claims == 0));
            if task.state.is_ended() {
                assert_eq!(live, 0);
                assert!(task.members.counts().is_ended());
            }
        }
        assert!(!owed.is_empty(), "nothing would go on");
        for (due, chunk) in owed {
            self.check_duty(due.duty, chunk);
        }
        self.check_ending();
    }

    /// What is stored reads back as it was.
    fn check_stored(&self) {
        let job = serde_json::to_vec(self.job()).unwrap();
        assert_eq!(&serde_json::from_slice::<Job>(&job).unwrap(), self.job());
        for chunk in self.wide.chunks.values() {
            let stored = serde_json::to_vec(chunk).unwrap();
            assert_eq!(&serde_json::from_slice::<Chunk>(&stored).unwrap(), chunk);
        }
    }

    fn check_duty(&self, duty: Duty, place: Option<(u32, u32)>) {
        let job = self.job();
        let over = job.ending().is_some();
        let chunk = place.map(|place| &self.wide.chunks[&place]);
        let instance = |id: AttemptId| match chunk {
            Some(chunk) => chunk.instances[(id.instance % INLINE_INSTANCES) as usize].clone(),
            None => job.instance(id).unwrap().clone(),
        };
        let live = |id: AttemptId| {
            assert_eq!((id.job, id.run, over), (job.id, job.run, false));
            let instance = instance(id);
            assert_eq!(instance.attempts, id.number);
            instance.live().expect("a duty for a live attempt").clone()
        };
        match duty {
            Duty::Claim(id) => {
                let task = &job.tasks[id.task as usize];
                let image = &job.images[task.image as usize].state;
                assert!(matches!(image, ImageState::Resolved(_)));
                assert_eq!(instance(id).attempts + 1, id.number);
                let claim = AttemptEvent::Claimed;
                if let Some(chunk) = chunk {
                    chunk.after(id, &claim, self.now()).unwrap();
                } else {
                    assert_eq!(job.halt(), None);
                    job.after(&Event::Attempt(id, claim), self.now()).unwrap();
                }
            }
            Duty::Stop(id) => assert!(live(id).stop.is_some()),
            Duty::Launch(id) => {
                let live = live(id);
                assert_eq!((live.phase, live.stop), (AttemptPhase::Claimed, None));
            }
            Duty::Look(id) => assert_eq!(live(id).stop, None),
            Duty::Spread { task, chunk } => {
                let before = self.wide.chunks.get(&(task, chunk));
                job.spread(task, chunk, before, self.now()).unwrap();
            }
            Duty::HaltChunk { .. } => assert!(job.halt().is_some()),
            Duty::Resolve(_) => assert!(!over && job.halt().is_none()),
            Duty::Tell { run } => assert!(job.telling(run).is_some()),
            Duty::Purge => assert!(job.deleted_at.is_some()),
            Duty::Tick | Duty::Fold => {}
        }
    }

    fn check_ending(&self) {
        let job = self.job();
        assert_eq!(job.ending().is_some(), job.tasks.iter().all(|task| task.state.is_ended()));
        let Some((ending, _)) = job.ending() else { return };
        assert_eq!(job.live_attempts(), []);
        for (&(task, place), chunk) in self.chunks() {
            assert_eq!(chunk.counts(), entry(job, task, place).counts, "the job knows all of it");
        }
        let ran = job.tasks.iter().filter(|task| task.state != TaskState::Skipped);
        let counts: Counts = ran.map(|task| task.members.counts()).sum();
        match ending {
            Ending::Succeeded => assert_eq!((counts.failed, counts.stopped), (0, 0)),
            Ending::Failed => assert!(counts.succeeded == 0 && counts.failed > 0),
            Ending::PartlyFailed => assert!(counts.succeeded > 0 && counts.failed > 0),
            Ending::Cancelled | Ending::TimedOut => assert!(counts.stopped > 0),
        }
    }

    /// Only time passes from here on; rows of the table are kept in step.
    fn wait_for_the_end(&mut self) {
        for _ in 0..10_000 {
            self.keep_in_step();
            if self.job().ending().is_some() {
                return;
            }
            let ticks = self.owed().into_iter().filter(|(due, _)| due.duty == Duty::Tick);
            let next = ticks.map(|(due, _)| due.at).min().expect("every state has a deadline");
            self.wide.walk.now = next.max(self.now());
            self.tick();
            self.check();
        }
        panic!("it does not end by itself: {:#?}", self.job());
    }

    /// Everything that is owed is done from here on, and nobody fails to answer.
    fn work_to_the_end(&mut self) {
        for round in 0..1_000_u32 {
            if self.job().ending().is_some() {
                return;
            }
            let owed = self.owed();
            // What is done before it is due is done by whoever was told of it.
            let (ticks, work): (Vec<_>, Vec<_>) =
                owed.into_iter().partition(|(due, _)| due.duty == Duty::Tick);
            for (one, odd) in work.iter().zip([1, 3, 5].into_iter().cycle()) {
                self.perform_if_owed(*one, odd);
            }
            self.check();
            let due = ticks.iter().map(|(due, _)| due.at).min();
            match due.filter(|_| work.is_empty()) {
                Some(due) => self.wide.walk.now = due.max(self.now()),
                // Registries that were away want to be asked later.
                None => self.pass((round % 2).into()),
            }
            self.tick();
        }
        panic!("it does not end though all is done: {:#?}", self.job());
    }

    fn keep_in_step(&mut self) {
        for (due, place) in self.owed() {
            match due.duty {
                Duty::HaltChunk { task, chunk } => self.wide.halt_chunk(task, chunk),
                Duty::Fold => self.wide.fold(place.unwrap()),
                _ => {}
            }
        }
        for place in self.wide.chunks.keys().copied().collect::<Vec<_>>() {
            self.wide.fold(place);
        }
    }
}

/// What may change from one job to the next.
fn compare(before: &Job, after: &Job) {
    let Job { callback, untold, deleted_at, .. } = after.clone();
    if before.run == after.run && before.ending().is_some() {
        let over = Job { callback, untold, deleted_at, ..before.clone() };
        assert_eq!(after, &over, "an ending never changes");
    }
    assert!(before.run <= after.run && after.run <= before.run + 1);
    if before.run == after.run {
        assert!(
            before.halt().is_none() || after.ending().is_some() || after.halt() == before.halt()
        );
        for (old, new) in before.tasks.iter().zip(&after.tasks) {
            assert!(!old.state.is_ended() || old == new, "an ended task never changes");
            for (old, new) in old.instances().iter().zip(new.instances()) {
                assert!(old.attempts <= new.attempts);
            }
        }
    }
}

fn pick<T>(from: &[T], which: Index) -> Option<&T> {
    (!from.is_empty()).then(|| which.get(from))
}

impl News {
    fn event(&self) -> AttemptEvent {
        match self {
            News::Claimed => AttemptEvent::Claimed,
            News::Launched => AttemptEvent::Launched { handle: Some("h".to_owned()) },
            News::PlanRead => AttemptEvent::PlanRead,
            News::Collecting(code) => AttemptEvent::Collecting { exit: Exit::Code(*code) },
            News::Ended(ended) => AttemptEvent::Ended(ended.clone()),
        }
    }
}

fn lived(spec: JobSpec, resolved: bool, steps: &[Step]) -> World {
    check_graph(&spec.tasks).unwrap();
    let mut world = World::new(spec, resolved);
    world.check();
    for step in steps {
        world.take(step);
        world.check();
    }
    world.check_stored();
    world
}

/// Each case is a long story: half as many as usual will do.
fn cases() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 2, ..usual }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_happens_time_alone_ends_a_job(
        spec in specs(),
        resolved in prop::bool::weighted(0.8),
        steps in steps(),
    ) {
        lived(spec, resolved, &steps).wait_for_the_end();
    }

    #[test]
    fn whatever_happens_doing_what_is_owed_ends_a_job(
        spec in specs(),
        resolved in prop::bool::weighted(0.8),
        steps in steps(),
    ) {
        lived(spec, resolved, &steps).work_to_the_end();
    }
}

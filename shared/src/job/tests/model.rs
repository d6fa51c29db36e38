//! Any job, any order of events: what must hold whatever happens.
//!
//! A world does what a platform would, now and then, and what it would not:
//! it repeats events, mixes them up, sends them late and on behalf of attempts
//! that are long over. After every step it looks at all that it can see.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use proptest::{prelude::*, sample::Index};

use crate::job::{
    tests::{any::*, walk::*, wide::*},
    *,
};

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
            Step::Stop(task, one) => self.stop(*task, *one),
            Step::Retry(all) => self.send(&Event::RetryAsked { all: *all }),
            Step::Delete => self.send(&Event::DeleteAsked),
            Step::Told(run) => self.send(&Event::Told(CallbackKey::finished((*run).into()))),
            Step::TellSpared(run) => {
                self.send(&Event::TellSpared(CallbackKey::finished((*run).into())));
            }
            Step::TellFailed(run, again_seconds) => {
                self.tell_failed(CallbackKey::finished((*run).into()), *again_seconds);
            }
        }
    }

    /// One instance is called off, where it is held.
    fn stop(&mut self, task: Index, one: Index) {
        let place = task.index(self.spec.tasks.len());
        let instance = u32::try_from(one.index(self.spec.tasks[place].instances as usize)).unwrap();
        let (task, now) = (u32::try_from(place).unwrap(), self.now());
        if let Members::Inline(_) = &self.job().tasks[place].members {
            self.send(&Event::StopAsked { task, instance });
        } else if let Some(chunk) = self.wide.chunks.get_mut(&(task, instance / INLINE_INSTANCES)) {
            let after = chunk.called_off(instance, now).unwrap();
            assert_eq!(after.called_off(instance, now).as_ref(), Ok(&after), "twice");
            *chunk = after;
        }
    }

    /// The latest try of the callback fails.
    fn tell_failed(&mut self, callback: CallbackKey, again_seconds: Option<u32>) {
        let telling = self.job().telling(callback);
        let number = telling.map_or(1, |telling| telling.tries.begun);
        self.send(&Event::TellFailed { callback, number, again_seconds });
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
            Duty::Recall(id) if how.is_multiple_of(4) => self.hear(id, &equal(0)),
            Duty::Recall(id) if how == 3 => self.hear(id, &equal(2)),
            Duty::Recall(id) => self.hear(id, &equal(10)),
            Duty::Launch(id) => self.hear(id, &AttemptEvent::Launched { handle: None }),
            Duty::Stop(id) => self.hear(id, &AttemptEvent::Ended(interrupted())),
            Duty::Look(id) if how.is_multiple_of(4) => self.hear(id, &AttemptEvent::Ended(lost())),
            Duty::Look(id) if how.is_multiple_of(2) => self.hear(id, &AttemptEvent::PlanRead),
            Duty::Look(id) => {
                self.hear(id, &AttemptEvent::Ended(exit(i32::from(how == 3))));
            }
            Duty::Tell(callback) if how.is_multiple_of(4) => {
                self.send(&Event::TellBegun { callback, within_seconds: 20 });
                self.tell_failed(callback, Some(5));
            }
            Duty::Tell(callback) => self.send(&Event::Told(callback)),
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
            Duty::Recall(id) => {
                // A chunk may not have been told yet that its job stops.
                let stops = job.halt().is_some() && chunk.is_none();
                assert!(job.tasks[id.task as usize].caches && !over && !stops);
                assert_eq!(instance(id).attempts + 1, id.number);
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
            Duty::Tell(callback) => assert!(job.telling(callback).is_some()),
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

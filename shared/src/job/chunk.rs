//! A part of a wide task: up to 128 instances in an item of their own.
//!
//! A changed chunk owes *fold*: its absolute counts replace its entry in the
//! job's record. Replace, never add, so that folding twice does no harm.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AttemptId, Deadlines, Halt, Instance, InstanceState, Job, JobKey, Members, Name, Refused,
    Resources, RetryRules, Spent,
    array::{self, Rules},
    attempt::later,
    duty,
    duty::{Due, Duty},
    event::AttemptEvent,
};

/// How many instances of one task live inside the job's record, or in one
/// chunk.
pub const INLINE_INSTANCES: u32 = 128;

/// How long counts may wait to be folded, so that many changes are folded at
/// once. What the job has to act on does not wait.
const FOLD_SECONDS: u64 = 2;

/// How many instances stand where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Not started, or between two attempts.
    pub waiting: u32,
    /// With a container.
    pub live: u32,
    /// Ended well.
    pub succeeded: u32,
    /// Failed for good.
    pub failed: u32,
    /// Stopped.
    pub stopped: u32,
}

impl Counts {
    /// Counts of these instances.
    pub fn of<'a>(instances: impl IntoIterator<Item = &'a Instance>) -> Self {
        let mut counts = Counts::default();
        for instance in instances {
            *match instance.state {
                InstanceState::Waiting { .. } => &mut counts.waiting,
                InstanceState::Live(_) => &mut counts.live,
                InstanceState::Succeeded(_) => &mut counts.succeeded,
                InstanceState::Failed(_) => &mut counts.failed,
                InstanceState::Stopped(_) => &mut counts.stopped,
            } += 1;
        }
        counts
    }

    /// Counts of instances that have all yet to start.
    pub fn all_waiting(waiting: u32) -> Self {
        Counts { waiting, ..Counts::default() }
    }

    /// How many there are in all.
    pub fn total(self) -> u32 {
        self.waiting + self.live + self.succeeded + self.failed + self.stopped
    }

    /// Whether none is left to do.
    pub fn is_ended(self) -> bool {
        self.waiting + self.live == 0
    }
}

impl std::ops::Add for Counts {
    type Output = Counts;

    fn add(self, other: Counts) -> Counts {
        Counts {
            waiting: self.waiting + other.waiting,
            live: self.live + other.live,
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            stopped: self.stopped + other.stopped,
        }
    }
}

impl std::iter::Sum for Counts {
    fn sum<I: Iterator<Item = Counts>>(counts: I) -> Counts {
        counts.fold(Counts::default(), std::ops::Add::add)
    }
}

/// A stored part of a wide task. A further run replaces the item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// The stored shape's version.
    pub v: u8,
    /// The job it is part of.
    pub job: JobKey,
    /// The job's run.
    pub run: u32,
    /// The task's place in the job.
    pub task: u32,
    /// The chunk's place in the task.
    pub chunk: u32,
    /// The queue that the job waits in.
    pub queue: Name,
    /// The job's priority in it.
    pub priority: i16,
    /// What each container may use.
    pub resources: Resources,
    /// The task's rules, so that a chunk can be judged by itself.
    pub retry: RetryRules,
    /// The task's deadlines, likewise.
    pub deadlines: Deadlines,
    /// The chunk's share of its task's `max_concurrent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_once: Option<u32>,
    /// Whether the result of an equal will do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub caches: bool,
    /// Whether the first final failure stops everything.
    #[serde(default)]
    pub fail_fast: bool,
    /// Why everything is to stop, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt: Option<Halt>,
    /// How often a sweep took out of the queue's slots what had one here and
    /// was not live: who has taken his slot before claims it no more.
    #[serde(default)]
    pub swept: u32,
    /// Counts changes of [`Chunk::counts`], which differ after every ending.
    pub sequence: u64,
    /// The sequence that the job has taken in.
    pub folded: u64,
    /// What its attempts used that have ended.
    #[serde(default, skip_serializing_if = "Spent::is_nothing")]
    pub spent: Spent,
    /// Since when the counts have been other than those folded.
    pub changed_at: Timestamp,
    /// The instances.
    pub instances: Vec<Instance>,
}

impl Job {
    /// The chunk that [`Duty::Spread`] calls for, to be written together with
    /// the job after [`super::Event::Spread`]. Refused once it is not owed.
    ///
    /// `before` is the item that an earlier run left in its place, if there is
    /// one: what succeeded then, and was not to run again, is taken over.
    pub fn spread(
        &self,
        task: u32,
        chunk: u32,
        before: Option<&Chunk>,
        at: Timestamp,
    ) -> Result<Chunk, Refused> {
        let place = task;
        let task = self.tasks.get(place as usize).ok_or(Refused::NoSuchInstance)?;
        let Members::Chunked(chunks) = &task.members else {
            return Err(Refused::NoSuchInstance);
        };
        let entry = chunks.get(chunk as usize).ok_or(Refused::NoSuchInstance)?;
        if !self.owed_chunks(task).any(|owed| owed == chunk) {
            return Err(Refused::NotWaiting);
        }
        let keep = entry.counts.succeeded > 0;
        let instance = |n: u32| match before {
            Some(old) if (n as usize) < old.instances.len() => {
                old.instances[n as usize].again(keep, old.run, at)
            }
            Some(_) | None => Instance::new(at),
        };
        Ok(Chunk {
            v: Chunk::VERSION,
            job: self.key(),
            run: self.run,
            task: place,
            chunk,
            queue: self.queue.clone(),
            priority: self.priority,
            resources: task.resources,
            retry: task.retry.clone(),
            deadlines: task.deadlines,
            at_once: task.staging().1,
            caches: task.caches,
            fail_fast: self.fail_fast,
            halt: None,
            swept: 0,
            sequence: 0,
            folded: 0,
            spent: Spent::default(),
            changed_at: at,
            instances: (0..entry.counts.total()).map(instance).collect(),
        })
    }
}

impl Chunk {
    /// The version of the shape written today.
    pub const VERSION: u8 = 1;

    /// How its instances stand.
    pub fn counts(&self) -> Counts {
        Counts::of(&self.instances)
    }

    /// The latest attempt of one of its instances, which is of an earlier run
    /// where the instance succeeded in that; `None` before the first.
    pub fn latest_attempt(&self, instance: u32) -> Option<AttemptId> {
        let place = instance.checked_sub(self.chunk * INLINE_INSTANCES)? as usize;
        let Instance { attempts, kept_from, .. } = *self.instances.get(place)?;
        let run = kept_from.unwrap_or(self.run);
        (attempts > 0).then(|| AttemptId { run, ..self.attempt(place, attempts) })
    }

    /// The latest attempt of each of its instances that had any.
    pub fn latest_attempts(&self) -> impl Iterator<Item = AttemptId> {
        let first = self.chunk * INLINE_INSTANCES;
        (first..).take(self.instances.len()).filter_map(|instance| self.latest_attempt(instance))
    }

    /// The chunk after something happened to one of its attempts.
    pub fn after(
        &self,
        attempt: AttemptId,
        event: &AttemptEvent,
        at: Timestamp,
    ) -> Result<Chunk, Refused> {
        if attempt.job != self.job.job {
            return Err(Refused::NoSuchInstance);
        }
        if attempt.run != self.run {
            return if event.lets_run() { Err(Refused::Superseded) } else { Ok(self.clone()) };
        }
        let place = self.place(attempt).ok_or(Refused::NoSuchInstance)?;
        let mut next = self.clone();
        next.spent +=
            array::take(&mut next.instances, place, attempt.number, event, self.rules(), at)?;
        Ok(next.counted(self, at))
    }

    /// The chunk after one of its attempts was given a slot, which it was by who
    /// had read the chunk as `seen`.
    pub fn claimed(
        &self,
        attempt: AttemptId,
        seen: &Chunk,
        at: Timestamp,
    ) -> Result<Chunk, Refused> {
        if (self.run, self.swept) != (seen.run, seen.swept) {
            return Err(Refused::NotWaiting);
        }
        self.after(attempt, &AttemptEvent::Claimed, at)
    }

    /// The chunk once a slot was taken back that nothing live had.
    #[must_use]
    pub fn swept(&self) -> Chunk {
        Chunk { swept: self.swept.wrapping_add(1), ..self.clone() }
    }

    /// The chunk once everything is to stop.
    #[must_use]
    pub fn halted(&self, why: Halt, at: Timestamp) -> Chunk {
        if self.halt.is_some() {
            return self.clone();
        }
        let mut next = Chunk { halt: Some(why), ..self.clone() };
        array::halt(&mut next.instances, why, at);
        next.counted(self, at)
    }

    /// The chunk once one of its instances alone is to stop.
    pub fn called_off(&self, instance: u32, at: Timestamp) -> Result<Chunk, Refused> {
        let place = instance.checked_sub(self.chunk * INLINE_INSTANCES);
        let mut next = self.clone();
        let called = place.and_then(|place| next.instances.get_mut(place as usize));
        let called = called.ok_or(Refused::NoSuchInstance)?;
        *called = called.called_off(at);
        Ok(next.counted(self, at))
    }

    /// The chunk once every deadline up to `at` has taken effect.
    #[must_use]
    pub fn ticked(&self, at: Timestamp) -> Chunk {
        let mut next = self.clone();
        next.spent += array::tick(&mut next.instances, self.rules(), at);
        next.counted(self, at)
    }

    /// The chunk once the job has taken in its counts as of `sequence`.
    #[must_use]
    pub fn folded(&self, sequence: u64, at: Timestamp) -> Chunk {
        let folded = sequence.min(self.sequence);
        if folded <= self.folded {
            return self.clone();
        }
        // What has changed since is as new as the folding.
        Chunk { folded, changed_at: at, ..self.clone() }
    }

    /// What the chunk calls for, the attempts that want a slot included.
    pub fn owes(&self) -> Vec<Due> {
        let mut out = Vec::new();
        if self.folded < self.sequence {
            out.push(Due { at: self.fold_at(), duty: Duty::Fold });
        }
        let id = |place, number| self.attempt(place, number);
        array::owes(&self.instances, id, true, self.rules(), &mut out);
        out
    }

    /// When a sweep should look at this chunk next; `None` if nothing is owed
    /// that time would bring about.
    pub fn due_at(&self) -> Option<Timestamp> {
        duty::due_at(&self.owes())
    }

    /// The attempts that want a slot, in the order in which they should start.
    pub fn claims(&self) -> Vec<AttemptId> {
        duty::claims(&self.owes())
    }

    /// The attempts that are live.
    pub fn live_attempts(&self) -> Vec<AttemptId> {
        let instances = self.instances.iter().enumerate();
        let live = instances.filter(|(_, instance)| instance.live().is_some());
        live.map(|(place, instance)| self.attempt(place, instance.attempts)).collect()
    }

    /// The live attempts for which nobody answers any more at `at`: a tick would
    /// end them.
    pub fn given_up(&self, at: Timestamp) -> Vec<AttemptId> {
        let given_up = array::given_up(&self.instances, &self.deadlines, at);
        given_up.map(|(place, number)| self.attempt(place, number)).collect()
    }

    /// The instance that an attempt is of, if it is one of the chunk's: in its
    /// run, or in the one that the instance was kept from.
    pub fn instance(&self, attempt: AttemptId) -> Option<&Instance> {
        let instance = self.instances.get(self.place(attempt)?)?;
        let is_of_run = attempt.run == self.run || instance.kept_from == Some(attempt.run);
        is_of_run.then_some(instance)
    }

    /// Whether this attempt is the one that counts for its instance.
    pub fn is_live(&self, attempt: AttemptId) -> bool {
        let counts = |i: &Instance| i.attempts == attempt.number && i.live().is_some();
        attempt.run == self.run && self.instance(attempt).is_some_and(counts)
    }

    /// A task starts with its first change, ends with its last, and may fail
    /// the whole job: those are news. Of the rest only the latest counts.
    fn fold_at(&self) -> Timestamp {
        let counts = self.counts();
        let fails_all = self.fail_fast && self.halt.is_none() && counts.failed > 0;
        if self.folded == 0 || counts.is_ended() || fails_all {
            return self.changed_at;
        }
        later(self.changed_at, FOLD_SECONDS)
    }

    fn counted(mut self, before: &Chunk, at: Timestamp) -> Chunk {
        if self.counts() != before.counts() {
            if self.folded == self.sequence {
                self.changed_at = at;
            }
            self.sequence += 1;
        }
        self
    }

    fn rules(&self) -> Rules<'_> {
        Rules {
            retry: &self.retry,
            deadlines: &self.deadlines,
            halt: self.halt,
            at_once: self.at_once,
            caches: self.caches,
        }
    }

    fn place(&self, attempt: AttemptId) -> Option<usize> {
        let place = attempt.instance.checked_sub(self.chunk * INLINE_INSTANCES)? as usize;
        (attempt.task == self.task && place < self.instances.len()).then_some(place)
    }

    fn attempt(&self, place: usize, number: u32) -> AttemptId {
        let place = u32::try_from(place).expect("a chunk holds 128 instances at most");
        AttemptId {
            job: self.job.job,
            run: self.run,
            task: self.task,
            instance: self.chunk * INLINE_INSTANCES + place,
            number,
        }
    }
}

//! A part of a wide task: up to 128 instances in an item of their own.
//!
//! A changed chunk owes *fold*: its absolute counts replace its entry in the
//! job's record. Replace, never add, so that folding twice does no harm.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    AttemptId, Deadlines, Halt, Instance, InstanceState, JobKey, Refused, RetryRules,
    attempt::Rules,
    duty::{Due, Duty},
    event::AttemptEvent,
};

/// How many instances live inside the job's record, or in one chunk.
pub const INLINE_INSTANCES: u32 = 128;

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

/// A stored part of a wide task.
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
    /// The task's rules, so that a chunk can be judged by itself.
    pub retry: RetryRules,
    /// The task's deadlines, likewise.
    pub deadlines: Deadlines,
    /// Why everything is to stop, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub halt: Option<Halt>,
    /// Counts changes of [`Chunk::counts`].
    pub sequence: u64,
    /// The sequence that the job has taken in.
    pub folded: u64,
    /// Since when the counts have been other than those folded.
    pub changed_at: Timestamp,
    /// The instances.
    pub instances: Vec<Instance>,
}

impl Chunk {
    /// How its instances stand.
    pub fn counts(&self) -> Counts {
        Counts::of(&self.instances)
    }

    /// The chunk after something happened to one of its attempts.
    pub fn after(
        &self,
        attempt: AttemptId,
        event: &AttemptEvent,
        at: Timestamp,
    ) -> Result<Chunk, Refused> {
        if attempt.run != self.run {
            return match event {
                AttemptEvent::Claimed | AttemptEvent::PlanRead => Err(Refused::Superseded),
                AttemptEvent::Launched { .. }
                | AttemptEvent::Collecting { .. }
                | AttemptEvent::Ended(_) => Ok(self.clone()),
            };
        }
        let place = self.place(attempt).ok_or(Refused::NoSuchInstance)?;
        let instance = self.instances[place].after(attempt.number, event, self.rules(), at)?;
        let mut next = self.clone();
        next.instances[place] = match self.halt {
            Some(why) => instance.halted(why, at),
            None => instance,
        };
        Ok(next.counted(self, at))
    }

    /// The chunk once everything is to stop.
    #[must_use]
    pub fn halted(&self, why: Halt, at: Timestamp) -> Chunk {
        if self.halt.is_some() {
            return self.clone();
        }
        let instances = self.instances.iter().map(|i| i.halted(why, at)).collect();
        Chunk { halt: Some(why), instances, ..self.clone() }.counted(self, at)
    }

    /// The chunk once every deadline up to `at` has taken effect.
    #[must_use]
    pub fn ticked(&self, at: Timestamp) -> Chunk {
        let rules = self.rules();
        let instances = self.instances.iter().map(|i| i.ticked(true, rules, at)).collect();
        Chunk { instances, ..self.clone() }.counted(self, at)
    }

    /// The chunk once the job has taken in its counts as of `sequence`.
    #[must_use]
    pub fn folded(&self, sequence: u64) -> Chunk {
        Chunk { folded: self.folded.max(sequence.min(self.sequence)), ..self.clone() }
    }

    /// What the chunk calls for, the attempts that want a slot included.
    pub fn owes(&self) -> Vec<Due> {
        let mut out = Vec::new();
        if self.folded < self.sequence {
            out.push(Due { at: self.changed_at, duty: Duty::Fold });
        }
        for (place, instance) in self.instances.iter().enumerate() {
            instance.owes(self.attempt(place, instance.attempts), true, self.rules(), &mut out);
            if instance.is_claimable() {
                let id = self.attempt(place, instance.attempts + 1);
                out.push(Due { at: Timestamp::MAX, duty: Duty::Claim(id) });
            }
        }
        out
    }

    fn counted(mut self, before: &Chunk, at: Timestamp) -> Chunk {
        if self.counts() != before.counts() {
            self.sequence += 1;
            self.changed_at = at;
        }
        self
    }

    fn rules(&self) -> Rules<'_> {
        Rules { retry: &self.retry, deadlines: &self.deadlines }
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

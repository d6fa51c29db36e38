//! Limits of queues: what is live has a slot, and there are no more of them
//! than the queue allows.

use jiff::{SignedDuration, Timestamp};
use shared::{
    job::{AttemptId, Resources},
    ops::{
        rows::{self, QueueKey},
        slots,
    },
    platform::{Key, SetLimit, SetSize},
};

use super::Account;

/// The longest that a call may be under way.
const A_CALL: SignedDuration = SignedDuration::from_mins(15);

impl Account {
    /// What is live in the job, or the part of one, that was written.
    pub(super) fn have_slots(&self, key: &Key) -> Result<(), String> {
        if let Some(job) = self.jobs.get(key) {
            let live = job.live_attempts().into_iter();
            let live = live.map(|live| (live, job.tasks[live.task as usize].resources));
            self.has_each(&QueueKey::of(job), live)?;
        }
        if let Some(chunk) = self.chunks.get(key) {
            let queue = QueueKey { project: chunk.job.project, name: chunk.queue.clone() };
            let live = chunk.live_attempts().into_iter().map(|live| (live, chunk.resources));
            self.has_each(&queue, live)?;
        }
        Ok(())
    }

    fn has_each(
        &self,
        queue: &QueueKey,
        all: impl Iterator<Item = (AttemptId, Resources)>,
    ) -> Result<(), String> {
        let held = self.slots.get(queue);
        for (live, resources) in all {
            let member = slots::member(live, resources);
            if !held.is_some_and(|held| held.contains(&member)) {
                return Err(format!("{live} is live without a slot"));
            }
        }
        Ok(())
    }

    /// A limit holds if it was that of a queue which was not paused, when
    /// whoever joins may have looked at it.
    pub(super) fn join(
        &mut self,
        now: Timestamp,
        key: &Key,
        member: &str,
        limit: SetLimit,
    ) -> Result<(), String> {
        let queue = rows::slots_of(key).ok_or_else(|| format!("the set {key}"))?;
        let settings = self.queues.get(&queue).ok_or_else(|| format!("no queue {queue:?}"))?;
        let (known, earlier) = settings.split_last().ok_or("a queue without settings")?;
        let lately = earlier.iter().zip(&settings[1..]).filter(|(_, next)| now < next.0 + A_CALL);
        let mut held = lately.map(|(then, _)| &then.1).chain([&known.1]);
        let is_held = held.any(|queue| queue.slots() == limit && !queue.paused);
        let held = self.slots.entry(queue).or_default();
        if !held.insert(member.to_owned()) {
            return Ok(());
        }
        self.seen.fullest = self.seen.fullest.max(held.len());
        if !is_held {
            return Err(format!("{member} joins by {limit:?}, which is not the queue's"));
        }
        let size = SetSize::of(&*held);
        if !size.is_within(limit) {
            return Err(format!("{size:?} is taken, more than {limit:?}"));
        }
        let fills = |(has, most): (u64, Option<u64>)| most == Some(has);
        self.seen.filled += usize::from(size.weights.into_iter().zip(limit.weights).any(fills));
        Ok(())
    }
}

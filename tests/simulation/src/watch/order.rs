//! The order of a queue: who has waited for long is passed by few.

use jiff::{SignedDuration, Timestamp};
use shared::{
    job::{AttemptId, JobKey, Name, Resources},
    ops::{
        rows::{self, QueueKey},
        slots,
    },
    platform::{Key, Mark},
};

use super::Account;

/// Who waits for so long has been seen by all who look at the queue.
const LONG: SignedDuration = SignedDuration::from_mins(3);

/// How many may pass who looked at the queue before that.
const FEW: u32 = 3;

/// Something that waits in a queue.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    /// Where it stands.
    place: Mark,
    since: Timestamp,
    /// How many have been let pass since it has waited for long.
    passed: u32,
}

impl Account {
    /// A row was written, and waits there from now on, or nowhere.
    pub(super) fn waits(&mut self, now: Timestamp, key: &Key, place: Option<&Mark>) {
        let Some(place) = place else {
            self.waiting.remove(key);
            return;
        };
        let before = self.waiting.get(key).filter(|before| before.place == *place);
        if before.is_none() {
            let waiting = Waiting { place: place.clone(), since: now, passed: 0 };
            self.waiting.insert(key.clone(), waiting);
        }
    }

    /// An attempt of this job has been claimed: whoever is before it in its
    /// queue, and could start as that is set, is passed.
    pub(super) fn passes(
        &mut self,
        now: Timestamp,
        job: JobKey,
        (queue, priority): (&Name, i16),
    ) -> Result<(), String> {
        let queue = QueueKey { project: job.project, name: queue.clone() };
        let (partition, turn) = (rows::waiting(&queue), rows::turn(priority, job));
        let is_passed = |(key, Waiting { place, since, .. }): &(&Key, &Waiting)| {
            let is_before =
                place.partition == partition && rows::job_in_turn(&place.sort) < turn.as_str();
            is_before && *since + LONG < now && self.could_start(place, key)
        };
        let passed: Vec<Key> =
            self.waiting.iter().filter(is_passed).map(|(key, _)| key.clone()).collect();
        for before in passed {
            let Some(waiting) = self.waiting.get_mut(&before) else { continue };
            waiting.passed += 1;
            if waiting.passed > FEW {
                return Err(format!(
                    "{before} has waited, and is passed by {}: {waiting:?}",
                    job.job
                ));
            }
        }
        Ok(())
    }

    /// Whether what waits there could start if all of its queue were free.
    fn could_start(&self, place: &Mark, key: &Key) -> bool {
        let queue = rows::waiting_of(&place.partition);
        let settings = queue.and_then(|queue| self.queues.get(&queue)?.last());
        let Some((_, settings)) = settings else { return false };
        let fits = |resources: Resources| slots::ever_fits(resources, settings.slots());
        if let Some(chunk) = self.chunks.get(key) {
            // It may not have been told yet that its job stops.
            let job = self.jobs.get(&rows::job(chunk.job));
            return job.is_some_and(|job| job.halt().is_none()) && fits(chunk.resources);
        }
        self.jobs.get(key).is_some_and(|job| {
            let wants = |attempt: AttemptId| job.tasks[attempt.task as usize].resources;
            job.claims().into_iter().map(wants).any(fits)
        })
    }
}

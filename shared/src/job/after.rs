//! The one way from a job to the next: [`Job::after`].

use jiff::Timestamp;

use super::{
    AttemptId, Blame, Callback, CallbackKey, Cause, Counts, Ending, Event, Halt, ImageState, Job,
    Members, Phase, Spent, Task, TaskState, array, attempt::later, callback::MOST_UNTOLD,
    event::AttemptEvent, members::ChunkEntry,
};

/// How often a registry may fail to answer before the image is given up.
const IMAGE_FAULTS: u32 = 5;

/// Why a job does not take an event. It stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The attempt is not the one that counts: it must not run user code.
    #[error("the attempt has ended or another has taken its place")]
    Superseded,
    /// The attempt is to stop: it must not start user code.
    #[error("the attempt is to stop")]
    Stopping,
    /// The instance is not waiting for this attempt, or the chunk not to be
    /// created.
    #[error("the instance is not waiting for this attempt")]
    NotWaiting,
    /// The job has no such task, chunk or instance.
    #[error("the job has no such instance")]
    NoSuchInstance,
    /// What was asked needs a job that waits.
    #[error("the job has started, or is over")]
    Started,
    /// What was asked needs a job that is over.
    #[error("the job has not finished")]
    NotFinished,
    /// The job is being removed.
    #[error("the job is being deleted")]
    Deleted,
    /// There is nothing that a further run would do.
    #[error("no task of the job failed or was stopped")]
    NothingToRetry,
    /// Too many callbacks wait for a receiver that is away.
    #[error("{MOST_UNTOLD} earlier callbacks of the job are still to be delivered")]
    TooManyUntold,
}

impl Job {
    /// The job after `event`, or the refusal. Pure: no clock, no store.
    ///
    /// Repeats and late news are answered with the same job, because every
    /// sender sends again.
    pub fn after(&self, event: &Event, at: Timestamp) -> Result<Job, Refused> {
        match event {
            Event::ImageResolved { image, resolved } => {
                self.with_image(*image, |_| ImageState::Resolved(resolved.clone()), at)
            }
            Event::ImageFailed { image, cause } => {
                self.with_image(*image, |faults| failed_image(*cause, faults, at), at)
            }
            Event::Spread { task, chunk } => self.after_spread(*task, *chunk),
            Event::Folded { task, chunk, run, sequence, counts, spent } => {
                if *run != self.run {
                    return Ok(self.clone());
                }
                self.after_fold((*task, *chunk), *sequence, (*counts, *spent), at)
            }
            Event::Attempt(attempt, event) => self.after_attempt(*attempt, event, at),
            Event::CancelAsked => Ok(self.cancelled(at)),
            Event::WithdrawAsked => match self.phase {
                Phase::Queued => Ok(self.cancelled(at)),
                Phase::Finished { ending: Ending::Cancelled, .. } => Ok(self.clone()),
                Phase::Running | Phase::Stopping { .. } | Phase::Finished { .. } => {
                    Err(Refused::Started)
                }
            },
            Event::StopAsked { task, instance } => self.after_stop(*task, *instance, at),
            Event::Ticked => Ok(self.ticked(at)),
            Event::RetryAsked { all } => self.retried(*all, at),
            Event::DeleteAsked => self.deleted(at),
            Event::TellBegun { callback, within_seconds } => {
                Ok(self.tell_begun(*callback, *within_seconds, at))
            }
            Event::Told(callback) => Ok(self.told(*callback, at)),
            Event::TellFailed { callback, number, again_seconds } => {
                Ok(self.tell_failed(*callback, *number, *again_seconds, at))
            }
            Event::TellSpared(callback) => Ok(self.tell_spared(*callback)),
            Event::TellAsked(telling) => self.tell_asked(telling, at),
        }
    }

    fn cancelled(&self, at: Timestamp) -> Job {
        let mut next = self.clone();
        next.halt_for(Halt::Cancelled, at);
        next.settled(at)
    }

    fn after_attempt(
        &self,
        attempt: AttemptId,
        event: &AttemptEvent,
        at: Timestamp,
    ) -> Result<Job, Refused> {
        if attempt.job != self.id {
            return Err(Refused::NoSuchInstance);
        }
        if attempt.run != self.run || self.ending().is_some() {
            return if event.lets_run() { Err(Refused::Superseded) } else { Ok(self.clone()) };
        }
        let halt = self.halt();
        let mut next = self.clone();
        let task = next.tasks.get_mut(attempt.task as usize).ok_or(Refused::NoSuchInstance)?;
        // A claim that is repeated finds its instance live, and is let through.
        let is_ready = task.is_open() && self.is_pinned(task);
        if *event == AttemptEvent::Claimed && !is_ready && !self.is_live(attempt) {
            return Err(Refused::NotWaiting);
        }
        if event.recalls() && !is_ready {
            return Ok(self.clone());
        }
        let (Members::Inline(instances), rules) = task.parts(halt) else {
            return Err(Refused::NoSuchInstance);
        };
        let place = attempt.instance as usize;
        let spent = array::take(instances, place, attempt.number, event, rules, at)?;
        task.spent += spent;
        Ok(next.settled(at))
    }

    /// One instance is called off. While everything stops it already is, and
    /// a task that waits for others is not ended by it before its time.
    fn after_stop(&self, task: u32, instance: u32, at: Timestamp) -> Result<Job, Refused> {
        let mut next = self.clone();
        let task = next.tasks.get_mut(task as usize).ok_or(Refused::NoSuchInstance)?;
        let Members::Inline(instances) = &mut task.members else {
            return Err(Refused::NoSuchInstance);
        };
        let called = instances.get_mut(instance as usize).ok_or(Refused::NoSuchInstance)?;
        if self.halt().is_some() || self.ending().is_some() {
            return Ok(self.clone());
        }
        *called = called.called_off(at);
        Ok(next.settled(at))
    }

    /// Late news of an image that is not being looked up changes nothing, and
    /// neither does a failure told twice: the next look-up is not due yet.
    fn with_image(
        &self,
        place: u32,
        state: impl FnOnce(u32) -> ImageState,
        at: Timestamp,
    ) -> Result<Job, Refused> {
        let image = self.images.get(place as usize).ok_or(Refused::NoSuchInstance)?;
        let ImageState::Wanted { at: due, faults } = image.state else {
            return Ok(self.clone());
        };
        if self.halt().is_some() || self.ending().is_some() {
            return Ok(self.clone());
        }
        let state = state(faults);
        let resolved = matches!(state, ImageState::Resolved(_));
        if at < due && !resolved {
            return Ok(self.clone());
        }
        let mut next = self.clone();
        next.images[place as usize].state = state;
        Ok(next.settled(at))
    }

    fn after_spread(&self, task: u32, chunk: u32) -> Result<Job, Refused> {
        let known = self.entry(task, chunk)?;
        let owed = self.owed_chunks(&self.tasks[task as usize]).any(|owed| owed == chunk);
        if !known.spread && !owed {
            return Err(Refused::NotWaiting);
        }
        let mut next = self.clone();
        next.entry_mut(task, chunk)?.spread = true;
        Ok(next)
    }

    fn after_fold(
        &self,
        (task, chunk): (u32, u32),
        sequence: u64,
        (counts, spent): (Counts, Spent),
        at: Timestamp,
    ) -> Result<Job, Refused> {
        let known = self.entry(task, chunk)?;
        let news = known.spread && known.sequence < sequence;
        if !news || known.counts.total() != counts.total() || self.ending().is_some() {
            return Ok(self.clone());
        }
        let ended = known.is_under_way() && counts.is_ended();
        let mut next = self.clone();
        *next.entry_mut(task, chunk)? = ChunkEntry { sequence, counts, spent, ..*known };
        if ended {
            // Whichever chunk takes its turn waits from now on.
            next.tasks[task as usize].members.wait_from(at);
        }
        Ok(next.settled(at))
    }

    fn entry(&self, task: u32, chunk: u32) -> Result<&ChunkEntry, Refused> {
        let members = self.tasks.get(task as usize).map(|task| &task.members);
        let Some(Members::Chunked(chunks)) = members else {
            return Err(Refused::NoSuchInstance);
        };
        chunks.get(chunk as usize).ok_or(Refused::NoSuchInstance)
    }

    fn entry_mut(&mut self, task: u32, chunk: u32) -> Result<&mut ChunkEntry, Refused> {
        let members = self.tasks.get_mut(task as usize).map(|task| &mut task.members);
        let Some(Members::Chunked(chunks)) = members else {
            return Err(Refused::NoSuchInstance);
        };
        chunks.get_mut(chunk as usize).ok_or(Refused::NoSuchInstance)
    }

    fn ticked(&self, at: Timestamp) -> Job {
        let mut next = self.clone();
        if self.expiry().is_some_and(|expiry| expiry <= at) {
            next.deleted_at = next.deleted_at.or(Some(at));
            return next;
        }
        if self.ending().is_some() {
            return next;
        }
        if next.deadline().is_some_and(|deadline| deadline <= at) {
            next.halt_for(Halt::DeadlinePassed, at);
        }
        let halt = next.halt();
        for task in next.tasks.iter_mut().filter(|task| task.is_open()) {
            task.tick(halt, at);
        }
        next.settled(at)
    }

    fn retried(&self, all: bool, at: Timestamp) -> Result<Job, Refused> {
        if self.deleted_at.is_some() {
            return Err(Refused::Deleted);
        }
        if self.ending().is_none() {
            return Err(Refused::NotFinished);
        }
        // What was skipped would be skipped again.
        let in_vain = |task: &Task| matches!(task.state, TaskState::Succeeded | TaskState::Skipped);
        if !all && self.tasks.iter().all(in_vain) {
            return Err(Refused::NothingToRetry);
        }
        if self.untold.len() >= MOST_UNTOLD {
            return Err(Refused::TooManyUntold);
        }
        let mut next = self.clone();
        next.untold.extend(self.telling(CallbackKey::finished(self.run)));
        if next.callback != Callback::Unwanted {
            next.callback = Callback::Wanted;
        }
        next.run += 1;
        next.run_at = at;
        next.phase = Phase::Queued;
        next.started_at = None;
        for image in &mut next.images {
            if !matches!(image.state, ImageState::Resolved(_)) {
                image.state = ImageState::Wanted { at, faults: 0 };
            }
        }
        for task in &mut next.tasks {
            task.spent = task.spent();
            task.members.start_over(all, self.run, at);
            if all || task.state != TaskState::Succeeded {
                task.state = TaskState::Pending;
                task.since = at;
            }
        }
        Ok(next.settled(at))
    }

    fn deleted(&self, at: Timestamp) -> Result<Job, Refused> {
        if self.ending().is_none() {
            return Err(Refused::NotFinished);
        }
        Ok(Job { deleted_at: self.deleted_at.or(Some(at)), ..self.clone() })
    }
}

impl Task {
    fn tick(&mut self, halt: Option<Halt>, at: Timestamp) {
        let turn = self.next_chunks().next().is_some();
        match self.parts(halt) {
            (Members::Inline(instances), rules) => {
                let spent = array::tick(instances, rules, at);
                self.spent += spent;
            }
            (Members::Chunked(chunks), rules) if turn => {
                let waiting = rules.deadlines.waiting;
                let overdue = |c: &ChunkEntry| c.is_unspread() && c.patience(waiting) <= at;
                for chunk in chunks.iter_mut().filter(|chunk| overdue(chunk)) {
                    chunk.drop_waiting(Cause::WaitTimedOut);
                }
            }
            (Members::Chunked(_), _) => {}
        }
    }
}

fn failed_image(cause: Cause, faults: u32, at: Timestamp) -> ImageState {
    let faults = faults + 1;
    match cause {
        Cause::ImageNotFound | Cause::ImageDenied | Cause::ImageUnusable => {
            ImageState::Refused(cause)
        }
        _ if cause.blame() == Blame::System && faults < IMAGE_FAULTS => {
            ImageState::Wanted { at: later(at, 5 << u64::from(faults)), faults }
        }
        _ => ImageState::Refused(Cause::ImageUnavailable),
    }
}

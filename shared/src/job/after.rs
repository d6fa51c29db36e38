//! The one way from a job to the next: [`Job::after`]; and what is left to do.

use jiff::Timestamp;

use super::{
    AttemptId, Callback, Cause, Due, Duty, Event, Halt, ImageState, Instance, Job, Members, Phase,
    TaskState, attempt::later, event::AttemptEvent, record::ChunkEntry,
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
    /// The instance is not waiting for this attempt.
    #[error("the instance is not waiting for this attempt")]
    NotWaiting,
    /// The job has no such task or instance.
    #[error("the job has no such instance")]
    NoSuchInstance,
    /// What was asked needs a job that is over.
    #[error("the job has not finished")]
    NotFinished,
    /// The job is being removed.
    #[error("the job is being deleted")]
    Deleted,
    /// There is nothing that a further run would do.
    #[error("every task of the job succeeded")]
    NothingToRetry,
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
            Event::Spread { task, chunk } => {
                self.with_chunk(*task, *chunk, |entry| entry.spread = true, at)
            }
            Event::Folded { task, chunk, run, sequence, counts } => {
                if *run != self.run {
                    return Ok(self.clone());
                }
                let fold = |entry: &mut ChunkEntry| {
                    if entry.sequence < *sequence {
                        (entry.sequence, entry.counts) = (*sequence, *counts);
                    }
                };
                self.with_chunk(*task, *chunk, fold, at)
            }
            Event::Attempt(attempt, event) => self.after_attempt(*attempt, event, at),
            Event::CancelAsked => {
                let mut next = self.clone();
                next.halt_for(Halt::Cancelled, at);
                Ok(next.settled(at))
            }
            Event::Ticked => Ok(self.ticked(at)),
            Event::RetryAsked { all } => self.retried(*all, at),
            Event::DeleteAsked => self.deleted(at),
            Event::Told { run } => Ok(self.told(*run, Callback::Told { at })),
            Event::TellFailed { run, again_seconds } => {
                Ok(self.told(*run, self.told_later(*again_seconds, at)))
            }
        }
    }

    /// What the job still calls for, and from when on a sweep should see to it.
    ///
    /// The claims it owes come in the order in which they should start; they
    /// carry no time, since the queue decides when.
    pub fn owes(&self) -> Vec<Due> {
        if let Some(at) = self.deleted_at {
            return vec![Due { at, duty: Duty::Purge }];
        }
        let mut out = Vec::new();
        if let Callback::Owed { at, .. } = self.callback {
            out.push(Due { at, duty: Duty::Tell { run: self.run } });
        }
        if let Some(expiry) = self.expiry() {
            out.push(Due { at: expiry, duty: Duty::Tick });
            return out;
        }
        if self.halt().is_none() {
            self.owes_images(&mut out);
            out.extend(self.deadline().map(|at| Due { at, duty: Duty::Tick }));
        }
        for place in 0..self.tasks.len() {
            self.owes_task(place, &mut out);
        }
        out
    }

    /// When a sweep should look at this job next; `None` if nothing is owed
    /// that time would bring about.
    pub fn due_at(&self) -> Option<Timestamp> {
        let timed = self.owes().into_iter().filter(|due| !matches!(due.duty, Duty::Claim(_)));
        timed.map(|due| due.at).min()
    }

    /// The attempts that want a slot, in the order in which they should start.
    pub fn claims(&self) -> Vec<AttemptId> {
        let claim = |due: Due| match due.duty {
            Duty::Claim(attempt) => Some(attempt),
            _ => None,
        };
        self.owes().into_iter().filter_map(claim).collect()
    }

    fn after_attempt(
        &self,
        attempt: AttemptId,
        event: &AttemptEvent,
        at: Timestamp,
    ) -> Result<Job, Refused> {
        let starts = match event {
            AttemptEvent::Claimed | AttemptEvent::PlanRead => true,
            AttemptEvent::Launched { .. }
            | AttemptEvent::Collecting { .. }
            | AttemptEvent::Ended(_) => false,
        };
        if attempt.run != self.run || self.ending().is_some() {
            return if starts { Err(Refused::Superseded) } else { Ok(self.clone()) };
        }
        let old = self.instance(attempt).ok_or(Refused::NoSuchInstance)?;
        let task = &self.tasks[attempt.task as usize];
        if *event == AttemptEvent::Claimed && !self.may_claim(attempt) {
            return Err(Refused::NotWaiting);
        }
        let new = old.after(attempt.number, event, task.rules(), at)?;
        if new == *old {
            return Ok(self.clone());
        }
        let new = match self.halt() {
            Some(why) => new.halted(why, at),
            None => new,
        };
        let mut next = self.clone();
        if let Members::Inline(instances) = &mut next.tasks[attempt.task as usize].members {
            instances[attempt.instance as usize] = new;
        }
        Ok(next.settled(at))
    }

    /// Whether the attempt's task is open and its image pinned. A claim that
    /// is repeated finds its instance live, and is let through.
    fn may_claim(&self, attempt: AttemptId) -> bool {
        let task = &self.tasks[attempt.task as usize];
        let pinned = matches!(self.images[task.image as usize].state, ImageState::Resolved(_));
        self.is_live(attempt) || (self.halt().is_none() && task.is_open() && pinned)
    }

    fn with_image(
        &self,
        place: u32,
        state: impl FnOnce(u32) -> ImageState,
        at: Timestamp,
    ) -> Result<Job, Refused> {
        let image = self.images.get(place as usize).ok_or(Refused::NoSuchInstance)?;
        let ImageState::Wanted { faults, .. } = image.state else {
            return Ok(self.clone());
        };
        let mut next = self.clone();
        next.images[place as usize].state = state(faults);
        Ok(next.settled(at))
    }

    fn with_chunk(
        &self,
        task: u32,
        chunk: u32,
        change: impl FnOnce(&mut ChunkEntry),
        at: Timestamp,
    ) -> Result<Job, Refused> {
        let mut next = self.clone();
        let members = next.tasks.get_mut(task as usize).map(|task| &mut task.members);
        let Some(Members::Chunked(chunks)) = members else {
            return Err(Refused::NoSuchInstance);
        };
        change(chunks.get_mut(chunk as usize).ok_or(Refused::NoSuchInstance)?);
        Ok(next.settled(at))
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
        for task in &mut next.tasks {
            let (open, rules) = (task.is_open(), task.retry.clone());
            let rules = super::attempt::Rules { retry: &rules, deadlines: &task.deadlines };
            if let Members::Inline(instances) = &mut task.members {
                for instance in instances {
                    *instance = instance.ticked(open, rules, at);
                }
            }
        }
        if let Some(why) = next.halt() {
            next.halt_again(why, at);
        }
        next.settled(at)
    }

    /// An attempt that a deadline ended while everything stops must not be
    /// tried again.
    fn halt_again(&mut self, why: Halt, at: Timestamp) {
        for task in self.tasks.iter_mut().filter(|task| task.is_open()) {
            if let Members::Inline(instances) = &mut task.members {
                for instance in instances {
                    *instance = instance.halted(why, at);
                }
            }
        }
    }

    fn retried(&self, all: bool, at: Timestamp) -> Result<Job, Refused> {
        if self.deleted_at.is_some() {
            return Err(Refused::Deleted);
        }
        if self.ending().is_none() {
            return Err(Refused::NotFinished);
        }
        let kept = |state: TaskState| !all && state == TaskState::Succeeded;
        if self.tasks.iter().all(|task| kept(task.state)) {
            return Err(Refused::NothingToRetry);
        }
        let mut next = self.clone();
        next.run += 1;
        next.run_at = at;
        next.phase = Phase::Queued;
        next.started_at = None;
        for image in &mut next.images {
            if let ImageState::Refused(_) = image.state {
                image.state = ImageState::Wanted { at, faults: 0 };
            }
        }
        for task in next.tasks.iter_mut().filter(|task| !kept(task.state)) {
            task.state = TaskState::Pending;
            task.since = at;
            task.members.start_over(all, at);
        }
        if next.callback != Callback::Unwanted {
            next.callback = Callback::Wanted;
        }
        Ok(next.settled(at))
    }

    fn deleted(&self, at: Timestamp) -> Result<Job, Refused> {
        if self.ending().is_none() {
            return Err(Refused::NotFinished);
        }
        Ok(Job { deleted_at: self.deleted_at.or(Some(at)), ..self.clone() })
    }

    fn told(&self, run: u32, callback: Callback) -> Job {
        match self.callback {
            Callback::Owed { .. } if run == self.run => Job { callback, ..self.clone() },
            Callback::Unwanted
            | Callback::Wanted
            | Callback::Owed { .. }
            | Callback::Told { .. }
            | Callback::GivenUp { .. } => self.clone(),
        }
    }

    fn told_later(&self, again_seconds: Option<u32>, at: Timestamp) -> Callback {
        match (self.callback, again_seconds) {
            (Callback::Owed { tries, .. }, Some(seconds)) => {
                Callback::Owed { at: later(at, seconds), tries: tries + 1 }
            }
            _ => Callback::GivenUp { at },
        }
    }

    /// Images are looked up at once, for tasks that are not ready yet too, so
    /// that a tag moved later changes nothing.
    fn owes_images(&self, out: &mut Vec<Due>) {
        for (place, image) in (0..).zip(&self.images) {
            if let ImageState::Wanted { at, .. } = image.state {
                out.push(Due { at, duty: Duty::Resolve(place) });
            }
        }
    }

    fn owes_task(&self, place: usize, out: &mut Vec<Due>) {
        let task = &self.tasks[place];
        if !task.is_open() {
            return;
        }
        let pinned = matches!(self.images[task.image as usize].state, ImageState::Resolved(_));
        match &task.members {
            Members::Inline(instances) => {
                let live = instances.iter().filter(|i| i.live().is_some()).count();
                let most = task.max_concurrent.map_or(usize::MAX, |most| most as usize);
                let mut free = most.saturating_sub(live);
                for (index, instance) in instances.iter().enumerate() {
                    let latest = self.attempt(place, index, instance.attempts);
                    instance.owes(latest, true, task.rules(), out);
                    if pinned && free > 0 && self.halt().is_none() && instance.is_claimable() {
                        free -= 1;
                        let next = AttemptId { number: latest.number + 1, ..latest };
                        out.push(Due { at: Timestamp::MAX, duty: Duty::Claim(next) });
                    }
                }
            }
            Members::Chunked(chunks) => {
                let task_place = u32::try_from(place).expect("a job has at most 1,000 tasks");
                for (chunk, entry) in (0..).zip(chunks) {
                    let task_at = Due { at: task.since, duty: Duty::Tick };
                    match self.phase {
                        Phase::Stopping { at, .. } if entry.spread && !entry.counts.is_ended() => {
                            let duty = Duty::HaltChunk { task: task_place, chunk };
                            out.push(Due { at, duty });
                        }
                        Phase::Queued | Phase::Running if !entry.spread && pinned => {
                            let duty = Duty::Spread { task: task_place, chunk };
                            out.push(Due { duty, ..task_at });
                        }
                        Phase::Queued
                        | Phase::Running
                        | Phase::Stopping { .. }
                        | Phase::Finished { .. } => {}
                    }
                }
            }
        }
    }
}

impl Members {
    /// The instances of a further run: those that succeeded stay, unless all
    /// are wanted again.
    fn start_over(&mut self, all: bool, at: Timestamp) {
        match self {
            Members::Inline(instances) => {
                for instance in instances {
                    let stays =
                        !all && matches!(instance.state, super::InstanceState::Succeeded(_));
                    if !stays {
                        *instance = Instance::new(at);
                    }
                }
            }
            Members::Chunked(chunks) => {
                for chunk in chunks {
                    *chunk = ChunkEntry::new(chunk.counts.total());
                }
            }
        }
    }
}

fn failed_image(cause: Cause, faults: u32, at: Timestamp) -> ImageState {
    let faults = faults + 1;
    if cause.blame() == super::Blame::System && faults < IMAGE_FAULTS {
        return ImageState::Wanted { at: later(at, 5 << faults), faults };
    }
    ImageState::Refused(match cause.blame() {
        super::Blame::Final => cause,
        super::Blame::System | super::Blame::User => Cause::ImageUnavailable,
    })
}

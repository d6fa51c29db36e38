//! What follows from a change: which tasks become ready, are skipped or have
//! ended, and whether the job has. The truth tables of the job's life.

use jiff::Timestamp;

use super::{
    Blame, Callback, Cause, Counts, Ending, Halt, ImageState, Instance, Job, Members, Phase, Task,
    TaskState,
};

impl Job {
    /// The job once everything that follows from its instances has followed.
    pub(super) fn settled(mut self, at: Timestamp) -> Job {
        if self.ending().is_some() {
            return self;
        }
        self.drop_refused_images(at);
        loop {
            let before = self.states();
            for place in 0..self.tasks.len() {
                self.settle_task(place, at);
            }
            if self.fail_fast && self.halt().is_none() && self.any_failed() {
                self.halt_for(Halt::FailedFast, at);
            }
            if self.states() == before {
                break;
            }
        }
        self.settle_phase(at);
        self
    }

    /// Everything stops: what waits will not start, what runs is told.
    pub(super) fn halt_for(&mut self, why: Halt, at: Timestamp) {
        if self.halt().is_some() || self.ending().is_some() {
            return;
        }
        self.phase = Phase::Stopping { why, at };
        for task in self.tasks.iter_mut().filter(|task| !task.state.is_ended()) {
            match &mut task.members {
                Members::Inline(instances) => {
                    for instance in instances {
                        *instance = instance.halted(why, at);
                    }
                }
                Members::Chunked(chunks) => {
                    for chunk in chunks.iter_mut().filter(|chunk| !chunk.spread) {
                        let stopped = chunk.counts.total();
                        chunk.counts = Counts { stopped, ..Counts::default() };
                    }
                }
            }
        }
    }

    fn states(&self) -> Vec<TaskState> {
        self.tasks.iter().map(|task| task.state).collect()
    }

    fn any_failed(&self) -> bool {
        self.tasks.iter().any(|task| {
            matches!(task.state, TaskState::Failed | TaskState::PartlyFailed)
                || (task.is_open() && task.members.counts().failed > 0)
        })
    }

    /// A task whose image cannot be used fails, whatever it waits for, unless
    /// it is never reached.
    fn drop_refused_images(&mut self, at: Timestamp) {
        for task in &mut self.tasks {
            let ImageState::Refused(cause) = self.images[task.image as usize].state else {
                continue;
            };
            if task.is_open() {
                task.members.drop_waiting(cause, at);
            }
        }
    }

    fn settle_task(&mut self, place: usize, at: Timestamp) {
        let task = &self.tasks[place];
        let state = match task.state {
            TaskState::Pending if self.halt().is_some() => TaskState::Stopped,
            TaskState::Pending => match self.dependencies_hold(task) {
                None => return,
                Some(false) => TaskState::Skipped,
                Some(true) => TaskState::Ready,
            },
            TaskState::Ready | TaskState::Running => standing(task.members.counts(), task.state),
            TaskState::Succeeded
            | TaskState::Failed
            | TaskState::PartlyFailed
            | TaskState::Stopped
            | TaskState::Skipped => return,
        };
        let became_ready = task.state == TaskState::Pending && state == TaskState::Ready;
        let skipped = state == TaskState::Skipped;
        if state == task.state {
            return;
        }
        let refused = match self.images[task.image as usize].state {
            ImageState::Refused(cause) => Some(cause),
            ImageState::Wanted { .. } | ImageState::Resolved(_) => None,
        };
        let task = &mut self.tasks[place];
        task.state = state;
        task.since = at;
        if became_ready {
            task.members.wait_from(at);
            if let Some(cause) = refused {
                task.members.drop_waiting(cause, at);
            }
        }
        if skipped {
            task.members.drop_waiting(Cause::DependencyFailed, at);
        }
    }

    /// Whether all edges hold; `None` while one is open and none is broken.
    fn dependencies_hold(&self, task: &Task) -> Option<bool> {
        let mut open = false;
        for edge in &task.after {
            let first = &self.tasks[edge.task as usize];
            match edge.when.holds(first.state, first.members.counts().succeeded) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => open = true,
            }
        }
        (!open).then_some(true)
    }

    fn settle_phase(&mut self, at: Timestamp) {
        if self.tasks.iter().all(|task| task.state.is_ended()) {
            self.phase = Phase::Finished { ending: self.verdict(), at };
            if self.callback == Callback::Wanted {
                self.callback = Callback::Owed { at, tries: 0 };
            }
        } else if self.phase == Phase::Queued
            && self.tasks.iter().any(|task| task.state == TaskState::Running)
        {
            self.phase = Phase::Running;
            self.started_at = Some(at);
        }
    }

    /// The ending that the tasks' endings amount to.
    fn verdict(&self) -> Ending {
        let stopped = self.tasks.iter().any(|task| task.state == TaskState::Stopped);
        match self.halt() {
            Some(Halt::Cancelled) if stopped => return Ending::Cancelled,
            Some(Halt::DeadlinePassed) if stopped => return Ending::TimedOut,
            Some(Halt::Cancelled | Halt::DeadlinePassed | Halt::FailedFast) | None => {}
        }
        // What was skipped, or stopped by a failure elsewhere, neither
        // succeeded nor failed.
        let ran = self.tasks.iter().filter(|task| task.state != TaskState::Skipped);
        let counts: Counts = ran.map(|task| task.members.counts()).sum();
        match (counts.succeeded, counts.failed) {
            (_, 0) => Ending::Succeeded,
            (0, _) => Ending::Failed,
            (_, _) => Ending::PartlyFailed,
        }
    }
}

/// Where a task that may run stands, by its instances.
fn standing(counts: Counts, now: TaskState) -> TaskState {
    let Counts { waiting: _, live, succeeded, failed, stopped } = counts;
    if !counts.is_ended() {
        let started = live + succeeded + failed > 0;
        return if started { TaskState::Running } else { now };
    }
    match (succeeded, failed, stopped) {
        (_, _, 1..) => TaskState::Stopped,
        (_, 0, 0) => TaskState::Succeeded,
        (0, _, 0) => TaskState::Failed,
        (_, _, 0) => TaskState::PartlyFailed,
    }
}

impl Members {
    /// Instances that wait start their patience now.
    fn wait_from(&mut self, at: Timestamp) {
        if let Members::Inline(instances) = self {
            for instance in instances.iter_mut().filter(|i| i.is_claimable() && i.attempts == 0) {
                *instance = Instance::new(at);
            }
        }
    }

    /// What waits will not be tried.
    fn drop_waiting(&mut self, cause: Cause, at: Timestamp) {
        debug_assert_eq!(cause.blame(), Blame::Final);
        match self {
            Members::Inline(instances) => {
                for instance in instances {
                    if !instance.is_ended() && instance.live().is_none() {
                        *instance = instance.dropped(cause, at);
                    }
                }
            }
            Members::Chunked(chunks) => {
                for chunk in chunks.iter_mut().filter(|chunk| !chunk.spread) {
                    let failed = chunk.counts.waiting;
                    chunk.counts = Counts { waiting: 0, failed, ..chunk.counts };
                }
            }
        }
    }
}

//! What follows from a change: which tasks become ready, are skipped or have
//! ended, and whether the job has. The truth tables of the job's life.

use jiff::Timestamp;

use super::{
    Callback, Cause, Counts, Ending, Halt, ImageState, Job, Phase, Task, TaskState, Tries,
};

impl Job {
    /// The job once everything that follows from its instances has followed.
    pub(super) fn settled(mut self, at: Timestamp) -> Job {
        if self.ending().is_some() {
            return self;
        }
        self.settle_tasks(at);
        if self.fail_fast && self.halt().is_none() && self.any_failed() {
            self.halt_for(Halt::FailedFast, at);
            self.settle_tasks(at);
        }
        self.settle_phase(at);
        self
    }

    /// Everything stops: what waits will not start, what runs is told. What
    /// depends on that follows when it has.
    pub(super) fn halt_for(&mut self, why: Halt, at: Timestamp) {
        if self.halt().is_some() || self.ending().is_some() {
            return;
        }
        self.phase = Phase::Stopping { why, at };
        for task in self.tasks.iter_mut().filter(|task| task.is_open()) {
            task.members.halt(why, at);
        }
    }

    fn any_failed(&self) -> bool {
        self.tasks.iter().any(|task| match task.state {
            TaskState::Failed | TaskState::PartlyFailed => true,
            TaskState::Ready | TaskState::Running => task.members.counts().failed > 0,
            TaskState::Pending | TaskState::Succeeded | TaskState::Stopped | TaskState::Skipped => {
                false
            }
        })
    }

    /// Settles every task, and again those that come after one that ended.
    /// Each ends once, so that this takes no more steps than there are edges,
    /// in whatever order the tasks are listed.
    fn settle_tasks(&mut self, at: Timestamp) {
        let mut successors: Option<Vec<Vec<usize>>> = None;
        let mut unsettled: Vec<usize> = (0..self.tasks.len()).rev().collect();
        while let Some(place) = unsettled.pop() {
            let was_over = self.tasks[place].state.is_ended();
            while self.settle_task(place, at) {}
            if !was_over && self.tasks[place].state.is_ended() {
                let successors = successors.get_or_insert_with(|| self.successors());
                unsettled.append(&mut successors[place]);
            }
        }
    }

    /// For each task, those that wait for it.
    fn successors(&self) -> Vec<Vec<usize>> {
        let mut successors = vec![Vec::new(); self.tasks.len()];
        for (place, task) in self.tasks.iter().enumerate() {
            for edge in &task.after {
                successors[edge.task as usize].push(place);
            }
        }
        successors
    }

    /// One step of one task; whether there was one to take.
    fn settle_task(&mut self, place: usize, at: Timestamp) -> bool {
        let task = &self.tasks[place];
        let refused = match self.images[task.image as usize].state {
            ImageState::Refused(cause) => Some(cause),
            ImageState::Wanted { .. } | ImageState::Resolved(_) => None,
        };
        let state = match task.state {
            TaskState::Pending => self.after_dependencies(task),
            // An image that cannot be used fails its tasks when they are
            // reached, and not before: they might have been skipped.
            TaskState::Ready | TaskState::Running => {
                if let Some(cause) = refused {
                    self.tasks[place].members.drop_waiting(cause, at);
                }
                self.tasks[place].standing()
            }
            TaskState::Succeeded
            | TaskState::Failed
            | TaskState::PartlyFailed
            | TaskState::Stopped
            | TaskState::Skipped => return false,
        };
        let halt = self.halt();
        let task = &mut self.tasks[place];
        if state == task.state {
            return false;
        }
        match (state, halt) {
            (TaskState::Ready, _) => task.members.wait_from(at),
            (TaskState::Skipped, _) => task.members.drop_waiting(Cause::DependencyFailed, at),
            (TaskState::Stopped, Some(why)) => task.members.drop_waiting(why.cause(), at),
            // What led here has ended every instance, or none has to end.
            (_, _) => {}
        }
        task.state = state;
        task.since = at;
        true
    }

    /// Where a task goes that waits for others.
    ///
    /// While everything stops it still waits to see how they end: what they
    /// would have skipped is skipped, and was not stopped.
    fn after_dependencies(&self, task: &Task) -> TaskState {
        let first = |task: u32| &self.tasks[task as usize];
        match (self.dependencies_hold(task), self.halt()) {
            (None, _) => TaskState::Pending,
            (Some(true), None) => TaskState::Ready,
            (Some(true), Some(_)) => TaskState::Stopped,
            (Some(false), None) => TaskState::Skipped,
            (Some(false), Some(_)) => {
                let stopped = |task: u32| first(task).state == TaskState::Stopped;
                let any_stopped = task.after.iter().any(|edge| stopped(edge.task));
                if any_stopped { TaskState::Stopped } else { TaskState::Skipped }
            }
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
                self.callback = Callback::Owed(Tries::due(at));
            }
        } else if self.phase == Phase::Queued
            && self.tasks.iter().any(|task| task.state == TaskState::Running)
        {
            self.phase = Phase::Running;
            self.started_at = Some(at);
            self.owe_start(at);
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

impl Task {
    /// Where a task that may run stands, by its instances.
    fn standing(&self) -> TaskState {
        let Counts { waiting, live, succeeded, failed, stopped } = self.members.counts();
        if waiting + live > 0 {
            let started = self.members.have_started();
            return if started { TaskState::Running } else { self.state };
        }
        match (succeeded, failed, stopped) {
            (_, _, 1..) => TaskState::Stopped,
            (_, 0, 0) => TaskState::Succeeded,
            (0, _, 0) => TaskState::Failed,
            (_, _, 0) => TaskState::PartlyFailed,
        }
    }
}

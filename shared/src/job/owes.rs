//! What is left to do, read off a saved job: [`Job::owes`].

use jiff::Timestamp;

use super::{AttemptId, Due, Duty, ImageState, Job, Members, Phase, Task, array, duty};

impl Job {
    /// What the job still calls for, and from when on a sweep should see to it.
    ///
    /// The claims it owes come in the order in which they should start; they
    /// carry no time, since the queue decides when.
    pub fn owes(&self) -> Vec<Due> {
        if let Some(at) = self.deleted_at {
            return vec![Due { at, duty: Duty::Purge }];
        }
        let mut out = Vec::new();
        for telling in self.tellings() {
            out.push(Due { at: telling.tries.at, duty: Duty::Tell(telling.key) });
        }
        if self.ending().is_some() {
            out.extend(self.expiry().map(|at| Due { at, duty: Duty::Tick }));
            return out;
        }
        if self.halt().is_none() {
            self.owes_images(&mut out);
            out.extend(self.deadline().map(|at| Due { at, duty: Duty::Tick }));
        }
        for (place, task) in self.tasks.iter().enumerate().filter(|(_, task)| task.is_open()) {
            match &task.members {
                Members::Inline(instances) => {
                    let id = |instance, number| self.attempt(place, instance, number);
                    let (claims, rules) = (self.is_pinned(task), task.rules(self.halt()));
                    array::owes(instances, id, claims, rules, &mut out);
                }
                Members::Chunked(_) => self.owes_chunks(place, task, &mut out),
            }
        }
        out
    }

    /// When a sweep should look at this job next; `None` if nothing is owed
    /// that time would bring about.
    pub fn due_at(&self) -> Option<Timestamp> {
        duty::due_at(&self.owes())
    }

    /// The attempts that want a slot, in the order in which they should start.
    pub fn claims(&self) -> Vec<AttemptId> {
        duty::claims(&self.owes())
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

    fn owes_chunks(&self, place: usize, task: &Task, out: &mut Vec<Due>) {
        let Members::Chunked(chunks) = &task.members else {
            return;
        };
        let place = u32::try_from(place).expect("a job has at most 1,000 tasks");
        if let Phase::Stopping { at, .. } = self.phase {
            for (chunk, _) in (0..).zip(chunks).filter(|(_, entry)| entry.is_under_way()) {
                out.push(Due { at, duty: Duty::HaltChunk { task: place, chunk } });
            }
            return;
        }
        for chunk in self.owed_chunks(task) {
            let at = chunks[chunk as usize].since;
            out.push(Due { at, duty: Duty::Spread { task: place, chunk } });
        }
        for chunk in task.next_chunks() {
            let at = chunks[chunk as usize].patience(task.deadlines.waiting);
            out.push(Due { at, duty: Duty::Tick });
        }
    }
}

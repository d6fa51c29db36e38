//! What came to pass: a simulation in which nothing does finds nothing.

use std::ops::AddAssign;

use shared::job::{Callback, Chunk, Ending, Instance, InstanceState, Job, Recall, Task, TaskState};

macro_rules! counted {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// How often something came to pass.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Seen {
            $($(#[$doc])* pub $name: usize,)*
            /// The most slots of a queue that were taken at once.
            pub fullest: usize,
        }

        impl Seen {
            /// All that is counted, by its name.
            pub fn counts(&self) -> Vec<(&'static str, usize)> {
                vec![$((stringify!($name), self.$name)),*]
            }
        }

        impl AddAssign for Seen {
            fn add_assign(&mut self, other: Self) {
                $(self.$name += other.$name;)*
                self.fullest = self.fullest.max(other.fullest);
            }
        }
    };
}

counted! {
    /// Jobs that were written down.
    jobs,
    /// Jobs that succeeded.
    succeeded,
    /// Jobs that failed, in part or as a whole.
    failed,
    /// Jobs that were cancelled.
    stopped,
    /// Jobs that were removed.
    removed,
    /// Attempts that were claimed.
    attempts,
    /// Attempts that took the place of another.
    again,
    /// User processes that were started.
    processes,
    /// Submits that were answered with a job that was there.
    repeated,
    /// Agents that were refused their plan.
    refused,
    /// Servers or invocations that died.
    deaths,
    /// How often a queue's share of the machine was taken whole.
    filled,
    /// Callbacks that were received, again ones included.
    told,
    /// Callbacks that somebody asked for once more after they were taken.
    redelivered,
    /// Callbacks that were given up.
    given_up,
    /// Jobs that triggers made.
    fired,
    /// Events that were told of again.
    posted_again,
    /// Attempts of wide tasks.
    wide,
    /// Instances that were given the result of an equal.
    recalled,
    /// Instances that waited for one.
    awaited,
    /// Jobs that were made from another.
    copied,
    /// Answers that said that many jobs were changed.
    changed,
    /// Tasks that were skipped.
    skipped,
    /// Jobs that passed their deadline.
    timed_out,
    /// Jobs whose time was up.
    expired,
    /// Jobs that were run once more after they had ended.
    reopened,
    /// Queues that were paused.
    paused,
}

impl Seen {
    /// Another job, or what became of one; whether an attempt was claimed.
    pub(crate) fn job(&mut self, before: Option<&Job>, after: &Job) -> bool {
        self.jobs += usize::from(before.is_none());
        self.fired += usize::from(before.is_none() && after.made_by.trigger.is_some());
        let Some(before) = before else { return false };
        let removes = before.deleted_at.is_none() && after.deleted_at.is_some();
        let is_over = before.expiry() <= after.deleted_at;
        self.removed += usize::from(removes);
        self.reopened += usize::from(after.run > before.run);
        self.expired += usize::from(removes && before.expiry().is_some() && is_over);
        if before.ending().is_none() {
            match after.ending() {
                None => {}
                Some((Ending::Succeeded, _)) => self.succeeded += 1,
                Some((Ending::Failed | Ending::PartlyFailed, _)) => self.failed += 1,
                Some((Ending::Cancelled, _)) => self.stopped += 1,
                Some((Ending::TimedOut, _)) => self.timed_out += 1,
            }
        }
        let gives_up = |job: &Job| matches!(job.callback, Callback::GivenUp { .. });
        self.given_up += usize::from(gives_up(after) && !gives_up(before));
        let mut claimed = false;
        for (old, new) in before.tasks.iter().zip(&after.tasks) {
            let skips = |task: &Task| task.state == TaskState::Skipped;
            self.skipped += usize::from(skips(new) && !skips(old));
            for (old, new) in old.instances().iter().zip(new.instances()) {
                claimed |= self.instance(old, new);
            }
        }
        claimed
    }

    /// The same of a part of a wide task.
    pub(crate) fn chunk(&mut self, before: Option<&Chunk>, after: &Chunk) -> bool {
        let Some(before) = before else { return false };
        let mut claimed = false;
        for (old, new) in before.instances.iter().zip(&after.instances) {
            let is_claimed = self.instance(old, new);
            self.wide += usize::from(is_claimed);
            claimed |= is_claimed;
        }
        claimed
    }

    /// Whether an attempt was claimed.
    fn instance(&mut self, old: &Instance, new: &Instance) -> bool {
        let claimed = matches!(new.state, InstanceState::Live(_)) && old.live().is_none();
        self.attempts += usize::from(claimed);
        self.again += usize::from(claimed && new.attempts > 1);
        let given = |one: &Instance| one.outcome().is_some_and(|end| end.cached_from.is_some());
        self.recalled += usize::from(given(new) && !given(old));
        let awaits = |one: &Instance| matches!(one.recall, Some(Recall::Awaits { .. }));
        self.awaited += usize::from(awaits(new) && !awaits(old));
        claimed
    }
}

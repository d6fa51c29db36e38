//! Instances that are kept side by side, in the job's record or in a chunk:
//! what their task sets for all of them, and the one thing in which they
//! depend on each other, a limit on how many are live at once.

use jiff::Timestamp;

use super::{
    AttemptId, Deadlines, Halt, Instance, InstanceState, Refused, RetryRules, Spent, Usage,
    duty::{Due, Duty},
    event::AttemptEvent,
};

/// What holds for instances that are kept side by side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'a> {
    pub retry: &'a RetryRules,
    pub deadlines: &'a Deadlines,
    /// Why everything is to stop, if it is.
    pub halt: Option<Halt>,
    /// How many may be live at once; all without one.
    pub at_once: Option<u32>,
    /// Whether the result of an equal will do.
    pub caches: bool,
}

impl Rules<'_> {
    /// How many more of `instances` may go live.
    fn free(self, instances: &[Instance]) -> usize {
        match (self.halt, self.at_once) {
            (Some(_), _) => 0,
            (None, None) => usize::MAX,
            // A limit of 0 would be one that nothing ever gets past.
            (None, Some(most)) => (most.max(1) as usize).saturating_sub(live(instances)),
        }
    }
}

/// Lets `event` happen to the attempt `number` of the instance at `place`; what
/// the attempt used, if that ends it.
pub(super) fn take(
    instances: &mut [Instance],
    place: usize,
    number: u32,
    event: &AttemptEvent,
    rules: Rules<'_>,
    at: Timestamp,
) -> Result<Spent, Refused> {
    let old = instances.get(place).ok_or(Refused::NoSuchInstance)?;
    let new = old.after(number, event, rules, at)?;
    let goes_live = old.live().is_none() && new.live().is_some();
    if goes_live && rules.free(instances) == 0 {
        return Err(Refused::NotWaiting);
    }
    let before = live(instances);
    let usage = match event {
        AttemptEvent::Ended(ended) => ended.usage,
        AttemptEvent::Claimed
        | AttemptEvent::Launched { .. }
        | AttemptEvent::Awaits { .. }
        | AttemptEvent::Leads { .. }
        | AttemptEvent::Recalled(_)
        | AttemptEvent::PlanRead
        | AttemptEvent::Collecting { .. } => None,
    };
    let spent = spent(old, &new, usage, at);
    instances[place] = new;
    freed(instances, before, rules, at);
    Ok(spent)
}

/// Lets every deadline up to `at` take effect; what the attempts used that are
/// given up.
pub(super) fn tick(instances: &mut [Instance], rules: Rules<'_>, at: Timestamp) -> Spent {
    let counts = rules.free(instances) > 0;
    let before = live(instances);
    let mut all = Spent::default();
    for instance in instances.iter_mut() {
        let ticked = instance.ticked(counts, rules, at);
        all += spent(instance, &ticked, None, at);
        *instance = ticked;
    }
    freed(instances, before, rules, at);
    all
}

/// What an attempt used that was live before, and is not after.
fn spent(before: &Instance, after: &Instance, usage: Option<Usage>, at: Timestamp) -> Spent {
    match (before.live(), after.live()) {
        (Some(attempt), None) => Spent::of(attempt, usage, at),
        (Some(_) | None, _) => Spent::default(),
    }
}

/// Tells every instance that everything is to stop.
pub(super) fn halt(instances: &mut [Instance], why: Halt, at: Timestamp) {
    for instance in instances {
        *instance = instance.halted(why, at);
    }
}

/// What the instances call for. `id` names an attempt by the place of its
/// instance and its number; `claims` says whether any may be claimed.
pub(super) fn owes(
    instances: &[Instance],
    id: impl Fn(usize, u32) -> AttemptId,
    claims: bool,
    rules: Rules<'_>,
    out: &mut Vec<Due>,
) {
    let mut free = rules.free(instances);
    let counts = free > 0;
    for (place, instance) in instances.iter().enumerate() {
        instance.owes(id(place, instance.attempts), counts, rules, out);
        if claims && let Some(at) = instance.recall_at(rules) {
            let next = id(place, instance.attempts + 1);
            out.push(Due { at, duty: Duty::Recall(next) });
        }
        if claims && free > 0 && instance.is_claimable(rules) {
            free -= 1;
            let next = id(place, instance.attempts + 1);
            out.push(Due { at: Timestamp::MAX, duty: Duty::Claim(next) });
        }
    }
}

/// The places of instances whose live attempt was told to stop so long ago that
/// it is given up at `at`: nobody answers for it any more.
pub(super) fn given_up(
    instances: &[Instance],
    deadlines: &Deadlines,
    at: Timestamp,
) -> impl Iterator<Item = (usize, u32)> {
    let is_over = move |instance: &Instance| {
        instance.live().is_some_and(|live| live.stop.is_some() && live.deadline(deadlines) <= at)
    };
    let all = instances.iter().enumerate();
    all.filter(move |(_, i)| is_over(i)).map(|(place, instance)| (place, instance.attempts))
}

fn live(instances: &[Instance]) -> usize {
    instances.iter().filter(|instance| matches!(instance.state, InstanceState::Live(_))).count()
}

/// Whoever was held back by the limit, and no longer is, waits for the queue
/// from now on.
fn freed(instances: &mut [Instance], before: usize, rules: Rules<'_>, at: Timestamp) {
    if rules.at_once.is_some() && live(instances) < before {
        for instance in instances {
            *instance = instance.waiting_from(at);
        }
    }
}

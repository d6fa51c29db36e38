//! The slots of a queue: a set of its live attempts, each with what its
//! container takes of the queue's share.
//!
//! The resources are in the member's own text. They cannot be read off the
//! job when the slot is given back: the job may be gone by then, and the sums
//! would keep what it had.

use crate::{
    job::{AttemptId, Resources},
    platform::{SetLimit, SetSize, set},
};

/// What holds the slot of an attempt whose container takes `resources`.
pub fn member(attempt: AttemptId, resources: Resources) -> String {
    set::weighed(&attempt.to_string(), [resources.cpu_millis, resources.memory_mib])
}

/// The attempt that holds a slot.
pub fn attempt(member: &str) -> Option<AttemptId> {
    set::name(member).parse().ok()
}

/// The limit of so many attempts, which may have so much together.
pub fn limit(attempts: u32, cpu_millis: Option<u32>, memory_mib: Option<u32>) -> SetLimit {
    SetLimit {
        members: attempts,
        weights: [cpu_millis, memory_mib].map(|most| most.map(u64::from)),
    }
}

/// Whether an attempt that takes `resources` can have a slot beside what holds
/// some already.
pub fn fits(held: SetSize, resources: Resources, limit: SetLimit) -> bool {
    let member = set::weighed("", [resources.cpu_millis, resources.memory_mib]);
    held.with(&member).is_within(limit)
}

/// Whether what it takes leaves room for it, if nobody else had a slot.
pub fn ever_fits(resources: Resources, limit: SetLimit) -> bool {
    fits(SetSize::default(), resources, SetLimit { members: u32::MAX, ..limit })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::JobId;

    #[test]
    fn a_slot_is_of_its_attempt_and_weighs_what_that_takes() {
        let id = AttemptId { job: JobId::from_bits(7), run: 1, task: 2, instance: 3, number: 4 };
        let text = member(id, Resources { cpu_millis: 250, memory_mib: 512 });
        assert_eq!(attempt(&text), Some(id));
        let size = SetSize::of([&text]);
        assert_eq!(size, SetSize { members: 1, weights: [250, 512] });
        let asks = |cpu_millis, memory_mib| Resources { cpu_millis, memory_mib };
        assert!(fits(size, asks(750, 512), limit(2, Some(1_000), Some(1_024))));
        assert!(!fits(size, asks(751, 1), limit(2, Some(1_000), Some(1_024))));
        assert!(!fits(size, asks(1, 513), limit(2, Some(1_000), Some(1_024))));
        assert!(!fits(size, asks(1, 1), limit(1, None, None)));
        assert!(ever_fits(asks(1_000, 9_999), limit(1, Some(1_000), None)));
        assert!(!ever_fits(asks(1_001, 1), limit(1, Some(1_000), None)));
    }
}

//! What attempts use is added up, each once.

use crate::job::{
    tests::{walk::*, wide::*},
    *,
};

fn used(wall_ms: u64, peak_memory_bytes: u64) -> Ended {
    let usage = Usage { wall_ms, cpu_ms: 1, peak_memory_bytes, input_bytes: 2, output_bytes: 3 };
    Ended { usage: Some(usage), ..exit(1) }
}

#[test]
fn every_attempt_counts_whatever_became_of_it_and_in_whichever_run() {
    let retry = RetryRules { max_attempts: 2, ..RetryRules::default() };
    let mut walk = Walk::new(&job([task("a").with(|task| task.retry = retry)]));
    assert!(walk.job.spent().is_nothing());
    walk.start(0, 0).wait(90).end(0, 0, used(80, 7));
    walk.start(0, 0).wait(10).end(0, 0, used(9, 5));
    walk.retry(false);
    let id = walk.attempt(0, 0, 1);
    walk.start(0, 0).wait(61).end(0, 0, used(u64::MAX, 6));
    let Spent { usage, container_seconds } = walk.job.spent();
    assert_eq!(usage.wall_ms, u64::MAX, "what an agent says overflows nothing");
    assert_eq!((usage.cpu_ms, usage.peak_memory_bytes, usage.input_bytes), (3, 7, 6));
    assert_eq!(container_seconds, 90 + 60 + 61, "and at least a minute each");

    let before = walk.job.spent();
    walk.take(&Event::Attempt(id, AttemptEvent::Ended(used(1, 9))));
    assert_eq!(walk.job.spent(), before, "an ending that is told again adds nothing");
}

#[test]
fn what_never_ran_is_charged_nothing_and_what_was_given_up_is() {
    let mut walk = Walk::new(&job([task("a")]));
    walk.launch(0, 0).wait(30).end(0, 0, Ended::without_exit(Cause::NoCapacity));
    assert!(walk.job.spent().is_nothing());
    walk.pass(3_600).start(0, 0).cancel().pass(9_000);
    assert_eq!(walk.ending(), Some(Ending::Cancelled));
    assert_eq!(walk.job.spent(), Spent { container_seconds: 9_000, ..Spent::default() });
}

#[test]
fn a_wide_task_folds_what_it_used_with_its_counts() {
    let mut wide = Wide::new(&job([array("a", 300)]));
    wide.sync();
    wide.run(|_| 0);
    assert_eq!(wide.walk.ending(), Some(Ending::Succeeded));
    let first = wide.job().spent();
    assert_eq!(first.container_seconds, 300 * 60);
    wide.walk.retry(true);
    assert_eq!(wide.job().spent(), first, "a further run starts where the last one ended");
    wide.sync();
    wide.run(|_| 0);
    assert_eq!(wide.job().spent().container_seconds, 600 * 60);
}

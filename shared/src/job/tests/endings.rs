//! How tasks, edges and jobs end: the truth tables.

use crate::job::{tests::walk::*, *};
use Ending as E;
use TaskState as T;
use When as W;

/// Every way in which a task can end, and how to bring about that the task at
/// `place`, of two instances, does.
const ENDINGS: [T; 5] = [T::Succeeded, T::PartlyFailed, T::Failed, T::Stopped, T::Skipped];

/// A job whose first task fails, whose second is skipped for it, and whose
/// third, of two instances, ends by these codes.
fn three(codes: [i32; 2], last: TaskSpec, place: u32) -> Walk {
    let spec = job([
        task("fails"),
        after("skipped", [(0, W::Succeeded)]),
        array("pair", 2),
        last.with(|task| task.after.iter_mut().for_each(|edge| edge.task = place)),
    ]);
    let mut walk = Walk::new(&spec);
    walk.run(0, 0, 1).run(2, 0, codes[0]).run(2, 1, codes[1]);
    walk
}

#[test]
fn a_task_ends_as_its_instances_did() {
    for (codes, state) in [
        ([0, 0], T::Succeeded),
        ([0, 1], T::PartlyFailed),
        ([1, 0], T::PartlyFailed),
        ([1, 1], T::Failed),
    ] {
        let mut walk = Walk::new(&job([array("pair", 2)]));
        walk.run(0, 0, codes[0]);
        assert_eq!(walk.states(), [T::Running], "one of two has ended");
        walk.run(0, 1, codes[1]);
        assert_eq!(walk.states(), [state], "{codes:?}");
    }
}

#[test]
fn a_task_of_which_anything_was_stopped_is_stopped() {
    for code in [0, 1] {
        let mut walk = Walk::new(&job([array("pair", 2)]));
        walk.run(0, 0, code).cancel();
        assert_eq!(walk.states(), [T::Stopped], "{code}");
        assert_eq!(walk.ending(), Some(E::Cancelled));
    }
}

#[test]
fn an_edge_holds_by_the_ending_of_what_comes_first() {
    #[rustfmt::skip]
    let table = [
        //                 succeeded partly_failed failed stopped skipped
        (W::Succeeded, 2, [true,     false,        false, false,  false]),
        (W::Partly,    1, [true,     true,         true,  true,   false]),
        (W::Partly,    0, [false,    false,        false, false,  false]),
        (W::Failed,    1, [false,    true,         true,  false,  false]),
        (W::Finished,  0, [true,     true,         true,  true,   true]),
    ];
    for (when, succeeded, row) in table {
        for (state, holds) in ENDINGS.into_iter().zip(row) {
            assert_eq!(when.holds(state, succeeded), Some(holds), "{when:?} of {state:?}");
        }
        for state in [T::Pending, T::Ready, T::Running] {
            assert_eq!(when.holds(state, succeeded), None, "{when:?} of {state:?}");
        }
    }
}

#[test]
fn what_comes_next_is_ready_when_its_edge_holds_and_else_skipped() {
    #[rustfmt::skip]
    let table = [
        //             when          succeeded    partly       failed
        (W::Succeeded, [T::Ready,    T::Skipped,  T::Skipped]),
        (W::Partly,    [T::Ready,    T::Ready,    T::Skipped]),
        (W::Failed,    [T::Skipped,  T::Ready,    T::Ready]),
        (W::Finished,  [T::Ready,    T::Ready,    T::Ready]),
    ];
    for (when, row) in table {
        for (codes, state) in [[0, 0], [0, 1], [1, 1]].into_iter().zip(row) {
            let walk = three(codes, after("last", [(0, when)]), 2);
            assert_eq!(walk.states()[3], state, "{when:?} after {codes:?}");
        }
    }
}

#[test]
fn only_finished_holds_after_a_task_that_was_skipped() {
    for (when, state) in [
        (W::Succeeded, T::Skipped),
        (W::Partly, T::Skipped),
        (W::Failed, T::Skipped),
        (W::Finished, T::Ready),
    ] {
        let walk = three([0, 0], after("last", [(0, when)]), 1);
        assert_eq!(walk.states()[1..], [T::Skipped, T::Succeeded, state], "{when:?}");
    }
}

#[test]
fn a_task_waits_for_all_of_its_edges_but_not_once_one_is_broken() {
    let spec = job([task("a"), task("b"), after("c", [(0, W::Succeeded), (1, W::Succeeded)])]);
    let mut walk = Walk::new(&spec);
    walk.run(0, 0, 0);
    assert_eq!(walk.states()[2], T::Pending);
    let mut broken = walk.clone();
    assert_eq!(walk.run(1, 0, 0).states()[2], T::Ready);
    assert_eq!(broken.run(1, 0, 1).states()[2], T::Skipped);

    let mut walk = Walk::new(&spec);
    assert_eq!(walk.run(1, 0, 1).states(), [T::Ready, T::Failed, T::Skipped]);
}

#[test]
fn skipping_goes_on_down_so_that_the_job_ends() {
    let mut walk =
        Walk::new(&job([after("c", [(1, W::Partly)]), after("b", [(2, W::Succeeded)]), task("a")]));
    walk.run(2, 0, 1);
    assert_eq!(walk.states(), [T::Skipped, T::Skipped, T::Failed]);
    assert_eq!(walk.ending(), Some(E::Failed));
    assert_eq!(walk.cause(0, 0), Some(Cause::DependencyFailed));
}

#[test]
fn a_job_ends_as_its_tasks_did() {
    for (codes, ending) in [
        ([0, 0], E::Succeeded),
        ([0, 1], E::PartlyFailed),
        ([1, 0], E::PartlyFailed),
        ([1, 1], E::Failed),
    ] {
        let mut walk = Walk::new(&job([task("a"), task("b")]));
        walk.run(0, 0, codes[0]);
        assert_eq!(walk.ending(), None);
        assert_eq!(walk.run(1, 0, codes[1]).ending(), Some(ending), "{codes:?}");
    }
}

#[test]
fn a_job_of_wide_tasks_ends_by_their_instances() {
    let pairs = [[0, 0], [0, 1], [1, 1]];
    #[rustfmt::skip]
    let table = [
        //  succeeded        partly_failed    failed
        [E::Succeeded,    E::PartlyFailed, E::PartlyFailed], // after one that succeeded
        [E::PartlyFailed, E::PartlyFailed, E::PartlyFailed], // partly failed
        [E::PartlyFailed, E::PartlyFailed, E::Failed],       // failed
    ];
    for (first, row) in pairs.into_iter().zip(table) {
        for (second, ending) in pairs.into_iter().zip(row) {
            let mut walk = Walk::new(&job([array("a", 2), array("b", 2)]));
            for (task, codes) in (0..).zip([first, second]) {
                walk.run(task, 0, codes[0]).run(task, 1, codes[1]);
            }
            assert_eq!(walk.ending(), Some(ending), "{first:?} and {second:?}");
        }
    }
}

#[test]
fn a_job_that_is_stopped_ends_by_what_was_still_to_do() {
    type Stop = fn(&mut Walk) -> &mut Walk;
    let cancelled: Stop = |walk| walk.cancel();
    let timed_out: Stop = |walk| walk.pass(60);
    for (stop, ending) in [(cancelled, E::Cancelled), (timed_out, E::TimedOut)] {
        let spec = job([task("a"), task("b")]).with(|job| job.deadline_seconds = Some(60));
        for code in [0, 1] {
            // Something was still to do, whatever the rest had come to.
            let mut walk = Walk::new(&spec);
            walk.run(0, 0, code);
            stop(&mut walk);
            assert_eq!(walk.ending(), Some(ending), "{code}");
            let first = if code == 0 { T::Succeeded } else { T::Failed };
            assert_eq!(walk.states(), [first, T::Stopped]);
            // Nothing was.
            let mut walk = Walk::new(&spec);
            walk.run(0, 0, code).start(1, 0);
            stop(&mut walk).end(1, 0, exit(0));
            let as_if_not = if code == 0 { E::Succeeded } else { E::PartlyFailed };
            assert_eq!(walk.ending(), Some(as_if_not), "{code}");
        }
    }
}

#[test]
fn a_failure_handler_that_was_never_needed_spoils_nothing() {
    let spec = job([task("work"), after("alarm", [(0, W::Failed)])]);
    let mut walk = Walk::new(&spec);
    assert_eq!(walk.run(0, 0, 0).ending(), Some(E::Succeeded));
    assert_eq!(walk.states(), [T::Succeeded, T::Skipped]);

    let mut walk = Walk::new(&spec);
    assert_eq!(walk.run(0, 0, 1).ending(), None);
    assert_eq!(walk.run(1, 0, 0).ending(), Some(E::PartlyFailed));
}

#[test]
fn a_job_runs_from_its_first_claim_on() {
    let mut walk = Walk::new(&job([task("a"), after("b", [(0, W::Succeeded)])]));
    assert_eq!(walk.job.phase, Phase::Queued);
    walk.wait(5).claim(0, 0);
    assert_eq!((walk.job.phase, walk.job.started_at), (Phase::Running, Some(walk.now)));
    walk.end(0, 0, exit(0));
    assert_eq!(walk.job.phase, Phase::Running, "although nothing is live");
}

#[test]
fn fail_fast_stops_what_is_left_at_the_first_final_failure() {
    let spec = job([array("pair", 2), task("other"), after("next", [(0, W::Finished)])])
        .with(|job| job.fail_fast = true);
    let mut walk = Walk::new(&spec);
    walk.start(0, 1).start(0, 0).end(0, 0, exit(3));
    assert_eq!(walk.states(), [T::Running, T::Stopped, T::Pending]);
    assert_eq!(walk.cause(0, 1), Some(Cause::FailedFast));
    assert!(walk.owes(Duty::Stop(walk.attempt(0, 1, 0))));
    walk.end(0, 1, interrupted());
    assert_eq!(walk.states(), [T::Stopped; 3]);
    assert_eq!(walk.ending(), Some(E::Failed));
}

#[test]
fn fail_fast_counts_what_had_succeeded() {
    let spec = job([task("a"), task("b"), task("c")]).with(|job| job.fail_fast = true);
    let mut walk = Walk::new(&spec);
    walk.run(0, 0, 0).run(1, 0, 1);
    assert_eq!(walk.ending(), Some(E::PartlyFailed));
    assert_eq!(walk.states(), [T::Succeeded, T::Failed, T::Stopped]);
}

#[test]
fn fail_fast_waits_for_the_last_attempt_and_then_spares_no_other() {
    let twice = |name| task(name).with(|task| task.retry.max_attempts = 2);
    let spec = job([twice("a"), twice("b")]).with(|job| job.fail_fast = true);
    let mut walk = Walk::new(&spec);
    walk.run(0, 0, 1).run(1, 0, 1);
    assert_eq!(walk.states(), [T::Running; 2], "both are to be tried again");
    walk.run(0, 0, 1);
    assert_eq!(walk.states(), [T::Failed, T::Stopped]);
    assert_eq!(walk.cause(1, 0), Some(Cause::FailedFast));
}

#[test]
fn without_fail_fast_the_rest_goes_on() {
    let mut walk = Walk::new(&job([task("a"), task("b")]));
    assert_eq!(walk.run(0, 0, 1).states(), [T::Failed, T::Ready]);
}

#[test]
fn the_first_ending_of_an_attempt_stands() {
    let mut walk = Walk::new(&job([task("a")]));
    walk.run(0, 0, 0);
    let ended = walk.job.clone();
    for late in [exit(1), lost(), exit(0)] {
        walk.wait(1).end(0, 0, late).cancel().pass(1);
        assert_eq!(walk.job, ended);
    }
}

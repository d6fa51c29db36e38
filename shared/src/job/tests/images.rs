//! Images: looked up once for all tasks, pinned, or refused.

use crate::job::{tests::walk::*, *};
use TaskState as T;

fn with_image(name: &str, image: &str) -> TaskSpec {
    task(name).with(|task| task.image = image.parse().unwrap())
}

fn failed(image: u32, cause: Cause) -> Event {
    Event::ImageFailed { image, cause }
}

#[test]
fn an_image_that_tasks_share_is_looked_up_once() {
    let spec = job([task("a"), with_image("b", "other"), after("c", [(0, When::Finished)])]);
    let walk = Walk::unresolved(&spec);
    assert_eq!(walk.job.images.len(), 2);
    assert_eq!(walk.due(Duty::Resolve(0)), Some(0));
    assert_eq!(walk.due(Duty::Resolve(1)), Some(0));
}

#[test]
fn nothing_is_claimed_before_its_image_is_known() {
    let mut walk = Walk::unresolved(&job([task("a")]));
    assert_eq!(walk.job.claims(), []);
    let claim = Event::Attempt(walk.attempt(0, 0, 1), AttemptEvent::Claimed);
    assert_eq!(walk.refused(&claim), Refused::NotWaiting);
    walk.take(&Event::ImageResolved { image: 0, resolved: resolved() });
    assert_eq!(walk.job.claims(), [walk.attempt(0, 0, 1)]);
}

#[test]
fn an_image_that_was_resolved_stays_as_it_was() {
    let mut walk = Walk::new(&job([task("a")]));
    let pinned = walk.job.clone();
    let moved = ResolvedImage { digest: "another".into(), ..resolved() };
    walk.take(&Event::ImageResolved { image: 0, resolved: moved });
    walk.take(&failed(0, Cause::ImageNotFound));
    assert_eq!(walk.job, pinned);
}

#[test]
fn an_image_that_cannot_be_used_fails_its_task_at_once() {
    for cause in [Cause::ImageNotFound, Cause::ImageDenied, Cause::ImageUnusable] {
        let mut walk = Walk::unresolved(&job([array("a", 3)]));
        walk.take(&failed(0, cause));
        assert_eq!(walk.ending(), Some(Ending::Failed));
        assert_eq!(walk.cause(0, 2), Some(cause));
        assert_eq!(walk.job.started_at, None);
    }
}

#[test]
fn a_bad_image_of_a_task_further_down_waits_for_its_turn() {
    let next = |when| with_image("b", "bad").with(|task| task.after = vec![Edge { task: 0, when }]);
    for (when, state, ending) in [
        (When::Succeeded, T::Failed, Ending::PartlyFailed),
        (When::Failed, T::Skipped, Ending::Succeeded),
    ] {
        let spec = job([task("a"), next(when), after("c", [(1, When::Failed)])]);
        let mut walk = Walk::unresolved(&spec);
        walk.take(&Event::ImageResolved { image: 0, resolved: resolved() });
        walk.take(&failed(1, Cause::ImageDenied));
        assert_eq!(walk.states()[1], T::Pending);
        walk.run(0, 0, 0);
        assert_eq!(walk.states()[1], state);
        if state == T::Failed {
            assert_eq!(walk.cause(1, 0), Some(Cause::ImageDenied));
            walk.run(2, 0, 0);
        }
        assert_eq!(walk.ending(), Some(ending), "{when:?}");
    }
}

#[test]
fn a_registry_that_does_not_answer_is_asked_again_and_then_given_up() {
    let mut walk = Walk::unresolved(&job([task("a")]));
    for pause in [10, 20, 40, 80] {
        walk.take(&failed(0, Cause::ImageUnavailable));
        assert_eq!(walk.due(Duty::Resolve(0)), Some(pause));
        walk.wait(pause);
    }
    walk.take(&failed(0, Cause::ImageUnavailable));
    assert_eq!(walk.ending(), Some(Ending::Failed));
    assert_eq!(walk.cause(0, 0), Some(Cause::ImageUnavailable));
}

#[test]
fn two_look_ups_that_fail_at_once_are_one_failure() {
    let mut walk = Walk::unresolved(&job([task("a")]));
    walk.take(&failed(0, Cause::ImageUnavailable)).wait(9);
    let once = walk.job.clone();
    assert_eq!(walk.take(&failed(0, Cause::ImageUnavailable)).job, once);
    walk.take(&Event::ImageResolved { image: 0, resolved: resolved() });
    assert_eq!(walk.job.claims().len(), 1, "an answer is welcome at any time");
}

#[test]
fn a_look_up_that_fails_for_any_other_reason_found_no_image() {
    for cause in Cause::ALL {
        let mut walk = Walk::unresolved(&job([task("a")]));
        walk.take(&failed(0, cause));
        match cause.blame() {
            Blame::System => assert_eq!(walk.due(Duty::Resolve(0)), Some(10), "{cause:?}"),
            Blame::User | Blame::Final => {
                assert_eq!(walk.ending(), Some(Ending::Failed), "{cause:?}");
            }
        }
    }
}

#[test]
fn an_image_that_is_never_looked_up_is_waited_for_only_so_long() {
    let mut walk = Walk::unresolved(&job([task("a").with(|task| task.deadlines.waiting = 60)]));
    assert_eq!(walk.pass(60).ending(), Some(Ending::Failed));
    assert_eq!(walk.cause(0, 0), Some(Cause::WaitTimedOut));
}

#[test]
fn a_job_that_stops_looks_nothing_up() {
    let spec = job([task("a"), with_image("b", "other")]);
    let mut walk = Walk::unresolved(&spec);
    walk.take(&Event::ImageResolved { image: 0, resolved: resolved() }).start(0, 0).cancel();
    assert!(!walk.owes(Duty::Resolve(1)));
    let stopping = walk.job.clone();
    assert_eq!(walk.take(&failed(1, Cause::ImageDenied)).job, stopping);
}

#[test]
fn a_further_run_asks_again_for_what_was_refused_and_keeps_what_was_pinned() {
    let spec = job([task("a"), with_image("b", "other")]);
    let mut walk = Walk::unresolved(&spec);
    walk.take(&Event::ImageResolved { image: 0, resolved: resolved() });
    walk.take(&failed(1, Cause::ImageNotFound)).run(0, 0, 1).wait(60).retry(false);
    assert!(!walk.owes(Duty::Resolve(0)));
    assert_eq!(walk.due(Duty::Resolve(1)), Some(0));
    assert_eq!(walk.job.claims(), [walk.attempt(0, 0, 1)]);
}

//! Further runs, and the end of the record.

use crate::job::{tests::walk::*, *};
use TaskState as T;

/// A task that succeeded, one of which one of three failed, and one skipped.
fn mixed() -> Walk {
    let spec = job([task("good"), array("trio", 3), after("next", [(1, When::Succeeded)])]);
    let mut walk = Walk::new(&spec);
    walk.run(0, 0, 0).run(1, 0, 0).run(1, 1, 1).run(1, 2, 0);
    assert_eq!(walk.ending(), Some(Ending::PartlyFailed));
    walk
}

#[test]
fn a_retry_runs_only_what_had_not_succeeded() {
    let mut walk = mixed();
    walk.wait(60).retry(false);
    assert_eq!((walk.job.run, walk.job.phase), (2, Phase::Queued));
    assert_eq!(walk.states(), [T::Succeeded, T::Ready, T::Pending]);
    assert_eq!(walk.job.claims(), [walk.attempt(1, 1, 1)]);
    walk.run(1, 1, 0).run(2, 0, 0);
    assert_eq!(walk.ending(), Some(Ending::Succeeded));
}

#[test]
fn a_retry_of_all_runs_all() {
    let mut walk = mixed();
    walk.wait(60).retry(true);
    assert_eq!(walk.states(), [T::Ready, T::Ready, T::Pending]);
    assert_eq!(walk.job.claims().len(), 4);
    assert!(walk.job.claims().iter().all(|id| (id.run, id.number) == (2, 1)));
}

#[test]
fn what_was_kept_says_which_run_it_is_from() {
    let mut walk = mixed();
    walk.retry(false).run(1, 1, 1);
    walk.retry(false);
    let run = |task, instance| walk.job.attempt_id(task, instance, 1).run;
    assert_eq!((run(0, 0), run(1, 0), run(1, 1)), (1, 1, 3));
}

#[test]
fn a_run_of_what_was_left_starts_as_queued() {
    let mut walk = mixed();
    walk.retry(false);
    assert_eq!((walk.job.phase, walk.job.started_at), (Phase::Queued, None));
    walk.wait(7).claim(1, 1);
    assert_eq!(walk.job.started_at, Some(walk.now));
}

#[test]
fn attempts_of_an_earlier_run_are_ignored_and_run_nothing() {
    let mut walk = mixed();
    let old = walk.attempt(1, 1, 0);
    walk.retry(false).launch(1, 1);
    let now = walk.job.clone();
    walk.take(&Event::Attempt(old, AttemptEvent::Ended(exit(0))));
    walk.take(&Event::Attempt(old, AttemptEvent::Collecting { exit: Exit::Code(0) }));
    assert_eq!(walk.job, now);
    for event in [AttemptEvent::PlanRead, AttemptEvent::Claimed] {
        assert_eq!(walk.refused(&Event::Attempt(old, event)), Refused::Superseded);
    }
}

#[test]
fn a_run_has_the_users_attempts_and_its_deadline_anew() {
    let spec = job([task("a").with(|task| task.retry.max_attempts = 2)])
        .with(|job| job.deadline_seconds = Some(1_000));
    let mut walk = Walk::new(&spec);
    walk.run(0, 0, 1).run(0, 0, 1).wait(5_000).retry(false);
    assert_eq!(walk.due(Duty::Tick), Some(1_000));
    assert_eq!(walk.pass(999).run(0, 0, 1).ending(), None);
    assert_eq!(walk.run(0, 0, 0).ending(), Some(Ending::Succeeded));
}

#[test]
fn a_cancelled_job_can_be_retried() {
    let mut walk = Walk::unresolved(&job([task("a"), after("b", [(0, When::Finished)])]));
    walk.cancel().wait(9).retry(false);
    assert_eq!(walk.states(), [T::Ready, T::Pending]);
    assert_eq!(walk.due(Duty::Resolve(0)), Some(0));
}

#[test]
fn there_is_nothing_to_retry_where_nothing_failed() {
    let spec = job([task("work"), after("alarm", [(0, When::Failed)])]);
    let mut walk = Walk::new(&spec);
    walk.run(0, 0, 0);
    assert_eq!(walk.refused(&Event::RetryAsked { all: false }), Refused::NothingToRetry);
    assert_eq!(walk.retry(true).states(), [T::Ready, T::Pending]);
}

#[test]
fn a_job_that_is_not_over_is_neither_retried_nor_deleted() {
    let queued = Walk::new(&job([task("a")]));
    let mut running = queued.clone();
    let mut stopping = running.start(0, 0).clone();
    stopping.cancel();
    for walk in [queued, running, stopping] {
        assert_eq!(walk.refused(&Event::RetryAsked { all: true }), Refused::NotFinished);
        assert_eq!(walk.refused(&Event::DeleteAsked), Refused::NotFinished);
    }
}

#[test]
fn a_deleted_job_owes_its_removal_and_nothing_else() {
    let mut walk =
        Walk::new(&job([task("a")]).with(|job| job.callback = Some(told_at("http://x"))));
    walk.run(0, 0, 1).wait(3).take(&Event::DeleteAsked);
    let deleted = walk.job.clone();
    assert_eq!(deleted.owes(), [Due { at: walk.now, duty: Duty::Purge }]);
    assert_eq!(walk.wait(9).take(&Event::DeleteAsked).job, deleted);
    assert_eq!(walk.cancel().take(&Event::Ticked).job, deleted);
    assert_eq!(walk.refused(&Event::RetryAsked { all: true }), Refused::Deleted);
}

#[test]
fn events_of_another_job_are_refused() {
    let walk = Walk::new(&job([task("a")]));
    let id = AttemptId { job: JobId::from_bits(1), ..walk.attempt(0, 0, 1) };
    let event = Event::Attempt(id, AttemptEvent::Claimed);
    assert_eq!(walk.refused(&event), Refused::NoSuchInstance);
}

#[test]
fn places_that_the_job_does_not_have_are_refused() {
    let walk = Walk::new(&job([task("a")]));
    let id = walk.attempt(0, 0, 1);
    for id in [AttemptId { task: 1, ..id }, AttemptId { instance: u32::MAX, ..id }] {
        let event = Event::Attempt(id, AttemptEvent::Ended(exit(0)));
        assert_eq!(walk.refused(&event), Refused::NoSuchInstance);
    }
    let (counts, spent) = (Counts::default(), Spent::default());
    for event in [
        Event::Spread { task: 0, chunk: 0 },
        Event::Folded { task: 7, chunk: 0, run: 1, sequence: 1, counts, spent },
        Event::ImageFailed { image: 9, cause: Cause::ImageDenied },
    ] {
        assert_eq!(walk.refused(&event), Refused::NoSuchInstance);
    }
}

//! Telling the caller: once for each start and ending, until delivered or
//! given up.

use crate::job::{tests::walk::*, *};

const FIRST: CallbackKey = CallbackKey { run: 1, event: CallbackEvent::Finished };

fn spec() -> JobSpec {
    job([task("a")]).with(|job| job.callback = Some(told_at("https://example.com/hook")))
}

fn told() -> Walk {
    Walk::new(&spec())
}

/// One whose caller is told of starts as well.
fn told_of_starts() -> Walk {
    Walk::new(&spec().with(|job| {
        job.callback = job.callback.take().map(|it| CallbackSpec { started: true, ..it });
    }))
}

fn tries(walk: &Walk, callback: CallbackKey) -> Tries {
    walk.job.telling(callback).expect("it is owed").tries
}

fn begin(walk: &mut Walk, callback: CallbackKey) -> &mut Walk {
    walk.take(&Event::TellBegun { callback, within_seconds: 20 })
}

/// A try that fails.
fn fail(walk: &mut Walk, callback: CallbackKey, again_seconds: Option<u32>) -> &mut Walk {
    begin(walk, callback);
    let number = tries(walk, callback).begun;
    walk.take(&Event::TellFailed { callback, number, again_seconds })
}

fn owes(walk: &Walk, callback: CallbackKey) -> Option<i64> {
    walk.due(Duty::Tell(callback))
}

#[test]
fn nobody_is_told_who_did_not_ask() {
    let mut walk = Walk::new(&job([task("a")]));
    walk.run(0, 0, 0);
    assert_eq!(walk.job.callback, Callback::Unwanted);
    assert_eq!(walk.job.telling(FIRST), None);
    assert!(!walk.owes(Duty::Tell(FIRST)));
}

#[test]
fn the_caller_is_told_as_soon_as_the_run_has_ended() {
    let mut walk = told();
    assert!(!walk.owes(Duty::Tell(FIRST)));
    walk.run(0, 0, 0);
    assert_eq!(owes(&walk, FIRST), Some(0));
    begin(&mut walk, FIRST).wait(2).take(&Event::Told(FIRST));
    assert_eq!(walk.job.callback, Callback::Told { at: walk.now, begun: 1 });
    assert!(!walk.owes(Duty::Tell(FIRST)));
    let once = walk.job.clone();
    let late = Event::TellFailed { callback: FIRST, number: 1, again_seconds: Some(9) };
    walk.wait(2).take(&Event::Told(FIRST)).take(&late);
    assert_eq!(begin(&mut walk, FIRST).job, once);
}

#[test]
fn a_try_that_is_under_way_keeps_others_from_making_it() {
    let mut walk = told();
    begin(walk.run(0, 0, 0), FIRST);
    let under_way = walk.job.clone();
    assert_eq!(tries(&walk, FIRST).begun, 1);
    assert_eq!(begin(walk.wait(19), FIRST).job, under_way);
    assert_eq!(owes(&walk, FIRST), Some(1));
}

#[test]
fn a_try_of_which_nothing_is_heard_is_made_again() {
    let mut walk = told();
    begin(walk.run(0, 0, 0), FIRST).wait(20);
    assert_eq!(owes(&walk, FIRST), Some(0));
    begin(&mut walk, FIRST);
    assert_eq!((tries(&walk, FIRST).begun, tries(&walk, FIRST).round), (2, 2));
    // The first one is heard of after all: the second one is what counts.
    let second = walk.job.clone();
    let late = Event::TellFailed { callback: FIRST, number: 1, again_seconds: None };
    assert_eq!(walk.take(&late).job, second);
}

#[test]
fn a_delivery_that_failed_is_tried_again_and_one_failure_counts_once() {
    let mut walk = told();
    walk.run(0, 0, 0);
    for (begun, pause) in [(1, 5), (2, 300)] {
        fail(&mut walk, FIRST, Some(pause));
        walk.take(&Event::TellFailed {
            callback: FIRST,
            number: begun,
            again_seconds: Some(pause),
        });
        let at = walk.now + jiff::SignedDuration::from_secs(pause.into());
        assert_eq!(
            walk.job.callback,
            Callback::Owed(Tries { at, begun, round: begun, under_way: false })
        );
        walk.wait(pause.into());
    }
    fail(&mut walk, FIRST, None);
    assert_eq!(walk.job.callback, Callback::GivenUp { at: walk.now, begun: 3 });
    assert!(!walk.owes(Duty::Tell(FIRST)));
}

#[test]
fn again_at_once_is_a_second_later() {
    let mut walk = told();
    fail(walk.run(0, 0, 0), FIRST, Some(0));
    assert_eq!(owes(&walk, FIRST), Some(1));
}

#[test]
fn what_was_given_up_or_delivered_is_told_once_more_when_somebody_asks() {
    let mut walk = told();
    fail(walk.run(0, 0, 0), FIRST, None);
    let telling = Telling {
        key: FIRST,
        ending: Some(Ending::Succeeded),
        happened_at: walk.now,
        tries: Tries { at: walk.now, begun: 1, round: 1, under_way: false },
    };
    let asked = Event::TellAsked(telling);
    walk.wait(60).take(&asked).take(&asked);
    assert_eq!(
        tries(&walk, FIRST),
        Tries { at: walk.now, begun: 1, round: 0, under_way: false },
        "the schedule starts anew, and the count goes on"
    );
    begin(&mut walk, FIRST).take(&Event::Told(FIRST));
    assert_eq!(walk.job.callback, Callback::Told { at: walk.now, begun: 2 });
    assert_eq!(owes(walk.take(&asked), FIRST), Some(0));
    begin(&mut walk, FIRST).wait(3).take(&asked);
    assert_eq!(owes(&walk, FIRST), Some(17), "a try that is under way goes on");
}

#[test]
fn what_its_api_tells_nobody_of_is_owed_no_more_and_the_next_run_is_told_of() {
    let mut walk = told();
    begin(walk.run(0, 0, 1), FIRST).take(&Event::TellSpared(FIRST));
    assert_eq!(walk.job.callback, Callback::Needless);
    assert!(!walk.owes(Duty::Tell(FIRST)));
    walk.retry(false).run(0, 0, 0);
    assert_eq!(owes(&walk, CallbackKey::finished(2)), Some(0));

    let started = CallbackKey::started(1);
    let mut walk = told_of_starts();
    begin(walk.start(0, 0), started).take(&Event::TellSpared(started));
    assert_eq!(walk.job.untold, []);
    assert_eq!(walk.job.callback, Callback::Wanted);
}

#[test]
fn what_is_not_over_cannot_be_told_by_asking() {
    let walk = told();
    let tries = Tries { at: walk.now, begun: 0, round: 0, under_way: false };
    let telling = Telling { key: FIRST, ending: None, happened_at: walk.now, tries };
    assert_eq!(walk.refused(&Event::TellAsked(telling)), Refused::NotFinished);
}

#[test]
fn a_start_is_told_to_who_wants_to_know() {
    let started = CallbackKey::started(1);
    assert!(!told().start(0, 0).owes(Duty::Tell(started)));
    let mut walk = told_of_starts();
    assert!(!walk.owes(Duty::Tell(started)));
    walk.start(0, 0);
    assert_eq!(owes(&walk, started), Some(0));
    fail(&mut walk, started, Some(60));
    // It is told though the run is over by then.
    walk.end(0, 0, exit(0));
    assert_eq!((owes(&walk, started), owes(&walk, FIRST)), (Some(60), Some(0)));
    walk.take(&Event::Told(FIRST)).wait(60).take(&Event::Told(started));
    assert_eq!(walk.job.untold, []);
    assert_eq!(
        walk.job.callback,
        Callback::Told { at: walk.now - jiff::SignedDuration::from_secs(60), begun: 0 }
    );
}

#[test]
fn a_run_that_never_started_is_told_of_as_ended_alone() {
    let mut walk = told_of_starts();
    walk.cancel();
    let keys: Vec<_> = walk.job.tellings().map(|telling| telling.key).collect();
    assert_eq!(keys, [FIRST]);
}

#[test]
fn each_run_is_told_of() {
    let mut walk = told();
    walk.run(0, 0, 1).take(&Event::Told(FIRST)).retry(false);
    assert_eq!(walk.job.callback, Callback::Wanted);
    walk.run(0, 0, 0);
    let telling = walk.job.telling(CallbackKey::finished(2)).unwrap();
    assert_eq!((telling.ending, telling.tries.begun), (Some(Ending::Succeeded), 0));
}

#[test]
fn a_run_that_is_retried_before_its_caller_was_told_is_told_of_all_the_same() {
    let second = CallbackKey::finished(2);
    let mut walk = told();
    walk.run(0, 0, 1);
    let ended_at = walk.now;
    fail(&mut walk, FIRST, Some(300)).wait(60).retry(false);
    let telling = walk.job.telling(FIRST).unwrap();
    assert_eq!((telling.ending, telling.happened_at), (Some(Ending::Failed), ended_at));
    assert_eq!((telling.tries.begun, owes(&walk, FIRST)), (1, Some(240)));

    walk.wait(240).run(0, 0, 0);
    assert_eq!((owes(&walk, FIRST), owes(&walk, second)), (Some(0), Some(0)));
    fail(&mut walk, FIRST, Some(60)).take(&Event::Told(second));
    assert_eq!(owes(&walk, FIRST), Some(60));
    let mut given_up = walk.clone();
    assert_eq!(walk.take(&Event::Told(FIRST)).job.untold, []);
    assert_eq!(fail(given_up.wait(60), FIRST, None).job.untold, []);
}

#[test]
fn retries_do_not_pile_up_callbacks_without_bound() {
    let mut walk = told();
    for _ in 0..16 {
        walk.run(0, 0, 1).retry(false);
    }
    walk.run(0, 0, 1);
    let retry = Event::RetryAsked { all: false };
    assert_eq!(walk.refused(&retry), Refused::TooManyUntold);
    assert_eq!(walk.take(&Event::Told(CallbackKey::finished(4))).retry(false).job.run, 18);
}

#[test]
fn news_of_runs_there_never_were_changes_nothing() {
    let mut walk = told();
    walk.run(0, 0, 0);
    let now = walk.job.clone();
    for callback in [0, 2, u32::MAX].map(CallbackKey::finished) {
        let failed = Event::TellFailed { callback, number: 1, again_seconds: None };
        begin(&mut walk, callback).take(&Event::Told(callback)).take(&failed);
        assert_eq!(walk.job, now);
    }
}

#[test]
fn a_job_is_kept_until_its_caller_is_told_and_for_a_day_after_that_was_given_up() {
    const DAY: i64 = 24 * 3_600;
    let mut walk = Walk::new(&spec().with(|job| job.retain_days = 1));
    walk.run(0, 0, 0);
    assert!(!walk.owes(Duty::Tick));
    let mut told = walk.clone();
    assert_eq!(told.take(&Event::Told(FIRST)).due(Duty::Tick), Some(DAY));
    fail(walk.pass(3 * DAY), FIRST, None);
    assert_eq!(walk.due(Duty::Tick), Some(DAY));
    assert_eq!(walk.pass(DAY - 1).job.deleted_at, None);
    assert!(walk.pass(1).job.deleted_at.is_some());
}

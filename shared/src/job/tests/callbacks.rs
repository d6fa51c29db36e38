//! Telling the caller: once per run, until delivered or given up.

use crate::job::{tests::walk::*, *};

fn told() -> Walk {
    Walk::new(
        &job([task("a")]).with(|job| job.callback = Some(told_at("https://example.com/hook"))),
    )
}

fn failed(run: u32, again_seconds: Option<u32>) -> Event {
    Event::TellFailed { run, again_seconds }
}

#[test]
fn nobody_is_told_who_did_not_ask() {
    let mut walk = Walk::new(&job([task("a")]));
    walk.run(0, 0, 0);
    assert_eq!(walk.job.callback, Callback::Unwanted);
    assert_eq!(walk.job.telling(1), None);
    assert!(!walk.owes(Duty::Tell { run: 1 }));
}

#[test]
fn the_caller_is_told_as_soon_as_the_run_has_ended() {
    let mut walk = told();
    assert!(!walk.owes(Duty::Tell { run: 1 }));
    walk.run(0, 0, 0);
    assert_eq!(walk.due(Duty::Tell { run: 1 }), Some(0));
    walk.wait(2).take(&Event::Told { run: 1 });
    assert_eq!(walk.job.callback, Callback::Told { at: walk.now });
    assert!(!walk.owes(Duty::Tell { run: 1 }));
    let once = walk.job.clone();
    walk.wait(2).take(&Event::Told { run: 1 }).take(&failed(1, Some(9)));
    assert_eq!(walk.job, once);
}

#[test]
fn a_delivery_that_failed_is_tried_again_and_one_failure_counts_once() {
    let mut walk = told();
    walk.run(0, 0, 0);
    for (tries, pause) in [(1, 5), (2, 300)] {
        walk.take(&failed(1, Some(pause))).take(&failed(1, Some(pause)));
        let at = walk.now + jiff::SignedDuration::from_secs(pause.into());
        assert_eq!(walk.job.callback, Callback::Owed { at, tries });
        walk.wait(pause.into());
    }
    walk.take(&failed(1, None));
    assert_eq!(walk.job.callback, Callback::GivenUp { at: walk.now });
    assert!(!walk.owes(Duty::Tell { run: 1 }));
}

#[test]
fn again_at_once_is_a_second_later() {
    let mut walk = told();
    walk.run(0, 0, 0).take(&failed(1, Some(0))).take(&failed(1, Some(0)));
    assert_eq!(walk.job.telling(1).map(|telling| telling.tries), Some(1));
    assert_eq!(walk.due(Duty::Tell { run: 1 }), Some(1));
}

#[test]
fn what_was_given_up_is_told_once_it_is_delivered_after_all() {
    let mut walk = told();
    walk.run(0, 0, 0).take(&failed(1, None)).wait(60).take(&Event::Told { run: 1 });
    assert_eq!(walk.job.callback, Callback::Told { at: walk.now });
}

#[test]
fn each_run_is_told_of() {
    let mut walk = told();
    walk.run(0, 0, 1).take(&Event::Told { run: 1 }).retry(false);
    assert_eq!(walk.job.callback, Callback::Wanted);
    walk.run(0, 0, 0);
    let telling = walk.job.telling(2).unwrap();
    assert_eq!((telling.run, telling.ending, telling.tries), (2, Ending::Succeeded, 0));
}

#[test]
fn a_run_that_is_retried_before_its_caller_was_told_is_told_of_all_the_same() {
    let mut walk = told();
    walk.run(0, 0, 1);
    let ended_at = walk.now;
    walk.take(&failed(1, Some(300))).wait(60).retry(false);
    let telling = walk.job.telling(1).unwrap();
    assert_eq!((telling.ending, telling.ended_at, telling.tries), (Ending::Failed, ended_at, 1));
    assert_eq!(walk.due(Duty::Tell { run: 1 }), Some(240));

    walk.wait(240).run(0, 0, 0);
    assert_eq!(walk.due(Duty::Tell { run: 1 }), Some(0));
    assert_eq!(walk.due(Duty::Tell { run: 2 }), Some(0));
    walk.take(&failed(1, Some(60))).take(&Event::Told { run: 2 });
    assert_eq!(walk.due(Duty::Tell { run: 1 }), Some(60));
    let mut given_up = walk.clone();
    assert_eq!(walk.take(&Event::Told { run: 1 }).job.untold, []);
    assert_eq!(given_up.wait(60).take(&failed(1, None)).job.untold, []);
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
    assert_eq!(walk.take(&Event::Told { run: 4 }).retry(false).job.run, 18);
}

#[test]
fn news_of_runs_there_never_were_changes_nothing() {
    let mut walk = told();
    walk.run(0, 0, 0);
    let now = walk.job.clone();
    for run in [0, 2, u32::MAX] {
        assert_eq!(walk.take(&Event::Told { run }).take(&failed(run, None)).job, now);
    }
}

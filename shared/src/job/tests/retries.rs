//! Another attempt, and when there is none.

use crate::job::{tests::walk::*, *};

fn ended(cause: Cause) -> Ended {
    let exit = match cause {
        Cause::Exited => Some(Exit::Code(1)),
        Cause::Signalled => Some(Exit::Signal(11)),
        Cause::OutOfMemory | Cause::TimedOut => Some(Exit::Signal(9)),
        _ => None,
    };
    Ended { exit, cause: Some(cause), archive_bytes: None, usage: None, key: None }
}

/// Runs attempts that end with `cause` until there is no further one.
fn attempts_at(cause: Cause, retry: &RetryRules) -> (u32, Walk) {
    let mut walk = Walk::new(&job([task("a").with(|task| task.retry = retry.clone())]));
    while walk.ending().is_none() {
        walk.pass(3_600).start(0, 0).end(0, 0, ended(cause));
    }
    (walk.instance(0, 0).attempts, walk)
}

#[test]
fn who_is_to_blame_decides_how_often_is_tried() {
    let retry = RetryRules { max_attempts: 3, ..RetryRules::default() };
    for cause in Cause::ALL.into_iter().filter(|cause| cause.is_reportable()) {
        let (attempts, walk) = attempts_at(cause, &retry);
        let expected = match cause.blame() {
            Blame::User => 3,
            Blame::System => 5,
            Blame::Final => 1,
        };
        assert_eq!(attempts, expected, "{cause:?}");
        assert_eq!(walk.cause(0, 0), Some(cause));
        assert_eq!(walk.ending(), Some(Ending::Failed));
    }
}

#[test]
fn the_systems_faults_do_not_spend_the_users_attempts() {
    let twice = task("a").with(|task| task.retry.max_attempts = 2);
    let mut walk = Walk::new(&job([twice]));
    for ended in [lost(), exit(1), ended(Cause::NoCapacity), lost(), interrupted()] {
        walk.pass(3_600).start(0, 0).end(0, 0, ended);
        assert_eq!(walk.ending(), None);
    }
    walk.pass(3_600).run(0, 0, 1);
    assert_eq!((walk.ending(), walk.cause(0, 0)), (Some(Ending::Failed), Some(Cause::Exited)));
    let Instance { attempts, spent, faults, .. } = *walk.instance(0, 0);
    assert_eq!((attempts, spent, faults), (6, 2, 4));
}

#[test]
fn an_attempt_after_failures_may_succeed() {
    let thrice = task("a").with(|task| task.retry.max_attempts = 3);
    let mut walk = Walk::new(&job([thrice]));
    walk.run(0, 0, 1).run(0, 0, 2).run(0, 0, 0);
    assert_eq!(walk.ending(), Some(Ending::Succeeded));
}

#[test]
fn only_the_listed_exit_codes_are_worth_another_attempt() {
    let retry = RetryRules { max_attempts: 3, exit_codes: vec![75, 137], ..RetryRules::default() };
    for (ended, again) in [
        (exit(75), true),
        (exit(1), false),
        (ended(Cause::OutOfMemory), true),
        (ended(Cause::Signalled), false),
        (ended(Cause::StartFailed), true),
        (Ended { exit: Some(Exit::Code(0)), ..ended(Cause::OutputFailed) }, false),
        (lost(), true),
    ] {
        let mut walk = Walk::new(&job([task("a").with(|task| task.retry = retry.clone())]));
        walk.start(0, 0).end(0, 0, ended.clone());
        assert_eq!(walk.ending().is_none(), again, "{ended:?}");
    }
}

#[test]
fn pauses_between_the_users_attempts_double_to_an_hour() {
    let retry = RetryRules { max_attempts: 20, delay_seconds: 600, ..RetryRules::default() };
    let mut walk = Walk::new(&job([task("a").with(|task| task.retry = retry)]));
    for pause in [600, 1_200, 2_400, 3_600, 3_600] {
        walk.run(0, 0, 1);
        assert_eq!(walk.due(Duty::Tick), Some(pause));
        assert_eq!(walk.job.claims(), []);
        assert_eq!(walk.pass(pause - 1).job.claims(), []);
        assert_eq!(walk.pass(1).job.claims(), [walk.attempt(0, 0, 1)]);
    }
}

#[test]
fn pauses_after_the_systems_faults_are_its_own() {
    for (cause, pauses) in [
        (Cause::AgentLost, [5, 10, 20, 40]),
        (Cause::Interrupted, [5, 10, 20, 40]),
        (Cause::NoCapacity, [60, 120, 240, 480]),
    ] {
        let mut walk = Walk::new(&job([task("a")]));
        for pause in pauses {
            walk.start(0, 0).end(0, 0, ended(cause));
            assert_eq!(walk.due(Duty::Tick), Some(pause), "{cause:?}");
            walk.pass(pause);
        }
    }
}

#[test]
fn without_a_delay_the_next_attempt_is_wanted_at_once() {
    let twice = task("a").with(|task| task.retry.max_attempts = 2);
    let mut walk = Walk::new(&job([twice]));
    walk.run(0, 0, 1);
    assert_eq!(walk.job.claims(), [walk.attempt(0, 0, 1)]);
}

#[test]
fn news_of_an_older_attempt_changes_nothing_and_lets_nothing_run() {
    let mut walk = Walk::new(&job([task("a")]));
    walk.start(0, 0);
    let old = walk.attempt(0, 0, 0);
    walk.end(0, 0, lost()).pass(5).launch(0, 0);
    let now = walk.job.clone();
    for event in [
        AttemptEvent::Launched { handle: Some("x".into()) },
        AttemptEvent::Collecting { exit: Exit::Code(0) },
        AttemptEvent::Ended(exit(0)),
    ] {
        assert_eq!(walk.take(&Event::Attempt(old, event)).job, now);
    }
    assert_eq!(walk.refused(&Event::Attempt(old, AttemptEvent::PlanRead)), Refused::Superseded);
    assert_eq!(walk.refused(&Event::Attempt(old, AttemptEvent::Claimed)), Refused::NotWaiting);
}

#[test]
fn a_report_without_a_cause_is_judged_by_its_exit() {
    for (exit, cause) in [
        (Some(Exit::Code(0)), None),
        (Some(Exit::Code(7)), Some(Cause::Exited)),
        (Some(Exit::Signal(11)), Some(Cause::Signalled)),
        (None, Some(Cause::AgentLost)),
    ] {
        let mut walk = Walk::new(&job([task("a")]));
        walk.start(0, 0).end(
            0,
            0,
            Ended { exit, cause: None, archive_bytes: None, usage: None, key: None },
        );
        assert_eq!(walk.cause(0, 0), cause, "{exit:?}");
        assert_eq!(walk.instance(0, 0).live(), None);
    }
}

#[test]
fn an_exit_by_code_0_is_no_failure_whatever_the_report_calls_it() {
    let mut walk = Walk::new(&job([task("a")]));
    walk.start(0, 0).end(0, 0, Ended { cause: Some(Cause::Exited), ..exit(0) });
    assert_eq!(walk.ending(), Some(Ending::Succeeded));
}

#[test]
fn no_report_can_say_what_only_the_job_decides() {
    for cause in Cause::ALL.into_iter().filter(|cause| !cause.is_reportable()) {
        let mut walk = Walk::new(&job([task("a")]));
        walk.start(0, 0).end(0, 0, ended(cause));
        assert_eq!(walk.cause(0, 0), Some(Cause::Interrupted), "{cause:?}");
        assert_eq!(walk.ending(), None, "it is tried again");
    }
}

#[test]
fn no_exit_is_too_odd_to_be_judged() {
    let odd = [Exit::Signal(i32::MAX), Exit::Signal(i32::MIN), Exit::Code(i32::MIN)];
    let retry = RetryRules { exit_codes: vec![1], max_attempts: 2, delay_seconds: u32::MAX };
    for exit in odd {
        let mut walk = Walk::new(&job([task("a").with(|task| task.retry = retry.clone())]));
        walk.start(0, 0).end(
            0,
            0,
            Ended { exit: Some(exit), cause: None, archive_bytes: None, usage: None, key: None },
        );
        assert_eq!(walk.ending(), Some(Ending::Failed));
    }
}

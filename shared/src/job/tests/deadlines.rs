//! Every state has a deadline: time alone ends a job.

use jiff::Timestamp;

use crate::job::{tests::walk::*, *};

const DEADLINES: Deadlines =
    Deadlines { waiting: 100, starting: 20, running: 1_000, grace: 10, collecting: 50 };

fn bounded() -> TaskSpec {
    task("a").with(|task| task.deadlines = DEADLINES)
}

#[test]
fn what_waits_too_long_fails() {
    let mut walk = Walk::new(&job([bounded()]));
    assert_eq!(walk.due(Duty::Tick), Some(100));
    assert_eq!(walk.pass(99).ending(), None);
    assert_eq!(walk.pass(1).ending(), Some(Ending::Failed));
    assert_eq!(walk.cause(0, 0), Some(Cause::WaitTimedOut));
}

#[test]
fn patience_starts_when_a_task_is_ready() {
    let last = bounded().with(|task| task.after = vec![Edge { task: 0, when: When::Succeeded }]);
    let mut walk = Walk::new(&job([task("first"), last]));
    walk.start(0, 0).pass(5_000);
    assert_eq!(walk.states()[1], TaskState::Pending, "waiting for others has no deadline");
    walk.end(0, 0, exit(0));
    assert_eq!(walk.due(Duty::Tick), Some(100));
}

#[test]
fn a_pause_before_another_attempt_is_no_waiting() {
    let slow = bounded().with(|task| {
        task.retry = RetryRules { max_attempts: 2, delay_seconds: 500, ..RetryRules::default() };
    });
    let mut walk = Walk::new(&job([slow]));
    walk.run(0, 0, 1).pass(499);
    assert_eq!(walk.ending(), None);
    walk.pass(1);
    assert_eq!(walk.due(Duty::Tick), Some(100), "patience starts at the pause's end");
    walk.pass(99);
    assert_eq!(walk.job.claims(), [walk.attempt(0, 0, 1)]);
    assert_eq!(walk.pass(1).cause(0, 0), Some(Cause::WaitTimedOut));
}

#[test]
fn one_late_sweep_does_what_many_in_time_would_have() {
    let slow = bounded().with(|task| {
        task.retry = RetryRules { max_attempts: 2, delay_seconds: 500, ..RetryRules::default() };
    });
    let mut walk = Walk::new(&job([slow]));
    walk.run(0, 0, 1).pass(600);
    assert_eq!(walk.cause(0, 0), Some(Cause::WaitTimedOut));
}

#[test]
fn waiting_in_vain_after_a_fault_of_the_system_names_the_fault() {
    let mut walk = Walk::new(&job([bounded()]));
    walk.start(0, 0).end(0, 0, Ended::without_exit(Cause::NoCapacity)).pass(60).pass(100);
    assert_eq!(walk.cause(0, 0), Some(Cause::NoCapacity));
    assert_eq!(walk.ending(), Some(Ending::Failed));
}

#[test]
fn a_container_that_does_not_come_up_is_stopped_and_tried_again() {
    let claimed: fn(&mut Walk) -> &mut Walk = |walk| walk.claim(0, 0);
    let starting: fn(&mut Walk) -> &mut Walk = |walk| walk.launch(0, 0);
    for go in [claimed, starting] {
        let mut walk = Walk::new(&job([bounded()]));
        go(&mut walk);
        walk.pass(19);
        assert_eq!(walk.cause(0, 0), None);
        walk.pass(1);
        assert_eq!(walk.cause(0, 0), Some(Cause::StartTimedOut));
        assert_eq!(walk.due(Duty::Stop(walk.attempt(0, 0, 0))), Some(0));
        walk.end(0, 0, lost());
        assert_eq!(walk.ending(), None);
        assert_eq!(walk.cause(0, 0), Some(Cause::StartTimedOut), "not the loss we brought about");
    }
}

#[test]
fn a_stopped_attempt_that_nobody_answers_for_is_given_up() {
    let mut walk = Walk::new(&job([bounded()]));
    walk.launch(0, 0).pass(20);
    assert_eq!(walk.due(Duty::Tick), Some(10 + 60), "there is nothing to collect");
    assert_eq!(walk.pass(69).job.live_attempts(), [walk.attempt(0, 0, 0)]);
    assert_eq!(walk.pass(1).job.live_attempts(), []);
    assert_eq!(walk.instance(0, 0).faults, 1);
}

#[test]
fn a_run_is_held_to_its_timeout_by_the_agent_and_past_that_by_us() {
    let mut walk = Walk::new(&job([bounded()]));
    walk.start(0, 0);
    let backstop = 20 + 1_000 + 10 + 50 + 60;
    assert_eq!(walk.pass(backstop - 1).cause(0, 0), None);
    assert_eq!(walk.pass(1).cause(0, 0), Some(Cause::TimedOut));
    walk.pass(120);
    assert_eq!(walk.ending(), Some(Ending::Failed));
    assert_eq!(walk.cause(0, 0), Some(Cause::TimedOut));
}

#[test]
fn a_timeout_that_the_agent_reports_spends_an_attempt() {
    let mut walk = Walk::new(&job([bounded().with(|task| task.retry.max_attempts = 2)]));
    let timed_out = Ended { cause: Some(Cause::TimedOut), ..interrupted() };
    walk.start(0, 0).end(0, 0, timed_out.clone());
    assert_eq!(walk.instance(0, 0).spent, 1);
    assert_eq!(walk.start(0, 0).end(0, 0, timed_out).ending(), Some(Ending::Failed));
}

#[test]
fn collecting_has_a_deadline_of_its_own() {
    let mut walk = Walk::new(&job([bounded()]));
    walk.collect(0, 0, 0);
    assert_eq!(walk.pass(50 + 59).cause(0, 0), None);
    assert_eq!(walk.pass(1).cause(0, 0), Some(Cause::OutputFailed));
    assert_eq!(walk.pass(120).ending(), Some(Ending::Failed));
}

#[test]
fn a_report_that_comes_after_all_before_the_attempt_is_given_up_counts() {
    let mut walk = Walk::new(&job([bounded()]));
    walk.start(0, 0).pass(2_000);
    assert_eq!(walk.cause(0, 0), Some(Cause::TimedOut));
    assert_eq!(walk.end(0, 0, exit(0)).ending(), Some(Ending::Succeeded));
}

#[test]
fn a_report_that_comes_too_late_changes_nothing() {
    let mut walk = Walk::new(&job([bounded()]));
    walk.start(0, 0).pass(2_000).pass(200);
    let given_up = walk.job.clone();
    assert_eq!(walk.ending(), Some(Ending::Failed));
    assert_eq!(walk.end(0, 0, exit(0)).job, given_up);
    let plan = Event::Attempt(walk.attempt(0, 0, 0), AttemptEvent::PlanRead);
    assert_eq!(walk.refused(&plan), Refused::Superseded);
}

#[test]
fn the_jobs_own_deadline_stops_all_that_is_left() {
    let spec = job([task("a"), task("b"), after("c", [(0, When::Succeeded)])])
        .with(|job| job.deadline_seconds = Some(300));
    let mut walk = Walk::new(&spec);
    assert_eq!(walk.due(Duty::Tick), Some(300));
    walk.run(1, 0, 0).start(0, 0).pass(300);
    assert_eq!(walk.job.halt(), Some(Halt::DeadlinePassed));
    walk.end(0, 0, interrupted());
    assert_eq!(walk.states(), [TaskState::Stopped, TaskState::Succeeded, TaskState::Stopped]);
    assert_eq!(walk.ending(), Some(Ending::TimedOut));
}

#[test]
fn a_deadline_that_nothing_was_left_for_does_not_spoil_a_success() {
    let spec = job([task("a")]).with(|job| job.deadline_seconds = Some(300));
    let mut walk = Walk::new(&spec);
    walk.collect(0, 0, 0).pass(300);
    assert_eq!(walk.job.halt(), Some(Halt::DeadlinePassed));
    assert_eq!(walk.end(0, 0, exit(0)).ending(), Some(Ending::Succeeded));
}

#[test]
fn a_finished_job_is_removed_when_its_time_is_up() {
    for (retain_days, days) in [(30, 30), (0, 1), (u16::MAX, 65_535)] {
        let spec = job([task("a")]).with(|job| job.retain_days = retain_days);
        let mut walk = Walk::new(&spec);
        walk.run(0, 0, 0);
        assert_eq!(walk.due(Duty::Tick), Some(days * 24 * 3_600));
        assert_eq!(walk.pass(days * 24 * 3_600 - 1).job.deleted_at, None);
        walk.pass(1);
        assert_eq!(walk.job.owes(), [Due { at: walk.now, duty: Duty::Purge }]);
    }
}

#[test]
fn deadlines_beyond_all_bounds_are_the_end_of_time() {
    let all = u32::MAX;
    let forever =
        Deadlines { waiting: all, starting: all, running: all, grace: all, collecting: all };
    let endless = task("a").with(|task| task.deadlines = forever);
    let mut walk = Walk::new(&job([endless]).with(|job| job.deadline_seconds = Some(all)));
    walk.start(0, 0).cancel();
    walk.now = Timestamp::MAX;
    assert_eq!(walk.take(&Event::Ticked).ending(), Some(Ending::Cancelled));
}

#[test]
fn deadlines_of_no_time_at_all_are_no_endless_loop() {
    let none = Deadlines { waiting: 0, starting: 0, running: 0, grace: 0, collecting: 0 };
    let hasty = task("a").with(|task| task.deadlines = none);
    let mut walk = Walk::new(&job([hasty]));
    assert_eq!(walk.take(&Event::Ticked).due(Duty::Tick), Some(1), "the queue may act first");
    walk.claim(0, 0).take(&Event::Ticked);
    assert_eq!(walk.due(Duty::Tick), Some(60));
}

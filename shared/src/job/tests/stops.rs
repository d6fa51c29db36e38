//! Cancelling, in every state an instance can be in.

use crate::job::{tests::walk::*, *};

fn twice() -> JobSpec {
    job([task("a").with(|task| task.retry.max_attempts = 2)])
}

#[test]
fn a_job_that_has_not_started_is_cancelled_at_once() {
    let spec = job([task("a"), after("b", [(0, When::Succeeded)])]);
    for mut walk in [Walk::unresolved(&spec), Walk::new(&spec)] {
        walk.cancel();
        assert_eq!(walk.ending(), Some(Ending::Cancelled));
        assert_eq!(walk.states(), [TaskState::Stopped; 2]);
        assert_eq!(walk.cause(1, 0), Some(Cause::Cancelled));
        assert_eq!(walk.job.started_at, None);
    }
}

#[test]
fn a_job_between_two_attempts_is_cancelled_at_once() {
    let mut walk = Walk::new(&twice());
    assert_eq!(walk.run(0, 0, 1).cancel().ending(), Some(Ending::Cancelled));
}

#[test]
fn a_claimed_attempt_is_told_to_stop_and_reads_no_plan() {
    let mut walk = Walk::new(&twice());
    walk.claim(0, 0).cancel();
    let attempt = walk.attempt(0, 0, 0);
    assert_eq!(walk.due(Duty::Stop(attempt)), Some(0));
    assert!(!walk.owes(Duty::Launch(attempt)));
    // Whoever claimed it may be launching it at this moment.
    walk.send(0, 0, AttemptEvent::Launched { handle: None });
    let plan = Event::Attempt(attempt, AttemptEvent::PlanRead);
    assert_eq!(walk.refused(&plan), Refused::Stopping);
    assert_eq!(walk.end(0, 0, lost()).ending(), Some(Ending::Cancelled));
}

#[test]
fn a_claim_that_comes_after_the_cancelling_is_refused() {
    let walk = Walk::new(&job([array("pair", 2)]));
    let late = Event::Attempt(walk.attempt(0, 1, 1), AttemptEvent::Claimed);
    let mut ended = walk.clone();
    assert_eq!(ended.cancel().refused(&late), Refused::Superseded);
    let mut stopping = walk.clone();
    assert_eq!(stopping.claim(0, 0).cancel().refused(&late), Refused::NotWaiting);
    assert_eq!(stopping.job.claims(), []);
}

#[test]
fn a_running_attempt_is_stopped_and_keeps_what_it_brings_home() {
    let mut walk = Walk::new(&twice());
    walk.start(0, 0).cancel();
    assert_eq!(walk.ending(), None);
    walk.send(0, 0, AttemptEvent::Collecting { exit: Exit::Signal(15) });
    assert!(walk.owes(Duty::Stop(walk.attempt(0, 0, 0))));
    walk.end(0, 0, interrupted());
    let outcome = walk.instance(0, 0).outcome().unwrap();
    assert_eq!((outcome.cause, outcome.archive_bytes), (Some(Cause::Cancelled), Some(1)));
    assert_eq!(walk.ending(), Some(Ending::Cancelled));
}

#[test]
fn a_process_that_ended_by_itself_before_the_stop_reached_it_ended_so() {
    let mut walk = Walk::new(&twice());
    walk.start(0, 0).cancel().end(0, 0, exit(0));
    assert_eq!(walk.ending(), Some(Ending::Succeeded));

    let mut walk = Walk::new(&job([task("once")]));
    walk.start(0, 0).cancel().end(0, 0, exit(1));
    assert_eq!(walk.ending(), Some(Ending::Failed));
}

#[test]
fn the_further_attempt_that_a_failure_would_have_got_is_what_is_cancelled() {
    let mut walk = Walk::new(&twice());
    walk.start(0, 0).cancel().end(0, 0, exit(1));
    assert_eq!(walk.ending(), Some(Ending::Cancelled));
    let outcome = walk.instance(0, 0).outcome().unwrap();
    assert_eq!(outcome.exit, Some(Exit::Code(1)), "how it did end is kept");
}

#[test]
fn what_is_being_collected_is_let_finish() {
    let mut walk = Walk::new(&twice());
    walk.collect(0, 0, 0).cancel();
    assert!(!walk.owes(Duty::Stop(walk.attempt(0, 0, 0))));
    assert_eq!(walk.job.halt(), Some(Halt::Cancelled));
    assert_eq!(walk.end(0, 0, exit(0)).ending(), Some(Ending::Succeeded));
}

#[test]
fn what_is_being_collected_and_fails_gets_no_further_attempt() {
    for (ended, ending) in [(exit(1), Ending::Cancelled), (lost(), Ending::Cancelled)] {
        let mut walk = Walk::new(&twice());
        walk.collect(0, 0, 1).cancel().end(0, 0, ended);
        assert_eq!(walk.ending(), Some(ending));
    }
}

#[test]
fn a_handler_that_would_have_been_skipped_was_not_stopped() {
    let spec = job([task("work"), after("alarm", [(0, When::Failed)])]);
    let mut walk = Walk::new(&spec);
    walk.collect(0, 0, 0).cancel();
    assert_eq!(walk.states()[1], TaskState::Pending, "it waits to see how the work ends");
    walk.end(0, 0, exit(0));
    assert_eq!(walk.states(), [TaskState::Succeeded, TaskState::Skipped]);
    assert_eq!(walk.ending(), Some(Ending::Succeeded));
}

#[test]
fn a_task_that_would_have_run_next_was_stopped() {
    let spec = job([task("a"), after("b", [(0, When::Succeeded)])]);
    let mut walk = Walk::new(&spec);
    walk.collect(0, 0, 0).cancel().end(0, 0, exit(0));
    assert_eq!(walk.states(), [TaskState::Succeeded, TaskState::Stopped]);
    assert_eq!(walk.ending(), Some(Ending::Cancelled));
}

#[test]
fn the_first_reason_to_stop_stands() {
    let spec = twice().with(|job| job.deadline_seconds = Some(60));
    let mut walk = Walk::new(&spec);
    walk.start(0, 0).cancel().pass(60).end(0, 0, lost());
    assert_eq!(walk.ending(), Some(Ending::Cancelled));

    let mut walk = Walk::new(&spec);
    walk.start(0, 0).pass(60).cancel().end(0, 0, lost());
    assert_eq!(walk.ending(), Some(Ending::TimedOut));
}

#[test]
fn an_attempt_that_is_overdue_when_all_is_cancelled_is_not_tried_again() {
    let mut walk = Walk::new(&twice());
    walk.launch(0, 0).pass(900);
    assert_eq!(walk.cause(0, 0), Some(Cause::StartTimedOut));
    walk.cancel().end(0, 0, lost());
    assert_eq!(walk.ending(), Some(Ending::Cancelled));
    assert_eq!(walk.cause(0, 0), Some(Cause::Cancelled));
}

#[test]
fn a_cancelled_attempt_that_nobody_answers_for_ends_all_the_same() {
    let mut walk = Walk::new(&twice());
    walk.start(0, 0).cancel().pass(30 + 7_200 + 60);
    assert_eq!(walk.ending(), Some(Ending::Cancelled));
}

#[test]
fn cancelling_what_is_over_changes_nothing() {
    let mut walk = Walk::new(&twice());
    walk.run(0, 0, 0);
    let over = walk.job.clone();
    assert_eq!(walk.wait(9).cancel().job, over);
}

/// An instance is called off.
fn call_off(walk: &mut Walk, task: u32, instance: u32) {
    walk.take(&Event::StopAsked { task, instance });
}

#[test]
fn an_instance_that_is_called_off_has_failed_and_the_others_go_on() {
    let mut walk = Walk::new(&job([array("three", 3)]));
    call_off(&mut walk, 0, 0);
    assert_eq!(walk.cause(0, 0), Some(Cause::InstanceStopped));
    walk.start(0, 1).start(0, 2);
    call_off(&mut walk, 0, 1);
    assert!(walk.owes(Duty::Stop(walk.attempt(0, 1, 0))));
    walk.end(0, 1, interrupted()).end(0, 2, exit(0));
    assert_eq!(walk.cause(0, 1), Some(Cause::InstanceStopped));
    assert_eq!(walk.states(), [TaskState::PartlyFailed]);
    assert_eq!(walk.ending(), Some(Ending::PartlyFailed));
}

#[test]
fn what_is_called_off_while_it_fails_by_itself_is_not_tried_again() {
    let mut walk = Walk::new(&twice());
    walk.start(0, 0);
    call_off(&mut walk, 0, 0);
    walk.end(0, 0, exit(1));
    assert_eq!(walk.cause(0, 0), Some(Cause::InstanceStopped));
    assert_eq!(walk.ending(), Some(Ending::Failed));
}

#[test]
fn what_was_done_before_it_was_called_off_stays_done() {
    let mut walk = Walk::new(&twice());
    walk.start(0, 0);
    call_off(&mut walk, 0, 0);
    walk.end(0, 0, exit(0));
    assert_eq!(walk.ending(), Some(Ending::Succeeded));
    let before = walk.job.clone();
    call_off(&mut walk, 0, 0);
    assert_eq!(walk.job, before);
}

#[test]
fn a_task_whose_only_instance_is_called_off_waits_for_its_turn_to_fail() {
    let mut walk = Walk::new(&job([task("a"), after("b", [(0, When::Succeeded)])]));
    call_off(&mut walk, 1, 0);
    assert_eq!(walk.states(), [TaskState::Ready, TaskState::Pending]);
    walk.run(0, 0, 0);
    assert_eq!(walk.states(), [TaskState::Succeeded, TaskState::Failed]);
    assert_eq!(walk.ending(), Some(Ending::PartlyFailed));
}

#[test]
fn only_an_instance_that_is_there_is_called_off() {
    let walk = Walk::new(&job([task("a")]));
    for (task, instance) in [(0, 1), (1, 0)] {
        let event = Event::StopAsked { task, instance };
        assert_eq!(walk.refused(&event), Refused::NoSuchInstance);
    }
}

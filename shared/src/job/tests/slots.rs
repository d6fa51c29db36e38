//! Claims: in which order, and how many at once.

use crate::job::{tests::walk::*, *};

#[test]
fn claims_come_in_the_order_of_tasks_and_instances() {
    let walk = Walk::new(&job([array("a", 2), after("b", [(0, When::Finished)]), array("c", 2)]));
    let places: Vec<_> = walk.job.claims().iter().map(|id| (id.task, id.instance)).collect();
    assert_eq!(places, [(0, 0), (0, 1), (2, 0), (2, 1)]);
}

#[test]
fn claims_carry_no_time() {
    let walk = Walk::new(&job([task("a")]));
    assert_eq!(walk.job.due_at(), Some(walk.now + jiff::SignedDuration::from_hours(7 * 24)));
}

#[test]
fn a_task_has_no_more_live_at_once_than_it_allows() {
    let narrow = array("a", 4).with(|task| task.max_concurrent = Some(2));
    let mut walk = Walk::new(&job([narrow]));
    assert_eq!(walk.job.claims().len(), 2);
    walk.claim(0, 0);
    assert_eq!(walk.job.claims(), [walk.attempt(0, 1, 1)]);
    walk.claim(0, 3);
    assert_eq!(walk.job.claims(), []);
    let third = Event::Attempt(walk.attempt(0, 1, 1), AttemptEvent::Claimed);
    assert_eq!(walk.refused(&third), Refused::NotWaiting);
    walk.claim_again(0, 3).end(0, 0, exit(0));
    assert_eq!(walk.job.claims(), [walk.attempt(0, 1, 1)]);
}

#[test]
fn an_attempt_that_is_to_stop_still_holds_its_place() {
    let narrow = array("a", 2).with(|task| task.max_concurrent = Some(1));
    let mut walk = Walk::new(&job([narrow]));
    walk.claim(0, 0).pass(900);
    assert_eq!(walk.cause(0, 0), Some(Cause::StartTimedOut));
    assert_eq!(walk.job.claims(), []);
}

#[test]
fn what_a_tasks_own_limit_holds_back_does_not_wait_in_the_queue() {
    let narrow = array("a", 3).with(|task| {
        task.max_concurrent = Some(1);
        task.deadlines.waiting = 60;
    });
    let mut walk = Walk::new(&job([narrow]));
    walk.start(0, 0).pass(10_000);
    assert_eq!(walk.job.tasks[0].members.counts().waiting, 2);
    walk.end(0, 0, exit(0));
    assert_eq!(walk.due(Duty::Tick), Some(60), "from here on it is the queue's doing");
    walk.pass(59).run(0, 1, 0).pass(59).run(0, 2, 0);
    assert_eq!(walk.ending(), Some(Ending::Succeeded));
}

#[test]
fn a_limit_of_nothing_is_a_limit_of_one() {
    let narrow = array("a", 2).with(|task| task.max_concurrent = Some(0));
    assert_eq!(Walk::new(&job([narrow])).job.claims().len(), 1);
}

#[test]
fn a_claim_that_is_repeated_is_let_through() {
    let mut walk = Walk::new(&job([task("a")]));
    walk.claim(0, 0);
    let claimed = walk.job.clone();
    assert_eq!(walk.wait(3).claim_again(0, 0).job, claimed);
    walk.send(0, 0, AttemptEvent::PlanRead);
    let running = walk.job.clone();
    assert_eq!(walk.wait(3).claim_again(0, 0).job, running);
}

#[test]
fn a_claim_skips_no_attempt() {
    let walk = Walk::new(&job([task("a")]));
    for number in [0, 2, u32::MAX] {
        let id = AttemptId { number, ..walk.attempt(0, 0, 1) };
        let event = Event::Attempt(id, AttemptEvent::Claimed);
        assert_eq!(walk.refused(&event), Refused::NotWaiting);
    }
}

#[test]
fn a_plan_can_be_read_again_while_it_runs_and_not_once_it_is_collected() {
    let mut walk = Walk::new(&job([task("a")]));
    walk.start(0, 0);
    let running = walk.job.clone();
    assert_eq!(walk.wait(9).send(0, 0, AttemptEvent::PlanRead).job, running);
    walk.send(0, 0, AttemptEvent::Collecting { exit: Exit::Code(0) });
    let plan = Event::Attempt(walk.attempt(0, 0, 0), AttemptEvent::PlanRead);
    assert_eq!(walk.refused(&plan), Refused::Superseded);
}

#[test]
fn a_plan_may_be_read_before_the_launch_is_recorded() {
    let mut walk = Walk::new(&job([task("a")]));
    walk.claim(0, 0).send(0, 0, AttemptEvent::PlanRead);
    walk.send(0, 0, AttemptEvent::Launched { handle: Some("arn".into()) });
    let live = walk.instance(0, 0).live().unwrap();
    assert_eq!((live.phase, live.handle.as_deref()), (AttemptPhase::Running, Some("arn")));
    walk.send(0, 0, AttemptEvent::Launched { handle: Some("other".into()) });
    assert_eq!(walk.instance(0, 0).live().unwrap().handle.as_deref(), Some("arn"));
}

#[test]
fn a_claimed_attempt_is_launched_again_and_a_launched_one_looked_at() {
    let mut walk = Walk::new(&job([task("a")]));
    walk.claim(0, 0);
    let id = walk.attempt(0, 0, 0);
    assert_eq!((walk.due(Duty::Launch(id)), walk.due(Duty::Look(id))), (Some(60), None));
    walk.send(0, 0, AttemptEvent::Launched { handle: None });
    assert_eq!((walk.due(Duty::Launch(id)), walk.due(Duty::Look(id))), (None, Some(60)));
}

impl Walk {
    fn claim_again(&mut self, task: u32, instance: u32) -> &mut Self {
        self.take(&Event::Attempt(self.attempt(task, instance, 0), AttemptEvent::Claimed))
    }
}

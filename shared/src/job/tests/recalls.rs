//! An instance that may have the result of an equal.

use crate::job::{
    tests::{walk::*, wide::*},
    *,
};

fn caching(instances: u32) -> JobSpec {
    job([array("a", instances).with(|task| task.cache = Some(CacheRule::default()))])
}

fn leads() -> AttemptEvent {
    AttemptEvent::Leads { key: Some("key".to_owned()) }
}

fn awaits(again_seconds: u32) -> AttemptEvent {
    AttemptEvent::Awaits { key: "key".to_owned(), again_seconds }
}

#[test]
fn equals_are_looked_for_before_anything_is_claimed() {
    let mut walk = Walk::unresolved(&caching(1));
    let id = walk.attempt(0, 0, 1);
    assert!(!walk.owes(Duty::Recall(id)), "what would run is not known yet");
    walk.send(0, 0, leads());
    assert_eq!(walk.instance(0, 0).recall, None);
    walk.take(&Event::ImageResolved { image: 0, resolved: resolved() });
    assert_eq!(walk.due(Duty::Recall(id)), Some(0));
    assert_eq!(walk.job.claims(), []);
    let claim = Event::Attempt(id, AttemptEvent::Claimed);
    assert_eq!(walk.refused(&claim), Refused::NotWaiting);
    walk.send(0, 0, leads());
    assert!(!walk.owes(Duty::Recall(id)));
    assert_eq!(walk.job.claims(), [id]);
    walk.run(0, 0, 0);
    assert_eq!(walk.ending(), Some(Ending::Succeeded));
}

#[test]
fn the_result_of_an_equal_ends_an_instance_that_never_ran() {
    let mut walk = Walk::new(&caching(1));
    walk.send(0, 0, AttemptEvent::Recalled(recalled()));
    assert_eq!(walk.ending(), Some(Ending::Succeeded));
    let instance = walk.instance(0, 0);
    let outcome = instance.outcome().unwrap();
    assert_eq!((instance.attempts, outcome.cached_from), (1, Some(recalled().from)));
    assert_eq!(outcome.key.as_deref(), Some("key"), "and may be used again itself");
    assert_eq!((walk.job.started_at, outcome.started_at), (None, None));
    assert!(walk.job.spent().is_nothing());
}

#[test]
fn who_has_decided_to_run_is_given_nothing_any_more() {
    let mut walk = Walk::new(&caching(1));
    walk.send(0, 0, leads());
    let led = walk.job.clone();
    walk.send(0, 0, AttemptEvent::Recalled(recalled()));
    walk.send(0, 0, awaits(5));
    assert_eq!(walk.job, led);
    let failed = walk.run(0, 0, 1).job.clone();
    walk.send(0, 0, AttemptEvent::Recalled(recalled()));
    assert_eq!(walk.job, failed);
}

#[test]
fn an_equal_under_way_is_looked_at_again_and_not_waited_for_forever() {
    let mut walk = Walk::new(&caching(1).with(|job| job.tasks[0].deadlines.waiting = 100));
    let id = walk.attempt(0, 0, 1);
    walk.send(0, 0, awaits(0));
    assert_eq!(walk.due(Duty::Recall(id)), Some(1), "never at once");
    walk.wait(1).send(0, 0, awaits(60));
    assert_eq!(walk.due(Duty::Recall(id)), Some(60));
    let Some(Recall::Awaits { looks, .. }) = walk.instance(0, 0).recall else { panic!("it waits") };
    assert_eq!(looks, 2);
    walk.pass(98);
    assert_eq!(walk.job.claims(), []);
    walk.pass(1);
    assert_eq!(walk.job.claims(), [id], "it runs by itself");
    assert_eq!(walk.due(Duty::Tick), Some(100), "and has all its patience with the queue");
}

#[test]
fn a_result_is_known_by_its_key_only_if_it_succeeded_and_its_inputs_stayed() {
    let key = Some("key".to_owned());
    for (ended, known) in [
        (Ended { key: key.clone(), ..exit(0) }, key.clone()),
        (exit(0), None),
        (Ended { key, ..exit(1) }, None),
    ] {
        let mut walk = Walk::new(&caching(1));
        walk.send(0, 0, leads()).start(0, 0).end(0, 0, ended);
        assert_eq!(walk.instance(0, 0).outcome().unwrap().key, known);
    }
}

#[test]
fn a_further_attempt_does_not_look_again_and_a_further_run_does() {
    let retry = RetryRules { max_attempts: 2, ..RetryRules::default() };
    let mut walk = Walk::new(&caching(1).with(|job| job.tasks[0].retry = retry));
    walk.send(0, 0, leads()).run(0, 0, 1);
    assert_eq!(walk.job.claims(), [walk.attempt(0, 0, 1)]);
    walk.run(0, 0, 1).retry(false);
    assert!(walk.owes(Duty::Recall(walk.attempt(0, 0, 1))));
}

#[test]
fn a_job_that_stops_looks_for_nothing() {
    let mut walk = Walk::new(&caching(2));
    walk.send(0, 0, leads()).start(0, 0).cancel();
    assert!(!walk.owes(Duty::Recall(walk.attempt(0, 1, 1))));
    walk.send(0, 1, AttemptEvent::Recalled(recalled()));
    assert!(matches!(walk.instance(0, 1).state, InstanceState::Stopped(_)));
}

#[test]
fn the_instances_of_a_wide_task_look_each_for_itself() {
    let mut wide = Wide::new(&caching(130));
    wide.sync();
    assert_eq!(wide.claims(), []);
    let recalls = |wide: &Wide| {
        let recall = |due: Due| match due.duty {
            Duty::Recall(id) => Some(id),
            _ => None,
        };
        wide.chunks.values().flat_map(Chunk::owes).filter_map(recall).collect::<Vec<_>>()
    };
    assert_eq!(recalls(&wide).len(), 130);
    for (place, id) in recalls(&wide).into_iter().enumerate() {
        let event = if place == 0 { leads() } else { AttemptEvent::Recalled(recalled()) };
        wide.send(id, &event).unwrap();
    }
    wide.sync().run(|_| 0);
    assert_eq!(wide.walk.ending(), Some(Ending::Succeeded));
    assert_eq!(wide.job().spent().container_seconds, 60, "one of them ran");
}

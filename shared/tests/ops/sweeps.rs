//! The minute's sweep: what goes wrong with one thing keeps no other waiting, and
//! what is well costs little.

use std::time::Duration;

use shared::{
    conformance::memory::World,
    job::AttemptKey,
    ops::{
        attempts, dispatch, duties,
        rows::QueueKey,
        sweep::{self, Wake},
    },
};
use tokio::time::{advance, timeout};

use super::staged::Stepwise;

/// A job that has a minute, and its attempt, which runs.
async fn has_a_minute(world: &World) -> AttemptKey {
    let job = world.submit(r#"{"image": "a", "deadline_seconds": 60}"#).await.id;
    world.start(job).await.0
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_never_answers_keeps_no_deadline_waiting() {
    let world = World::new().await;
    let attempt = has_a_minute(&world).await;
    for _ in 0..12 {
        world.submit(r#"{"image": "silent/a"}"#).await;
    }
    advance(Duration::from_secs(61)).await;

    let swept = timeout(Duration::from_secs(1), sweep::sweep(&world.service)).await;

    assert!(swept.is_err(), "it waits for the registry");
    assert!(world.job(attempt.attempt.job).await.halt().is_some());
    // Who sees to jobs by himself is only told of them.
    let told = std::sync::Mutex::new(0);
    sweep::wake(&world.service, true, |_| *told.lock().unwrap() += 1).await.unwrap();
    assert_eq!(*told.lock().unwrap(), 13);
}

#[tokio::test(start_paused = true)]
async fn a_container_that_cannot_be_removed_keeps_no_other_waiting() {
    let world = World::new().await;
    let over = world.submit(r#"{"image": "a"}"#).await.id;
    let (held, _) = world.start(over).await;
    world.memory.runtime.hold_fast(held);
    world.finish(held, 0, &[]).await;
    let attempt = has_a_minute(&world).await;
    advance(Duration::from_secs(61)).await;
    sweep::sweep(&world.service).await.unwrap();
    assert!(world.job(attempt.attempt.job).await.halt().is_some());
    assert!(world.memory.runtime.launched().iter().any(|launch| launch.attempt == held));
}

#[tokio::test(start_paused = true)]
async fn what_runs_is_looked_at_in_few_calls_and_what_is_gone_is_found() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a", "instances": 300, "fail_fast": false}"#).await.id;
    world.settle().await;
    let live = world.live(job).await;
    assert_eq!(live.len(), 300);
    for attempt in &live {
        attempts::read_plan(&world.service, *attempt).await.unwrap();
    }
    let lost = live[7];
    for is_lost in [false, true] {
        if is_lost {
            world.memory.runtime.lose(lost);
        }
        advance(Duration::from_secs(61)).await;
        let before = world.memory.runtime.looks();
        sweep::sweep(&world.service).await.unwrap();
        let looks = world.memory.runtime.looks() - before;
        assert_eq!(looks, 3 + usize::from(is_lost), "for a hundred each, and for one");
        let live = world.live(job).await;
        assert_eq!(live.contains(&lost), !is_lost);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_job_looks_at_none_of_its_containers() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a", "instances": 5}"#).await;
    world.settle().await;
    advance(Duration::from_secs(61)).await;
    let before = world.memory.runtime.looks();
    duties::perform(&world.service, job.key()).await.unwrap();
    assert_eq!(world.memory.runtime.looks(), before);
}

#[tokio::test(start_paused = true)]
async fn launches_that_take_their_time_are_left_to_the_next_call() {
    let mut world = World::new().await;
    let table = Stepwise::under(&mut world, 200, 0).await;
    let job = world.submit(r#"{"image": "a", "instances": 120}"#).await;
    let queue = QueueKey::of(&job);
    // As of a runtime that lets sixteen come up each quarter of a minute.
    world.memory.runtime.slow_down(Duration::from_secs(15));
    duties::perform(&world.service, job.key()).await.unwrap();
    let mut before = world.memory.runtime.launched().len();
    for asks in [true, false] {
        table.reminders.lock().unwrap().clear();
        let call = timeout(Duration::from_secs(76), dispatch::dispatch(&world.service, &queue));
        call.await.expect("it ends in time").unwrap();
        let launched = world.memory.runtime.launched().len();
        assert!(launched >= 120.min(before + 64), "{before}, then {launched}");
        before = launched;
        // Whoever reads that calls for the queue.
        let mut told = table.reminders.lock().unwrap().clone();
        let wakes = told.pop().map(|(key, _)| sweep::wakes(&key, &[].into(), true).next());
        assert_eq!(wakes.flatten(), asks.then(|| Wake::Queue(queue.clone())));
    }
    assert_eq!(before, 120);
}

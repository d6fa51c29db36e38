//! Limits on what all that runs from a queue has together.

use std::time::Duration;

use shared::{
    conformance::memory::World,
    job::{Job, JobId, Resources},
    ops::{
        jobs,
        queues::{self, QueueChange, Setting},
        rows::{self, QueueKey},
        slots,
    },
    platform::{Op, Table},
};

async fn queue(world: &World, change: QueueChange) -> QueueKey {
    let key = QueueKey { project: world.project, name: "default".parse().unwrap() };
    queues::put(&world.service, &key, change).await.unwrap();
    key
}

fn cpus(millis: u32) -> QueueChange {
    QueueChange { cpu_millis: Some(Setting::To(millis)), ..QueueChange::default() }
}

/// A job of this many CPUs, a millisecond after the one before.
async fn asking(world: &World, cpu: f64) -> JobId {
    tokio::time::advance(Duration::from_millis(1)).await;
    world.submit(&format!(r#"{{"image": "a", "resources": {{"cpu": {cpu}}}}}"#)).await.id
}

async fn runs(world: &World, job: JobId) -> bool {
    !world.job(job).await.live_attempts().is_empty()
}

async fn waits_for(world: &World, job: JobId) -> Option<(&'static str, Option<String>)> {
    let job: Job = world.job(job).await;
    let waiting = jobs::view(&world.service, &job).await.unwrap().waiting_for;
    waiting.map(|waiting| (waiting.reason, waiting.position))
}

#[tokio::test(start_paused = true)]
async fn the_first_in_line_is_waited_for_and_nobody_overtakes() {
    let world = World::new().await;
    queue(&world, cpus(2_000)).await;
    let first = asking(&world, 1.5).await;
    world.settle().await;
    // One is in line once its image is known.
    let big = asking(&world, 1.0).await;
    world.settle().await;
    let small = asking(&world, 0.25).await;
    world.settle().await;
    assert_eq!((runs(&world, big).await, runs(&world, small).await), (false, false));
    let at = |place: &str| Some(("queue_limit", Some(place.to_owned())));
    assert_eq!(waits_for(&world, big).await, at("0"));
    assert_eq!(waits_for(&world, small).await, at("1"), "it would fit, were it the first");

    let live = world.job(first).await.live_attempts()[0];
    let attempt = shared::job::AttemptKey { project: world.project, attempt: live };
    world.report(attempt, 0, None, None).await;
    assert_eq!((runs(&world, big).await, runs(&world, small).await), (true, true));
}

#[tokio::test(start_paused = true)]
async fn what_can_never_start_is_refused_or_waits_beside_the_line() {
    let world = World::new().await;
    let key = queue(&world, cpus(4_000)).await;
    let (big, small) = (asking(&world, 4.0).await, asking(&world, 0.5).await);
    queue(&world, cpus(1_000)).await;
    world.settle().await;
    assert_eq!((runs(&world, big).await, runs(&world, small).await), (false, true));
    assert_eq!(waits_for(&world, big).await, Some(("queue_limit", Some("0".into()))));
    assert_eq!(queues::held(&world.service, &key).await.unwrap().weights, [500, 512]);

    let settings = queues::load(&world.service, &key).await.unwrap().unwrap().1;
    let too_much = Resources { cpu_millis: 1_001, memory_mib: 1 };
    assert!(!slots::ever_fits(too_much, settings.slots()));
    let answer = submit(&world, r#"{"image": "a", "resources": {"cpu": 1.5}}"#).await;
    assert!(answer.contains("`queue`: the task `main` asks for 1.5 CPUs"), "{answer}");
    let memory = QueueChange { memory_mib: Some(Setting::To(100)), ..QueueChange::default() };
    queue(&world, memory).await;
    let answer = submit(&world, r#"{"image": "a"}"#).await;
    assert!(answer.contains("512 MiB of memory"), "{answer}");

    queue(&world, QueueChange { memory_mib: Some(Setting::Lifted), ..cpus(5_000) }).await;
    world.settle().await;
    assert!(runs(&world, big).await);
}

async fn submit(world: &World, json: &str) -> String {
    let (job, tasks) = shared::wire::submit::JobRequest::parse(json.as_bytes()).unwrap();
    let submission = job.check(tasks, &world.service.limits).unwrap();
    let service = &world.service;
    let submitted =
        shared::ops::submit::submit(service, world.project, submission, json.as_bytes(), None);
    submitted.await.unwrap_err().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_slot_that_was_left_behind_gives_back_what_it_weighed() {
    let world = World::new().await;
    let key = queue(&world, cpus(1_000)).await;
    let job = asking(&world, 1.0).await;
    // Somebody joined for attempts of it, or of a job that is gone, and died.
    for lost in [job, JobId::from_bits(9)] {
        let attempt = shared::job::AttemptId { job: lost, run: 1, task: 0, instance: 0, number: 7 };
        let resources = Resources { cpu_millis: 500, memory_mib: 1 };
        let join = Op::Join {
            key: rows::slots(&key),
            member: slots::member(attempt, resources),
            limit: 10.into(),
        };
        world.memory.table.commit(vec![join]).await.unwrap();
    }
    assert_eq!(queues::held(&world.service, &key).await.unwrap().weights, [1_000, 2]);
    world.settle().await;
    assert!(runs(&world, job).await);
    assert_eq!(queues::held(&world.service, &key).await.unwrap().weights, [1_000, 512]);
}

//! Slots are given back, however attempts end.

use std::time::Duration;

use shared::{
    conformance::memory::World,
    job::{Ending, Job},
    ops::{
        dispatch, duties, jobs,
        queues::{self, QueueChange},
        rows::QueueKey,
    },
};

/// A job whose image has been looked up, and its queue; none is as old as another.
async fn resolved(world: &World) -> (Job, QueueKey) {
    tokio::time::advance(Duration::from_secs(1)).await;
    let job = world.submit(r#"{"image": "a"}"#).await;
    duties::perform(&world.service, job.key()).await.unwrap();
    (world.job(job.id).await, QueueKey::of(&job))
}

async fn set(world: &World, queue: &QueueKey, change: QueueChange) {
    queues::put(&world.service, queue, change).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_job_that_nobody_waits_before_starts_as_soon_as_its_image_is_known() {
    let world = World::new().await;
    let (job, _) = resolved(&world).await;
    assert_eq!(job.live_attempts().len(), 1);
    assert_eq!(world.memory.runtime.launched().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_of_a_paused_or_full_queue_waits_once_its_image_is_known() {
    let world = World::new().await;
    let (first, queue) = resolved(&world).await;
    set(&world, &queue, QueueChange { limit: Some(1), ..QueueChange::default() }).await;
    let (second, _) = resolved(&world).await;
    jobs::cancel(&world.service, first.key()).await.unwrap();
    set(
        &world,
        &queue,
        QueueChange { limit: Some(9), paused: Some(true), ..QueueChange::default() },
    )
    .await;
    let (third, _) = resolved(&world).await;
    for waiting in [second, third] {
        assert_eq!(waiting.live_attempts(), []);
        assert_eq!(waiting.claims().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_not_overtaken_by_who_comes_when_there_is_room_again() {
    let world = World::new().await;
    let (_, queue) = resolved(&world).await;
    set(&world, &queue, QueueChange { limit: Some(1), ..QueueChange::default() }).await;
    let (earlier, _) = resolved(&world).await;
    set(&world, &queue, QueueChange { limit: Some(2), ..QueueChange::default() }).await;
    let (later, _) = resolved(&world).await;
    assert_eq!(later.live_attempts(), []);

    dispatch::dispatch(&world.service, &queue).await.unwrap();
    assert_eq!(world.job(earlier.id).await.live_attempts().len(), 1);
    assert_eq!(world.job(later.id).await.live_attempts(), []);
}

#[tokio::test(start_paused = true)]
async fn attempts_that_are_given_up_together_all_give_back_their_slots() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a", "instances": 5}"#).await;
    world.settle().await;
    assert_eq!(world.job(job.id).await.live_attempts().len(), 5);
    let queue = QueueKey::of(&job);
    assert_eq!(queues::live(&world.service, &queue).await.unwrap().len(), 5);

    // None of their agents is heard of again.
    jobs::cancel(&world.service, job.key()).await.unwrap();
    tokio::time::sleep(Duration::from_hours(24 * 30)).await;
    world.settle().await;

    let ending = world.job(job.id).await.ending().map(|(ending, _)| ending);
    assert_eq!(ending, Some(Ending::Cancelled));
    assert_eq!(queues::live(&world.service, &queue).await.unwrap(), [""; 0]);
}

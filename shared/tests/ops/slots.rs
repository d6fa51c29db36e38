//! Slots are given back, however attempts end.

use std::time::Duration;

use shared::{
    conformance::memory::World,
    job::Ending,
    ops::{jobs, queues, rows::QueueKey},
};

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

//! Being reminded of what comes due before a sweep would see it.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use shared::{
    conformance::memory::World,
    job::Cause,
    ops::{attempts, duties, rows},
    platform::Clock,
};

use crate::staged::Stepwise;

async fn world() -> (World, Arc<Stepwise>) {
    let mut world = World::new().await;
    let table = Stepwise::under(&mut world, 9, 0).await;
    (world, table)
}

/// How many seconds from now on it was to remind of jobs, since it was last asked.
fn seconds(world: &World, table: &Stepwise) -> Vec<i64> {
    let now = world.memory.clock.now();
    let reminders = std::mem::take(&mut *table.reminders.lock().unwrap());
    reminders.into_iter().map(|(_, at)| at.duration_since(now).as_secs()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_job_that_runs_calls_for_no_reminder() {
    let (world, table) = world().await;
    let job = world.submit(r#"{"image": "a"}"#).await;
    duties::perform(&world.service, job.key()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    world.run(job.id, 0, &[]).await;
    assert_eq!(seconds(&world, &table), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_pause_before_another_attempt_is_reminded_of_once_and_then_over() {
    let (world, table) = world().await;
    let json = r#"{"image": "a", "retry": {"max_attempts": 3, "delay_seconds": 10}}"#;
    let job = world.submit(json).await;
    duties::perform(&world.service, job.key()).await.unwrap();
    let (attempt, _) = world.start(job.id).await;
    for _ in 0..2 {
        attempts::end_unreported(&world.service, attempt, Cause::Exited, None).await.unwrap();
    }
    let due = world.memory.clock.now() + SignedDuration::from_secs(10);
    assert_eq!(*table.reminders.lock().unwrap(), [(rows::job(job.key()), due)]);
    tokio::time::sleep(Duration::from_secs(10)).await;
    duties::perform(&world.service, job.key()).await.unwrap();
    assert_eq!(world.job(job.id).await.claims().len(), 1, "the pause is over");
}

#[tokio::test(start_paused = true)]
async fn what_is_due_at_once_or_late_is_not_reminded_of() {
    let (world, table) = world().await;
    world.submit(r#"{"image": "a", "deadline_seconds": 51}"#).await;
    world.submit(r#"{"image": "a", "deadline_seconds": 3600}"#).await;
    assert_eq!(seconds(&world, &table), [0; 0]);
    world.submit(r#"{"image": "a", "deadline_seconds": 30}"#).await;
    assert_eq!(seconds(&world, &table), [30]);
}

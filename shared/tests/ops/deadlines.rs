//! Every state has a deadline, and what is over does not stay for ever.

use std::time::Duration;

use shared::{
    agent::UploadRequest,
    conformance::memory::World,
    job::{Cause, Exit, JobId},
    ops::{
        attempts, jobs,
        queues::{self, QueueChange},
        rows::QueueKey,
    },
    wire::views::JobView,
};

async fn view(world: &World, job: JobId) -> JobView {
    jobs::view(&world.service, &world.job(job).await).await.unwrap()
}

/// Lets time pass, with a sweep each minute as there is one.
async fn pass(world: &World, seconds: u64) {
    for _ in 0..seconds.div_ceil(60) {
        tokio::time::advance(Duration::from_mins(1)).await;
        world.settle().await;
    }
}

async fn ended_by(world: &World, job: JobId, state: &str, cause: Cause) {
    let view = view(world, job).await;
    assert_eq!((view.state, view.cause), (state, Some(cause)));
}

const DEADLINES: &str = r#""waiting_seconds": 300, "starting_seconds": 300, "timeout_seconds": 300,
    "collecting_seconds": 300, "grace_seconds": 0"#;

async fn submitted(world: &World) -> JobId {
    world.submit(&format!(r#"{{"image": "a", {DEADLINES}}}"#)).await.id
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_the_queue_too_long_is_not_run() {
    let world = World::new().await;
    let queue = QueueKey { project: world.project, name: "default".parse().unwrap() };
    let pause = QueueChange { paused: Some(true), ..QueueChange::default() };
    queues::put(&world.service, &queue, pause).await.unwrap();
    let job = submitted(&world).await;
    pass(&world, 240).await;
    assert_eq!(view(&world, job).await.state, "queued");
    pass(&world, 120).await;
    ended_by(&world, job, "failed", Cause::WaitTimedOut).await;
    assert_eq!(world.memory.runtime.launched(), []);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_up_in_time_is_given_up_and_tried_again() {
    let world = World::new().await;
    let job = submitted(&world).await;
    world.settle().await;
    let first = world.job(job).await.live_attempts()[0];
    pass(&world, 360).await;
    pass(&world, 360).await;
    let job = world.job(job).await;
    let now = job.live_attempts();
    assert!(now.first().is_none_or(|now| now.number > first.number), "{now:?}");
    assert_eq!(job.tasks[0].instances()[0].faults, 1, "the user has not spent an attempt");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_falls_silent_is_not_waited_for_beyond_its_time() {
    let world = World::new().await;
    for collecting in [false, true] {
        let job = submitted(&world).await;
        let (attempt, _) = world.start(job).await;
        if collecting {
            let asked = UploadRequest { bytes: 9 << 20, exit: Some(Exit::Code(0)), object: None };
            attempts::grant_upload(&world.service, attempt, &asked).await.unwrap();
        }
        // Its start, its run, and what comes after; and then the stop as well.
        pass(&world, 3 * 300 + 60).await;
        pass(&world, 2 * 300 + 120).await;
        let cause = if collecting { Cause::OutputFailed } else { Cause::TimedOut };
        ended_by(&world, job, "failed", cause).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_jobs_own_deadline_and_the_end_of_its_keeping_are_told_and_kept() {
    let world = World::new().await;
    let before = (world.memory.table.rows(), world.memory.objects.names());
    let json = r#"{"image": "a", "deadline_seconds": 600, "retain_days": 2}"#;
    let job = world.submit(json).await.id;
    let seen = view(&world, job).await;
    let in_ten = seen.created_at + Duration::from_mins(10);
    assert_eq!((seen.deadline_at, seen.expires_at), (Some(in_ten), None));

    world.run(job, 0, &[("Stdout", "kept for two days")]).await;
    let seen = view(&world, job).await;
    let in_two_days = seen.ended_at.unwrap() + Duration::from_hours(48);
    assert_eq!((seen.deadline_at, seen.expires_at), (None, Some(in_two_days)));
    tokio::time::advance(Duration::from_hours(47)).await;
    world.settle().await;
    assert_eq!(view(&world, job).await.state, "succeeded");
    tokio::time::advance(Duration::from_hours(2)).await;
    world.settle().await;
    world.settle().await;
    assert_eq!((world.memory.table.rows(), world.memory.objects.names()), before);
}

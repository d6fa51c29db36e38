//! How many unfinished jobs a project may have.

use std::{sync::Arc, time::Duration};

use shared::{
    conformance::memory::World,
    job::Job,
    ops::{jobs, submit},
    wire::{Problem, submit::JobRequest},
};

async fn submit_one(world: &World, token: &str) -> Result<Job, Problem> {
    let json = format!(r#"{{"image": "a", "client_token": "{token}"}}"#);
    let (job, tasks) = JobRequest::parse(json.as_bytes()).unwrap();
    let submission = job.check(tasks, &world.service.limits).unwrap();
    let bytes = json.as_bytes();
    let accepted = submit::submit(&world.service, world.project, submission, bytes, None).await;
    accepted.map(|accepted| accepted.job)
}

#[tokio::test(start_paused = true)]
async fn a_project_that_has_its_fill_is_refused_until_a_job_is_over() {
    let mut world = World::new().await;
    world.service.limits.open_jobs = 2;
    let first = submit_one(&world, "1").await.unwrap();
    submit_one(&world, "2").await.unwrap();

    let refused = submit_one(&world, "3").await.unwrap_err();
    assert!(matches!(refused, Problem::TooMany(_)), "{refused}");
    let repeated = submit_one(&world, "1").await.unwrap();
    assert_eq!(repeated.id, first.id);
    let neighbour = world.neighbour().await;
    submit_one(&neighbour, "1").await.unwrap();

    jobs::cancel(&world.service, first.key()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    submit_one(&world, "3").await.unwrap();
    submit_one(&world, "4").await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn what_was_there_before_this_process_counts() {
    let mut world = World::new().await;
    submit_one(&world, "1").await.unwrap();
    world.service.limits.open_jobs = 1;
    world.service.backlog = Arc::default();
    submit_one(&world, "2").await.unwrap_err();
}

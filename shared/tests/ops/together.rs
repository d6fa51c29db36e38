//! Jobs that are accepted together.

use std::sync::Arc;

use shared::{
    conformance::memory::World,
    job::Job,
    ops::{jobs, rows, submit},
    platform::Objects,
    wire::{
        Problem,
        submit::{JobRequest, Submission},
    },
};

fn submission(world: &World, json: &str) -> Submission {
    let (job, tasks) = JobRequest::parse(json.as_bytes()).unwrap();
    job.check(tasks, &world.service.limits).unwrap()
}

async fn submit(world: &World, all: &[&str]) -> Result<Vec<Job>, Problem> {
    let all = all.iter().map(|json| submission(world, json)).collect();
    submit::submit_all(&world.service, world.project, all).await
}

/// A job of an input that becomes an object.
fn large() -> String {
    let input = "A".repeat(12 << 10);
    format!(r#"{{"image": "a", "inputs": [{{"path": "/in", "source": {{"inline": "{input}"}}}}]}}"#)
}

#[tokio::test(start_paused = true)]
async fn all_are_there_in_their_order_with_what_belongs_to_them() {
    let world = World::new().await;
    let large = large();
    let made = submit(&world, &[r#"{"image": "a", "name": "one"}"#, &large]).await.unwrap();
    assert_eq!(made.iter().map(|job| job.name.as_deref()).collect::<Vec<_>>(), [Some("one"), None]);
    for job in &made {
        assert_eq!(world.job(job.id).await, *job);
    }
    let (_, plan) = world.start(made[1].id).await;
    assert_eq!(plan.inputs.len(), 1);
    assert!(!world.memory.table.rows().iter().any(|row| rows::is_lease(&row.key)));
}

#[tokio::test(start_paused = true)]
async fn what_there_is_no_room_for_leaves_none() {
    let mut world = World::new().await;
    world.service.limits.open_jobs = 2;
    let one = r#"{"image": "a"}"#;
    submit(&world, &[one]).await.unwrap();
    let refused = submit(&world, &[one, one]).await.unwrap_err();
    assert!(matches!(refused, Problem::TooMany(_)), "{refused}");
    let (all, _) = jobs::list(&world.service, world.project, &jobs::Filter::default(), None, 10)
        .await
        .unwrap();
    assert_eq!(all.len(), 1);
    submit(&world, &[one]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_many_are_refused_for_lets_no_other_in() {
    let mut world = World::new().await;
    world.service.limits.open_jobs = 4;
    let one = r#"{"image": "a"}"#;
    submit(&world, &[one; 4]).await.unwrap();
    // As it is in another process, which has counted nothing yet.
    world.service.backlog = Arc::default();
    submit(&world, &[one; 3]).await.unwrap_err();
    let refused = submit(&world, &[one]).await.unwrap_err();
    assert!(matches!(refused, Problem::TooMany(_)), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_one_leaves_none() {
    let world = World::new().await;
    let (large, lost) = (large(), r#"{"image": "a", "queue": "nowhere"}"#);
    let before = world.memory.table.rows().len();
    submit(&world, &[&large, lost]).await.unwrap_err();
    assert_eq!(world.memory.table.rows().len(), before);
    let start = format!("{}/", world.project);
    assert_eq!(world.memory.objects.list(&start, None, 100).await.unwrap().objects, []);
    let too_many = vec![r#"{"image": "a"}"#; submit::MOST_TOGETHER + 1];
    submit(&world, &too_many).await.unwrap_err();
    submit(&world, &too_many[1..]).await.unwrap();
}

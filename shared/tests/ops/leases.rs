//! Stored objects that nothing may yet refer to.

use std::time::Duration;

use futures::{StreamExt, stream};
use shared::{
    agent::UploadRequest,
    conformance::memory::World,
    job::{AttemptId, AttemptKey},
    ops::{attempts, jobs, objects, rows, submit},
    platform::{ByteStream, Expect, ObjectKey, Objects, Op, Put, Table, one_chunk},
    wire::{Problem, submit::JobRequest},
};

async fn submit(world: &World, json: &str, stdin: Option<ByteStream>) -> Result<(), Problem> {
    let (job, tasks) = JobRequest::parse(json.as_bytes()).unwrap();
    let submission = job.check(tasks, &world.service.limits).unwrap();
    let bytes = json.as_bytes();
    let submitted = submit::submit(&world.service, world.project, submission, bytes, stdin).await;
    submitted.map(|_| ())
}

async fn stored(world: &World) -> usize {
    let start = format!("{}/", world.project);
    world.memory.objects.list(&start, None, 100).await.unwrap().objects.len()
}

fn leases(world: &World) -> usize {
    world.memory.table.rows().iter().filter(|row| rows::is_lease(&row.key)).count()
}

async fn later(world: &World, hours: u64) {
    tokio::time::sleep(Duration::from_hours(hours)).await;
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn inputs_of_an_accepted_job_are_its_own() {
    let world = World::new().await;
    submit(&world, r#"{"image": "a"}"#, Some(one_chunk("input"))).await.unwrap();
    assert_eq!((stored(&world).await, leases(&world)), (1, 0));
    later(&world, 2).await;
    assert_eq!(stored(&world).await, 1);
}

#[tokio::test(start_paused = true)]
async fn inputs_of_a_submit_that_died_are_removed() {
    let world = World::new().await;
    let large = "A".repeat(12 << 10);
    let json = format!(
        r#"{{"image": "a", "inputs": [{{"path": "/in", "source": {{"inline": "{large}"}}}}]}}"#
    );
    // It never comes to its end, and the caller goes away.
    let body = stream::pending().boxed();
    let dying = submit(&world, &json, Some(body));
    drop(tokio::time::timeout(Duration::from_secs(1), dying).await);
    assert_eq!((stored(&world).await, leases(&world)), (1, 1));
    later(&world, 2).await;
    assert_eq!((stored(&world).await, leases(&world)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_submit_that_took_too_long_is_told_so_and_leaves_nothing() {
    let world = World::new().await;
    let slow = stream::once(async {
        tokio::time::sleep(Duration::from_hours(3)).await;
        Ok("late".into())
    });
    let submitting = submit(&world, r#"{"image": "a"}"#, Some(slow.boxed()));
    let (submitted, ()) = tokio::join!(submitting, later(&world, 2));
    assert!(matches!(submitted, Err(Problem::Unavailable(_))), "{submitted:?}");
    later(&world, 2).await;
    assert_eq!((stored(&world).await, leases(&world)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_comes_when_its_job_has_been_removed_goes_as_well() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await;
    let (attempt, _) = world.start(job.id).await;
    let asked = UploadRequest { bytes: 1, exit: None, object: None };
    let upload = attempts::grant_upload(&world.service, attempt, &asked).await.unwrap();
    world.report(attempt, 1, None, None).await;
    jobs::delete(&world.service, job.key()).await.unwrap();
    world.settle().await;
    assert!(world.memory.table.rows().iter().all(|row| row.key != rows::job(job.key())));

    later(&world, 11).await;
    let grant = world.memory.objects.granted(&upload.url).expect("a URL that is good");
    world.memory.objects.put(&grant.key, one_chunk("x"), Put::default()).await.unwrap();
    // Of somebody who looked at the job while its attempt was live.
    let row = rows::log_piece(attempt.attempt, 0);
    let write = Op::Put(row.clone(), Expect::Absent, rows::plain(&"late"));
    world.memory.table.commit(vec![write]).await.unwrap();
    later(&world, 2).await;
    assert_eq!((stored(&world).await, leases(&world)), (0, 0));
    assert_eq!(world.memory.table.get(&row).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_a_result_that_comes_when_its_job_has_been_removed_goes_as_well() {
    let world = World::new().await;
    let json = r#"{"image": "a", "cache": true}"#;
    let first = world.submit(json).await.id;
    let (ran, _) = world.start(first).await;
    world.finish(ran, 0, &[("Stdout", "")]).await;
    let second = world.submit(json).await.id;
    world.settle().await;
    assert!(world.job(second).await.ending().is_some(), "it is given the result");
    jobs::delete(&world.service, world.of(second)).await.unwrap();
    world.settle().await;
    // Whoever was bringing it another copy had not heard of that.
    let own = AttemptKey { attempt: AttemptId { job: second, ..ran.attempt }, ..ran };
    let copy = ObjectKey::given(own, ran.attempt);
    world.memory.objects.put(&copy, one_chunk("late"), Put::default()).await.unwrap();
    assert_eq!((stored(&world).await, leases(&world)), (2, 1));
    later(&world, 14).await;
    assert_eq!((stored(&world).await, leases(&world)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_awaited_of_a_job_that_never_started_or_was_over_long_ago() {
    let world = World::new().await;
    let never = world.submit(r#"{"image": "a"}"#).await;
    jobs::cancel(&world.service, never.key()).await.unwrap();
    let long_ago = world.submit(r#"{"image": "a", "retain_days": 1}"#).await;
    world.run(long_ago.id, 0, &[]).await;
    jobs::delete(&world.service, never.key()).await.unwrap();
    world.settle().await;
    assert_eq!(leases(&world), 0);
    later(&world, 25).await;
    world.settle().await;
    assert_eq!((stored(&world).await, leases(&world)), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_upload_is_kept_for_a_month() {
    let world = World::new().await;
    let upload = objects::create_upload(&world.service, world.project, None, None).await;
    let key = ObjectKey::upload(world.project, &upload.unwrap().id.unwrap());
    world.memory.objects.put(&key, one_chunk("x"), Put::default()).await.unwrap();
    later(&world, 29 * 24).await;
    assert_eq!(stored(&world).await, 1);
    later(&world, 2 * 24).await;
    assert_eq!((stored(&world).await, leases(&world)), (0, 0));
}

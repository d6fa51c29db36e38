//! Where a mark costs something, jobs are marked as open once they are of some
//! age; and are listed and counted at any.

use std::{sync::Arc, time::Duration};

use shared::{
    conformance::memory::World,
    job::{Job, JobId},
    ops::{
        jobs::{self, Filter},
        rows, submit,
    },
    platform::{Expect, Index, Op, Table},
    wire::{Problem, submit::JobRequest},
};

use crate::staged::Stepwise;

/// A world where marks cost something, and nothing starts.
async fn waiting_world() -> World {
    let mut world = World::new().await;
    Stepwise::under(&mut world, 0, 0).await;
    world
}

async fn minutes(world: &World, minutes: u64) {
    for _ in 0..minutes {
        tokio::time::sleep(Duration::from_mins(1)).await;
        world.settle().await;
    }
}

async fn is_marked(world: &World, job: &Job) -> bool {
    let row = world.memory.table.get(&rows::job(job.key())).await.unwrap().unwrap();
    row.marks.contains_key(&Index::Open)
}

/// The open jobs, page by page.
async fn listed(world: &World, of_page: usize) -> Vec<JobId> {
    let filter = Filter { states: vec!["queued".into()], ..Filter::default() };
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = jobs::list(&world.service, world.project, &filter, after, of_page).await;
        let (jobs, next) = page.unwrap();
        found.extend(jobs.iter().map(|job| job.id));
        after = next;
        if after.is_none() {
            return found;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn open_jobs_are_listed_at_any_age_each_once() {
    let world = waiting_world().await;
    let mut submitted = Vec::new();
    for pause in [0, 40, 7, 4, 2, 1, 1] {
        minutes(&world, pause).await;
        submitted.insert(0, world.submit(r#"{"image": "a"}"#).await.id);
    }
    let over = world.submit(r#"{"image": "a"}"#).await;
    jobs::cancel(&world.service, over.key()).await.unwrap();
    for pause in 0..20 {
        for of_page in [1, 2, 100] {
            assert_eq!(listed(&world, of_page).await, submitted, "after {pause} minutes more");
        }
        minutes(&world, 1).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_is_marked_as_open_only_if_it_is_for_long() {
    let mut world = World::new().await;
    Stepwise::under(&mut world, 9, 0).await;
    let short = world.submit(r#"{"image": "a"}"#).await;
    let long = world.submit(r#"{"image": "a"}"#).await;
    assert!(!is_marked(&world, &short).await && !is_marked(&world, &long).await);
    // Nobody tells of them: a sweep finds them.
    minutes(&world, 2).await;
    let short = world.run(short.id, 0, &[]).await;
    world.start(long.id).await;
    // Nothing happens to it, and sweeps come by.
    minutes(&world, 2).await;
    assert!(!is_marked(&world, &long).await);
    minutes(&world, 2).await;
    assert!(is_marked(&world, &long).await && !is_marked(&world, &short).await);
    let long = world.run(long.id, 0, &[]).await;
    assert!(long.ending().is_some() && !is_marked(&world, &long).await);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_took_long_to_be_submitted_is_marked_at_once() {
    let world = waiting_world().await;
    let job = world.submit(r#"{"image": "a"}"#).await;
    let later = job.id.created_at() + jiff::SignedDuration::from_mins(5);
    let slack = world.service.platform.table.mark_slack();
    for (at, is_marked) in [(job.id.created_at(), false), (later, true)] {
        let marks = rows::new_job_row(&job, at, slack).marks;
        assert_eq!(marks.contains_key(&Index::Open), is_marked);
    }
}

#[tokio::test(start_paused = true)]
async fn open_jobs_count_at_any_age() {
    let mut world = waiting_world().await;
    world.service.limits.open_jobs = 3;
    let submit = async |world: &World| -> Result<Job, Problem> {
        let (job, tasks) = JobRequest::parse(br#"{"image": "a"}"#).unwrap();
        let submission = job.check(tasks, &world.service.limits).unwrap();
        let accepted = submit::submit(&world.service, world.project, submission, b"", None).await;
        accepted.map(|accepted| accepted.job)
    };
    let first = submit(&world).await.unwrap();
    minutes(&world, 30).await;
    submit(&world).await.unwrap();
    minutes(&world, 7).await;
    submit(&world).await.unwrap();
    for _ in 0..20 {
        world.service.backlog = Arc::default();
        let refused = submit(&world).await.unwrap_err();
        assert!(matches!(refused, Problem::TooMany(_)), "{refused}");
        minutes(&world, 1).await;
    }
    jobs::cancel(&world.service, first.key()).await.unwrap();
    submit(&world).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_listed_by_number_is_looked_for_among_the_newest() {
    let world = waiting_world().await;
    let newest = world.submit(r#"{"image": "a"}"#).await;
    let named = Filter { name: Some("old".into()), ..Filter::default() };
    let job = |age: usize, name: Option<&str>| {
        let id = JobId::from_bits(newest.id.bits() - age as u128);
        let job = Job { id, name: name.map(str::to_owned), ..newest.clone() };
        Op::Put(rows::job(job.key()), Expect::Absent, rows::plain(&job))
    };
    let found = async || jobs::newest(&world.service, world.project, &named).await.unwrap().len();
    world.memory.table.commit(vec![job(1, Some("old"))]).await.unwrap();
    assert_eq!(found().await, 1);
    let ages: Vec<usize> = (2..jobs::LOOKED_THROUGH + 200).collect();
    for some in ages.chunks(100) {
        world.memory.table.commit(some.iter().map(|age| job(*age, None)).collect()).await.unwrap();
    }
    world.memory.table.commit(vec![job(jobs::LOOKED_THROUGH + 200, Some("old"))]).await.unwrap();
    assert_eq!(found().await, 1, "the oldest is not come to");
}

//! Where a job's spec is kept.

use shared::{
    conformance::memory::World,
    job::{Job, JobSpec},
    ops::{attempts, rows},
    platform::{Expect, Op, Table},
};

async fn is_beside(world: &World, job: &Job) -> bool {
    world.memory.table.get(&rows::spec(job.key())).await.unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn a_small_spec_is_in_its_jobs_record_and_a_large_one_beside_it() {
    let world = World::new().await;
    for (length, beside) in [(10, false), (3_000, true)] {
        let value = "x".repeat(length);
        let json = format!(r#"{{"image": "a", "env": {{"A": "{value}"}}}}"#);
        let job = world.submit(&json).await;
        assert_eq!((job.spec.is_none(), is_beside(&world, &job).await), (beside, beside));
        let (_, plan) = world.start(job.id).await;
        assert_eq!(plan.env["A"], value);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_of_version_1_finds_its_spec_beside_it() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a", "env": {"A": "1"}}"#).await;
    let spec: JobSpec = attempts::load_spec(&world.service, &job).await.unwrap().into_owned();
    let old = Job { v: 1, spec: None, ..job.clone() };
    let ops = vec![
        Op::Put(rows::job(job.key()), Expect::Version(1), rows::job_row(&old)),
        Op::Put(rows::spec(job.key()), Expect::Absent, rows::plain(&spec)),
    ];
    world.memory.table.commit(ops).await.unwrap();
    let (attempt, plan) = world.start(job.id).await;
    assert_eq!(plan.env["A"], "1");
    world.finish(attempt, 0, &[]).await;
    let ended = world.job(job.id).await;
    assert!(ended.ending().is_some() && ended.v == 1 && is_beside(&world, &ended).await);
}

//! Triggers: one event is one job, whoever dies in between.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{
    conformance::memory::World,
    job::{Job, Name},
    ops::{
        rows, sweep,
        templates::{self, Draft},
        triggers::{self, ObjectCreated, Standing},
    },
    platform::{Clock, Expect, Op, Table, Wanted},
    service::Limits,
    wire::triggers::TriggerRequest,
};

fn name() -> Name {
    "t".parse().unwrap()
}

async fn template(world: &World, job: Value) {
    let job = job.as_object().unwrap().clone();
    let draft = Draft { job, ..Draft::default() };
    templates::put(&world.service, world.project, name(), draft).await.unwrap();
}

async fn trigger(world: &World, trigger: Value) {
    let asked: TriggerRequest = serde_json::from_value(trigger).unwrap();
    let draft = asked.draft().unwrap();
    triggers::put(&world.service, world.project, name(), draft).await.unwrap();
}

fn every(cron: &str) -> Value {
    json!({"on": {"schedule": {"cron": cron}}, "template": "t", "job": {"name": "${event.id}"}})
}

async fn standing(world: &World) -> Standing {
    let found = triggers::load(&world.service, world.project, &name()).await.unwrap().unwrap();
    triggers::standing(&world.service, world.project, found).await.unwrap()
}

/// The times that jobs were made for, which are their names.
fn jobs(world: &World) -> Vec<String> {
    let rows = world.memory.table.rows();
    let jobs = rows.iter().filter(|row| row.key.sort.starts_with("job-"));
    let jobs = jobs.map(|row| rows::read::<shared::job::Job>(row).unwrap());
    jobs.map(|job| job.name.unwrap_or_default()).collect()
}

fn after(world: &World, seconds: i64) -> Timestamp {
    world.memory.clock.now() + jiff::SignedDuration::from_secs(seconds)
}

async fn pass(world: &World, minutes: u64) {
    tokio::time::advance(Duration::from_mins(minutes)).await;
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn a_schedule_makes_a_job_each_time() {
    let world = World::new().await;
    template(&world, json!({"image": "a"})).await;
    trigger(&world, every("*/10 * * * *")).await;
    let noon = after(&world, 0);
    assert_eq!(standing(&world).await.next_at, Some(after(&world, 600)));
    for _ in 0..35 {
        pass(&world, 1).await;
    }
    let expected: Vec<_> =
        (1..=3).map(|n| (noon + jiff::SignedDuration::from_mins(10 * n)).to_string()).collect();
    assert_eq!(jobs(&world), expected);
    assert_eq!(standing(&world).await.fired.unwrap().event, expected[2]);
}

#[tokio::test(start_paused = true)]
async fn of_times_that_were_missed_the_last_alone_counts() {
    let world = World::new().await;
    template(&world, json!({"image": "a"})).await;
    trigger(&world, every("0 * * * *")).await;
    let last = after(&world, 9 * 3600);
    pass(&world, 9 * 60 + 30).await;
    assert_eq!(jobs(&world), [last.to_string()]);
    pass(&world, 1).await;
    assert_eq!(jobs(&world).len(), 1);
    assert_eq!(standing(&world).await.next_at, Some(last + jiff::SignedDuration::from_hours(1)));
}

#[tokio::test(start_paused = true)]
async fn who_dies_after_the_job_and_before_its_note_makes_it_once() {
    let world = World::new().await;
    template(&world, json!({"image": "a"})).await;
    trigger(&world, every("0 * * * *")).await;
    let key = rows::schedule(world.project, &name());
    tokio::time::advance(Duration::from_mins(61)).await;
    let row = world.memory.table.get(&key).await.unwrap().unwrap();
    // Several sweeps at once, all with the row as it was.
    for _ in 0..3 {
        triggers::come_due(&world.service, &row).await.unwrap();
    }
    assert_eq!(jobs(&world).len(), 1);
    let later = world.memory.table.get(&key).await.unwrap().unwrap();
    assert_eq!(later.version, row.version + 1, "the others changed nothing");
}

#[tokio::test(start_paused = true)]
async fn a_trigger_that_is_off_or_gone_does_nothing() {
    let world = World::new().await;
    template(&world, json!({"image": "a"})).await;
    trigger(&world, every("0 * * * *")).await;
    let mut off = every("0 * * * *");
    off["enabled"] = false.into();
    trigger(&world, off).await;
    pass(&world, 120).await;
    assert_eq!((jobs(&world).len(), standing(&world).await.next_at), (0, None));
    // Once it is on again, what it did not do is not made up for.
    trigger(&world, every("0 * * * *")).await;
    assert_eq!(standing(&world).await.next_at, Some(after(&world, 3600)));
    triggers::delete(&world.service, world.project, &name()).await.unwrap();
    pass(&world, 120).await;
    assert_eq!(jobs(&world).len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_trigger_has_nothing_of_one_of_its_name_that_was_removed_while_it_fired() {
    let world = World::new().await;
    template(&world, json!({"image": "a"})).await;
    trigger(&world, every("0 * * * *")).await;
    pass(&world, 61).await;
    assert!(standing(&world).await.fired.is_some());
    let noted = rows::firing(world.project, &name());
    let row = world.memory.table.get(&noted).await.unwrap().unwrap();
    triggers::delete(&world.service, world.project, &name()).await.unwrap();
    // Whoever fires it has made the job, and comes to write that down.
    let late = Wanted { body: row.body, marks: row.marks, expires_at: row.expires_at };
    world.memory.table.commit(vec![Op::Put(noted, Expect::Anything, late)]).await.unwrap();
    trigger(&world, every("30 * * * *")).await;
    assert_eq!(standing(&world).await.fired, None);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_what_is_submitted_passes_no_time_over() {
    let world = World::new().await;
    template(&world, json!({"image": "a"})).await;
    trigger(&world, every("0 * * * *")).await;
    tokio::time::advance(Duration::from_mins(61)).await;
    let mut other = every("0 * * * *");
    other["job"] = json!({"name": "other"});
    trigger(&world, other).await;
    world.settle().await;
    assert_eq!(jobs(&world), ["other"]);
}

#[tokio::test(start_paused = true)]
async fn a_trigger_whose_template_is_gone_says_so_and_goes_on_when_it_is_back() {
    let world = World::new().await;
    template(&world, json!({"image": "a"})).await;
    trigger(&world, every("0 * * * *")).await;
    templates::delete(&world.service, world.project, &name()).await.unwrap();
    pass(&world, 61).await;
    let seen = standing(&world).await;
    assert_eq!(seen.failed.unwrap().error, "`template`: the project has no template `t`");
    template(&world, json!({"image": "a"})).await;
    pass(&world, 60).await;
    assert_eq!(jobs(&world).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_time_for_which_there_is_no_room_waits_for_it() {
    let mut world = World::new().await;
    template(&world, json!({"image": "a"})).await;
    trigger(&world, every("0 * * * *")).await;
    world.service.limits = Limits { open_jobs: 0, ..world.service.limits };
    world.service.backlog = Arc::default();
    tokio::time::advance(Duration::from_mins(61)).await;
    sweep::sweep(&world.service).await.unwrap();
    let seen = standing(&world).await;
    assert_eq!((jobs(&world).len(), seen.failed.is_some()), (0, true));
    world.service.limits = Limits::default();
    world.service.backlog = Arc::default();
    world.settle().await;
    assert_eq!(jobs(&world).len(), 1);
}

/// A job of the trigger writes the object; what comes of that.
async fn written(world: &World, by: &Job, key: &str, times: u64) -> Vec<triggers::Fired> {
    let bucket: Name = "box".parse().unwrap();
    triggers::note_written(&world.service, by, (&bucket, key), 7).await.unwrap();
    let created = ObjectCreated {
        project: world.project,
        bucket,
        key: key.to_owned(),
        size: 7,
        etag: "e".to_owned(),
        id: times.to_string(),
        at: world.memory.clock.now(),
    };
    triggers::on_object(&world.service, &created).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn triggers_that_go_round_in_a_circle_are_stopped_and_say_so() {
    let world = World::new().await;
    template(&world, json!({"image": "a"})).await;
    trigger(&world, json!({"on": {"object": {"bucket": "box"}}, "template": "t"})).await;
    let mut job = world.submit(r#"{"image": "a"}"#).await;
    for times in 0..17 {
        let fired = written(&world, &job, "x", times).await;
        job = world.job(*fired[0].outcome.as_ref().unwrap()).await;
        assert_eq!(u64::from(job.made_by.depth), times);
        assert_eq!(job.made_by.trigger, Some(name()));
    }
    let stopped = written(&world, &job, "x", 17).await;
    assert!(stopped[0].outcome.as_ref().unwrap_err().contains("circle"), "{stopped:?}");
    assert!(standing(&world).await.failed.unwrap().error.contains("circle"));

    let other = world.submit(r#"{"image": "a"}"#).await;
    let fired = written(&world, &other, "y", 18).await;
    assert!(fired[0].outcome.is_ok(), "what was written otherwise starts anew");
}

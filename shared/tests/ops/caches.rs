//! Results that are used again.

use std::time::Duration;

use futures::future::join_all;
use serde_json::json;
use shared::{
    agent::{ArchiveInfo, Report},
    conformance::memory::World,
    job::{AttemptId, AttemptKey, InstanceState, Job, JobId, Recall},
    ops::{
        attempts, duties, jobs, output, queues,
        retry::{self, Again},
        rows, submit,
    },
    platform::{Expect, ObjectKey, Objects, Op, Put, Table, collect, one_chunk},
    wire::submit::JobRequest,
};

use super::staged;

const CACHED: &str = r#"{"image": "a", "command": ["x"], "outputs": ["/out"], "cache": true}"#;

/// A job of this JSON whose body is its standard input.
async fn submit_with(world: &World, json: &str, stdin: &'static str) -> JobId {
    let (job, tasks) = JobRequest::parse(json.as_bytes()).unwrap();
    let submission = job.check(tasks, &world.service.limits).unwrap();
    let stdin = Some(one_chunk(stdin));
    let bytes = json.as_bytes();
    submit::submit(&world.service, world.project, submission, bytes, stdin).await.unwrap().job.id
}

/// Whose result the job was given; `None` if it is under way by itself.
async fn given(world: &World, job: JobId) -> Option<String> {
    world.settle().await;
    jobs::view(&world.service, &world.job(job).await).await.unwrap().cached_from
}

async fn again(world: &World, json: &str) -> Option<String> {
    let job = world.submit(json).await.id;
    given(world, job).await
}

/// The bytes of one member of the job's archive.
async fn member(world: &World, job: &Job, name: &str) -> String {
    let attempt = job.attempt_id(0, 0, job.only_instance().unwrap().attempts);
    let archive = output::archive(&world.service, job.key(), attempt).await.unwrap();
    let found = output::member(&world.service, &archive, name).await.unwrap();
    let body = found.read(&world.service, 0..found.size()).await.unwrap();
    String::from_utf8(collect(body.into_stream()).await.unwrap().to_vec()).unwrap()
}

/// The attempt's agent brings home its index, which is no tar, and reports.
async fn brought_home(world: &World, attempt: AttemptKey) {
    attempts::read_plan(&world.service, attempt).await.unwrap();
    let (object, text) = (ObjectKey::archive(attempt), attempt.attempt.instance.to_string());
    world.memory.objects.put(&object, one_chunk(text), Put::default()).await.unwrap();
    let archive = Some(ArchiveInfo {
        bytes: 0,
        sha256: None,
        manifest_sha256: String::new(),
        etag: String::new(),
        members: 1,
    });
    attempts::report(&world.service, attempt, Report { archive, ..staged::succeeded("well") })
        .await
        .unwrap();
    world.memory.runtime.exit(attempt, 0, false);
}

async fn later(world: &World, time: Duration) {
    tokio::time::sleep(time).await;
    world.settle().await;
}

#[tokio::test(start_paused = true)]
async fn an_equal_job_is_given_the_result_and_runs_nothing() {
    let world = World::new().await;
    let first = world.submit(CACHED).await.id;
    let first = world.run(first, 0, &[("Stdout", "hello"), ("out", "result")]).await;
    let ran = first.attempt_id(0, 0, 1);

    let second = world.submit(CACHED).await.id;
    assert_eq!(given(&world, second).await, Some(ran.to_string()));
    let second = world.job(second).await;
    let view = jobs::view(&world.service, &second).await.unwrap();
    assert_eq!((view.state, view.exit_code), ("succeeded", Some(0)));
    assert!(view.started_at.is_none() && view.usage.is_none());
    assert_eq!(member(&world, &second, "out").await, "result");
    let left = attempts::load(&world.service, second.attempt_id(0, 0, 1)).await.unwrap().unwrap();
    assert_eq!(left.cached_from.map(|from| from.attempt), Some(ran));
    assert!(!left.stdout_tail.is_empty(), "what it wrote is its own, too");
    assert_eq!(world.live(second.id).await, []);
}

#[tokio::test(start_paused = true)]
async fn what_a_process_could_tell_apart_is_not_equal() {
    let world = World::new().await;
    let first = world.submit(CACHED).await.id;
    world.run(first, 0, &[("Stdout", "")]).await;
    for other in [
        r#"{"image": "b", "command": ["x"], "outputs": ["/out"], "cache": true}"#,
        r#"{"image": "a", "command": ["y"], "outputs": ["/out"], "cache": true}"#,
        r#"{"image": "a", "command": ["x"], "outputs": ["/in"], "cache": true}"#,
        r#"{"image": "a", "command": ["x"], "outputs": ["/out"], "env": {"A": "1"}, "cache": true}"#,
        r#"{"image": "a", "command": ["x"], "outputs": ["/out"], "secret_env": {"A": "1"}, "cache": true}"#,
        r#"{"image": "a", "command": ["x"], "outputs": ["/out"], "secret_env": {"A": "2"}, "cache": true}"#,
        r#"{"image": "a", "command": ["x"], "outputs": ["/out"], "workdir": "/w", "cache": true}"#,
        r#"{"image": "a", "command": ["x"], "outputs": ["/out"], "user": "1", "cache": true}"#,
        r#"{"image": "a", "command": ["x"], "outputs": ["/out"], "network": "none", "cache": true}"#,
        r#"{"image": "a", "command": ["x"], "outputs": ["/out"], "read_only_root": true, "cache": true}"#,
        r#"{"image": "a", "command": ["x"], "outputs": ["/out"], "stdin": {"inline": "1"}, "cache": true}"#,
        r#"{"image": "a", "command": ["x"], "outputs": ["/out"], "instances": 2, "cache": true}"#,
        r#"{"image": "a", "command": ["x"], "outputs": ["/out"]}"#,
    ] {
        assert_eq!(again(&world, other).await, None, "{other}");
    }
    // How it is called, where it waits and how long it may take is no matter.
    let same = r#"{"image": "a", "command": ["x"], "outputs": ["/out"], "cache": {}, "name": "n",
        "priority": 3, "tags": {"a": "b"}, "timeout_seconds": 7, "retry": {"max_attempts": 3},
        "resources": {"cpu": 1, "memory_mib": 64}}"#;
    assert!(again(&world, same).await.is_some());
    assert_eq!(again(&world.neighbour().await, CACHED).await, None, "another project's is its own");
}

#[tokio::test(start_paused = true)]
async fn inputs_are_told_apart_by_what_is_in_them() {
    let world = World::new().await;
    let large = |byte: &str| {
        let text = byte.repeat(12 << 10);
        format!(r#"{{"image": "a", "stdin": {{"inline": "{text}"}}, "cache": true}}"#)
    };
    let json = r#"{"image": "a", "cache": true}"#;
    let body = submit_with(&world, json, "one").await;
    world.run(body, 0, &[("Stdout", "")]).await;
    let other = submit_with(&world, json, "two").await;
    assert_eq!(given(&world, other).await, None);
    let same = submit_with(&world, json, "one").await;
    assert!(given(&world, same).await.is_some());
    let inline = r#"{"image": "a", "stdin": {"inline": "one"}, "cache": true}"#;
    assert!(again(&world, inline).await.is_some(), "wherever it is kept");

    let first = world.submit(&large("1")).await.id;
    world.run(first, 0, &[("Stdout", "")]).await;
    assert_eq!(again(&world, &large("2")).await, None);
    assert!(again(&world, &large("1")).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_replaced_while_it_is_read_makes_no_result() {
    let world = World::new().await;
    let bucket = "b".parse().unwrap();
    let object = ObjectKey::user(world.project, &bucket, "k");
    let put = async |text: &'static str| {
        world.memory.objects.put(&object, one_chunk(text), Put::default()).await.unwrap();
    };
    let json = r#"{"image": "a", "stdin": {"object": "b/k"}, "cache": true}"#;
    put("one").await;
    let first = world.submit(json).await.id;
    let (attempt, _) = world.start(first).await;
    put("two").await;
    world.finish(attempt, 0, &[("Stdout", "of one or two")]).await;
    assert_eq!(again(&world, json).await, None);
    put("one").await;
    assert_eq!(again(&world, json).await, None, "nor by what it was before");
}

#[tokio::test(start_paused = true)]
async fn only_what_ended_well_is_used_again() {
    let world = World::new().await;
    let first = world.submit(CACHED).await.id;
    world.run(first, 3, &[("Stdout", "")]).await;
    let second = world.submit(CACHED).await.id;
    assert_eq!(given(&world, second).await, None);
    let (attempt, _) = world.start(second).await;
    world.report(attempt, 0, Some(shared::job::Cause::OutputFailed), None).await;
    assert_eq!(again(&world, CACHED).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_result_that_is_too_old_is_not_used() {
    let world = World::new().await;
    let within = |seconds: u32| {
        let age = format!(r#"{{"max_age_seconds": {seconds}}}"#);
        CACHED.replace("true", &age)
    };
    let first = world.submit(CACHED).await.id;
    world.run(first, 0, &[("Stdout", "")]).await;
    later(&world, Duration::from_secs(100)).await;
    assert!(again(&world, &within(200)).await.is_some());
    later(&world, Duration::from_mins(2)).await;
    assert_eq!(again(&world, &within(200)).await, None, "a copy is as old as what was copied");
}

#[tokio::test(start_paused = true)]
async fn a_result_outlives_the_job_that_made_it() {
    let world = World::new().await;
    let first = world.submit(CACHED).await.id;
    let ran = world.run(first, 0, &[("Stdout", ""), ("out", "result")]).await.attempt_id(0, 0, 1);
    let second = world.submit(CACHED).await.id;
    assert!(given(&world, second).await.is_some());
    jobs::delete(&world.service, world.of(first)).await.unwrap();
    world.settle().await;
    let archive = ObjectKey::archive(AttemptKey { project: world.project, attempt: ran });
    assert!(world.memory.objects.info(&archive).await.unwrap().is_none());

    assert_eq!(member(&world, &world.job(second).await, "out").await, "result");
    let third = world.submit(CACHED).await.id;
    assert_eq!(given(&world, third).await, Some(ran.to_string()), "out of the second one's copy");
    for job in [second, third] {
        jobs::delete(&world.service, world.of(job)).await.unwrap();
    }
    world.settle().await;
    let left = world.memory.objects.list(&format!("{}/", world.project), None, 10).await.unwrap();
    assert!(left.objects.is_empty(), "{left:?}");
    assert_eq!(again(&world, CACHED).await, None, "nobody has it any more");
}

#[tokio::test(start_paused = true)]
async fn equals_that_come_together_run_once() {
    let world = World::new().await;
    let all = join_all((0..5).map(|_| world.submit(CACHED))).await;
    world.settle().await;
    let mut live = Vec::new();
    for job in &all {
        live.extend(world.live(job.id).await);
    }
    let [attempt] = live[..] else { panic!("one runs, and not {live:?}") };
    let waits = all.iter().find(|job| job.id != attempt.attempt.job).unwrap().id;
    let view = jobs::view(&world.service, &world.job(waits).await).await.unwrap();
    assert_eq!(view.waiting_for.unwrap().reason, "cache");

    attempts::read_plan(&world.service, attempt).await.unwrap();
    world.finish(attempt, 0, &[("Stdout", "once")]).await;
    later(&world, Duration::from_mins(1)).await;
    for job in &all {
        let job = world.job(job.id).await;
        assert!(job.ending().is_some(), "{job:?}");
        assert_eq!(member(&world, &job, "Stdout").await, "once");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waited_in_vain_leads() {
    let world = World::new().await;
    let first = world.submit(CACHED).await.id;
    let (attempt, _) = world.start(first).await;
    let second = world.submit(CACHED).await.id;
    assert_eq!(given(&world, second).await, None);
    assert_eq!(world.live(second).await, []);
    world.finish(attempt, 1, &[("Stdout", "")]).await;
    later(&world, Duration::from_mins(1)).await;
    assert_eq!(world.live(second).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_leads_after_waiting_is_waited_for_before_it_knows() {
    let world = World::new().await;
    let first = world.submit(CACHED).await.id;
    let (attempt, _) = world.start(first).await;
    let second = world.submit(CACHED).await.id;
    let third = world.submit(CACHED).await.id;
    world.settle().await;
    world.finish(attempt, 1, &[("Stdout", "")]).await;
    // Whoever looks for the second job dies when it is written down that it
    // leads, and before its job is let know.
    let instance = world.job(first).await.only_instance().cloned().unwrap();
    let Some(Recall::Leads { key: Some(key) }) = instance.recall else { panic!("{instance:?}") };
    let leader = AttemptId { job: second, number: 0, ..attempt.attempt };
    let entry = rows::plain(&json!({"v": 1, "leader": leader}));
    let put = Op::Put(rows::result(world.project, &key), Expect::Anything, entry);
    world.memory.table.commit(vec![put]).await.unwrap();

    tokio::time::sleep(Duration::from_secs(40)).await;
    duties::perform(&world.service, world.of(third)).await.unwrap();
    assert_eq!(world.live(third).await, []);
    later(&world, Duration::from_secs(40)).await;
    assert_eq!(world.live(second).await.len(), 1);
    assert_eq!(world.live(third).await, []);
}

#[tokio::test(start_paused = true)]
async fn two_whose_inputs_change_places_do_not_wait_for_each_other() {
    let world = World::new().await;
    let bucket = "b".parse().unwrap();
    let put = async |key: &str, text: &'static str| {
        let object = ObjectKey::user(world.project, &bucket, key);
        world.memory.objects.put(&object, one_chunk(text), Put::default()).await.unwrap();
    };
    let submit = async |key: &str| {
        let stdin = format!(r#"{{"object": "b/{key}"}}"#);
        let json = format!(r#"{{"image": "a", "stdin": {stdin}, "cache": true}}"#);
        let job = world.submit(&json).await.id;
        world.run(job, 1, &[("Stdout", "")]).await;
        job
    };
    put("one", "x").await;
    put("two", "y").await;
    let (one, two) = (submit("one").await, submit("two").await);
    put("one", "y").await;
    put("two", "x").await;
    for job in [one, two] {
        retry::retry(&world.service, world.of(job), Again::default()).await.unwrap();
    }

    // Each finds that the other has run what it is about to run.
    for job in [one, two] {
        duties::perform(&world.service, world.of(job)).await.unwrap();
    }

    assert!(matches!(
        world.job(one).await.only_instance().unwrap().recall,
        Some(Recall::Awaits { .. })
    ));
    later(&world, Duration::from_secs(40)).await;
    for job in [one, two] {
        assert_eq!(world.live(job).await.len(), 1, "{:?}", world.job(job).await);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_who_stands_in_a_paused_queue() {
    let world = World::new().await;
    let slow = rows::QueueKey { project: world.project, name: "slow".parse().unwrap() };
    let pause = queues::QueueChange { paused: Some(true), ..Default::default() };
    queues::put(&world.service, &slow, pause).await.unwrap();
    let first = world.submit(&CACHED.replace('{', r#"{"queue": "slow", "#)).await.id;
    world.settle().await;
    let instance = world.job(first).await.only_instance().cloned().unwrap();
    assert!(matches!(instance.recall, Some(Recall::Leads { key: Some(_) })));
    let second = world.submit(CACHED).await.id;
    world.run(second, 0, &[("Stdout", "")]).await;
    assert!(matches!(
        world.job(second).await.only_instance().unwrap().state,
        InstanceState::Succeeded(_)
    ));
}

#[tokio::test(start_paused = true)]
async fn a_task_whose_input_is_missing_runs_by_itself() {
    let world = World::new().await;
    let json = r#"{"image": "a", "stdin": {"object": "b/k"}, "cache": true}"#;
    let job = world.submit(json).await.id;
    world.settle().await;
    assert_eq!(world.live(job).await.len(), 1, "and fails there, where it is told why");
}

#[tokio::test(start_paused = true)]
async fn every_instance_of_an_array_is_its_own_equal() {
    let world = World::new().await;
    let json = r#"{"image": "a", "instances": 130, "cache": true}"#;
    let first = world.submit(json).await.id;
    for _ in 0..3 {
        later(&world, Duration::from_secs(5)).await;
        join_all(world.live(first).await.into_iter().map(|live| brought_home(&world, live))).await;
    }
    later(&world, Duration::from_secs(5)).await;
    assert!(world.job(first).await.ending().is_some());
    let second = world.submit(json).await.id;
    for _ in 0..4 {
        later(&world, Duration::from_secs(5)).await;
    }
    let job = world.job(second).await;
    assert_eq!(job.tasks[0].members.counts().succeeded, 130, "{:?}", job.phase);
    assert!(job.spent().is_nothing());
    let last = AttemptId { instance: 129, number: 1, ..job.attempt_id(0, 0, 1) };
    let archive = output::archive(&world.service, job.key(), last).await.unwrap();
    let body = archive.read(&world.service, 0..9).await.unwrap().into_stream();
    assert_eq!(&collect(body).await.unwrap()[..], b"129");
}

#[tokio::test(start_paused = true)]
async fn what_an_earlier_task_left_is_known_by_who_ran_it() {
    let world = World::new().await;
    let json = r#"{"tasks": [
        {"name": "first", "image": "a", "outputs": ["/out"], "cache": true},
        {"name": "then", "image": "b", "after": [{"task": "first"}], "cache": true,
         "stdin": {"task": {"name": "first", "member": "out"}}}]}"#;
    let first = world.submit(json).await.id;
    for _ in 0..2 {
        let (attempt, _) = world.start(first).await;
        world.finish(attempt, 0, &[("Stdout", ""), ("out", "result")]).await;
        later(&world, Duration::from_secs(2)).await;
    }
    assert!(world.job(first).await.ending().is_some());
    let second = world.submit(json).await.id;
    for _ in 0..3 {
        later(&world, Duration::from_secs(2)).await;
    }
    let second = world.job(second).await;
    assert!(second.ending().is_some() && second.spent().is_nothing(), "{second:?}");
}

#[tokio::test(start_paused = true)]
async fn a_folder_is_what_is_in_it() {
    let world = World::new().await;
    let bucket = "b".parse().unwrap();
    let put = async |name: &str, text: &'static str| {
        let object = ObjectKey::user(world.project, &bucket, name);
        world.memory.objects.put(&object, one_chunk(text), Put::default()).await.unwrap();
    };
    let json = r#"{"image": "a", "cache": true,
        "inputs": [{"path": "/in", "source": {"folder": "b/in/"}}]}"#;
    put("in/a", "1").await;
    let first = world.submit(json).await.id;
    world.run(first, 0, &[("Stdout", "")]).await;
    assert!(again(&world, json).await.is_some());
    put("other", "3").await;
    assert!(again(&world, json).await.is_some(), "what is beside it is no matter");
    put("in/b", "2").await;
    assert_eq!(again(&world, json).await, None);
}

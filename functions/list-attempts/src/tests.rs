use std::time::Duration;

use serde_json::Value;
use shared::{
    conformance::memory::World,
    job::{Cause, JobId},
    ops::attempts,
};

use super::ListAttempts;

/// Every page of what is asked for, and how many pages there were.
async fn listed(world: &World, job: JobId, query: &str) -> (Vec<Value>, usize) {
    let (mut all, mut pages) = (Vec::new(), 0);
    let path = format!("/v1/jobs/{job}/attempts?{query}");
    let mut ask = world.ask(&path);
    loop {
        let page = ask.of(ListAttempts).await.expect(200).json();
        all.extend(page["attempts"].as_array().expect("a list").clone());
        pages += 1;
        let Some(next) = page["next"].as_str() else { return (all, pages) };
        ask = world.ask(&path).query("cursor", next);
    }
}

fn places(attempts: &[Value]) -> Vec<(u64, u64)> {
    let place = |attempt: &Value| (attempt["instance"].as_u64(), attempt["number"].as_u64());
    attempts.iter().map(place).map(|(i, n)| (i.unwrap_or(999), n.unwrap_or(999))).collect()
}

#[tokio::test(start_paused = true)]
async fn every_attempt_is_listed_with_how_and_why_it_ended() {
    let world = World::new().await;
    let json = r#"{"image": "a", "retry": {"max_attempts": 2}}"#;
    let job = world.submit(json).await.id;
    let (first, _) = world.start(job).await;
    world.finish(first, 3, &[("Stdout", "s"), ("manifest.json", "{}")]).await;
    let (second, _) = world.start(job).await;

    let (attempts, _) = listed(&world, job, "").await;
    assert_eq!(places(&attempts), [(0, 1), (0, 2)]);
    let (ended, live) = (&attempts[0], &attempts[1]);
    assert_eq!(ended["id"], first.attempt.to_string());
    assert_eq!((&ended["task"], &ended["run"]), (&"main".into(), &1.into()));
    assert_eq!((&ended["state"], &ended["cause"]), (&"failed".into(), &"exited".into()));
    assert_eq!((&ended["exit_code"], &ended["retryable"]), (&3.into(), &true.into()));
    assert_eq!(ended["stdout_tail"], "the end of stdout\n");
    assert_eq!(
        (&ended["usage"]["wall_ms"], &ended["archive"]["members"]),
        (&1_500.into(), &2.into())
    );
    for time in ["claimed_at", "started_at", "ended_at"] {
        assert!(ended[time].is_string(), "{time}: {ended}");
    }
    assert_eq!((&live["state"], &live["started_at"].is_string()), (&"running".into(), &true));
    assert!(live["ended_at"].is_null() && live["stdout_tail"].is_null());

    world.finish(second, 0, &[("Stdout", "s")]).await;
    let (attempts, _) = listed(&world, job, "").await;
    assert_eq!((&attempts[1]["state"], &attempts[1]["cause"]), (&"succeeded".into(), &Value::Null));
}

#[tokio::test(start_paused = true)]
async fn pages_of_a_wide_task_have_what_lives_and_what_has_ended_in_order() {
    let world = World::new().await;
    let json = r#"{"image": "a", "instances": 300, "retry": {"max_attempts": 2}}"#;
    let job = world.submit(json).await.id;
    world.settle().await;
    let live = world.live(job).await;
    for instance in [0, 1, 127, 128, 255, 299] {
        attempts::read_plan(&world.service, live[instance]).await.expect("a plan");
        let failed = instance == 128;
        let cause = failed.then_some(Cause::Exited);
        world.report(live[instance], i32::from(failed), cause, None).await;
    }
    let mut expected: Vec<_> = (0..300).map(|instance| (instance, 1)).collect();
    expected.insert(129, (128, 2));
    for (limit, pages) in [(100, 4), (43, 7), (7, 43)] {
        let (attempts, count) = listed(&world, job, &format!("limit={limit}")).await;
        assert_eq!(places(&attempts), expected);
        assert_eq!(count, pages);
        let ended = attempts.iter().filter(|attempt| attempt["ended_at"].is_string()).count();
        assert_eq!(ended, 6);
    }
    let (of_one, _) = listed(&world, job, "instance=128").await;
    assert_eq!(places(&of_one), [(128, 1), (128, 2)]);
    let states: Vec<_> = of_one.iter().map(|attempt| attempt["state"].clone()).collect();
    assert_eq!(states, ["failed", "starting"]);
    assert_eq!(listed(&world, job, "task=main&instance=300").await.0, [Value::Null; 0]);
    assert_eq!(listed(&world, job, "run=2").await.0, [Value::Null; 0]);
}

#[tokio::test(start_paused = true)]
async fn attempts_of_a_job_that_has_stopped_say_so() {
    let world = World::new().await;
    let job = world
        .submit(
            r#"{"tasks": [
        {"name": "a", "image": "a"}, {"name": "b", "image": "a", "instances": 2}
    ]}"#,
        )
        .await
        .id;
    world.settle().await;
    shared::ops::jobs::cancel(&world.service, world.of(job)).await.expect("cancelled");
    let (attempts, _) = listed(&world, job, "task=b").await;
    assert_eq!(places(&attempts), [(0, 1), (1, 1)]);
    assert!(attempts.iter().all(|a| a["state"] == "stopping" && a["cause"] == "cancelled"));
    tokio::time::sleep(Duration::from_hours(4)).await;
    world.settle().await;
    let (attempts, _) = listed(&world, job, "").await;
    assert_eq!(attempts.len(), 3);
    assert!(attempts.iter().all(|attempt| attempt["state"] == "stopped"), "{attempts:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_understood_or_not_there_is_refused() {
    let world = World::new().await;
    let job = world
        .submit(
            r#"{"tasks": [
        {"name": "a", "image": "a"}, {"name": "b", "image": "a"}
    ]}"#,
        )
        .await
        .id;
    let path = format!("/v1/jobs/{job}/attempts");
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("instance=x", "instance"),
        ("instance=0", "task"),
        ("run=-1", "run"),
        ("cursor=x", "cursor"),
        ("attempt=1", "attempt"),
    ] {
        let answer = world.ask(&format!("{path}?{query}")).of(ListAttempts).await;
        answer.refused(400, "invalid_field", field);
    }
    world.ask(&format!("{path}?task=c")).of(ListAttempts).await.refused(404, "not_found", "");
    world.neighbour().await.ask(&path).of(ListAttempts).await.refused(404, "not_found", "");
    world.ask(&path).nameless().of(ListAttempts).await.refused(401, "unauthenticated", "");
}

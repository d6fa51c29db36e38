//! Ending a job before it ends by itself.

use serde_json::json;
use tests::{World, until};

stories! {
    both:
        a_cancelled_process_is_told_and_what_it_made_is_kept,
        a_process_that_takes_too_long_is_told_and_what_it_made_is_kept,
        a_process_that_will_not_end_is_killed_after_its_grace,
        a_jobs_own_deadline_ends_all_of_it,
        a_job_that_waits_is_cancelled_without_ever_running;
    aws:
        a_cancelled_process_is_told_and_what_it_made_is_kept,
        a_process_that_takes_too_long_is_told_and_what_it_made_is_kept,
        a_process_that_will_not_end_is_killed_after_its_grace,
        a_jobs_own_deadline_ends_all_of_it,
        a_job_that_waits_is_cancelled_without_ever_running;
}

async fn a_cancelled_process_is_told_and_what_it_made_is_kept(world: &mut World) {
    let client = &world.client;
    let trapped = world.place("out/trapped");
    let steps = format!("trap {trapped} then say tidied then exit 4");
    let job = client.submit(world.probe(&steps).keep(&world.place("out"))).await;
    started(world, &job).await;

    let answer = client.cancel(&job).await;
    assert!([200, 202].contains(&answer.status), "{answer:?}");
    let again = client.cancel(&job).await;
    assert!([200, 202].contains(&again.status), "{again:?}");

    let view = client.finish_as(&job, "cancelled").await;
    assert_eq!(view["cause"], "cancelled", "{view:#}");
    assert_eq!(view["retryable"], false);
    assert_eq!(client.cancel(&job).await.expect(200).json()["state"], "cancelled");
    let archive = client.archive(&job).await;
    assert_eq!(archive.stdout(), "started\nTERM seen\ntidied\n");
    assert_eq!(archive.text(&trapped), "started\nTERM seen\n");
    assert_eq!(archive.manifest["exit"], json!({"code": 4}));
}

async fn a_process_that_takes_too_long_is_told_and_what_it_made_is_kept(world: &mut World) {
    let client = &world.client;
    let trapped = world.place("out/trapped");
    let job = world.probe(&format!("trap {trapped}")).keep(&trapped).with("timeout_seconds", 1);
    let job = client.submit(job).await;

    let view = client.finish(&job).await;

    assert_eq!(view["cause"], "timed_out", "{view:#}");
    assert_eq!(view["state"], "failed", "{view:#}");
    let archive = client.archive(&job).await;
    assert_eq!(archive.text(&trapped), "started\nTERM seen\n");
    let (start, end) = archive.times();
    let ran = end.duration_since(start).as_millis();
    assert!((900..10_000).contains(&ran), "it ran for {ran} ms");
}

async fn a_process_that_will_not_end_is_killed_after_its_grace(world: &mut World) {
    let client = &world.client;
    let trapped = world.place("out/trapped");
    let job =
        world.probe(&format!("trap {trapped} --ignore")).keep(&trapped).with("grace_seconds", 1);
    let job = client.submit(job).await;
    started(world, &job).await;

    client.cancel(&job).await;

    let view = client.finish_as(&job, "cancelled").await;
    assert_eq!(view["exit_code"], 137, "{view:#}");
    let archive = client.archive(&job).await;
    assert_eq!(archive.text(&trapped), "started\nTERM seen\n");
    assert_eq!(archive.stdout(), "started\nTERM seen\n");
    assert_eq!(archive.manifest["exit"], json!({"signal": 9}));
}

async fn a_jobs_own_deadline_ends_all_of_it(world: &mut World) {
    let client = &world.client;
    let runs = world.probe(&format!("trap {}", world.place("trapped"))).task("runs");
    let waits = world.probe("say never").with("after", json!([{"task": "runs"}])).task("waits");
    let job = json!({"tasks": [runs, waits], "deadline_seconds": 2});
    let job = client.submit(job).await;
    let view = client.finish_as(&job, "timed_out").await;
    assert_eq!(view["tasks"][0]["causes"], json!({"deadline_passed": 1}), "{view:#}");
    assert_eq!(view["tasks"][1]["instances"]["succeeded"], 0);
}

async fn a_job_that_waits_is_cancelled_without_ever_running(world: &mut World) {
    let client = &world.client;
    client.queue("shut", json!({"paused": true})).await;
    let job = client.submit(world.probe("say never").with("queue", "shut")).await;
    let view = client.cancel(&job).await.expect(200).json();
    assert_eq!(view["state"], "cancelled");
    assert!(view.get("started_at").is_none(), "{view}");
    client.queue("shut", json!({"paused": false})).await;
    client.get(&format!("/v1/jobs/{job}/output")).await.problem(404, "not_found");
    assert_eq!(client.logs(&job, "?follow=true").await, "");
}

/// Waits until the probe's trap is set.
async fn started(world: &World, job: &str) {
    let what = "the process says that it has started";
    let said =
        async || world.client.logs(job, "?stream=stdout").await.contains("started").then_some(());
    until(what, said).await;
}

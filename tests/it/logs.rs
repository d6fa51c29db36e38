//! Logs: as they are written, and once it is over.

use data_encoding::BASE64;
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Runtime, World, is_over, pattern_sha256, sha256, until};

stories! {
    both:
        logs_are_seen_while_they_are_written_and_the_same_after,
        a_follower_waits_for_a_job_that_has_not_started,
        a_loud_job_loses_nothing;
    process:
        who_follows_goes_on_where_it_was_cut;
    aws:
        a_follower_waits_for_a_job_that_has_not_started,
        who_follows_goes_on_where_it_was_cut,
        a_loud_job_loses_nothing;
}

async fn logs_are_seen_while_they_are_written_and_the_same_after(world: &mut World) {
    let client = &world.client;
    let trapped = world.place("trapped");
    let job = world.probe(&format!("say one then say aside --stderr then trap {trapped}"));
    let job = client.submit(job).await;
    let path = format!("/v1/jobs/{job}/logs?stream=stdout&follow=true");
    let following = client.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(following.status(), 200);
    assert!(following.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    let mut following = following.bytes_stream();

    let mut seen = Vec::new();
    while !seen.ends_with(b"started\n") {
        seen.extend(following.next().await.expect("there is more to come").unwrap());
    }
    assert!(!is_over(&client.job(&job).await), "it was seen only once it was over");
    let so_far = until("stderr is there as well", async || {
        let both = client.logs(&job, "").await;
        both.contains("aside\n").then_some(both)
    });
    assert!(so_far.await.contains("one\n"));

    client.cancel(&job).await;
    while let Some(more) = following.next().await {
        seen.extend(more.unwrap());
    }
    assert_eq!(String::from_utf8_lossy(&seen), "one\nstarted\nTERM seen\n");
    client.finish_as(&job, "cancelled").await;
    assert_eq!(client.logs(&job, "?stream=stdout").await.as_bytes(), seen);
    assert_eq!(client.logs(&job, "?stream=stderr").await, "aside\n");
    assert_eq!(client.archive(&job).await.file("Stdout"), seen);

    let request = client.request(Method::GET, &format!("/v1/jobs/{job}/logs"));
    let lines = tests::send(request.header("accept", "application/x-ndjson")).await.expect(200);
    let mut both = (Vec::new(), Vec::new());
    for line in lines.text().lines() {
        let piece: Value = serde_json::from_str(line).unwrap();
        let data = BASE64.decode(piece["data"].as_str().unwrap().as_bytes()).unwrap();
        let stream = if piece["stream"] == "stdout" { &mut both.0 } else { &mut both.1 };
        assert_eq!(piece["offset"], stream.len());
        stream.extend(data);
    }
    assert_eq!(both, (seen, b"aside\n".to_vec()));
}

async fn a_follower_waits_for_a_job_that_has_not_started(world: &mut World) {
    let client = &world.client;
    client.queue("later", json!({"paused": true})).await;
    let job = client.submit(
        world
            .probe("say at last")
            .with("queue", "later")
            .with("command", world.probe_words(&["say", "at last"]).words()),
    );
    let job = job.await;
    let path = format!("/v1/jobs/{job}/logs?follow=true");
    let following = tokio::spawn(tests::send(client.request(Method::GET, &path)));
    client.queue("later", json!({"paused": false})).await;
    assert_eq!(following.await.unwrap().expect(200).text(), "at last\n");
    client.finish_as(&job, "succeeded").await;
}

async fn who_follows_goes_on_where_it_was_cut(world: &mut World) {
    let client = &world.client;
    let job = world.probe(&format!("say one then trap {}", world.place("trapped")));
    let job = client.submit(job).await;
    let path = format!("/v1/jobs/{job}/logs?stream=stdout");
    let seen = until("it has started", async || {
        let log = client.get(&path).await.expect(200).text().to_owned();
        log.ends_with("started\n").then_some(log)
    });
    let from = format!("{path}&follow=true&stdout_offset={}", seen.await.len());
    if world.runtime == Runtime::Aws {
        // The API lets nobody wait for more than half a minute.
        let cut = client.get(&from).await.expect(200);
        assert_eq!((cut.header("tarpon-more"), cut.text()), ("true", ""));
    }
    client.cancel(&job).await;
    let rest = client.get(&from).await.expect(200);
    assert_eq!((rest.header("tarpon-more"), rest.text()), ("", "TERM seen\n"));
    client.finish_as(&job, "cancelled").await;
}

async fn a_loud_job_loses_nothing(world: &mut World) {
    const BYTES: u64 = 20 << 20;
    let client = &world.client;
    let steps = format!("spew {BYTES} then spew {BYTES} --stderr");
    let job = client.submit(world.probe(&steps).with("resources", json!({"cpu": 2}))).await;
    client.finish_as(&job, "succeeded").await;
    for stream in ["stdout", "stderr"] {
        let path = format!("/v1/jobs/{job}/logs?stream={stream}");
        let log = client.get(&path).await.expect(200);
        assert_eq!((log.body.len() as u64, sha256(&log.body)), (BYTES, pattern_sha256(BYTES)));
    }
}

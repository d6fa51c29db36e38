//! Results that are used again in place of running.

use serde_json::{Value, json};
use tests::{Spec, World, sha256, until};

stories! {
    both:
        the_second_of_two_equal_jobs_is_given_the_result_of_the_first,
        another_input_makes_another_result,
        equals_that_come_together_run_once,
        a_failure_is_no_result;
    aws:
        the_second_of_two_equal_jobs_is_given_the_result_of_the_first,
        another_input_makes_another_result,
        a_failure_is_no_result;
}

/// A job that may be given the result of an equal, with this standard input.
fn cached(job: Spec, stdin: &str) -> Spec {
    job.with("cache", true).with("stdin", json!({ "inline": stdin }))
}

/// The only attempt of a job.
async fn only_attempt(world: &World, job: &Value) -> Value {
    let path = format!("/v1/jobs/{}/attempts", job["id"].as_str().unwrap());
    let told = world.client.get(&path).await.expect(200).json();
    let attempts = told["attempts"].as_array().unwrap();
    assert_eq!(attempts.len(), 1, "{told:#}");
    attempts[0].clone()
}

async fn the_second_of_two_equal_jobs_is_given_the_result_of_the_first(world: &mut World) {
    let client = &world.client;
    let made = world.place("out/made");
    let job = cached(world.probe(&format!("cat then write {made} kept")), "in").keep(&made);
    let (first, ran) = client.run(job.clone()).await;
    assert_eq!((&first["state"], &first["cached_from"]), (&json!("succeeded"), &Value::Null));
    let attempt = only_attempt(world, &first).await;

    let (second, given) = client.run(job.with("name", "again")).await;

    assert_eq!(second["state"], "succeeded", "{second:#}");
    assert_eq!(second["cached_from"], attempt["id"]);
    // No container was claimed for it, and it has used nothing.
    let recalled = only_attempt(world, &second).await;
    assert_eq!(recalled["cached_from"], attempt["id"]);
    for nothing in ["claimed_at", "started_at", "usage"] {
        assert_eq!(recalled[nothing], Value::Null, "{recalled:#}");
    }
    assert_eq!((&second["started_at"], &second["usage"]), (&Value::Null, &Value::Null));
    // The archive tells the times of the attempt that ran, to the last byte.
    assert_eq!(sha256(&given.bytes), sha256(&ran.bytes));
    assert_eq!((given.stdout(), given.text(&made)), ("in", "kept"));
    let shown = world.tarpon(&["show", second["id"].as_str().unwrap()]).await.expect(0);
    let from = attempt["id"].as_str().unwrap();
    assert!(shown.text().contains(&format!("succeeded: result of {from}")), "{}", shown.text());

    // It is a copy, which outlives what it was copied from.
    client.delete(&format!("/v1/jobs/{}", first["id"].as_str().unwrap())).await.expect(204);
    let archive = client.archive(second["id"].as_str().unwrap()).await;
    assert_eq!(sha256(&archive.bytes), sha256(&ran.bytes));
}

async fn another_input_makes_another_result(world: &mut World) {
    let client = &world.client;
    for input in ["one", "two"] {
        let (view, archive) = client.run(cached(world.probe("cat"), input)).await;
        assert_eq!(view["state"], "succeeded", "{view:#}");
        assert_eq!(view["cached_from"], Value::Null, "{view:#}");
        assert_eq!(archive.stdout(), input);
    }
    let (view, archive) = client.run(cached(world.probe("cat"), "one")).await;
    assert!(view["cached_from"].is_string(), "{view:#}");
    assert_eq!(archive.stdout(), "one");
}

async fn equals_that_come_together_run_once(world: &mut World) {
    let client = &world.client;
    let job = cached(world.probe("sleep 5 then cat"), "in");
    let (one, two) = tokio::join!(client.submit(job.clone()), client.submit(job.clone()));
    until("one waits for the other", async || {
        let (one, two) = tokio::join!(client.job(&one), client.job(&two));
        [one, two].iter().any(|view| view["waiting_for"]["reason"] == "cache").then_some(())
    })
    .await;

    let (one, two) =
        tokio::join!(client.finish_as(&one, "succeeded"), client.finish_as(&two, "succeeded"));

    let given = [&one, &two].map(|view| view["cached_from"].is_string());
    let (ran, given) = match given {
        [true, false] => (two, one),
        [false, true] => (one, two),
        both => panic!("given results: {both:?}"),
    };
    assert_eq!(
        only_attempt(world, &given).await["cached_from"],
        only_attempt(world, &ran).await["id"]
    );
    let archives = [&ran, &given].map(|view| view["id"].as_str().unwrap());
    let [ran, given] = archives.map(|id| client.archive(id));
    assert_eq!(sha256(&ran.await.bytes), sha256(&given.await.bytes));
}

async fn a_failure_is_no_result(world: &mut World) {
    let job = cached(world.probe("say oh then exit 3"), "in");
    for _ in 0..2 {
        let (view, archive) = world.client.run(job.clone()).await;
        assert_eq!((&view["state"], &view["exit_code"]), (&json!("failed"), &json!(3)), "{view:#}");
        assert_eq!(view["cached_from"], Value::Null, "{view:#}");
        assert!(only_attempt(world, &view).await["started_at"].is_string());
        assert_eq!(archive.stdout(), "oh\n");
    }
}

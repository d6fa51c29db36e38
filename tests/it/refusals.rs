//! Bad input is answered with the field and the rule, and changes nothing.

use std::collections::BTreeMap;

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tests::{World, send};

stories! {
    process:
        a_bad_job_is_answered_with_its_field_and_rule,
        a_body_that_is_no_job_is_said_to_be_none,
        a_bad_query_is_answered_with_its_parameter,
        a_bad_queue_image_or_upload_is_answered_with_its_field,
        what_is_not_there_is_not_found,
        a_path_with_another_method_says_so;
    aws:
        a_bad_job_is_answered_with_its_field_and_rule,
        a_body_that_is_no_job_is_said_to_be_none,
        a_bad_query_is_answered_with_its_parameter,
        a_bad_queue_image_or_upload_is_answered_with_its_field;
}

async fn a_bad_job_is_answered_with_its_field_and_rule(world: &mut World) {
    let good = world.probe("say x");
    let flat = bad_fields().into_iter().map(|(name, value, field, rule)| {
        (Value::from(good.clone().with(name, value)), field, rule)
    });
    let cases: Vec<_> = flat.chain(bad_jobs()).collect();
    let mut wrong = Vec::new();
    for (job, field, rule) in &cases {
        let answer = world.client.post("/v1/jobs", job).await;
        let told = serde_json::from_slice::<Value>(&answer.body).unwrap_or_default();
        let (at, why) = (told["field"].as_str(), told["detail"].as_str());
        let right = answer.status == 400
            && told["code"] == "invalid_field"
            && at == Some(field)
            && why.is_some_and(|why| why.contains(rule));
        if !right {
            wrong.push(format!("{field} ({rule}): {}: {told}", answer.status));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert_eq!(world.client.list("").await.len(), 0);
}

/// One field each of a job of one task: its name, a value that it cannot have,
/// the path by which it is to be named, and a word of the rule.
#[rustfmt::skip]
fn bad_fields() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let many: Vec<String> = (0..101).map(|n| format!("/o/{n}")).collect();
    let tags: BTreeMap<String, &str> = (0..51).map(|n| (n.to_string(), "")).collect();
    let input = |path: &str, mode: &str| json!([{"path": path, "source": {"inline": ""}, "mode": mode}]);
    vec![
        ("colour", json!("red"), "colour", "unknown field"),
        ("image", json!(""), "image", "required"),
        ("image", json!("Not An Image"), "image", ""),
        ("image", json!("a:b:c d"), "image", ""),
        ("image", json!(7), "image", "invalid type"),
        ("command", json!("one string"), "command", "invalid type"),
        ("command", json!(["a", "nul\0"]), "command[1]", "NUL"),
        ("entrypoint", json!([]), "entrypoint", "at least one"),
        ("resources", json!({"cpu": -1}), "resources.cpu", "-1"),
        ("resources", json!({"cpu": 0}), "resources.cpu", "0"),
        ("resources", json!({"cpu": 1e9}), "resources.cpu", ""),
        ("resources", json!({"memory_mib": -5}), "resources.memory_mib", "-5"),
        ("resources", json!({"memory_mib": 1_u64 << 40}), "resources.memory_mib", ""),
        ("resources", json!({"gpu": 1}), "resources.gpu", "unknown field"),
        ("outputs", json!(["relative"]), "outputs[0]", "absolute"),
        ("outputs", json!(["/ok", "/a/../b"]), "outputs[1]", "`..`"),
        ("outputs", json!(["/"]), "outputs[0]", ""),
        ("outputs", json!(["/Stdout"]), "outputs[0]", "already"),
        ("outputs", json!(["/proc/self/mem"]), "outputs[0]", ""),
        ("outputs", json!(many), "outputs", "at most 100"),
        ("env", json!({"A=B": "x"}), "env.A=B", ""),
        ("env", json!({"TARPON_TOKEN": "x"}), "env.TARPON_TOKEN", "TARPON_"),
        ("secret_env", json!({"TARPON_TOKEN": "x"}), "secret_env.TARPON_TOKEN", "TARPON_"),
        ("secret_env", json!({"A=": "x"}), "secret_env.A=", ""),
        ("workdir", json!("here"), "workdir", "absolute"),
        ("user", json!("a b"), "user", ""),
        ("queue", json!("no-such"), "queue", "no queue"),
        ("queue", json!("a/b"), "queue", ""),
        ("priority", json!(1_001), "priority", "1001"),
        ("priority", json!(70_000), "priority", ""),
        ("timeout_seconds", json!(0), "timeout_seconds", "0"),
        ("timeout_seconds", json!(-1), "timeout_seconds", ""),
        ("grace_seconds", json!(601), "grace_seconds", "601"),
        ("instances", json!(0), "instances", "0"),
        ("instances", json!(1_000_000_000), "instances", ""),
        ("retry", json!({"max_attempts": 21}), "retry.max_attempts", "21"),
        ("network", json!("everything"), "network", ""),
        ("stdin", json!({"object": "no-key"}), "stdin", "bucket/key"),
        ("stdin", json!({"base64": "%"}), "stdin", ""),
        ("stdin", json!({"inline": "a", "object": "b/c"}), "stdin", ""),
        ("inputs", input("/a", "999"), "inputs[0].mode", "octal"),
        ("inputs", input("a", "644"), "inputs[0].path", "absolute"),
        ("tags", json!(tags), "tags", "50"),
        ("name", json!("x".repeat(129)), "name", "128"),
        ("retain_days", json!(0), "retain_days", "0"),
    ]
}

/// Whole jobs: each with the field to be named and a word of the rule.
#[rustfmt::skip]
fn bad_jobs() -> Vec<(Value, &'static str, &'static str)> {
    let task = |name: &str| json!({"name": name, "image": "a"});
    let after = |name: &str, other: &str| json!({"name": name, "image": "a", "after": [{"task": other}]});
    vec![
        (json!({}), "image", "required"),
        (json!({"tasks": []}), "tasks", ""),
        (json!({"tasks": "none"}), "tasks", "invalid type"),
        (json!({"tasks": [task("a"), task("a")]}), "tasks[1].name", "two tasks"),
        (json!({"tasks": [task("a"), {"image": "a"}]}), "tasks[1].name", "required"),
        (json!({"tasks": [after("a", "b")]}), "tasks[0].after[0].task", "no task `b`"),
        (json!({"tasks": [after("a", "b"), after("b", "a")]}), "tasks[1].after[0].task", "a -> b -> a"),
        (json!({"tasks": [task("b"), after("a", "a")]}), "tasks[1].after[0].task", "after itself"),
        (json!({"tasks": [{"name": "a", "image": "a", "hue": 1}]}), "tasks[0].hue", "unknown field"),
    ]
}

async fn a_body_that_is_no_job_is_said_to_be_none(world: &mut World) {
    let client = &world.client;
    let post = |kind: &'static str, body: Vec<u8>| {
        send(client.request(Method::POST, "/v1/jobs").header(CONTENT_TYPE, kind).body(body))
    };
    for body in [
        &b"{"[..],
        b"",
        b"[]",
        b"null",
        b"\"image\"",
        b"{} {}",
        b"\xff\xfe{}",
        b"{\"image\": \"\xff\"}",
    ] {
        let answer = post("application/json", body.to_vec()).await;
        let told = answer.json();
        assert_eq!(answer.status, 400, "{body:?}: {told}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
    post("application/json", b"\xff".to_vec()).await.problem(400, "malformed_body");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(post("application/json", deep.into_bytes()).await.status, 400);
    let large = format!("{{\"image\": \"a\", \"name\": \"{}\"}}", "x".repeat(10 << 20));
    // The answer may come before all of it was sent, which ends the connection.
    let request = client.request(Method::POST, "/v1/jobs").header(CONTENT_TYPE, "application/json");
    match request.body(large).send().await {
        Ok(answer) => drop(tests::Answer::of(answer).await.problem(413, "too_large")),
        Err(cut) => assert!(cut.is_request() || cut.is_body(), "{cut:?}"),
    }
    let wide = json!({"image": "a", "env": {"A": "x".repeat(300 << 10)}});
    client.post("/v1/jobs", &wide).await.problem(413, "too_large");
    assert_eq!(client.list("").await.len(), 0);
    client.get("/v1/queues").await.expect(200);
}

async fn a_bad_query_is_answered_with_its_parameter(world: &mut World) {
    let client = &world.client;
    client.finish(&client.submit(world.probe("say x")).await).await;
    client.finish(&client.submit(world.probe("say x")).await).await;
    let good = client.page("jobs", "limit=1", None).await.next.expect("there is a second page");
    let mut forged = good.clone();
    let last = if forged.pop() == Some('A') { 'B' } else { 'A' };
    forged.push(last);
    let cursors = ["x", "", "AAAA", &forged].map(|cursor| format!("/v1/jobs?cursor={cursor}"));
    for path in &cursors {
        let answer = client.get(path).await;
        assert_eq!(answer.problem(400, "invalid_field")["field"], "cursor", "{path}");
    }
    // A cursor of one listing is none of another.
    let foreign = client.get(&format!("/v1/objects/b?cursor={good}")).await;
    assert_eq!(foreign.problem(400, "invalid_field")["field"], "cursor");
    let other = world.project("other").await;
    let foreign = other.get(&format!("/v1/jobs?cursor={good}")).await;
    assert_eq!(foreign.problem(400, "invalid_field")["field"], "cursor");

    let client = &world.client;
    for (path, field) in [
        ("/v1/jobs?limit=0", "limit"),
        ("/v1/jobs?limit=101", "limit"),
        ("/v1/jobs?limit=many", "limit"),
        ("/v1/jobs?state=asleep", "state"),
        ("/v1/jobs?tag=novalue", "tag"),
        ("/v1/jobs?colour=red", "colour"),
        ("/v1/objects/b?limit=1001", "limit"),
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.problem(400, "invalid_field")["field"], field, "{path}");
    }
    let job =
        client.page("jobs", "limit=1", None).await.items[0]["id"].as_str().unwrap().to_owned();
    for (query, field) in [
        ("output?instance=x", "instance"),
        ("output?attempt=-1", "attempt"),
        ("logs?stream=stdin", "stream"),
        ("logs?follow=maybe", "follow"),
    ] {
        let answer = client.get(&format!("/v1/jobs/{job}/{query}")).await;
        assert_eq!(answer.problem(400, "invalid_field")["field"], field, "{query}");
    }
    client.get(&format!("/v1/jobs/{job}?wait=soon")).await.problem(400, "invalid_field");
    let answer = client.submit_body(&[("command", "x")], "text/plain", "in".into()).await;
    assert_eq!(answer.problem(400, "invalid_field")["field"], "image");
    let answer = client.submit_body(&[("image", "a"), ("cpu", "lots")], "text/plain", "in".into());
    answer.await.problem(400, "invalid_field");
    let answer = client.submit_body(&[("image", "a"), ("hue", "x")], "text/plain", "in".into());
    assert_eq!(answer.await.problem(400, "invalid_field")["field"], "hue");
    assert_eq!(client.list("").await.len(), 2);
}

async fn a_bad_queue_image_or_upload_is_answered_with_its_field(world: &mut World) {
    let client = &world.client;
    for (path, body, field) in [
        ("/v1/queues/q", json!({"limit": 0}), "limit"),
        ("/v1/queues/q", json!({"limit": 1_000_000}), "limit"),
        ("/v1/queues/q", json!({"paused": "yes"}), "paused"),
        ("/v1/queues/q", json!({"length": 1}), "length"),
        ("/v1/images/i", json!({}), "reference"),
        ("/v1/images/i", json!({"reference": "Not One"}), "reference"),
        ("/v1/images/i", json!({"reference": "a", "username": "u"}), "password"),
    ] {
        let answer = client.put(path, &body).await;
        assert_eq!(answer.problem(400, "invalid_field")["field"], field, "{path} {body}");
    }
    for body in
        [json!({"object": "no-key"}), json!({"object": "b/k", "bytes": -1}), json!({"size": 1})]
    {
        client.post("/v1/uploads", &body).await.problem(400, "invalid_field");
    }
    let queues = client.get("/v1/queues").await.expect(200).json();
    assert_eq!(queues["queues"].as_array().unwrap().len(), 1, "{queues}");
    assert_eq!(client.get("/v1/images").await.expect(200).json()["images"], json!([]));
}

async fn what_is_not_there_is_not_found(world: &mut World) {
    let client = &world.client;
    let job = format!("job-{}", "0".repeat(32));
    for path in [
        format!("/v1/jobs/{job}"),
        format!("/v1/jobs/{job}/output"),
        format!("/v1/jobs/{job}/logs"),
        format!("/v1/jobs/{job}/logs?follow=true"),
        "/v1/jobs/job-7".into(),
        "/v1/jobs/..%2f..%2fetc%2fpasswd".into(),
        "/v1/objects/b/k".into(),
        "/v1/objects/b/..%2f..%2fk".into(),
    ] {
        client.get(&path).await.problem(404, "not_found");
    }
    client.delete(&format!("/v1/jobs/{job}")).await.problem(404, "not_found");
    client.cancel(&job).await.problem(404, "not_found");
    for path in ["/", "/v1", "/v2/jobs", "/v1/jobs/", "/v1/nothing", "/..%2f..%2fetc/passwd"] {
        client.get(path).await.problem(404, "no_route");
    }
}

async fn a_path_with_another_method_says_so(world: &mut World) {
    for (method, path) in [
        (Method::PUT, "/v1/jobs"),
        (Method::DELETE, "/v1/queues"),
        (Method::GET, "/v1/tokens"),
        (Method::POST, "/v1/images/x"),
        (Method::PATCH, "/openapi.json"),
    ] {
        let answer = send(world.client.request(method.clone(), path)).await;
        assert_eq!(answer.status, 405, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(!answer.header("allow").is_empty(), "{method} {path}: {answer:?}");
    }
}

//! One client token, one job.

use std::collections::BTreeSet;

use bytes::Bytes;
use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{World, send};

stories! {
    process:
        sixteen_clients_with_one_token_make_one_job,
        sixteen_bodies_with_one_token_make_one_job,
        a_token_belongs_to_its_request,
        a_refused_request_spends_no_token;
    aws:
        sixteen_clients_with_one_token_make_one_job,
        sixteen_bodies_with_one_token_make_one_job,
        a_token_belongs_to_its_request,
        a_refused_request_spends_no_token;
}

async fn sixteen_clients_with_one_token_make_one_job(world: &mut World) {
    let job = Value::from(world.probe("say once"));
    let submit = |_| {
        let request = world.client.request(Method::POST, "/v1/jobs").json(&job);
        send(request.header("idempotency-key", "the-one"))
    };
    let answers = join_all((0..16).map(submit)).await;
    let ids: BTreeSet<_> = answers.iter().map(|answer| answer.header("tarpon-job-id")).collect();
    assert!(answers.iter().all(|answer| [200, 202].contains(&answer.status)), "{answers:?}");
    assert_eq!(ids.len(), 1, "{answers:?}");
    let id = *ids.first().unwrap();
    world.client.finish_as(id, "succeeded").await;
    let late = world.client.request(Method::POST, "/v1/jobs?wait=60").json(&job);
    let late = send(late.header("idempotency-key", "the-one")).await.expect(200);
    assert_eq!(late.header("tarpon-job-id"), id);
    assert_eq!(tests::Archive::read(late.body).stdout(), "once\n");
    assert_eq!(world.client.list("").await.len(), 1);
}

async fn sixteen_bodies_with_one_token_make_one_job(world: &mut World) {
    let words = world.probe("cat").words();
    let mut query = vec![("image", world.image()), ("client_token", "the-one"), ("wait", "60")];
    query.extend(words.iter().map(|word| ("command", word.as_str())));
    let body = Bytes::from(vec![b'x'; 300_000]);
    let submit = |_| world.client.submit_body(&query, "application/octet-stream", body.clone());
    let answers = join_all((0..16).map(submit)).await;
    let ids: BTreeSet<_> = answers.iter().map(|answer| answer.header("tarpon-job-id")).collect();
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(ids.len(), 1);
    assert_eq!(world.client.list("").await.len(), 1);
    let other = world.client.submit_body(&query, "application/octet-stream", "other".into()).await;
    other.problem(409, "client_token_reused");
}

async fn a_token_belongs_to_its_request(world: &mut World) {
    let client = &world.client;
    let job = world.probe("say one").with("client_token", "mine");
    let first = client.submit(job.clone()).await;
    assert_eq!(client.submit(job.clone()).await, first);
    let other = world.probe("say two").with("client_token", "mine");
    client.post("/v1/jobs", &other.into()).await.problem(409, "client_token_reused");
    let both = client.request(Method::POST, "/v1/jobs").json(&Value::from(job));
    let both = send(both.header("idempotency-key", "yours")).await;
    both.problem(400, "invalid_field");
    client.finish_as(&first, "succeeded").await;
    assert_eq!(client.list("").await.len(), 1);
}

async fn a_refused_request_spends_no_token(world: &mut World) {
    let client = &world.client;
    let job = world.probe("say fine").with("client_token", "mine");
    let bad = job.clone().with("outputs", json!(["relative"]));
    client.post("/v1/jobs", &bad.into()).await.problem(400, "invalid_field");
    let id = client.submit(job).await;
    client.finish_as(&id, "succeeded").await;
    for token in ["", "two words", &"x".repeat(65), "ümlaut"] {
        let bad = world.probe("say x").with("client_token", token);
        let answer = client.post("/v1/jobs", &bad.into()).await;
        assert_eq!(answer.problem(400, "invalid_field")["field"], "client_token");
    }
    assert_eq!(client.list("").await.len(), 1);
}

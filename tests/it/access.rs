//! Who may do what, and who sees whose.

use bytes::Bytes;
use reqwest::Method;
use serde_json::json;
use tests::{Credentials, World, send};

stories! {
    process:
        another_projects_things_are_not_there,
        a_key_is_made_shown_once_and_disabled,
        only_a_good_credential_gets_in,
        only_the_operator_makes_projects;
    aws:
        another_projects_things_are_not_there,
        a_key_is_made_shown_once_and_disabled,
        only_a_good_credential_gets_in;
}

async fn another_projects_things_are_not_there(world: &mut World) {
    let other = world.project("other").await;
    let mine = &world.client;
    let job = mine.submit(world.probe("say mine").with("client_token", "same")).await;
    mine.finish_as(&job, "succeeded").await;
    mine.put_object("b/k", Bytes::from_static(b"mine")).await;
    mine.queue("q", json!({})).await;
    mine.put("/v1/images/i", &json!({"reference": "tarpon/hello"})).await.expect(200);
    let page = mine.page("jobs", "limit=1", None).await;
    assert_eq!(page.items.len(), 1);

    for (method, path) in [
        (Method::GET, format!("/v1/jobs/{job}")),
        (Method::GET, format!("/v1/jobs/{job}/output")),
        (Method::HEAD, format!("/v1/jobs/{job}/output")),
        (Method::GET, format!("/v1/jobs/{job}/logs")),
        (Method::GET, format!("/v1/jobs/{job}/logs?follow=true")),
        (Method::POST, format!("/v1/jobs/{job}/cancel")),
        (Method::DELETE, format!("/v1/jobs/{job}")),
        (Method::GET, "/v1/objects/b/k".into()),
        (Method::DELETE, "/v1/images/i".into()),
        (Method::POST, format!("/v1/keys/{}/disable", mine.credentials.key)),
    ] {
        let answer = send(other.request(method.clone(), &path)).await;
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
    }
    // Deleting says nothing on what was there; it takes nothing away either.
    other.delete("/v1/objects/b/k").await;
    assert_eq!(mine.get("/v1/objects/b/k").await.expect(200).body, "mine");

    assert_eq!(other.list("").await.len(), 0);
    let objects = other.get("/v1/objects/b").await.expect(200).json();
    assert_eq!(objects["objects"], json!([]));
    assert_eq!(other.get("/v1/images").await.expect(200).json()["images"], json!([]));
    let queues = other.get("/v1/queues").await.expect(200).json();
    assert!(!queues.to_string().contains("\"q\""), "{queues}");
    let into_mine = other.post("/v1/jobs", &world.probe("say x").with("queue", "q").into()).await;
    assert_eq!(into_mine.problem(400, "invalid_field")["field"], "queue");
    let from_mine = world.probe("cat").with("stdin", json!({"object": "b/k"}));
    let from_mine = other.post("/v1/jobs", &from_mine.into()).await;
    if from_mine.status == 202 {
        other.finish_as(from_mine.header("tarpon-job-id"), "failed").await;
    }
    // A token is a project's own, too.
    let theirs = other.submit(world.probe("say theirs").with("client_token", "same")).await;
    assert_ne!(theirs, job);
    other.finish_as(&theirs, "succeeded").await;
}

async fn a_key_is_made_shown_once_and_disabled(world: &mut World) {
    let client = &world.client;
    let made =
        client.post("/v1/keys", &json!({"note": "for the printer"})).await.expect(201).json();
    let printer = client.as_(Credentials::read(&made));
    let token = printer.token().await;
    printer.get("/v1/jobs").await.expect(200);
    let listed = client.get("/v1/keys").await.expect(200);
    assert!(!listed.text().contains(&printer.credentials.secret), "{}", listed.text());
    assert!(!listed.text().contains(&client.credentials.secret), "{}", listed.text());
    let listed = listed.json();
    assert_eq!(listed["keys"].as_array().unwrap().len(), 2);

    let path = format!("/v1/keys/{}/disable", printer.credentials.key);
    let disabled = client.post(&path, &json!({})).await.expect(200).json();
    assert_eq!(disabled["note"], "for the printer");
    assert!(disabled["disabled_at"].is_string(), "{disabled}");
    client.post(&path, &json!({})).await.expect(200);
    printer.get("/v1/jobs").await.problem(401, "unauthenticated");
    let bearer = client.anonymous(Method::GET, "/v1/jobs").bearer_auth(token);
    send(bearer).await.problem(401, "unauthenticated");
    client.get("/v1/jobs").await.expect(200);
}

async fn only_a_good_credential_gets_in(world: &mut World) {
    let client = &world.client;
    let token = client.token().await;
    let with = |authorization: String| {
        send(client.anonymous(Method::GET, "/v1/jobs").header("authorization", authorization))
    };
    with(format!("Bearer {token}")).await.expect(200);
    with(format!("bearer {token}")).await.expect(200);
    // A token is for asking, not for getting the next one.
    let renewed = client.anonymous(Method::POST, "/v1/tokens").bearer_auth(&token).json(&json!({}));
    send(renewed).await.problem(401, "unauthenticated");

    let other = Credentials {
        secret: client.credentials.secret.replace(char::is_alphanumeric, "A"),
        ..client.credentials.clone()
    };
    let wrong = client.as_(other).get("/v1/jobs").await;
    wrong.problem(401, "unauthenticated");
    assert!(wrong.header("www-authenticate").contains("Basic"), "{wrong:?}");
    send(client.anonymous(Method::GET, "/v1/jobs")).await.problem(401, "unauthenticated");
    for bad in ["", "Basic", "Basic !!!", "Basic YQ==", "Bearer", "Bearer x", "Digest x", "\t"] {
        with(bad.to_owned()).await.problem(401, "unauthenticated");
    }
    // Any one character of it changed, the token is no good.
    let places = (0..token.len()).step_by(token.len().div_ceil(24));
    for place in places {
        let changed = if token.as_bytes()[place] == b'A' { "B" } else { "A" };
        let mut forged = token.clone();
        forged.replace_range(place..=place, changed);
        with(format!("Bearer {forged}")).await.problem(401, "unauthenticated");
    }
    for seconds in [json!(0), json!(59), json!(86_401), json!(-1), json!("60"), json!(1e300)] {
        let answer = client.post("/v1/tokens", &json!({"expires_in": seconds})).await;
        assert_eq!(answer.problem(400, "invalid_field")["field"], "expires_in");
    }
}

async fn only_the_operator_makes_projects(world: &mut World) {
    let answer = world.client.post("/v1/projects", &json!({"name": "mine"})).await;
    answer.problem(403, "forbidden");
    // It works as well while no server runs.
    world.stop();
    let data = world.data().to_string_lossy().into_owned();
    let made = world.tarpon(&["project", "create", "late", "--data", &data]).await.expect(0);
    let late = world.client.as_(Credentials::read(&made.json()));
    world.restart();
    late.get("/v1/jobs").await.expect(200);
}

//! The API describes itself.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use tests::{Runtime, World, send};

stories! {
    process:
        the_description_lists_every_public_route,
        every_route_but_the_open_ones_asks_who_it_is;
    aws:
        the_description_lists_every_public_route,
        every_route_but_the_open_ones_asks_who_it_is;
}

const ROUTES: [(&str, &str); 30] = [
    ("post", "/v1/jobs"),
    ("post", "/v1/jobs/dry-run"),
    ("get", "/v1/jobs"),
    ("get", "/v1/jobs/{job}"),
    ("post", "/v1/jobs/{job}/cancel"),
    ("post", "/v1/jobs/{job}/retry"),
    ("post", "/v1/jobs/bulk"),
    ("delete", "/v1/jobs/{job}"),
    ("get", "/v1/jobs/{job}/output"),
    ("get", "/v1/jobs/{job}/logs"),
    ("post", "/v1/tokens"),
    ("post", "/v1/uploads"),
    ("get", "/v1/objects/{bucket}/{key}"),
    ("get", "/v1/objects/{bucket}"),
    ("delete", "/v1/objects/{bucket}/{key}"),
    ("put", "/v1/queues/{queue}"),
    ("get", "/v1/queues"),
    ("delete", "/v1/queues/{queue}"),
    ("put", "/v1/images/{image}"),
    ("get", "/v1/images"),
    ("delete", "/v1/images/{image}"),
    ("post", "/v1/keys"),
    ("get", "/v1/keys"),
    ("post", "/v1/keys/{key}/disable"),
    ("post", "/v1/projects"),
    ("post", "/v1/attempts/{attempt}/plan"),
    ("post", "/v1/attempts/{attempt}/logs"),
    ("post", "/v1/attempts/{attempt}/upload"),
    ("post", "/v1/attempts/{attempt}/report"),
    ("get", "/healthz"),
];

/// Those that are not for clients, and need not be described.
fn is_public(path: &str) -> bool {
    !path.starts_with("/v1/attempts") && path != "/v1/projects" && path != "/healthz"
}

async fn the_description_lists_every_public_route(world: &mut World) {
    let answer = send(world.client.anonymous(Method::GET, "/openapi.json")).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/json");
    let document = answer.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths = document["paths"].as_object().unwrap();
    let mut told = BTreeSet::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            assert!(operation["summary"].is_string(), "{method} {path} has no summary");
            assert!(operation["responses"].as_object().is_some_and(|all| !all.is_empty()));
            told.insert((method.clone(), path.replace("{*key}", "{key}")));
        }
    }
    for (method, path) in ROUTES.iter().filter(|(_, path)| is_public(path)) {
        assert!(told.contains(&((*method).into(), (*path).into())), "{method} {path} of {told:?}");
    }
    let text = answer.text();
    for reference in references(&document) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere in {text}");
    }
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str).map(str::to_owned);
            fields.values().flat_map(references).chain(own).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

async fn every_route_but_the_open_ones_asks_who_it_is(world: &mut World) {
    let parameters = [
        ("{job}", format!("job-{}", "0".repeat(32))),
        ("{attempt}", format!("att-{}-1-0-0-1", "0".repeat(32))),
        ("{key}", "key".into()),
        ("{bucket}", "b".into()),
        ("{queue}", "q".into()),
        ("{image}", "i".into()),
    ];
    for (method, path) in ROUTES {
        let fill = |path: String, (name, value): &(&str, String)| path.replace(name, value);
        let path = parameters.iter().fold(path.to_owned(), fill);
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
        let answer = send(world.client.anonymous(method.clone(), &path)).await;
        match path.as_str() {
            "/healthz" => assert_eq!(answer.status, 200),
            // Only who may invoke the function makes one there.
            "/v1/projects" if world.runtime == Runtime::Aws => assert_eq!(answer.status, 404),
            "/v1/projects" => assert!([401, 403].contains(&answer.status), "{answer:?}"),
            _ => assert_eq!(answer.status, 401, "{method} {path}: {answer:?}"),
        }
    }
}

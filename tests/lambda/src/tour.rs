//! A way through all functions.

use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Client, Clients, Credentials, send};

use crate::Installation;

/// Has every function invoked, the agent's by a job of each kind.
///
/// # Panics
///
/// If anything is answered in another way than it should be.
pub async fn every_function(installation: &Installation) {
    jobs(installation).await;
    objects(&installation.client).await;
    names(&installation.client).await;
    installation.client.get("/openapi.json").await.expect(200);
    installation.client.get("/healthz").await.expect(200);
    private(installation).await;
    told(installation).await;
    events(installation).await;
    dialects(installation).await;
    installation.sweep().await;
}

async fn jobs(installation: &Installation) {
    let client = &installation.client;
    // Its input is uploaded, its log is followed, its archive is kept, and so are objects.
    client.put_object("data/in", Bytes::from_static(b"some")).await;
    let spec = installation.probe(
        "read /in/a then say hi then sleep 4 then write /out/a x then fill /out/big 4000000",
    );
    let inputs = json!([{ "path": "/in/a", "source": { "object": "data/in" } }]);
    let spec = spec.with("inputs", inputs).with("stdout_to", "data/out").keep("/out");
    let job = installation.submit(spec).await;
    let view = installation.finish(&job).await;
    assert_eq!(view["state"], "succeeded", "{view:#}\n{}", installation.log());
    assert_eq!(client.logs(&job, "?stream=stdout").await, "somehi\n");
    client.archive(&job).await;
    let member = format!("/v1/jobs/{job}/output?member=out/a");
    assert_eq!(client.get(&member).await.expect(200).text(), "x");
    client.list("state=succeeded").await;
    client.delete(&format!("/v1/jobs/{job}")).await;

    let spec = installation.probe("sleep 600");
    let job = installation.submit(spec).await;
    client.cancel(&job).await;
    let view = installation.finish(&job).await;
    assert_eq!(view["state"], "cancelled", "{view:#}");
    let gone = installation.submit(installation.probe("cat").with("stdin", json!({"inline": "x"})));
    let gone = gone.await;
    installation.finish(&gone).await;
    client.delete(&format!("/v1/jobs/{gone}")).await;

    let tried = Value::from(installation.probe("exit 3"));
    client.post("/v1/jobs/dry-run", &tried).await.expect(200);
    let again = installation.submit(installation.probe("exit 3")).await;
    installation.finish(&again).await;
    client.post(&format!("/v1/jobs/{again}/retry"), &json!({})).await.expect(202);
    installation.finish(&again).await;
    for action in ["retry", "cancel", "delete"] {
        let all = json!({ "action": action, "filter": {} });
        client.post("/v1/jobs/bulk", &all).await.expect(200);
        installation.sweep().await;
    }
}

/// A job of an image that takes a password, which is kept where Fargate finds it.
async fn private(installation: &Installation) {
    let image = json!({ "reference": installation.image, "username": "u", "password": "p" });
    let put = installation.client.put("/v1/images/private", &image).await;
    assert!([200, 201].contains(&put.status), "{put:?}");
    let job = installation.submit(installation.probe("say hi").with("image", "private")).await;
    let view = installation.finish(&job).await;
    assert_eq!(view["state"], "succeeded", "{view:#}\n{}", installation.log());
}

/// A job whose caller is told, but is not there.
async fn told(installation: &Installation) {
    let client = &installation.client;
    let callback = json!({ "url": "http://127.0.0.1:1/" });
    let job = installation.submit(installation.probe("say hi").with("callback", callback)).await;
    installation.finish(&job).await;
    installation.invoke("deliver-callback", json!("due")).await.expect("whoever is due is told");
    let attempts = client.get(&format!("/v1/jobs/{job}/attempts")).await.expect(200).json();
    assert_eq!(attempts["attempts"][0]["state"], "succeeded", "{attempts:#}");
    let path = format!("/v1/jobs/{job}/callbacks");
    let callbacks = client.get(&path).await.expect(200).json();
    assert!(callbacks["callbacks"][0]["tries"][0]["error"].is_string(), "{callbacks:#}");
    let id = callbacks["callbacks"][0]["id"].as_str().expect("a callback has an id");
    client.post(&format!("{path}/{id}/redeliver"), &json!({})).await.expect(202);
}

/// Events that jobs are made of, and what they are made by.
async fn events(installation: &Installation) {
    let client = &installation.client;
    let template = json!({ "job": Value::from(installation.probe("say hi")) });
    client.put("/v1/templates/hi", &template).await.expect(201);
    client.get("/v1/templates/hi").await.expect(200);
    client.get("/v1/templates").await.expect(200);
    let trigger = json!({ "on": { "event": { "type": "a" } }, "template": "hi" });
    client.put("/v1/triggers/hi", &trigger).await.expect(201);
    let trigger = json!({ "on": { "object": { "bucket": "data" } }, "template": "hi" });
    client.put("/v1/triggers/objects", &trigger).await.expect(201);
    client.get("/v1/triggers/hi").await.expect(200);
    client.get("/v1/triggers").await.expect(200);

    let event = json!({ "specversion": "1.0", "id": "1", "source": "/tour", "type": "a" });
    let request = client.request(Method::POST, "/v1/events").body(event.to_string());
    let request = request.header("content-type", "application/cloudevents+json");
    let made = send(request).await.expect(200).json();
    let job = made["triggers"][0]["job"].as_str().expect("a job was made");
    let job: Value = client.get(&format!("/v1/jobs/{job}")).await.expect(200).json();
    let (project, job) = (&job["project_id"], &job["id"]);
    installation.finish(job.as_str().expect("a job has an id")).await;
    let created = json!({
        "detail-type": "Object Created", "source": "aws.s3", "time": "2026-11-12T00:00:00Z",
        "detail": { "object": {
            "key": format!("{}/user/data/in", project.as_str().expect("a job has a project")),
            "size": 4, "etag": "b57f9512698f4b09e608f4f2a65852e5", "sequencer": "617f08299329d189",
        } },
    });
    installation.invoke("submit-from-event", created).await.expect("it makes a job");
    let found = client.list("limit=1").await;
    installation.finish(found[0]["id"].as_str().expect("a job has an id")).await;
    for path in ["/v1/triggers/hi", "/v1/triggers/objects", "/v1/templates/hi"] {
        client.delete(path).await.expect(204);
    }
}

/// The clients of other clouds, each at the URL of its dialect.
async fn dialects(installation: &Installation) {
    let client = &installation.client;
    let other = installation.invoke("create-project", json!({ "name": "other" })).await;
    let other = Credentials::read(&other.expect("a project is made"));
    let urls = installation.urls.iter().map(|(name, url)| {
        let name = name.trim_start_matches("dialect-").replace('-', "_").to_uppercase();
        (format!("TARPON_{name}_URL"), url.clone())
    });
    let clients = Clients {
        url: client.base(),
        projects: [&client.credentials, &other],
        probe: installation.probe("").into(),
        more: urls.collect(),
    };
    clients.tell("by_url").await;
}

async fn objects(client: &Client) {
    client.put_object("data/b", Bytes::from_static(b"other")).await;
    client.get("/v1/objects/data/b").await.expect(200);
    send(client.request(Method::HEAD, "/v1/objects/data/b")).await.expect(200);
    client.get("/v1/objects/data?prefix=b").await.expect(200);
    client.get("/v1/objects/data/none").await.expect(404);
    client.delete("/v1/objects/data/b").await.expect(204);
}

async fn names(client: &Client) {
    client.queue("slow", json!({ "limit": 1 })).await;
    client.get("/v1/queues").await.expect(200);
    client.delete("/v1/queues/slow").await.expect(204);
    let image = json!({ "reference": "registry.example.com/a:1" });
    let put = client.put("/v1/images/a", &image).await;
    assert!([200, 201].contains(&put.status), "{put:?}");
    client.get("/v1/images").await.expect(200);
    client.delete("/v1/images/a").await.expect(204);
    client.token().await;
    let key = client.post("/v1/keys", &json!({ "note": "other" })).await;
    assert!([200, 201].contains(&key.status), "{key:?}");
    client.get("/v1/keys").await.expect(200);
    let id = key.json()["access_key_id"].as_str().expect("a key has an id").to_owned();
    let disabled = client.post(&format!("/v1/keys/{id}/disable"), &json!({})).await;
    assert!([200, 204].contains(&disabled.status), "{disabled:?}");
}

//! Templates, and triggers that make jobs of them when something happens.

use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Client, World, send, until};

stories! {
    both:
        a_template_is_a_job_for_each_of_its_parameters,
        an_object_is_processed_as_it_comes;
    docker:
        an_operation_processes_a_picture;
    process:
        an_event_posted_twice_is_one_job,
        an_object_just_written_outlives_a_crash,
        a_template_is_used_from_the_command_line;
    aws:
        a_template_is_a_job_for_each_of_its_parameters,
        an_object_is_processed_as_it_comes,
        an_event_posted_twice_is_one_job;
}

/// A template that says what it is given.
async fn say(world: &World) {
    let mut job: Value = world.probe_words(&["say", "${words}"]).into();
    job["tags"] = json!({"of": "a template"});
    let words = json!({"type": "string", "max_length": 20});
    let template = json!({"parameters": {"words": words}, "job": job});
    world.client.put("/v1/templates/say", &template).await.expect(201);
}

async fn a_template_is_a_job_for_each_of_its_parameters(world: &mut World) {
    say(world).await;
    for words in ["hello", "${words} and \"more\""] {
        let job = json!({"template": "say", "parameters": {"words": words}, "name": "x"});
        let (view, archive) = world.client.run(job).await;
        assert_eq!((&view["name"], &view["tags"]["of"]), (&json!("x"), &json!("a template")));
        assert_eq!(archive.stdout(), format!("{words}\n"));
    }
    let long = json!({"template": "say", "parameters": {"words": "x".repeat(21)}});
    let refused = world.client.post("/v1/jobs", &long).await.problem(400, "invalid_field");
    assert_eq!(refused["field"], "parameters.words");
    world.client.delete("/v1/templates/say").await.expect(204);
    let again = json!({"template": "say", "parameters": {"words": "x"}});
    world.client.post("/v1/jobs", &again).await.problem(400, "invalid_field");
}

/// A template that copies an object to its output, and a trigger for each
/// text in a bucket.
async fn copy(world: &World) {
    let mut job: Value = world.probe("cat").into();
    job["stdin"] = json!({"object": "${object}"});
    let template = json!({"parameters": {"object": {"type": "string"}}, "job": job});
    world.client.put("/v1/templates/copy", &template).await.expect(201);
    let trigger = json!({
        "on": {"object": {"bucket": "box", "glob": "in/**/*.txt"}}, "template": "copy",
        "parameters": {"object": "${event.data.object}"}, "job": {"name": "${event.subject}"},
    });
    world.client.put("/v1/triggers/copy", &trigger).await.expect(201);
}

/// The job of an object.
async fn job_of(client: &Client, key: &str) -> String {
    until("the object has its job", async || {
        let all = client.list("limit=100").await;
        let found = all.iter().find(|job| job["name"] == key)?;
        found["id"].as_str().map(str::to_owned)
    })
    .await
}

async fn an_object_is_processed_as_it_comes(world: &mut World) {
    let client = &world.client;
    copy(world).await;
    client.put_object("box/in/no.bin", Bytes::from_static(b"not for us")).await;
    client.put_object("box/in/a/b.txt", Bytes::from_static(b"for us\n")).await;
    let job = job_of(client, "in/a/b.txt").await;
    client.finish_as(&job, "succeeded").await;
    assert_eq!(client.archive(&job).await.stdout(), "for us\n");
    let trigger = client.get("/v1/triggers/copy").await.expect(200).json();
    assert_eq!(trigger["last_fired"]["job"], job.as_str());
    assert_eq!(client.list("limit=100").await.len(), 1);
}

async fn an_object_just_written_outlives_a_crash(world: &mut World) {
    copy(world).await;
    for round in 0..3 {
        let key = format!("in/{round}.txt");
        world.client.put_object(&format!("box/{key}"), Bytes::from(key.clone())).await;
        world.kill9();
        world.restart();
        let job = job_of(&world.client, &key).await;
        world.client.finish_as(&job, "succeeded").await;
        assert_eq!(world.client.archive(&job).await.stdout(), key);
    }
    assert_eq!(world.client.list("limit=100").await.len(), 3);
}

async fn an_event_posted_twice_is_one_job(world: &mut World) {
    say(world).await;
    let trigger = json!({
        "on": {"event": {"type": "order.*"}}, "template": "say",
        "parameters": {"words": "${event.data.order}"},
    });
    world.client.put("/v1/triggers/orders", &trigger).await.expect(201);
    let post = async || {
        let request = world.client.request(Method::POST, "/v1/events");
        let request = request.header("ce-specversion", "1.0").header("ce-id", "1");
        let request = request.header("ce-type", "order.paid").header("ce-source", "/shop");
        send(request.json(&json!({"order": "A-7"}))).await.expect(200).json()
    };
    let first = post().await;
    assert_eq!(post().await, first);
    let job = first["triggers"][0]["job"].as_str().unwrap();
    world.client.finish_as(job, "succeeded").await;
    assert_eq!(world.client.archive(job).await.stdout(), "A-7\n");
    assert_eq!(world.client.list("limit=100").await.len(), 1);
}

async fn an_operation_processes_a_picture(world: &mut World) {
    let client = &world.client;
    let picture = include_bytes!("../data/chelsea.jpg");
    client.put_object("photos/chelsea.jpg", Bytes::from_static(picture)).await;
    let rules = "imageMogr2/thumbnail/100x/format/png";
    let parameters = json!({"input": "photos/chelsea.jpg", "rules": rules});
    let job = json!({"template": "PicProcess", "parameters": parameters});
    let (view, archive) = client.run(job).await;
    assert_eq!(view["state"], "succeeded", "{view:#}");
    let info: Value = serde_json::from_slice(archive.file("out/info.json")).unwrap();
    assert_eq!((&info["result"]["width"], &info["result"]["format"]), (&json!(100), &json!("PNG")));
    assert!(archive.file("out/picture").starts_with(b"\x89PNG"));
}

async fn a_template_is_used_from_the_command_line(world: &mut World) {
    let mut job: Value = world.probe_words(&["say", "${words}"]).into();
    job["timeout_seconds"] = json!("${seconds}");
    let words = json!({"type": "list", "min_items": 1});
    let seconds = json!({"type": "integer", "default": 60});
    let template = json!({"parameters": {"words": words, "seconds": seconds}, "job": job});
    let file = world.data().join("template.json");
    std::fs::write(&file, template.to_string()).unwrap();
    let file = file.to_string_lossy().into_owned();
    world.tarpon(&["templates", "put", "say", &file]).await.expect(0);
    let words = ["submit", "--template", "say", "-p", "words=a b", "-p", "seconds=30", "--wait"];
    world.tarpon(&words).await.expect(0);
    let shown = world.tarpon(&["templates", "show", "say", "--json"]).await.expect(0).json();
    assert_eq!(shown["parameters"]["seconds"]["default"], 60);
    let listed = world.tarpon(&["templates"]).await.expect(0);
    assert!(listed.text().contains("PicProcess"), "{}", listed.text());
    world.tarpon(&["templates", "rm", "say"]).await.expect(0);
}

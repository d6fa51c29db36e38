//! Objects that jobs write, and read from each other.

use bytes::Bytes;
use serde_json::{Value, json};
use tests::{Client, World, pattern_sha256, sha256, until};

stories! {
    both:
        what_a_job_leaves_becomes_objects_and_stays_in_its_archive,
        an_object_that_a_job_writes_sets_off_the_next,
        every_instance_has_objects_of_its_own,
        a_result_that_is_not_there_fails_the_job;
    process:
        an_object_replaces_the_one_before_it,
        where_outputs_go_is_said_on_the_command_line;
    aws:
        what_a_job_leaves_becomes_objects_and_stays_in_its_archive,
        every_instance_has_objects_of_its_own,
        a_result_that_is_not_there_fails_the_job,
        an_object_replaces_the_one_before_it;
}

/// What is stored under a name.
async fn object(client: &Client, name: &str) -> Bytes {
    client.get(&format!("/v1/objects/{name}")).await.expect(200).body
}

/// The keys in a bucket, in order.
async fn keys(client: &Client, bucket: &str) -> Vec<String> {
    let page = client.get(&format!("/v1/objects/{bucket}")).await.expect(200).json();
    let objects = page["objects"].as_array().unwrap().iter();
    objects.map(|object| object["key"].as_str().unwrap().to_owned()).collect()
}

async fn what_a_job_leaves_becomes_objects_and_stays_in_its_archive(world: &mut World) {
    const BYTES: u64 = 3_000_000;
    let place = |name: &str| world.place(name);
    let steps = format!(
        "say hello then say aside --stderr then write {} one then fill {} {BYTES} \
         then write {} deep then link deep.txt {} then write {} two",
        place("out/single"),
        place("out/large"),
        place("out/dir/er/deep.txt"),
        place("out/dir/er/link"),
        place("out/a.csv"),
    );
    let outputs = json!([
        {"path": place("out/single"), "to": "made/single"},
        {"path": place("out/large"), "to": "made/large"},
        {"path": place("out/dir"), "to": "made/dir/"},
        {"path": place("out/*.csv"), "to": "made/csv/"},
        {"path": place("out/*.none"), "to": "made/none/"},
    ]);
    let job = world
        .probe(&steps)
        .with("outputs", outputs)
        .with("stdout_to", "logs/out.txt")
        .with("stderr_to", "logs/err.txt");

    let (view, archive) = world.client.run(job).await;

    assert_eq!(view["state"], "succeeded", "{view:#}");
    let client = &world.client;
    assert_eq!(keys(client, "logs").await, ["err.txt", "out.txt"]);
    assert_eq!(keys(client, "made").await, ["csv/a.csv", "dir/er/deep.txt", "large", "single"]);
    for (name, text) in [
        ("logs/out.txt", "hello\n"),
        ("logs/err.txt", "aside\n"),
        ("made/single", "one"),
        ("made/dir/er/deep.txt", "deep"),
        ("made/csv/a.csv", "two"),
    ] {
        assert_eq!(object(client, name).await, text, "{name}");
    }
    let large = object(client, "made/large").await;
    assert_eq!(sha256(&large), pattern_sha256(BYTES));
    assert_eq!(archive.text(&world.place("out/single")), "one");
    assert_eq!(archive.file(&world.place("out/large")), large);
    assert!(view["usage"]["output_bytes"].as_u64() > Some(2 * BYTES), "{view}");
}

async fn an_object_that_a_job_writes_sets_off_the_next(world: &mut World) {
    let client = &world.client;
    let mut job: Value = world.probe("cat").into();
    job["stdin"] = json!({"object": "${object}"});
    let template = json!({"parameters": {"object": {"type": "string"}}, "job": job});
    client.put("/v1/templates/next", &template).await.expect(201);
    let trigger = json!({
        "on": {"object": {"bucket": "made", "glob": "*.txt"}}, "template": "next",
        "parameters": {"object": "${event.data.object}"}, "job": {"name": "next"},
    });
    client.put("/v1/triggers/next", &trigger).await.expect(201);

    let first = world.probe("say handed-on").with("stdout_to", "made/a.txt");
    let first = client.submit(first).await;
    client.finish_as(&first, "succeeded").await;

    let next = until("the object has its job", async || {
        let all = client.list("limit=100").await;
        let found = all.iter().find(|job| job["name"] == "next")?;
        found["id"].as_str().map(str::to_owned)
    });
    let next = next.await;
    client.finish_as(&next, "succeeded").await;
    assert_eq!(client.archive(&next).await.stdout(), "handed-on\n");
}

async fn every_instance_has_objects_of_its_own(world: &mut World) {
    let client = &world.client;
    let job = world.probe("say hello").with("instances", 3);
    let refused = client.post("/v1/jobs", &job.clone().with("stdout_to", "b/x").into()).await;
    assert_eq!(refused.problem(400, "invalid_field")["field"], "stdout_to");
    let id = client.submit(job.with("stdout_to", "b/{instance}/out")).await;
    client.finish_as(&id, "succeeded").await;
    assert_eq!(keys(client, "b").await, ["0/out", "1/out", "2/out"]);
}

async fn a_result_that_is_not_there_fails_the_job(world: &mut World) {
    let client = &world.client;
    let (gone, folder) = (world.place("out/gone"), world.place("out"));
    for (path, why) in [(&gone, "no such file or directory"), (&folder, "it is a folder")] {
        let steps = format!("write {} x then say done", world.place("out/other"));
        let outputs = json!([{"path": path, "to": "b/result"}]);
        let job = world.probe(&steps).with("outputs", outputs).with("stdout_to", "b/out");
        let (view, archive) = client.run(job).await;
        assert_eq!((&view["state"], &view["cause"]), (&json!("failed"), &json!("output_failed")));
        assert_eq!(archive.stdout(), "done\n");
        let id = view["id"].as_str().unwrap();
        let attempts = client.get(&format!("/v1/jobs/{id}/attempts")).await.expect(200).json();
        let message = attempts["attempts"][0]["message"].as_str().unwrap().to_owned();
        assert!(message.starts_with(&format!("output {path}: {why}")), "{message}");
    }
}

async fn an_object_replaces_the_one_before_it(world: &mut World) {
    let client = &world.client;
    client.put_object("b/k", Bytes::from_static(b"before")).await;
    let job = world.probe("say after").with("stdout_to", "b/k");
    let (view, _) = client.run(job).await;
    assert_eq!(view["state"], "succeeded", "{view:#}");
    assert_eq!(object(client, "b/k").await, "after\n");
    // What a failed process said is wanted all the more.
    let job = world.probe("say why then exit 3").with("stdout_to", "b/k");
    let (view, _) = client.run(job).await;
    assert_eq!(view["cause"], "exited");
    assert_eq!(object(client, "b/k").await, "why\n");
}

async fn where_outputs_go_is_said_on_the_command_line(world: &mut World) {
    let (one, folder) = (world.place("out/one"), world.place("out/dir"));
    let steps = format!("say hello then write {one} 1 then write {folder}/two 2");
    let words = world.probe(&steps).words();
    let (one, folder) = (format!("{one}=made/one"), format!("{folder}=made/dir/"));
    let mut line = vec!["submit", world.image(), "--wait", "--stdout-to", "made/log"];
    line.extend(["--output", &one, "--output", &folder, "--"]);
    line.extend(words.iter().map(String::as_str));
    world.tarpon(&line).await.expect(0);
    assert_eq!(keys(&world.client, "made").await, ["dir/two", "log", "one"]);
    assert_eq!(object(&world.client, "made/log").await, "hello\n");
}

//! What a job is given: standard input, files, environment.

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::json;
use tests::{Archive, Client, World, pattern_sha256, sha256, write_pattern};

stories! {
    both:
        standard_input_is_text_bytes_an_object_or_an_upload,
        without_standard_input_there_is_none,
        files_are_in_place_before_the_process_starts,
        a_folder_of_objects_has_what_an_earlier_task_has_put_there,
        a_task_is_given_what_an_earlier_one_has_left,
        what_an_earlier_task_has_not_left_is_named,
        an_input_that_is_not_there_is_said_to_be_missing,
        secrets_are_given_to_the_process_and_shown_to_nobody,
        sixty_four_mebibytes_go_in_and_come_out;
    aws:
        standard_input_is_text_bytes_an_object_or_an_upload,
        without_standard_input_there_is_none,
        files_are_in_place_before_the_process_starts,
        a_folder_of_objects_has_what_an_earlier_task_has_put_there,
        a_task_is_given_what_an_earlier_one_has_left,
        what_an_earlier_task_has_not_left_is_named,
        an_input_that_is_not_there_is_said_to_be_missing,
        secrets_are_given_to_the_process_and_shown_to_nobody;
}

async fn standard_input_is_text_bytes_an_object_or_an_upload(world: &mut World) {
    let client = &world.client;
    client.put_object("pets/cat", Bytes::from_static(b"meow")).await;
    let upload = client.post("/v1/uploads", &json!({})).await.expect(201).json();
    client.upload(&upload, Bytes::from_static(b"moo")).await;

    for (source, wanted) in [
        (json!({"inline": "plain text\n"}), &b"plain text\n"[..]),
        (json!({"base64": BASE64.encode(b"\xff\x00")}), b"\xff\x00"),
        (json!({"object": "pets/cat"}), b"meow"),
        (json!({"upload": upload["upload_id"]}), b"moo"),
    ] {
        let (view, archive) = client.run(world.probe("cat").with("stdin", source)).await;
        assert_eq!(view["state"], "succeeded", "{view:#}");
        assert_eq!(archive.file("Stdout"), wanted);
    }
}

async fn without_standard_input_there_is_none(world: &mut World) {
    let (view, archive) = world.client.run(world.probe("cat")).await;
    assert_eq!((view["state"].as_str(), archive.stdout()), (Some("succeeded"), ""));
}

async fn files_are_in_place_before_the_process_starts(world: &mut World) {
    world.client.put_object("b/k", Bytes::from_static(b"from an object\n")).await;
    let (first, second) = (world.place("in/deep/first"), world.place("in/second"));
    let steps = format!("read {first} then mode {first} then read {second} then mode {second}");
    let job = world.probe(&steps).with(
        "inputs",
        json!([
            {"path": first, "source": {"inline": "from text\n"}},
            {"path": second, "source": {"object": "b/k"}, "mode": "0750"},
        ]),
    );

    let (view, archive) = world.client.run(job).await;

    assert_eq!(view["state"], "succeeded", "{view:#}\n{}", archive.stderr());
    assert_eq!(archive.stdout(), "from text\n0644\nfrom an object\n0750\n");
    assert!(view["usage"]["input_bytes"].as_u64() >= Some(24), "{view}");
}

async fn a_folder_of_objects_has_what_an_earlier_task_has_put_there(world: &mut World) {
    let client = &world.client;
    client.put_object("b/in/by/hand", Bytes::from_static(b"by hand\n")).await;
    let (made, folder, none) = (world.place("made"), world.place("in"), world.place("none"));
    let first = world
        .probe(&format!("write {made}/deep/er by-task"))
        .with("outputs", json!([{"path": made, "to": "b/in/"}]))
        .task("first");
    let steps = format!("read {folder}/by/hand then read {folder}/deep/er then mode {none}");
    let second = world
        .probe(&steps)
        .with("after", json!([{"task": "first"}]))
        .with(
            "inputs",
            json!([
                {"path": folder, "source": {"folder": "b/in/"}},
                {"path": none, "source": {"folder": "b/none/"}},
            ]),
        )
        .task("second");
    let id = client.submit(json!({"tasks": [second, first]})).await;
    client.finish_as(&id, "succeeded").await;
    assert_eq!(left(client, &id, "second").await.stdout(), "by hand\nby-task0755\n");
}

/// What a task of the job has left.
async fn left(client: &Client, job: &str, task: &str) -> Archive {
    let path = format!("/v1/jobs/{job}/output?task={task}");
    Archive::read(client.get(&path).await.expect(200).body)
}

async fn a_task_is_given_what_an_earlier_one_has_left(world: &mut World) {
    const BYTES: u64 = 3_000_000;
    let client = &world.client;
    let out = world.place("out");
    let first = world
        .probe(&format!("say hello then write {out}/small x then fill {out}/large {BYTES}"))
        .keep(&out)
        .task("first");
    let between = world.probe("say hi").with("after", json!([{"task": "first"}])).task("between");
    let [small, large, whole] = ["in/small", "in/large", "in/whole"].map(|name| world.place(name));
    let last = world
        .probe(&format!("cat then read {small} then read {large} then read {whole} --stderr"))
        .with("after", json!([{"task": "between"}]))
        .with("stdin", json!({"task": {"name": "first", "member": "Stdout"}}))
        .with(
            "inputs",
            json!([
                {"path": small, "source": {"task": {"name": "first", "member": format!("{out}/small")}}},
                {"path": large, "source": {"task": {"name": "first", "member": format!("{out}/large")}}},
                {"path": whole, "source": {"task": {"name": "first"}}},
            ]),
        )
        .task("last");
    let id = client.submit(json!({"tasks": [first, between, last]})).await;
    client.finish_as(&id, "succeeded").await;
    let last = left(client, &id, "last").await;
    let (said, pattern) = last.file("Stdout").split_at(7);
    assert_eq!(said, b"hello\nx");
    assert_eq!(sha256(pattern), pattern_sha256(BYTES));
    let whole = Archive::read(Bytes::copy_from_slice(last.file("Stderr")));
    assert_eq!(whole.members, left(client, &id, "first").await.members);
}

async fn what_an_earlier_task_has_not_left_is_named(world: &mut World) {
    let client = &world.client;
    let first = world.probe("say hello").task("first");
    let last = world
        .probe("cat")
        .with("after", json!([{"task": "first"}]))
        .with("stdin", json!({"task": {"name": "first", "member": "out/none"}}))
        .task("last");
    let id = client.submit(json!({"tasks": [first, last]})).await;
    let view = client.finish_as(&id, "partly_failed").await;
    assert_eq!(view["tasks"][1]["causes"], json!({"input_failed": 1}), "{view:#}");
    let attempts = client.get(&format!("/v1/jobs/{id}/attempts")).await.expect(200).json();
    let message = &attempts["attempts"][1]["message"];
    assert_eq!(message, "stdin: task `first` has left no `out/none`", "{attempts:#}");

    let beside =
        world.probe("cat").with("stdin", json!({"task": {"name": "first"}})).task("beside");
    let job = json!({"tasks": [world.probe("say x").task("first"), beside]});
    let refused = client.post("/v1/jobs", &job).await.problem(400, "invalid_field");
    assert_eq!(refused["field"], "tasks[1].stdin.task.name");
}

async fn an_input_that_is_not_there_is_said_to_be_missing(world: &mut World) {
    let client = &world.client;
    let gone = world.probe("say never").with("stdin", json!({"object": "b/gone"}));
    let answer = client.post("/v1/jobs", &gone.into()).await;
    // At once, or once it is needed; never by running without.
    if answer.status == 202 {
        let view = client.finish_as(answer.header("tarpon-job-id"), "failed").await;
        assert_eq!(view["cause"], "input_failed", "{view:#}");
    } else {
        assert_eq!(answer.problem(400, "invalid_field")["field"], "stdin");
    }
}

async fn secrets_are_given_to_the_process_and_shown_to_nobody(world: &mut World) {
    let client = &world.client;
    let secret = "hunter2-and-then-some";
    let job = world
        .probe("env")
        .with("env", json!({"SEEN": "yes", "EMPTY": ""}))
        .with("secret_env", json!({"PASSWORD": secret}));

    let accepted = client.post("/v1/jobs", &job.into()).await.expect(202);
    let id = accepted.header("tarpon-job-id").to_owned();
    client.finish_as(&id, "succeeded").await;
    let archive = client.archive(&id).await;

    let told: Vec<&str> = archive.stdout().lines().collect();
    for wanted in ["SEEN=yes", "EMPTY=", &format!("PASSWORD={secret}")] {
        assert!(told.contains(&wanted), "no {wanted} in {told:?}");
    }
    // The agent's credential is the agent's.
    assert!(!told.iter().any(|line| line.starts_with("TARPON_TOKEN")), "{told:?}");
    let listed = client.get("/v1/jobs").await.expect(200);
    let shown = client.get(&format!("/v1/jobs/{id}")).await.expect(200);
    for answer in [accepted, listed, shown] {
        assert!(!answer.text().contains(secret), "{}", answer.text());
    }
    assert!(!archive.manifest.to_string().contains(secret));
    assert!(!world.log().contains(secret), "it is in the server's log");
}

async fn sixty_four_mebibytes_go_in_and_come_out(world: &mut World) {
    const BYTES: u64 = 64 << 20;
    let mut body = Vec::new();
    write_pattern(BYTES, &mut body).unwrap();
    let job = world.probe("cat");
    let words = job.words();
    let mut query = vec![("image", world.image()), ("cpu", "2"), ("wait", "60")];
    query.extend(words.iter().map(|word| ("command", word.as_str())));

    let answer = world.client.submit_body(&query, "image/png", body.into()).await.expect(200);

    assert_eq!(answer.header("tarpon-job-state"), "succeeded");
    // Taken apart by hand: `Archive` looks at every byte several times.
    let id = answer.header("tarpon-job-id");
    let stdout = world.client.get(&format!("/v1/jobs/{id}/output?member=Stdout")).await.expect(200);
    assert_eq!(stdout.body.len() as u64, BYTES);
    assert_eq!(sha256(&stdout.body), pattern_sha256(BYTES));
}

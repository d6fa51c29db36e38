//! The first things that a new user does.

use bytes::Bytes;
use serde_json::json;
use tests::{Archive, MemberKind, World, until};

stories! {
    both:
        a_posted_body_comes_back_as_one_tar,
        a_job_is_accepted_then_asked_for_then_fetched,
        outputs_are_files_folders_links_and_patterns,
        a_wait_that_is_too_short_is_answered_with_the_job,
        a_failed_job_brings_home_what_it_has;
    aws:
        a_posted_body_comes_back_as_one_tar,
        a_job_is_accepted_then_asked_for_then_fetched,
        outputs_are_files_folders_links_and_patterns,
        a_wait_that_is_too_short_is_answered_with_the_job,
        a_failed_job_brings_home_what_it_has;
}

async fn a_posted_body_comes_back_as_one_tar(world: &mut World) {
    let kept = world.place("out/kept");
    let job = world.probe(&format!("keep {kept} then say done then say aside --stderr"));
    let words = job.words();
    let mut query = vec![("image", world.image()), ("output", &kept), ("wait", "60")];
    query.extend(words.iter().map(|word| ("command", word.as_str())));
    let body = Bytes::from_static(b"\x00\xffanything at all\n");

    let answer = world.client.submit_body(&query, "application/octet-stream", body.clone()).await;

    let answer = answer.expect(200);
    assert_eq!(answer.header("content-type"), "application/x-tar");
    assert_eq!(answer.header("tarpon-job-state"), "succeeded");
    assert_eq!(answer.header("tarpon-exit-code"), "0");
    let job = answer.header("tarpon-job-id").to_owned();
    let archive = Archive::read(answer.body);
    assert_eq!(archive.stdout(), "done\n");
    assert_eq!(archive.stderr(), "aside\n");
    assert_eq!(archive.file(&kept), body);
    assert_eq!(archive.outputs(), [kept.trim_start_matches('/')]);
    assert_eq!(world.client.job(&job).await["state"], "succeeded");
}

async fn a_job_is_accepted_then_asked_for_then_fetched(world: &mut World) {
    let client = &world.client;
    let spec = world.probe("say hello").with("name", "first").with("tags", json!({"of": "mine"}));
    client.queue("slow", json!({"paused": true})).await;
    let job = client.submit(spec.with("queue", "slow")).await;

    let view = client.job(&job).await;
    assert_eq!(view["state"], "queued");
    assert_eq!(view["name"], "first");
    assert_eq!(view["tags"], json!({"of": "mine"}));
    assert_eq!(view["project_id"], client.credentials.project.as_str());
    assert_eq!(view["tasks"][0]["name"], "main");
    assert_eq!(view["links"]["self"], format!("/v1/jobs/{job}"));
    let output = format!("/v1/jobs/{job}/output");
    client.get(&output).await.problem(409, "not_finished");
    client.delete(&format!("/v1/jobs/{job}")).await.problem(409, "not_finished");

    client.queue("slow", json!({"paused": false})).await;
    let view = client.finish_as(&job, "succeeded").await;
    assert_eq!(view["exit_code"], 0);
    assert_eq!(view["run"], 1);
    assert!(view.get("cause").is_none(), "{view}");
    assert_eq!(view["tasks"][0]["instances"]["succeeded"], 1);
    let time = |name: &str| view[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert!(time("created_at") <= time("started_at") && time("started_at") <= time("ended_at"));
    assert!(view["usage"]["output_bytes"].as_u64().unwrap() > 0, "{view}");
    let archive = client.archive(&job).await;
    assert_eq!(archive.stdout(), "hello\n");
    assert_eq!(archive.stderr(), "");

    assert_eq!(client.list("tag=of=mine").await.len(), 1);
    assert_eq!(client.list("tag=of=yours").await.len(), 0);
    client.delete(&format!("/v1/jobs/{job}")).await.expect(204);
    client.get(&format!("/v1/jobs/{job}")).await.problem(404, "not_found");
    client.get(&output).await.problem(404, "not_found");
    assert_eq!(client.list("").await.len(), 0);
    let stored =
        until("its archive is removed", async || (world.stored_files() == 0).then_some(()));
    stored.await;
}

async fn outputs_are_files_folders_links_and_patterns(world: &mut World) {
    let place = |name: &str| world.place(name);
    let steps = format!(
        "write {} one then write {} two then write {} three then write {} four \
         then link a.txt {} then pipe {} then write {} five",
        place("out/a.txt"),
        place("out/deep/er/b.txt"),
        place("log/x.log"),
        place("log/y.txt"),
        place("out/link"),
        place("out/pipe"),
        place("single"),
    );
    let job = world
        .probe(&steps)
        .keep(&place("out"))
        .keep(&place("log/*.log"))
        .keep(&place("single"))
        .keep(&place("never"));

    let (view, archive) = world.client.run(job).await;

    assert_eq!(view["state"], "succeeded", "{view:#}");
    assert_eq!(archive.text(&place("out/a.txt")), "one");
    assert_eq!(archive.text(&place("out/deep/er/b.txt")), "two");
    assert_eq!(archive.text(&place("log/x.log")), "three");
    assert_eq!(archive.text(&place("single")), "five");
    let link = &archive.members[place("out/link").trim_start_matches('/')];
    assert_eq!(link.kind, MemberKind::Symlink("a.txt".into()));
    let named = |name: &str| archive.names.iter().any(|member| member.ends_with(name));
    assert!(named("deep/er/") && !named("y.txt") && !named("pipe"), "{:?}", archive.names);
    let notes = archive.manifest["notes"].as_array().unwrap();
    let noted = |path: &str, what: &str| {
        notes.iter().any(|note| note["path"] == place(path) && note["what"] == what)
    };
    assert!(noted("never", "missing") && noted("out/pipe", "fifo"), "{notes:?}");
}

async fn a_wait_that_is_too_short_is_answered_with_the_job(world: &mut World) {
    let job: serde_json::Value = world.probe("sleep 3").into();
    let request = world.client.request(reqwest::Method::POST, "/v1/jobs").json(&job);

    let answer = tests::send(request.header("prefer", "respond-async, wait=1")).await.expect(202);

    let view = answer.json();
    assert!(!tests::is_over(&view), "{view}");
    world.client.finish_as(answer.header("tarpon-job-id"), "succeeded").await;
}

async fn a_failed_job_brings_home_what_it_has(world: &mut World) {
    let made = world.place("out/made");
    let job = world
        .probe(&format!("say begun then write {made} half then say broken --stderr then exit 3"))
        .keep(&world.place("out"));
    let mut job = serde_json::Value::from(job);
    job["name"] = json!("three");

    let answer = world.client.post("/v1/jobs?wait=60", &job).await.expect(200);

    assert_eq!(answer.header("tarpon-job-state"), "failed");
    assert_eq!(answer.header("tarpon-exit-code"), "3");
    let view = world.client.job(answer.header("tarpon-job-id")).await;
    assert_eq!(view["exit_code"], 3);
    assert_eq!(view["cause"], "exited");
    assert_eq!(view["retryable"], true);
    let archive = Archive::read(answer.body);
    assert_eq!((archive.stdout(), archive.stderr()), ("begun\n", "broken\n"));
    assert_eq!(archive.text(&made), "half");
    assert_eq!(archive.manifest["exit"], json!({"code": 3}));
}

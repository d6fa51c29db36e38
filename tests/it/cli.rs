//! The command line, against a real server.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tests::{World, until};

stories! {
    both:
        run_prints_and_fetches_and_exits_as_the_job_did,
        submit_wait_show_logs_output_tell_of_one_job,
        ctrl_c_cancels_and_still_fetches;
    process:
        jobs_are_listed_and_cancelled_and_deleted,
        queues_images_objects_and_keys_are_managed,
        what_goes_wrong_is_said_on_standard_error,
        a_server_on_this_machine_is_found_by_its_data_directory;
    aws:
        run_prints_and_fetches_and_exits_as_the_job_did,
        submit_wait_show_logs_output_tell_of_one_job,
        jobs_are_listed_and_cancelled_and_deleted,
        queues_images_objects_and_keys_are_managed,
        ctrl_c_cancels_and_still_fetches;
}

/// The command line of a job that takes these steps.
fn job<'a>(image: &'a str, before: &[&'a str], words: &'a [String]) -> Vec<&'a str> {
    let words = words.iter().map(String::as_str);
    before.iter().copied().chain([image, "--"]).chain(words).collect()
}

async fn run_prints_and_fetches_and_exits_as_the_job_did(world: &mut World) {
    let out = world.place("out/result");
    let steps = format!("keep {out} then say to-stdout then say to-stderr --stderr then exit 42");
    let words = world.probe(&steps).words();
    let here = world.beside("fetched");
    std::fs::create_dir_all(&here).unwrap();
    let into = here.to_string_lossy();
    let before = ["run", "--stdin", "-", "--output", &out, "--into", &into];

    let said = world
        .tarpon_given(&job(world.image(), &before, &words), b"from our stdin")
        .await
        .expect(42);

    assert_eq!(said.text(), "to-stdout\n");
    assert!(said.stderr.contains("to-stderr\n"), "{}", said.stderr);
    assert_eq!(std::fs::read_to_string(here.join("result")).unwrap(), "from our stdin");
    let quiet = world
        .tarpon(&job(world.image(), &["run", "--quiet"], &world.probe("say only").words()))
        .await;
    let quiet = quiet.expect(0);
    assert_eq!((quiet.text(), quiet.stderr.as_str()), ("only\n", ""));
}

async fn submit_wait_show_logs_output_tell_of_one_job(world: &mut World) {
    let out = world.place("out/file");
    let words = world
        .probe(&format!("write {out} kept then say hi then say oh --stderr then exit 3"))
        .words();
    let before = ["submit", "--name", "mine", "--tag", "a=b", "--output", &out];
    let submitted = world.tarpon(&job(world.image(), &before, &words)).await.expect(0);
    let id = submitted.text().trim().to_owned();
    assert!(id.starts_with("job-") && id.len() == 36, "{id}");

    world.tarpon(&["wait", &id]).await.expect(3);
    let shown = world.tarpon(&["show", &id, "--json"]).await.expect(0).json();
    assert_eq!(shown, world.client.job(&id).await);
    let told = world.tarpon(&["show", &id]).await.expect(0);
    assert!(told.text().contains("mine") && told.text().contains("failed"), "{}", told.text());

    let logs = world.tarpon(&["logs", &id]).await.expect(0);
    assert_eq!((logs.text(), logs.stderr.as_str()), ("hi\n", "oh\n"));
    let archive = world.tarpon(&["output", &id, "-o", "-"]).await.expect(0);
    let archive = tests::Archive::read(archive.stdout.into());
    assert_eq!(archive.text(&out), "kept");
    let member = world.tarpon(&["output", &id, "--member", &out, "-o", "-"]).await.expect(0);
    assert_eq!(member.text(), "kept");
    let folder = world.beside("unpacked");
    world.tarpon(&["output", &id, "--extract", &folder.to_string_lossy()]).await.expect(0);
    assert_eq!(std::fs::read_to_string(folder.join("Stderr")).unwrap(), "oh\n");
    let unpacked = folder.join(out.trim_start_matches('/'));
    assert_eq!(std::fs::read_to_string(unpacked).unwrap(), "kept");
}

async fn ctrl_c_cancels_and_still_fetches(world: &mut World) {
    let trapped = world.place("out/trapped");
    let words = world.probe(&format!("trap {trapped}")).words();
    let here = world.beside("fetched");
    std::fs::create_dir_all(&here).unwrap();
    let into = here.to_string_lossy();
    let before = ["run", "--name", "trapped", "--output", &trapped, "--into", &into];
    let mut command = world.command();
    command.args(job(world.image(), &before, &words)).stdin(Stdio::null()).stdout(Stdio::piped());
    let child = command.stderr(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let id = until("the job is there", async || {
        let jobs = world.client.list("name=trapped").await;
        Some(jobs.first()?["id"].as_str()?.to_owned())
    });
    let id = id.await;
    until("it has started", async || {
        world.client.logs(&id, "").await.contains("started").then_some(())
    })
    .await;

    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();

    let ended = child.wait_with_output().await.unwrap();
    let stderr = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(130), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&ended.stdout), "started\nTERM seen\n");
    assert_eq!(std::fs::read_to_string(here.join("trapped")).unwrap(), "started\nTERM seen\n");
    world.client.finish_as(&id, "cancelled").await;
}

async fn jobs_are_listed_and_cancelled_and_deleted(world: &mut World) {
    world.tarpon(&["queues", "put", "shut", "--pause", "--limit", "3"]).await.expect(0);
    let words = world.probe("say x").words();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let submitted = world
            .tarpon(&job(world.image(), &["submit", "--queue", "shut"], &words))
            .await
            .expect(0);
        ids.push(submitted.text().trim().to_owned());
    }
    let listed = world.tarpon(&["jobs", "--json", "--queue", "shut"]).await.expect(0);
    let listed: Vec<Value> =
        listed.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let newest_first: Vec<_> = listed.iter().map(|view| view["id"].as_str().unwrap()).collect();
    assert_eq!(newest_first, ids.iter().rev().collect::<Vec<_>>());
    let table = world.tarpon(&["jobs", "--limit", "2"]).await.expect(0);
    assert!(table.text().contains(&ids[2]) && !table.text().contains(&ids[0]), "{}", table.text());

    world.tarpon(&["delete", &ids[0]]).await.expect(1);
    world.tarpon(&["cancel", "--wait", &ids[0], &ids[1]]).await.expect(0);
    world.tarpon(&["wait", "--timeout", "1", &ids[2]]).await.expect(124);
    world.tarpon(&["wait", &ids[0]]).await.expect(130);
    world.tarpon(&["delete", &ids[0], &ids[1]]).await.expect(0);
    world.tarpon(&["queues", "put", "shut", "--resume"]).await.expect(0);
    world.tarpon(&["wait", &ids[2]]).await.expect(0);
    assert_eq!(world.client.list("").await.len(), 1);
}

async fn queues_images_objects_and_keys_are_managed(world: &mut World) {
    world.tarpon(&["queues", "put", "q", "--limit", "7"]).await.expect(0);
    let queues = world.tarpon(&["queues"]).await.expect(0);
    assert!(queues.text().contains('q') && queues.text().contains('7'), "{}", queues.text());

    world.tarpon(&["images", "put", "i", "tarpon/hello"]).await.expect(0);
    let images = world.tarpon(&["images", "ls"]).await.expect(0);
    assert!(images.text().contains("tarpon/hello"), "{}", images.text());
    let password =
        ["images", "put", "j", "tarpon/hello", "--username", "u", "--password-file", "-"];
    world.tarpon_given(&password, b"secret word\n").await.expect(0);
    let images = world.tarpon(&["images", "--json"]).await.expect(0);
    assert!(!images.text().contains("secret word"), "{}", images.text());
    world.tarpon(&["images", "rm", "i"]).await.expect(0);
    world.tarpon(&["images", "rm", "i"]).await.expect(1);

    world.tarpon_given(&["objects", "put", "b/deep/k"], b"object bytes").await.expect(0);
    let got = world.tarpon(&["objects", "get", "b/deep/k", "-"]).await.expect(0);
    assert_eq!(got.text(), "object bytes");
    let listed = world.tarpon(&["objects", "ls", "b/deep"]).await.expect(0);
    assert!(listed.text().contains("deep/k"), "{}", listed.text());
    world.tarpon(&["objects", "rm", "b/deep/k"]).await.expect(0);
    world.tarpon(&["objects", "get", "b/deep/k", "-"]).await.expect(1);

    let made =
        world.tarpon(&["keys", "create", "--note", "spare", "--json"]).await.expect(0).json();
    let spare = world.client.as_(tests::Credentials::read(&made));
    spare.get("/v1/jobs").await.expect(200);
    let id = made["access_key_id"].as_str().unwrap();
    world.tarpon(&["keys", "disable", id]).await.expect(0);
    spare.get("/v1/jobs").await.problem(401, "unauthenticated");
    let keys = world.tarpon(&["keys"]).await.expect(0);
    assert!(keys.text().contains("spare") && keys.text().contains(id), "{}", keys.text());
    let token = world.tarpon(&["token"]).await.expect(0);
    let bearer =
        world.client.anonymous(reqwest::Method::GET, "/v1/jobs").bearer_auth(token.text().trim());
    tests::send(bearer).await.expect(200);
}

async fn what_goes_wrong_is_said_on_standard_error(world: &mut World) {
    let unknown = format!("job-{}", "0".repeat(32));
    for (arguments, code, why) in [
        (vec!["show", &unknown], 1, unknown.as_str()),
        (vec!["submit", "Not An Image"], 1, "image"),
        (vec!["submit", "a", "--output", "relative"], 1, "outputs[0]"),
        (vec!["run", "a", "--output", "/a/../b"], 125, "outputs[0]"),
        (vec!["submit", "a", "--cpu", "lots"], 2, "--cpu"),
        (vec!["sumbit", "a"], 2, "submit"),
        (vec!["jobs", "--url", "http://127.0.0.1:1"], 1, "127.0.0.1:1"),
        (vec!["jobs", "--secret-access-key", "wrong"], 1, "secret"),
    ] {
        let said = world.tarpon(&arguments).await.expect(code);
        assert_eq!(said.text(), "", "{arguments:?}");
        assert!(said.stderr.contains(why), "{arguments:?}: {}", said.stderr);
    }
    assert_eq!(world.client.list("").await, Vec::<Value>::new());
}

async fn a_server_on_this_machine_is_found_by_its_data_directory(world: &mut World) {
    let mut command = world.command();
    let data = world.data().to_string_lossy().into_owned();
    command.env_remove("TARPON_URL").env_remove("TARPON_ACCESS_KEY_ID");
    command.env_remove("TARPON_SECRET_ACCESS_KEY").args(["queues", "--json", "--data", &data]);
    let told = command.output().await.unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let queue: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert!(queue.to_string().contains("default"), "{queue}");
    assert_ne!(queue, json!({}));
}

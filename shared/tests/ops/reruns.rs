//! A job that is made from another.

use serde_json::json;
use shared::{
    conformance::memory::World,
    job::{Callback, Job, JobId, JobSpec, Name},
    ops::{attempts, images, jobs, queues, rerun, rows, submit},
    wire::{Problem, callback::CallbackChoice, views::JobView},
};

async fn submit(world: &World, json: &str) -> Result<Job, Problem> {
    let (service, bytes) = (&world.service, json.as_bytes());
    let submission = rerun::submission(service, world.project, bytes).await?;
    Ok(submit::submit(service, world.project, submission, bytes, None).await?.job)
}

async fn spec(world: &World, job: &Job) -> JobSpec {
    attempts::load_spec(&world.service, job).await.unwrap().into_owned()
}

fn refused(outcome: Result<Job, Problem>) -> (String, String) {
    match outcome {
        Err(Problem::Invalid { field, rule }) => (field, rule.into_owned()),
        other => panic!("{other:?}"),
    }
}

const EVERYTHING: &str = r#"{
    "name": "n", "priority": 7, "tags": {"a": "1"}, "fail_fast": true,
    "deadline_seconds": 100, "retain_days": 3,
    "tasks": [
        {"name": "first", "image": "a:1", "entrypoint": ["e"], "command": ["c", "d"],
         "env": {"A": "1"}, "secret_env": {"S": "hush"}, "workdir": "/w", "user": "1:2",
         "stdin": {"inline": "text"},
         "inputs": [{"path": "/b", "source": {"base64": "/w=="}, "mode": "0755"},
                    {"path": "/o", "source": {"object": "bucket/a/key"}},
                    {"path": "/f", "source": {"folder": "bucket/some/"}},
                    {"path": "/u", "source": {"upload": "abc"}}],
         "outputs": ["/out", {"path": "/to", "to": "bucket/{instance}/"}],
         "stdout_to": "bucket/{instance}.out", "stderr_to": "bucket/{instance}.err",
         "resources": {"cpu": 1.5, "memory_mib": 64}, "network": "none",
         "read_only_root": true, "instances": 3, "max_concurrent": 2,
         "retry": {"max_attempts": 4, "exit_codes": [3], "delay_seconds": 5},
         "timeout_seconds": 10, "grace_seconds": 2, "waiting_seconds": 30,
         "starting_seconds": 20, "collecting_seconds": 40},
        {"name": "then", "image": "b", "after": [{"task": "first", "when": "finished"}],
         "stdin": {"task": {"name": "first", "member": "out/x", "instance": 2}},
         "cache": {"max_age_seconds": 60}}
    ]
}"#;

#[tokio::test(start_paused = true)]
async fn without_edits_it_is_the_same_job_once_more() {
    let world = World::new().await;
    let old = world.submit(EVERYTHING).await;
    let new = submit(&world, &format!(r#"{{"from": "{}"}}"#, old.id)).await.unwrap();
    assert_ne!(new.id, old.id);
    let (mut was, mut is) = (spec(&world, &old).await, spec(&world, &new).await);
    // What is sealed is sealed for its own job.
    let sealed = |spec: &mut JobSpec| spec.tasks[0].secret_env.remove("S").unwrap();
    assert_ne!(sealed(&mut was), sealed(&mut is));
    assert_eq!(was, is);
    let (_, plan) = world.start(new.id).await;
    assert_eq!((plan.env["S"].as_str(), plan.env["A"].as_str()), ("hush", "1"));
    assert_eq!(spec(&world, &world.job(old.id).await).await.tasks.len(), 2, "it is as it was");
}

#[tokio::test(start_paused = true)]
async fn edits_are_laid_over_it_and_held_to_the_rules() {
    let world = World::new().await;
    let old = r#"{"image": "a", "name": "n", "command": ["x"], "env": {"A": "1", "B": "2"}}"#;
    let old = world.submit(old).await.id;
    let edits = r#""name": null, "priority": 3, "command": ["y"], "env": {"B": null, "C": "3"}"#;
    let new = submit(&world, &format!(r#"{{"from": "{old}", {edits}}}"#)).await.unwrap();
    assert_eq!((new.name.as_deref(), new.priority), (None, 3));
    let task = &spec(&world, &new).await.tasks[0];
    assert_eq!(task.command.as_deref(), Some(&["y".to_owned()][..]));
    assert_eq!(task.env, [("A", "1"), ("C", "3")].map(|(k, v)| (k.into(), v.into())).into());

    let nobodys = JobId::from_bits(7);
    let theirs = world.neighbour().await.submit(r#"{"image": "a"}"#).await.id;
    for (json, field) in [
        (format!(r#"{{"from": "{nobodys}"}}"#), "from"),
        (format!(r#"{{"from": "{theirs}"}}"#), "from"),
        (r#"{"from": "x"}"#.to_owned(), "from"),
        (r#"{"from": 1}"#.to_owned(), "from"),
        (format!(r#"{{"from": "{old}", "colour": 1}}"#), "tasks[0].colour"),
        (format!(r#"{{"from": "{old}", "resources": {{"cpu": 0}}}}"#), "tasks[0].resources.cpu"),
        (format!(r#"{{"from": "{old}", "stdin": {{"attached": "stdin"}}}}"#), "from"),
        (r#"{"image": "a", "stdin": {"attached": "stdin"}}"#.to_owned(), "from"),
    ] {
        assert_eq!(refused(submit(&world, &json).await).0, field, "{json}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_with_the_old_job_is_copied_and_outlives_it() {
    let world = World::new().await;
    let long = "x".repeat(20_000);
    let old = format!(
        r#"{{"image": "a", "stdin": {{"inline": "{long}"}},
            "inputs": [{{"path": "/i", "source": {{"inline": "{long}!"}}}}]}}"#
    );
    let old = world.submit(&old).await.id;
    world.run(old, 1, &[]).await;
    let edits = format!(r#"{{"from": "{old}", "stdin": null}}"#);
    let new = submit(&world, &edits).await.unwrap().id;
    let again = submit(&world, &format!(r#"{{"from": "{new}"}}"#)).await.unwrap().id;
    jobs::delete(&world.service, world.of(old)).await.unwrap();
    world.settle().await;
    let kept = |job: JobId| {
        let part = format!("/{job}/kept-");
        world.memory.objects.names().into_iter().filter(move |name| name.contains(&part))
    };
    assert_eq!((kept(old).count(), kept(new).count(), kept(again).count()), (0, 1, 1));
    let leases = world.memory.table.rows().into_iter().filter(|row| rows::is_lease(&row.key));
    // The old job's, for what may still come for it.
    assert_eq!(leases.count(), 1);
    assert_eq!(refused(submit(&world, &format!(r#"{{"from": "{old}"}}"#)).await).0, "from");
}

#[tokio::test(start_paused = true)]
async fn a_registered_image_is_named_again_unless_the_name_is_gone() {
    let world = World::new().await;
    let (service, project) = (&world.service, world.project);
    let name = || "worker".parse().unwrap();
    let put = async |reference: &str| {
        images::put(service, project, name(), reference.parse().unwrap(), None).await.unwrap();
    };
    put("r.example.org/w:1").await;
    let old = world.submit(r#"{"image": "worker"}"#).await.id;
    put("r.example.org/w:2").await;
    let from = format!(r#"{{"from": "{old}"}}"#);
    let image = async || submit(&world, &from).await.unwrap().images[0].clone();
    assert_eq!(image().await.reference.as_str(), "r.example.org/w:2");
    images::delete(service, project, &name()).await.unwrap();
    let (reference, registered) = (image().await.reference, image().await.registered);
    assert_eq!((reference.as_str(), registered), ("r.example.org/w:1", None));
}

#[tokio::test(start_paused = true)]
async fn what_nobody_was_told_of_nobody_is_told_of_again() {
    let world = World::new().await;
    let default = rows::QueueKey { project: world.project, name: "default".parse().unwrap() };
    let callback = CallbackChoice::parse(Some(json!({"url": "https://a.b/c"}))).unwrap();
    let change = queues::QueueChange { callback, ..Default::default() };
    queues::put(&world.service, &default, change).await.unwrap();
    let muted = world.submit(r#"{"image": "a", "callback": "no"}"#).await;
    let again = submit(&world, &format!(r#"{{"from": "{}"}}"#, muted.id)).await.unwrap();
    assert_eq!(again.callback, Callback::Unwanted);
    let told = format!(r#"{{"from": "{}", "callback": null}}"#, muted.id);
    let told = submit(&world, &told).await.unwrap();
    assert_eq!(told.callback, Callback::Wanted, "unless that is edited");
}

#[tokio::test(start_paused = true)]
async fn a_job_says_what_it_was_made_of() {
    let world = World::new().await;
    world.template("t", json!({"job": {"image": "a"}})).await;
    let first = submit(&world, r#"{"template": "t"}"#).await.unwrap();
    assert_eq!(first.made_by.template.as_ref().map(Name::as_str), Some("t"));
    let second = submit(&world, &format!(r#"{{"from": "{}"}}"#, first.id)).await.unwrap();
    let view = jobs::view(&world.service, &second).await.unwrap();
    let view = serde_json::to_value(&view).unwrap();
    assert_eq!(view["made_by"], json!({"from": first.id.to_string()}));
    let plain = world.submit(r#"{"image": "a"}"#).await;
    assert!(JobView::of(&plain).made_by.is_none());
}

//! Jobs of several tasks, and tasks of several instances.

use serde_json::{Value, json};
use tests::{Spec, World};

stories! {
    both:
        tasks_run_in_the_order_of_their_edges,
        a_task_of_many_instances_has_an_archive_each;
    process:
        a_diamond_of_two_hundred_tasks_ends_with_the_right_counts;
    aws:
        tasks_run_in_the_order_of_their_edges,
        a_task_of_many_instances_has_an_archive_each;
}

async fn tasks_run_in_the_order_of_their_edges(world: &mut World) {
    let client = &world.client;
    let task =
        |name: &str, steps: &str, after: Value| world.probe(steps).with("after", after).task(name);
    let job = json!({"tasks": [
        task("last", "say last", json!([{"task": "first"}])),
        task("first", "say first", json!([])),
        task("bad", "exit 1", json!([{"task": "first"}])),
        task("mourner", "say alas", json!([{"task": "bad", "when": "failed"}])),
        task("heir", "say never", json!([{"task": "bad"}])),
    ]});

    let id = client.submit(job).await;
    let view = client.finish_as(&id, "partly_failed").await;

    let states: Vec<_> = view["tasks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|task| task["state"].as_str().unwrap())
        .collect();
    assert_eq!(states, ["succeeded", "succeeded", "failed", "succeeded", "skipped"]);
    let archive = async |task: &str| {
        let path = format!("/v1/jobs/{id}/output?task={task}");
        tests::Archive::read(client.get(&path).await.expect(200).body)
    };
    let (first, last) = (archive("first").await, archive("last").await);
    assert_eq!((first.stdout(), last.stdout()), ("first\n", "last\n"));
    assert!(first.times().1 <= last.times().0);
    assert_eq!(archive("mourner").await.stdout(), "alas\n");
    let all = client.get(&format!("/v1/jobs/{id}/output")).await.expect(200);
    let mut all = tests::Bundle::read(&all.body);
    for task in ["last", "first", "bad", "mourner"] {
        assert_eq!(all.take(&format!("{task}/0/")), archive(task).await.members);
    }
    assert!(all.is_empty());
    client.get(&format!("/v1/jobs/{id}/output?task=heir")).await.problem(404, "not_found");
    client.get(&format!("/v1/jobs/{id}/output?task=other")).await.problem(404, "not_found");
}

async fn a_task_of_many_instances_has_an_archive_each(world: &mut World) {
    let client = &world.client;
    let job = world.probe("env").with("instances", 6).with("max_concurrent", 2);
    let id = client.submit(job).await;
    let view = client.finish_as(&id, "succeeded").await;
    assert_eq!(view["tasks"][0]["instances"]["succeeded"], 6);
    let all = client.get(&format!("/v1/jobs/{id}/output")).await.expect(200);
    let mut all = tests::Bundle::read(&all.body);
    let mut times = Vec::new();
    for instance in 0..6 {
        let path = format!("/v1/jobs/{id}/output?instance={instance}");
        let archive = tests::Archive::read(client.get(&path).await.expect(200).body);
        let told = archive.manifest["attempt"].as_str().unwrap().to_owned();
        assert!(told.ends_with(&format!("-1-0-{instance}-1")), "{told}");
        assert_eq!(all.take(&format!("main/{instance}/")), archive.members);
        times.push(archive.times());
    }
    assert!(all.is_empty());
    assert!(crate::queues::most_at_once(&times) <= 2, "{times:?}");
    client.get(&format!("/v1/jobs/{id}/output?instance=6")).await.problem(404, "not_found");
}

/// One task, then 197 of which 19 fail, then one after whatever they come to,
/// and one that wants them all to succeed.
async fn a_diamond_of_two_hundred_tasks_ends_with_the_right_counts(world: &mut World) {
    let client = &world.client;
    let task = |name: &str, script: &str, after: Vec<Value>| {
        Spec::new(world.image(), ["/bin/sh", "-c", script])
            .with("after", after)
            .with("resources", json!({"cpu": 0.03, "memory_mib": 16}))
            .task(name)
    };
    let middle: Vec<_> = (0..197).map(|n| format!("middle-{n}")).collect();
    let all = |when: &str| -> Vec<Value> {
        middle.iter().map(|name| json!({"task": name, "when": when})).collect()
    };
    // Each leaves a mark, and looks for those of what comes before it.
    let marks = world.place("marks");
    let last = format!("test $(ls {marks} | wc -l) = 198");
    let mut tasks = vec![
        task("last", &last, all("finished")),
        task("if-all-is-well", "true", all("succeeded")),
        task("first", &format!("mkdir -p {marks} && touch {marks}/first"), Vec::new()),
    ];
    for (n, name) in middle.iter().enumerate() {
        let code = u8::from(n % 10 == 9);
        let script = format!("test -e {marks}/first && touch {marks}/{n} && exit {code}; exit 2");
        tasks.push(task(name, &script, vec![json!({"task": "first"})]));
    }

    let id = client.submit(json!({"tasks": tasks})).await;
    let view = client.finish_as(&id, "partly_failed").await;

    let tasks = view["tasks"].as_array().unwrap();
    let of = |state: &str| tasks.iter().filter(|task| task["state"] == state).count();
    assert_eq!((tasks.len(), of("succeeded"), of("failed"), of("skipped")), (200, 180, 19, 1));
    assert_eq!((&tasks[0]["state"], &tasks[1]["state"]), (&json!("succeeded"), &json!("skipped")));
    for (n, middle) in tasks[3..].iter().enumerate() {
        let failed = u8::from(n % 10 == 9);
        let counts = json!({
            "waiting": 0, "running": 0, "succeeded": 1 - failed, "failed": failed, "stopped": 0
        });
        assert_eq!(middle["instances"], counts, "{middle}");
    }
}

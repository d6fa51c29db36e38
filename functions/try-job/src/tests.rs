use shared::{
    conformance::memory::{Answer, World},
    ops::{
        queues::{self, QueueChange, Setting},
        rows::QueueKey,
    },
};

use super::TryJob;

async fn dry(world: &World, body: &str) -> Answer {
    world.ask("/v1/jobs/dry-run").json(body).of(TryJob).await
}

#[tokio::test(start_paused = true)]
async fn a_job_is_told_as_it_would_start_and_nothing_is_kept() {
    let world = World::new().await;
    let before = world.memory.table.rows();
    let json = r#"{"name": "n", "image": "a", "command": ["x y"], "env": {"B": "1"},
                   "secret_env": {"S": "hush"}, "instances": 3, "user": "1"}"#;
    let answer = dry(&world, json).await.expect(200);
    assert!(!answer.text().contains("hush"));
    let told = answer.json();
    let task = &told["tasks"][0];
    assert_eq!((&told["name"], &told["queue"]["name"]), (&"n".into(), &"default".into()));
    assert_eq!((&task["argv"][0], &task["argv"][1]), (&"/entrypoint".into(), &"x y".into()));
    assert!(task["image_digest"].as_str().is_some_and(|digest| digest.starts_with("a@sha256:")));
    assert_eq!((&task["workdir"], &task["user"]), (&"/".into(), &"1".into()));
    assert_eq!((&task["instances"], &task["resources"]["cpu"]), (&3.into(), &0.25.into()));
    assert_eq!((&told["open_jobs"], &told["open_jobs_limit"]), (&0.into(), &100_000.into()));
    assert_eq!((task.get("usd_an_hour"), told.get("usd_at_most")), (None, None));
    assert_eq!(world.memory.table.rows(), before);
    assert_eq!(world.memory.runtime.launched(), []);

    // Its environment has the same names as that of a job that starts.
    let job = world.submit(json).await.id;
    let (_, plan) = world.start(job).await;
    let names: Vec<_> = plan.env.keys().map(String::as_str).collect();
    let told: Vec<_> =
        task["env"].as_array().unwrap().iter().map(|n| n.as_str().unwrap()).collect();
    assert_eq!(told, names);
    assert_eq!(plan.argv, ["/entrypoint", "x y"]);
    assert_eq!(dry(&world, json).await.expect(200).json()["open_jobs"], 1);
}

#[tokio::test(start_paused = true)]
async fn what_keeps_it_from_starting_is_told() {
    let world = World::new().await;
    let tasks = r#"{"tasks": [{"name": "a", "image": "missing/a"}, {"name": "b", "image": "b"},
                              {"name": "c", "image": "denied/c"}, {"name": "d", "image": "away/d"}]}"#;
    let told = dry(&world, tasks).await.expect(200).json();
    let cause = |n: usize| told["tasks"][n]["cause"].as_str();
    assert_eq!((cause(0), cause(1)), (Some("image_not_found"), None));
    assert_eq!((cause(2), cause(3)), (Some("image_denied"), Some("image_unavailable")));
    assert_eq!(told["tasks"][0]["message"], "no image missing/a");
    assert_eq!(told["tasks"][0]["argv"], told["tasks"][2]["argv"], "nobody knows");
}

#[tokio::test(start_paused = true)]
async fn what_a_submit_refuses_is_refused() {
    let world = World::new().await;
    let key = QueueKey { project: world.project, name: "q".parse().unwrap() };
    let change = QueueChange { cpu_millis: Some(Setting::To(100)), ..QueueChange::default() };
    queues::put(&world.service, &key, change).await.unwrap();
    for (body, field) in [
        (r#"{"image": ""}"#, "image"),
        (r#"{"image": "a", "queue": "none"}"#, "queue"),
        (r#"{"image": "a", "queue": "q"}"#, "queue"),
        (r#"{"from": "job-0"}"#, "from"),
    ] {
        dry(&world, body).await.refused(400, "invalid_field", field);
    }
    dry(&world, "{").await.refused(400, "malformed_body", "");
    let nameless = world.ask("/v1/jobs/dry-run").nameless().of(TryJob).await;
    nameless.refused(401, "unauthenticated", "");
}

#[tokio::test(start_paused = true)]
async fn a_job_can_be_tried_from_another() {
    let world = World::new().await;
    let old = world.submit(r#"{"image": "a", "command": ["x"]}"#).await.id;
    let told = dry(&world, &format!(r#"{{"from": "{old}", "image": "b"}}"#)).await.expect(200);
    let task = &told.json()["tasks"][0];
    assert_eq!((&task["image"], &task["argv"][1]), (&"b".into(), &"x".into()));
}

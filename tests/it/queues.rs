//! Queues: how many run, in which order, and why the rest wait.

use std::collections::BTreeSet;

use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::{Value, json};
use tests::{Client, Options, Runtime, World, until};

stories! {
    docker:
        sixty_jobs_in_containers_keep_the_limit_and_the_order;
    process:
        a_thousand_jobs_of_sixteen_clients_keep_the_limit_and_the_order,
        a_job_says_why_it_waits_and_how_many_are_before_it,
        a_limit_can_be_raised_and_lowered_while_jobs_wait,
        what_runs_from_a_queue_has_no_more_together_than_it_may,
        a_dozen_jobs_keep_the_limit_and_the_order;
    aws:
        a_dozen_jobs_keep_the_limit_and_the_order;
}

async fn a_thousand_jobs_of_sixteen_clients_keep_the_limit_and_the_order(world: &mut World) {
    crowd(world, 1_000, "sleep 0.01").await;
}

async fn sixty_jobs_in_containers_keep_the_limit_and_the_order(world: &mut World) {
    crowd(world, 60, "sleep 0.5").await;
}

async fn a_dozen_jobs_keep_the_limit_and_the_order(world: &mut World) {
    crowd(world, 12, "sleep 2").await;
}

const LIMIT: usize = 4;

/// How many jobs of [`LIMIT`] run at most is seen in three ways: in the
/// queue's own count, in the times at which they were claimed, and in what
/// their processes' own clocks say.
async fn crowd(world: &World, jobs: usize, steps: &str) {
    let client = &world.client;
    client.queue("crowd", json!({"paused": true, "limit": LIMIT})).await;
    let submit = |number: usize| {
        let priority = [0, 7, -7][number % 3];
        client.submit(world.probe(steps).with("queue", "crowd").with("priority", priority))
    };
    let ids: Vec<String> = stream::iter(0..jobs).map(submit).buffer_unordered(16).collect().await;
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), jobs);
    assert_eq!(client.running("crowd").await, 0, "something started in a paused queue");
    // A job is in line once its image is known.
    until("all are in line", async || {
        let open = client.list("state=queued&limit=100").await;
        open.iter().all(|view| view["waiting_for"]["reason"] == "queue_paused").then_some(())
    })
    .await;

    client.queue("crowd", json!({"paused": false})).await;
    let start = std::time::Instant::now();
    let mut most = 0;
    while !is_idle(client).await {
        let running = client.running("crowd").await;
        most = most.max(running);
        assert!(running <= LIMIT as u64, "{running} are running");
        assert!(start.elapsed().as_secs() < 200, "it takes too long: {running} are running");
    }
    eprintln!("{jobs} jobs, {LIMIT} at a time, took {:?}", start.elapsed());

    let mut views = client.list("queue=crowd&limit=100").await;
    assert_eq!(views.len(), jobs);
    for view in &views {
        assert_eq!(view["state"], "succeeded", "{view:#}");
    }
    views.sort_by_key(|view| time(view, "started_at"));
    let places: Vec<_> = views
        .iter()
        .map(|view| (-view["priority"].as_i64().unwrap(), time(view, "created_at")))
        .collect();
    let astray = places.windows(2).position(|pair| pair[0] > pair[1]);
    assert_eq!(astray, None, "started out of order: {:#?}", astray.map(|at| &views[at..at + 2]));

    let archives = stream::iter(&ids).map(|id| client.archive(id)).buffer_unordered(8);
    let archives: Vec<_> = archives.collect().await;
    for archive in &archives {
        let attempt = archive.manifest["attempt"].as_str().unwrap();
        assert!(attempt.ends_with("-1-0-0-1"), "{attempt}");
    }
    let times: Vec<_> = archives.iter().map(tests::Archive::times).collect();
    let together = most_at_once(&times);
    assert!(together <= LIMIT, "{together} processes ran at once");
    assert_eq!(most, LIMIT as u64, "the limit was never made use of");
}

async fn is_idle(client: &Client) -> bool {
    for state in ["queued", "running"] {
        if !client.page("jobs", &format!("state={state}&limit=1"), None).await.items.is_empty() {
            return false;
        }
    }
    true
}

fn time(view: &Value, name: &str) -> Timestamp {
    view[name].as_str().unwrap_or_else(|| panic!("no {name} in {view:#}")).parse().unwrap()
}

/// How many of these stretches of time overlap at most.
pub fn most_at_once(times: &[(Timestamp, Timestamp)]) -> usize {
    let starts = times.iter().map(|(start, _)| (*start, 1));
    let ends = times.iter().map(|(_, end)| (*end, -1));
    let mut changes: Vec<(Timestamp, isize)> = starts.chain(ends).collect();
    changes.sort_unstable();
    let counts = changes.iter().scan(0, |count, (_, change)| {
        *count += change;
        Some(*count)
    });
    usize::try_from(counts.max().unwrap_or(0)).unwrap()
}

async fn a_job_says_why_it_waits_and_how_many_are_before_it(world: &mut World) {
    let client = &world.client;
    client.queue("line", json!({"paused": true, "limit": 1})).await;
    let go = world.beside("go");
    std::fs::create_dir_all(go.parent().unwrap()).unwrap();
    let steps = format!("await {}", go.display());
    let submit = |priority| {
        client.submit(world.probe(&steps).with("queue", "line").with("priority", priority))
    };
    let (second, third, first) = (submit(0).await, submit(0).await, submit(5).await);

    waits(client, &first, "queue_paused", "0").await;
    waits(client, &second, "queue_paused", "1").await;
    waits(client, &third, "queue_paused", "2").await;
    client.queue("line", json!({"paused": false})).await;
    waits(client, &third, "queue_limit", "1").await;
    let running = client.job(&first).await;
    assert!(running.get("waiting_for").is_none_or(Value::is_null), "{running}");
    assert_eq!(client.running("line").await, 1);

    let mut crowd = Vec::new();
    for _ in 0..101 {
        crowd.push(submit(-5).await);
    }
    waits(client, &crowd[98], "queue_limit", "100").await;
    waits(client, &crowd[100], "queue_limit", "100+").await;
    for job in &crowd {
        client.cancel(job).await.expect(200);
    }
    std::fs::write(go, "").unwrap();
    for job in [first, second, third] {
        client.finish_as(&job, "succeeded").await;
    }
}

async fn waits(client: &Client, job: &str, reason: &str, position: &str) {
    let wanted = json!({"reason": reason, "position": position});
    let what = format!("{job} waits for {wanted}");
    until(&what, async || (client.job(job).await["waiting_for"] == wanted).then_some(())).await;
}

async fn a_limit_can_be_raised_and_lowered_while_jobs_wait(world: &mut World) {
    let client = &world.client;
    assert_eq!(client.put("/v1/queues/tide", &json!({"limit": 2})).await.status, 201);
    let go = world.beside("go");
    std::fs::create_dir_all(go.parent().unwrap()).unwrap();
    let job = world.probe(&format!("await {}", go.display())).with("queue", "tide");
    let mut jobs = Vec::new();
    for _ in 0..6 {
        jobs.push(client.submit(job.clone()).await);
    }
    until("two run", async || (client.running("tide").await == 2).then_some(())).await;
    assert_eq!(client.put("/v1/queues/tide", &json!({"limit": 5})).await.status, 200);
    until("five run", async || (client.running("tide").await == 5).then_some(())).await;
    client.queue("tide", json!({"limit": 1})).await;
    assert_eq!(client.running("tide").await, 5, "a lower limit ends nothing");
    std::fs::write(go, "").unwrap();
    for job in jobs {
        client.finish_as(&job, "succeeded").await;
    }
}

async fn what_runs_from_a_queue_has_no_more_together_than_it_may(world: &mut World) {
    let client = &world.client;
    let limits = json!({"cpu_limit": 0.2, "resources": {"cpu": 0.05, "memory_mib": 16}});
    client.queue("share", limits).await;
    let go = world.beside("go");
    std::fs::create_dir_all(go.parent().unwrap()).unwrap();
    let job = world.probe(&format!("await {}", go.display())).with("queue", "share");
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(client.submit(job.clone().without("resources")).await);
    }
    until("four run", async || (client.running("share").await == 4).then_some(())).await;
    let big = job.clone().with("resources", json!({"cpu": 0.2}));
    let small = job.with("resources", json!({"cpu": 0.001}));
    let (big, small) = (client.submit(big).await, client.submit(small).await);
    waits(client, &big, "queue_limit", "0").await;
    waits(client, &small, "queue_limit", "1").await;
    std::fs::write(go, "").unwrap();
    for job in &jobs {
        client.finish_as(job, "succeeded").await;
    }
    let (big, small) = (client.finish(&big).await, client.finish(&small).await);
    assert!(time(&big, "started_at") < time(&small, "started_at"), "{big:#}\n{small:#}");
    let queues = client.get("/v1/queues").await.expect(200).json();
    let is_share = |queue: &&Value| queue["name"] == "share";
    let share = queues["queues"].as_array().unwrap().iter().find(is_share).unwrap();
    assert_eq!((&share["running_cpu"], &share["waiting"]), (&json!(0.0), &json!("0")), "{share:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projects_share_a_machine_and_neither_waits_for_the_others_queue() {
    let options = Options { cpus: 1.0, ..Options::default() };
    let mut world = World::start_with(Runtime::Process, options);
    let theirs = world.project("theirs").await;
    let mine = &world.client;
    let go = world.beside("go");
    std::fs::create_dir_all(go.parent().unwrap()).unwrap();
    let job = |steps: &str, cpu: f64| world.probe(steps).with("resources", json!({"cpu": cpu}));
    let first = mine.submit(job(&format!("await {}", go.display()), 0.9)).await;
    until("it runs", async || (mine.job(&first).await["state"] == "running").then_some(())).await;
    let mut long = Vec::new();
    for _ in 0..6 {
        long.push(mine.submit(job("sleep 0.3", 0.5)).await);
    }
    let other = theirs.submit(job("say mine", 0.5)).await;
    waits(&theirs, &other, "capacity", "0").await;
    std::fs::write(go, "").unwrap();
    let other = theirs.finish_as(&other, "succeeded").await;
    let mut before = 0;
    for job in &long {
        let view = mine.finish_as(job, "succeeded").await;
        before += usize::from(time(&view, "started_at") < time(&other, "started_at"));
    }
    assert!(before <= 2, "{before} of the others started first: {other:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_jobs_do_not_overtake_a_big_one_that_waits_for_room() {
    let options = Options { cpus: 1.0, ..Options::default() };
    let world = World::start_with(Runtime::Process, options);
    let client = &world.client;
    let go = world.beside("go");
    std::fs::create_dir_all(go.parent().unwrap()).unwrap();
    let job = |steps: &str, cpu: f64| world.probe(steps).with("resources", json!({"cpu": cpu}));
    let first = client.submit(job(&format!("await {}", go.display()), 0.6)).await;
    until("it runs", async || (client.job(&first).await["state"] == "running").then_some(())).await;
    let big = client.submit(job("say big", 1.0)).await;
    let small = client.submit(job("say small", 0.1)).await;
    waits(client, &big, "capacity", "0").await;
    waits(client, &small, "capacity", "1").await;

    std::fs::write(go, "").unwrap();
    client.finish_as(&first, "succeeded").await;
    let (big, small) = (client.finish(&big).await, client.finish(&small).await);
    assert!(time(&big, "started_at") < time(&small, "started_at"), "{big:#}\n{small:#}");
}

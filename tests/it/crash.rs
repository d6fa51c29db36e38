//! The server dies at the worst of times, and starts again.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures::{StreamExt, future::join_all, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tests::{Agent, Options, Runtime, Spec, World, is_over, pattern_sha256, sha256, until};

stories! {
    both:
        a_job_just_accepted_outlives_a_crash,
        a_container_that_is_coming_up_outlives_a_crash,
        a_running_process_is_adopted_and_can_still_be_stopped,
        an_agent_waits_with_its_report_until_the_server_is_back,
        an_upload_cut_short_is_made_again,
        jobs_in_flight_run_once_however_often_the_server_dies,
        a_server_told_to_end_leaves_jobs_running;
    process:
        what_was_accepted_is_kept_and_a_repeat_makes_no_second_job;
}

async fn a_job_just_accepted_outlives_a_crash(world: &mut World) {
    for round in 0..3 {
        let job = world.client.submit(world.probe(&format!("say {round}"))).await;
        world.kill9();
        world.restart();
        world.client.finish_as(&job, "succeeded").await;
        assert_eq!(ran_once(world, &job).await, format!("{round}\n"));
    }
}

async fn a_container_that_is_coming_up_outlives_a_crash(world: &mut World) {
    // It stays until it is seen in any case.
    let go = world.place("go");
    let job = world.client.submit(world.probe(&format!("say up then await {go}"))).await;
    until("it is coming up", async || (world.started() > 0).then_some(())).await;
    world.kill9();
    world.restart();
    has_said(world, &job, "up").await;
    world.release(&job, &go);
    world.client.finish_as(&job, "succeeded").await;
    assert_eq!(ran_once(world, &job).await, "up\n");
}

async fn a_running_process_is_adopted_and_can_still_be_stopped(world: &mut World) {
    let go = world.place("go");
    let waits = format!("say started then await {go} then say ended");
    let ends = world.client.submit(world.probe(&waits)).await;
    let trapped = format!("trap {}", world.place("trapped"));
    let stays = world.client.submit(world.probe(&trapped)).await;
    for job in [&ends, &stays] {
        has_said(world, job, "started").await;
    }
    world.kill9();
    world.restart();
    assert_eq!(world.client.job(&stays).await["state"], "running");
    assert_eq!(world.client.running("default").await, 2);
    world.release(&ends, &go);
    world.client.finish_as(&ends, "succeeded").await;
    world.client.cancel(&stays).await;
    world.client.finish_as(&stays, "cancelled").await;
    assert_eq!(ran_once(world, &ends).await, "started\nended\n");
    assert_eq!(ran_once(world, &stays).await, "started\nTERM seen\n");
}

async fn an_agent_waits_with_its_report_until_the_server_is_back(world: &mut World) {
    let (made, go) = (world.place("out/made"), world.place("go"));
    let steps = format!("say started then await {go} then write {made} meanwhile");
    let job = world.client.submit(world.probe(&steps).keep(&made)).await;
    let agent = until("its agent is there", async || Agent::of(world, &job)).await;
    until("the process runs", async || (agent.children() > 0).then_some(())).await;
    world.kill9();
    world.release(&job, &go);
    until("the process has ended", async || (agent.children() == 0).then_some(())).await;
    assert!(agent.memory().is_some(), "the agent did not wait");

    world.restart();

    world.client.finish_as(&job, "succeeded").await;
    assert_eq!(ran_once(world, &job).await, "started\n");
    assert_eq!(world.client.archive(&job).await.text(&made), "meanwhile");
}

async fn an_upload_cut_short_is_made_again(world: &mut World) {
    const BYTES: u64 = 512 << 20;
    let big = world.place("out/big");
    let steps = format!("fill {big} {BYTES}");
    let spec = world.probe(&steps).with("resources", json!({"cpu": 2})).keep(&big);
    let job = world.client.submit(spec).await;
    until("the upload has begun", async || (world.stored_bytes() > 8 << 20).then_some(())).await;
    let at = world.stored_bytes();
    world.kill9();
    assert!(at < BYTES, "the upload was over: the story is not told");

    world.restart();

    world.client.finish_as(&job, "succeeded").await;
    let path = format!("/v1/jobs/{job}/output?member={big}");
    let kept = world.client.get(&path).await.expect(200);
    assert_eq!(sha256(&kept.body), pattern_sha256(BYTES));
    let stored = "what was cut short is gone";
    until(stored, async || (world.stored_bytes() < BYTES + (1 << 20)).then_some(())).await;
}

async fn jobs_in_flight_run_once_however_often_the_server_dies(world: &mut World) {
    let jobs = if world.runtime == Runtime::Process { 50 } else { 20 };
    let stamps = world.place("stamps");
    world.client.queue("flight", json!({"limit": 8})).await;
    let submit = |number| {
        let steps = format!("stamp {stamps} {number} then sleep 0.2 then say {number}");
        world.client.submit(world.probe(&steps).with("queue", "flight"))
    };
    let ids = stream::iter(0..jobs).map(submit).buffered(8).collect::<Vec<_>>().await;
    for share in [0, jobs / 8, jobs / 3] {
        let what = format!("{share} of {jobs} have ended");
        let enough = async || {
            let ended = world.client.page("jobs", "state=succeeded&limit=100", None).await;
            (ended.items.len() >= share).then_some(())
        };
        until(&what, enough).await;
        world.kill9();
        world.restart();
    }
    for (number, id) in ids.iter().enumerate() {
        world.client.finish_as(id, "succeeded").await;
        assert_eq!(ran_once(world, id).await, format!("{number}\n"));
    }
    if world.runtime == Runtime::Process {
        let stamps = std::fs::read_to_string(stamps).unwrap();
        let mut times: BTreeMap<usize, usize> = BTreeMap::new();
        for line in stamps.lines() {
            *times.entry(line.split_once(' ').unwrap().1.parse().unwrap()).or_default() += 1;
        }
        assert_eq!(times, (0..jobs).map(|number| (number, 1)).collect());
    }
}

async fn a_server_told_to_end_leaves_jobs_running(world: &mut World) {
    let go = world.place("go");
    let waits = format!("say started then await {go} then say ended");
    let job = world.client.submit(world.probe(&waits)).await;
    has_said(world, &job, "started").await;
    world.stop();
    world.restart();
    world.release(&job, &go);
    world.client.finish_as(&job, "succeeded").await;
    assert_eq!(ran_once(world, &job).await, "started\nended\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_not_root_adopts_what_runs_as_well() {
    let options = Options { unprivileged: true, ..Options::default() };
    let mut world = World::start_with(Runtime::Process, options);
    let go = world.place("go");
    let awaits = format!("until [ -e {go} ]; do sleep 0.1; done");
    let job = world.client.submit(Spec::new("any", ["/bin/sh", "-c", &awaits])).await;
    let agent = until("its agent is there", async || Agent::of(&world, &job)).await;
    until("the process runs", async || (agent.children() > 0).then_some(())).await;
    world.kill9();
    world.restart();
    world.release(&job, &go);
    world.client.finish_as(&job, "succeeded").await;
    assert_eq!(ran_once(&world, &job).await, "");
}

async fn what_was_accepted_is_kept_and_a_repeat_makes_no_second_job(world: &mut World) {
    let accepted = Arc::new(AtomicUsize::new(0));
    let clients = (0..16).map(|client| {
        let (accepted, http) = (Arc::clone(&accepted), world.client.clone());
        let job = Value::from(world.probe("say x"));
        // Submits until the server is gone; what it never learned of is last.
        tokio::spawn(async move {
            let mut known: Vec<(String, Option<String>)> = Vec::new();
            loop {
                let token = format!("{client}-{}", known.len());
                let request = http.request(Method::POST, "/v1/jobs").json(&job);
                let answer = request.header("idempotency-key", &token).send().await;
                let Ok(answer) = answer else {
                    known.push((token, None));
                    return known;
                };
                assert_eq!(answer.status().as_u16(), 202);
                let id = answer.headers()["tarpon-job-id"].to_str().unwrap().to_owned();
                known.push((token, Some(id)));
                accepted.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let enough = async || (accepted.load(Ordering::Relaxed) >= 100).then_some(());
    until("a hundred jobs are accepted", enough).await;
    world.kill9();
    let known: Vec<_> = join_all(clients).await.into_iter().flat_map(Result::unwrap).collect();
    world.restart();

    let job = Value::from(world.probe("say x"));
    for (token, id) in &known {
        let request = world.client.request(Method::POST, "/v1/jobs").json(&job);
        let again = tests::send(request.header("idempotency-key", token)).await;
        assert!([200, 202].contains(&again.status), "{again:?}");
        let again = again.header("tarpon-job-id").to_owned();
        if let Some(id) = id {
            assert_eq!(*id, again, "the token {token} has made a second job");
        }
        world.client.finish_as(&again, "succeeded").await;
    }
    let jobs = world.client.list("limit=100").await;
    assert!(jobs.iter().all(is_over));
    assert_eq!(jobs.len(), known.len());
}

/// Waits until the job has written this to standard output.
async fn has_said(world: &World, job: &str, text: &str) {
    let what = format!("{job} says {text}");
    let said = async || world.client.logs(job, "?stream=stdout").await.contains(text).then_some(());
    until(&what, said).await;
}

/// What the job wrote, which was run by its first attempt and no other.
async fn ran_once(world: &World, job: &str) -> String {
    let second = world.client.get(&format!("/v1/jobs/{job}/output?attempt=2")).await;
    second.problem(404, "not_found");
    assert_eq!(world.client.job(job).await["run"], 1);
    world.client.archive(job).await.stdout().to_owned()
}

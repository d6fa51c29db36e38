//! Running again what was run: retries, new jobs made from old ones, and many
//! at once.

use serde_json::{Value, json};
use tests::{World, until};

stories! {
    both:
        what_failed_is_retried_and_what_succeeded_keeps_its_output;
    process:
        a_job_is_made_from_another_with_edits,
        many_jobs_are_cancelled_retried_and_deleted_by_what_they_are,
        a_dry_run_tells_what_would_be_run_and_runs_nothing;
    aws:
        what_failed_is_retried_and_what_succeeded_keeps_its_output,
        a_job_is_made_from_another_with_edits,
        many_jobs_are_cancelled_retried_and_deleted_by_what_they_are;
}

async fn what_failed_is_retried_and_what_succeeded_keeps_its_output(world: &mut World) {
    let client = &world.client;
    let first = world.probe("say first").task("first");
    let then = world.probe("say second then exit 3").with("after", json!([{"task": "first"}]));
    let job = client.submit(json!({"tasks": [first, then.task("then")]})).await;
    let view = client.finish_as(&job, "partly_failed").await;
    assert_eq!(view["run"], 1, "{view:#}");

    let again = client.post(&format!("/v1/jobs/{job}/retry"), &json!({"run": 1})).await;
    assert_eq!(again.expect(202).json()["run"], 2);
    let view = client.finish_as(&job, "partly_failed").await;
    assert_eq!(view["tasks"][0]["instances"]["succeeded"], 1, "{view:#}");
    // Asked for once more, it is the same run, though that is over.
    let same = client.post(&format!("/v1/jobs/{job}/retry"), &json!({"run": 1})).await;
    assert_eq!(same.expect(202).json()["run"], 2);
    let of = |task: &str| format!("/v1/jobs/{job}/output?task={task}&member=Stdout");
    assert_eq!(client.get(&of("first")).await.expect(200).text(), "first\n");
    assert_eq!(client.get(&of("then")).await.expect(200).text(), "second\n");
}

async fn a_job_is_made_from_another_with_edits(world: &mut World) {
    let client = &world.client;
    let long = "x".repeat(20_000);
    let first = world.probe("say first").with("stdin", json!({"inline": long}));
    let first = client.submit(first.with("env", json!({"A": "1"})).with("name", "n")).await;
    client.finish_as(&first, "succeeded").await;
    let edits = world.probe("cat").words();
    let second = client.submit(json!({"from": first, "command": edits})).await;
    let view = client.finish_as(&second, "succeeded").await;
    assert_eq!(view["name"], "n", "{view:#}");
    let stdout = client.get(&format!("/v1/jobs/{second}/output?member=Stdout")).await;
    assert!(stdout.expect(200).text().contains(&long), "what was attached came along");
}

async fn many_jobs_are_cancelled_retried_and_deleted_by_what_they_are(world: &mut World) {
    let client = &world.client;
    client.queue("bulk", json!({"paused": true})).await;
    let submit = |team: &str| {
        let job = world.probe("say hi").with("queue", "bulk").with("tags", json!({"team": team}));
        client.submit(job)
    };
    let mut mine = Vec::new();
    for _ in 0..5 {
        mine.push(submit("mine").await);
    }
    let other = submit("other").await;
    let filter = json!({"queue": "bulk", "tags": {"team": "mine"}});
    assert_eq!(all(client, "cancel", &filter).await, 5);
    for job in &mine {
        assert_eq!(client.job(job).await["state"], "cancelled");
    }
    assert_eq!(client.job(&other).await["state"], "queued");
    client.queue("bulk", json!({"paused": false})).await;
    assert_eq!(all(client, "retry", &filter).await, 5);
    for job in mine.iter().chain([&other]) {
        client.finish_as(job, "succeeded").await;
    }
    assert_eq!(all(client, "delete", &filter).await, 5);
    for job in &mine {
        client.get(&format!("/v1/jobs/{job}")).await.problem(404, "not_found");
    }
    until("the queue is idle", async || (client.running("bulk").await == 0).then_some(())).await;
    client.delete("/v1/queues/bulk").await.expect(204);
}

/// Does it to all that the filter lets through, three at a time.
async fn all(client: &tests::Client, action: &str, filter: &Value) -> u64 {
    let mut body = json!({"action": action, "filter": filter, "limit": 3});
    let mut changed = 0;
    loop {
        let done = client.post("/v1/jobs/bulk", &body).await.expect(200).json();
        assert_eq!(done["refused"], json!([]), "{done:#}");
        changed += done["changed"].as_u64().unwrap();
        match done.get("next") {
            Some(next) => body["cursor"] = next.clone(),
            None => return changed,
        }
    }
}

async fn a_dry_run_tells_what_would_be_run_and_runs_nothing(world: &mut World) {
    let client = &world.client;
    let job = world.probe("say never").with("env", json!({"A": "1"})).with("instances", 2);
    let told = client.post("/v1/jobs/dry-run", &job.clone().into()).await.expect(200).json();
    let task = &told["tasks"][0];
    assert!(task["argv"].as_array().is_some_and(|argv| argv.len() >= 3), "{told:#}");
    assert!(task["env"].as_array().unwrap().contains(&"A".into()), "{told:#}");
    assert_eq!((&task["instances"], task.get("cause")), (&json!(2), None));
    client.queue("small", json!({"cpu_limit": 0.25})).await;
    let large = job.with("resources", json!({"cpu": 0.5})).with("queue", "small");
    client.post("/v1/jobs/dry-run", &large.into()).await.problem(400, "invalid_field");
    assert!(client.list("limit=100").await.is_empty(), "nothing was submitted");
}

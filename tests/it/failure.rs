//! What goes wrong is told apart.

use serde_json::{Value, json};
use tests::{Spec, World, until};

stories! {
    both:
        a_program_that_is_not_there_did_not_start,
        a_crash_is_told_from_an_exit,
        an_orphan_does_not_keep_a_job_alive,
        a_failure_is_tried_again_as_often_as_asked;
    docker:
        memory_that_is_used_up_is_told_from_a_crash,
        a_container_that_is_gone_without_a_word_is_replaced,
        an_image_that_is_not_there_is_said_not_to_be;
    aws:
        a_program_that_is_not_there_did_not_start,
        a_crash_is_told_from_an_exit,
        an_orphan_does_not_keep_a_job_alive,
        a_failure_is_tried_again_as_often_as_asked,
        memory_that_is_used_up_is_told_from_a_crash,
        a_container_that_is_gone_without_a_word_is_replaced,
        an_image_that_is_not_there_is_said_not_to_be;
}

async fn a_program_that_is_not_there_did_not_start(world: &mut World) {
    let job = world.probe("").with("entrypoint", ["/no/such"].as_slice());
    let view = world.client.finish_as(&world.client.submit(job).await, "failed").await;
    assert_eq!(view["cause"], "start_failed", "{view:#}");
    assert!(view["message"].as_str().unwrap().contains("/no/such"), "{view:#}");
    assert!(view.get("exit_code").is_none(), "{view:#}");
}

async fn a_crash_is_told_from_an_exit(world: &mut World) {
    for (steps, code) in [("say before then segv", 139), ("say before then abort", 134)] {
        let (view, archive) = world.client.run(world.probe(steps)).await;
        assert_eq!(view["state"], "failed");
        assert_eq!(view["cause"], "signalled", "{view:#}");
        assert_eq!(view["exit_code"], code);
        assert_eq!(archive.stdout(), "before\n");
    }
    let (view, _) = world.client.run(world.probe("exit 139")).await;
    assert_eq!((view["cause"].as_str(), &view["exit_code"]), (Some("exited"), &json!(139)));
}

async fn an_orphan_does_not_keep_a_job_alive(world: &mut World) {
    let (view, archive) = world.client.run(world.probe("orphan 600 then say gone")).await;
    assert_eq!(view["state"], "succeeded");
    assert_eq!(archive.stdout(), "gone\n");
    world.nothing_owed().await;
    assert_eq!(world.left_behind(), Vec::<String>::new());
}

async fn a_failure_is_tried_again_as_often_as_asked(world: &mut World) {
    let client = &world.client;
    let job = world.probe("say trying then exit 7").with("retry", json!({"max_attempts": 3}));
    let job = client.submit(job).await;
    client.finish_as(&job, "failed").await;
    for attempt in 1..=3 {
        let path = format!("/v1/jobs/{job}/output?attempt={attempt}&member=Stdout");
        assert_eq!(client.get(&path).await.expect(200).text(), "trying\n");
    }
    let fourth = client.get(&format!("/v1/jobs/{job}/output?attempt=4")).await;
    fourth.problem(404, "not_found");

    let other = world.probe("exit 7").with("retry", json!({"max_attempts": 3, "exit_codes": [8]}));
    let job = client.submit(other).await;
    client.finish_as(&job, "failed").await;
    let second = client.get(&format!("/v1/jobs/{job}/output?attempt=2")).await;
    second.problem(404, "not_found");
}

async fn memory_that_is_used_up_is_told_from_a_crash(world: &mut World) {
    let job = world.probe("say hungry then eat 512").with("resources", json!({"memory_mib": 64}));
    let (view, archive) = world.client.run(job).await;
    assert_eq!(view["state"], "failed");
    assert_eq!(view["cause"], "out_of_memory", "{view:#}");
    assert_eq!(view["exit_code"], 137);
    assert_eq!(archive.stdout(), "hungry\n");
}

async fn a_container_that_is_gone_without_a_word_is_replaced(world: &mut World) {
    let client = &world.client;
    let job = client.submit(world.probe("trap /trapped")).await;
    let attempt = |number: u32| format!("att-{}-1-0-0-{number}", &job["job-".len()..]);
    let said = async || client.logs(&job, "?stream=stdout").await.contains("started").then_some(());
    until("the process runs", said).await;
    until("it is killed", async || world.kill_container(&attempt(1)).then_some(())).await;

    // What was lost is not the job's fault, and spends none of its attempts.
    let again = async || {
        let path = format!("/v1/jobs/{job}/logs?stream=stdout&attempt=2");
        let answer = client.get(&path).await;
        (answer.status == 200 && answer.text().contains("started")).then_some(())
    };
    until("another runs in its place", again).await;
    client.cancel(&job).await;
    client.finish_as(&job, "cancelled").await;
    let archive = client.archive(&job).await;
    assert_eq!(archive.manifest["attempt"], attempt(2));
    assert_eq!(archive.stdout(), "started\nTERM seen\n");
}

async fn an_image_that_is_not_there_is_said_not_to_be(world: &mut World) {
    let image = world.image_by(&format!("sha256:{}", "0".repeat(64)));
    let job = world.client.submit(Spec::new(&image, ["x"])).await;
    let view = world.client.finish_as(&job, "failed").await;
    assert_eq!(view["cause"], "image_not_found", "{view:#}");
    assert_eq!(view["retryable"], false);
    assert_eq!(view["tasks"][0]["causes"], json!({"image_not_found": 1}));
    let output = world.client.get(&format!("/v1/jobs/{job}/output")).await;
    let told: Value = output.problem(404, "not_found");
    assert!(told["detail"].as_str().unwrap().contains("output"), "{told}");
}

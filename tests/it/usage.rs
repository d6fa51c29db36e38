//! What a job used, what that would have cost, and what is told of its
//! attempts.

use serde_json::{Value, json};
use tests::World;

stories! {
    both:
        what_a_job_used_is_measured_and_told,
        the_estimate_follows_the_prices_of_the_installation,
        every_attempt_is_told_with_why_it_ended_and_when;
    aws:
        what_a_job_used_is_measured_and_told,
        every_attempt_is_told_with_why_it_ended_and_when;
}

/// The size that is sold for least.
fn small() -> Value {
    json!({"cpu": 0.25, "memory_mib": 512})
}

/// The attempts of a job.
async fn attempts(world: &World, job: &str) -> Vec<Value> {
    let path = format!("/v1/jobs/{job}/attempts");
    let told = world.client.get(&path).await.expect(200).json();
    told["attempts"].as_array().unwrap().clone()
}

async fn what_a_job_used_is_measured_and_told(world: &mut World) {
    const EATEN: u64 = 96 << 20;
    let out = world.place("out/made");
    let steps = format!("cat then eat 96 then fill {out} 300000 then sleep 0.3");
    let job = world.probe(&steps).with("resources", small()).keep(&out);
    let (view, archive) =
        world.client.run(job.with("stdin", json!({"inline": "x".repeat(10_000)}))).await;

    assert_eq!(view["state"], "succeeded", "{view:#}");
    let used = &view["usage"];
    let number = |name: &str| used[name].as_u64().unwrap_or_else(|| panic!("no {name}: {view:#}"));
    assert!((300..60_000).contains(&number("wall_ms")), "{used}");
    assert!((1..=number("wall_ms") * 64).contains(&number("cpu_ms")), "{used}");
    assert!((EATEN..512 << 20).contains(&number("peak_memory_bytes")), "{used}");
    assert_eq!(number("input_bytes"), 10_000);
    assert_eq!(number("output_bytes"), archive.bytes.len() as u64);
    assert_eq!(&view["tasks"][0]["usage"], used);
    let job = view["id"].as_str().unwrap();
    assert_eq!(attempts(world, job).await[0]["usage"], *used);
    // A container is charged for a minute at least: by the hour, a quarter of a
    // CPU and half a GiB come to $0.012343.
    let cost = used["usd_on_fargate"].as_f64().unwrap();
    assert!((0.000_206..0.01).contains(&cost), "{cost}");

    let shown = world.tarpon(&["show", job]).await.expect(0);
    let line = |name: &str| {
        let found = shown.text().lines().find(|line| line.trim_start().starts_with(name));
        found.unwrap_or_else(|| panic!("no {name}: {}", shown.text())).to_owned()
    };
    let used = line("used ");
    for what in ["s wall, ", "s CPU, ", "MiB memory at most"] {
        assert!(used.contains(what), "{used}");
    }
    let moved = line("moved ");
    assert!(moved.contains("9.8 KiB in, ") && moved.contains("KiB out"), "{moved}");
    let cost = line("cost ");
    assert!(cost.contains("about $0.0") && cost.ends_with("on Fargate"), "{cost}");
}

async fn the_estimate_follows_the_prices_of_the_installation(world: &mut World) {
    let job = world.client.submit(world.probe("say x").with("resources", small())).await;
    let view = world.client.finish_as(&job, "succeeded").await;
    let cost = |view: &Value| view["usage"]["usd_on_fargate"].as_f64().unwrap();
    world.stop();

    // As listed, and ten thousand times as much.
    world.restart_with(&["--prices", "404.8,44.45"]);

    let dear = world.client.job(&job).await;
    let times = cost(&dear) / cost(&view);
    assert!((9_900.0..10_100.0).contains(&times), "{times} times as much");
    assert_eq!(dear["usage"]["wall_ms"], view["usage"]["wall_ms"]);
    let shown = world.tarpon(&["show", &job]).await.expect(0);
    assert!(shown.text().contains(&format!("about ${:.2} on Fargate", cost(&dear))));
}

async fn every_attempt_is_told_with_why_it_ended_and_when(world: &mut World) {
    let retry = json!({"max_attempts": 2, "delay_seconds": 0});
    let job = world.probe("say x then exit 3").with("retry", retry).with("resources", small());
    let job = world.client.submit(job).await;
    let view = world.client.finish_as(&job, "failed").await;

    let tried = attempts(world, &job).await;
    assert_eq!(tried.len(), 2, "{tried:#?}");
    let time =
        |of: &Value, name: &str| -> jiff::Timestamp { of[name].as_str().unwrap().parse().unwrap() };
    for (number, attempt) in (1..).zip(&tried) {
        let told = [&attempt["number"], &attempt["exit_code"]].map(|value| value.as_u64().unwrap());
        assert_eq!(told, [number, 3]);
        assert_eq!((&attempt["state"], &attempt["cause"]), (&json!("failed"), &json!("exited")));
        let (claimed, started) = (time(attempt, "claimed_at"), time(attempt, "started_at"));
        assert!(claimed <= started && started <= time(attempt, "ended_at"), "{attempt:#}");
    }
    assert!(time(&tried[0], "ended_at") <= time(&tried[1], "claimed_at"));
    // What both used is what the job has used.
    let sum =
        |name: &str| -> u64 { tried.iter().map(|of| of["usage"][name].as_u64().unwrap()).sum() };
    for name in ["wall_ms", "cpu_ms", "output_bytes"] {
        assert_eq!(view["usage"][name], sum(name), "{name}");
    }
    let cost = view["usage"]["usd_on_fargate"].as_f64().unwrap();
    assert!(cost >= 2.0 * 0.000_205, "each is charged by itself: {cost}");

    let shown = world.tarpon(&["show", &job]).await.expect(0);
    let lines: Vec<_> =
        shown.text().lines().filter(|line| line.trim_start().starts_with("attempt ")).collect();
    assert_eq!(lines.len(), 2, "{}", shown.text());
    for (number, (line, attempt)) in (1..).zip(lines.iter().zip(&tried)) {
        let started = time(attempt, "started_at").strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let words = format!("main/0 no. {number}  failed: exit code 3  {started}, ");
        assert!(line.contains(&words), "{line}");
    }
}

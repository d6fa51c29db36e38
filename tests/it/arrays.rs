//! Tasks of many instances, as many as there may be.

use std::time::Instant;

use serde_json::json;
use tests::{Archive, Bundle, Spec, World, until};

stories! {
    both:
        instances_beyond_a_record_have_logs_and_archives_each;
    process:
        ten_thousand_instances_end_with_the_right_counts,
        a_wide_task_is_cancelled_as_a_whole;
    aws:
        instances_beyond_a_record_have_logs_and_archives_each;
}

const INSTANCES: u32 = 10_000;

/// One in a thousand fails.
async fn ten_thousand_instances_end_with_the_right_counts(world: &mut World) {
    let client = &world.client;
    let fails = "exit $((TARPON_INSTANCE_INDEX % 1000 == 999))";
    let job = Spec::new(world.image(), ["/bin/sh", "-c", fails])
        .with("instances", INSTANCES)
        .with("resources", json!({"cpu": 0.03, "memory_mib": 16}));
    let start = Instant::now();
    let id = client.submit(job).await;
    until("something runs", async || {
        let view = client.job(&id).await;
        let running = &view["tasks"][0]["instances"]["running"];
        (*running != json!(0) && view["state"] == "running").then_some(())
    })
    .await;
    let view = client.finish_as(&id, "partly_failed").await;
    let took = start.elapsed();
    eprintln!(
        "{INSTANCES} instances took {took:?}: {:?} each, of which the server {:?}",
        took / INSTANCES,
        world.cpu(),
    );
    let counts = json!({
        "waiting": 0, "running": 0, "succeeded": 9_990, "failed": 10, "stopped": 0
    });
    assert_eq!(view["tasks"][0]["instances"], counts);
    let last = client.get(&format!("/v1/jobs/{id}/output?instance=9998")).await.expect(200);
    let archive = Archive::read(last.body);
    assert!(archive.manifest["attempt"].as_str().unwrap().ends_with("-1-0-9998-1"));
    client.delete(&format!("/v1/jobs/{id}")).await.expect(204);
}

async fn a_wide_task_is_cancelled_as_a_whole(world: &mut World) {
    let client = &world.client;
    let job = world
        .probe("sleep 600")
        .with("instances", 1_000)
        .with("resources", json!({"cpu": 0.1, "memory_mib": 16}));
    let id = client.submit(job).await;
    until("something runs", async || {
        let view = client.job(&id).await;
        (view["tasks"][0]["instances"]["running"] != json!(0)).then_some(())
    })
    .await;
    client.cancel(&id).await.expect(202);
    let view = client.finish_as(&id, "cancelled").await;
    assert_eq!(view["tasks"][0]["instances"]["stopped"], 1_000);
}

async fn instances_beyond_a_record_have_logs_and_archives_each(world: &mut World) {
    let client = &world.client;
    // Of the wide task, what comes after the record's fill: few suffice where
    // each is a container.
    let many = 130;
    let job = world
        .probe("env")
        .with("instances", many)
        .with("resources", json!({"cpu": 0.05, "memory_mib": 16}));
    let id = client.submit(job).await;
    let view = client.finish_as(&id, "succeeded").await;
    assert_eq!(view["tasks"][0]["instances"]["succeeded"], many);
    let all = client.get(&format!("/v1/jobs/{id}/output")).await.expect(200);
    let mut all = Bundle::read(&all.body);
    for instance in 0..many {
        let members = all.take(&format!("main/{instance}/"));
        if instance % 43 == 0 {
            let path = format!("/v1/jobs/{id}/output?instance={instance}");
            let archive = Archive::read(client.get(&path).await.expect(200).body);
            assert_eq!(members, archive.members);
            assert!(archive.stdout().contains(&format!("TARPON_INSTANCE_INDEX={instance}\n")));
            assert!(archive.stdout().contains(&format!("TARPON_INSTANCE_COUNT={many}\n")));
            let logs = client.get(&format!("/v1/jobs/{id}/logs?instance={instance}")).await;
            assert_eq!(logs.expect(200).text(), archive.stdout());
        }
    }
    assert!(all.is_empty());
    client.get(&format!("/v1/jobs/{id}/output?instance={many}")).await.problem(404, "not_found");
}

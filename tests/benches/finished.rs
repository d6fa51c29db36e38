//! What the server holds in memory: idle, and with many jobs behind it.

use std::time::Duration;

use serde_json::json;
use tests::{
    Runtime, World,
    report::{Figure, Quantity, Report, Unit},
};

use crate::load::{many, per_second};

const JOBS: usize = 100_000;
const CLIENTS: usize = 64;
const LONGEST: Duration = Duration::from_secs(55);

pub async fn measure(report: &mut Report) {
    report.part("the server's memory");
    let mut world = World::start(Runtime::Process);
    let client = world.client.clone();
    client.queue("held", json!({"paused": true})).await;
    let idle = mebibytes(world.memory().now);
    report.figure(Figure::new("idle", idle, Unit::Mebibytes).at_most(30.0));

    // A job that is cancelled while it waits is finished all the same, and
    // takes no process.
    let job = world.probe("exit 0").with("queue", "held").into();
    let (times, took) = many(CLIENTS, JOBS, LONGEST, async || {
        let id = client.post("/v1/jobs", &job).await.expect(202).json();
        let id = id["id"].as_str().expect("a job has an id");
        client.cancel(id).await.expect(200);
    })
    .await;
    let count = times.count();
    if count < JOBS {
        report.note(format!("there was time for {count} of {JOBS} jobs"));
    }
    let memory = world.memory();
    let beside = |figure: Figure| figure.beside("idle", Quantity(idle, Unit::Mebibytes));
    let after = mebibytes(memory.now);
    report.figure(beside(Figure::new(
        format!("after {count} jobs, cancelled"),
        after,
        Unit::Mebibytes,
    )));
    report.figure(beside(Figure::new(
        format!("at most, with {CLIENTS} clients"),
        mebibytes(memory.peak),
        Unit::Mebibytes,
    )));
    let rate = per_second(count, took);
    report.figure(Figure::new("submitted and cancelled", rate, Unit::PerSecond));
    // Nothing is left, but to look through all of it takes time.
    world.kill9();
}

/// Bytes in MiB.
#[expect(clippy::cast_precision_loss, reason = "memory is far from 2^52 bytes")]
pub fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

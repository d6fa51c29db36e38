//! Containers through the service, beside the same ones by the engine alone.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use serde_json::{Value, json};
use tests::{
    Client, Runtime, World,
    report::{Figure, Quantity, Report, Unit},
};

use crate::{
    engine::{Engine, RESOURCES, Removals},
    load::{Times, per_second},
};

const ROUNDS: usize = 15;
const AT_ONCE: usize = 4;
const BATCHES: usize = 3;
const BATCH: usize = 16;

pub async fn measure(report: &mut Report) {
    report.part("containers that do nothing, without a network");
    let world = World::start(Runtime::Docker);
    let (cpu, memory_mib) = RESOURCES;
    let job = world.probe("exit 0").with("network", "none");
    let job = job.with("resources", json!({"cpu": cpu, "memory_mib": memory_mib})).into();
    let engine = Engine::connect().await;
    let mut bench =
        Bench { client: world.client.clone(), job, removals: engine.removals(), engine };
    bench.one_by_one(report).await;
    bench.side_by_side(report).await;
}

struct Bench {
    client: Client,
    job: Value,
    engine: Engine,
    removals: Removals,
}

impl Bench {
    /// By turns, so that what else the machine does is shared out evenly.
    async fn one_by_one(&mut self, report: &mut Report) {
        let (mut answered, mut gone, mut bare) =
            (Times::default(), Times::default(), Times::default());
        for round in 0..=ROUNDS {
            let began = Instant::now();
            let job = run(&self.client, &self.job).await;
            let answer = began.elapsed();
            // The engine alone removes its container; so it is over once ours is gone.
            let end = self.removals.of(&job).await.duration_since(began);
            let began = Instant::now();
            self.bare(&format!("one-{round}")).await;
            // The first one finds nothing in memory.
            if round > 0 {
                answered.push(answer);
                gone.push(end);
                bare.push(began.elapsed());
            }
        }
        let alone = bare.median();
        for (what, times) in
            [("the archive is answered", answered), ("and the container gone", gone)]
        {
            let median = times.median();
            report.figure(
                Figure::new(format!("a job until {what}"), median, Unit::Milliseconds)
                    .beside("create, start, wait, remove", Quantity(alone, Unit::Milliseconds)),
            );
            report.figure(
                Figure::new("  over the engine alone", median / alone, Unit::Times).at_most(1.10),
            );
        }
    }

    /// Batches by turns, for the same reason.
    async fn side_by_side(&mut self, report: &mut Report) {
        let (mut ours, mut bare) = (Duration::ZERO, Duration::ZERO);
        for batch in 0..BATCHES {
            let began = Instant::now();
            let runs = (0..BATCH).map(|_| run(&self.client, &self.job)).collect::<Vec<_>>();
            let jobs: Vec<_> = stream::iter(runs).buffer_unordered(AT_ONCE).collect().await;
            let mut end = began;
            for job in jobs {
                end = end.max(self.removals.of(&job).await);
            }
            ours += end.duration_since(began);
            let began = Instant::now();
            let runs = (0..BATCH).map(|n| self.bare_of(batch, n)).collect::<Vec<_>>();
            stream::iter(runs).buffer_unordered(AT_ONCE).count().await;
            bare += began.elapsed();
        }
        let rate = |time| per_second(BATCHES * BATCH, time);
        report.figure(
            Figure::new(format!("jobs, {AT_ONCE} at once"), rate(ours), Unit::PerSecond).beside(
                format!("the engine alone, {AT_ONCE} at once"),
                Quantity(rate(bare), Unit::PerSecond),
            ),
        );
        let ratio = rate(ours) / rate(bare);
        report.figure(Figure::new("  over the engine alone", ratio, Unit::Times).at_least(0.95));
    }

    async fn bare_of(&self, batch: usize, number: usize) {
        self.bare(&format!("{batch}-{number}")).await;
    }

    async fn bare(&self, name: &str) {
        let name = format!("bench-{}-{name}", std::process::id());
        self.engine.run(&name, &["exit", "0"], None).await;
    }
}

/// Runs a job, and gives its id once its archive is there.
async fn run(client: &Client, job: &Value) -> String {
    let answer = client.post("/v1/jobs?wait=60", job).await.expect(200);
    assert_eq!(answer.header("content-type"), "application/x-tar");
    answer.header("tarpon-job-id").to_owned()
}

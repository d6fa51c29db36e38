//! From a client's submit to the first thing that the job's process does, when
//! nothing else is to be done.

use std::{
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use tests::{
    Runtime, Spec, World, probe,
    report::{Figure, Quantity, Report, Unit},
};

use crate::{
    engine::{Engine, RESOURCES},
    load::Times,
};

const PROCESSES: u32 = 40;
const CONTAINERS: u32 = 12;

pub async fn measure(report: &mut Report) {
    report.part("from submit to the process's own first act, when idle");
    let (ours, bare) = processes().await;
    shown(report, "process", "spawned by itself", &ours, &bare);
    let (ours, bare) = containers().await;
    shown(report, "container", "engine's create and start", &ours, &bare);
}

fn shown(report: &mut Report, what: &str, beside: &str, ours: &Times, bare: &Times) {
    for (name, percent) in [("half", 50), ("9 of 10", 90)] {
        report.figure(
            Figure::new(
                format!("{what}: {name} start within"),
                ours.quantile(percent),
                Unit::Milliseconds,
            )
            .beside(beside, Quantity(bare.quantile(percent), Unit::Milliseconds)),
        );
    }
}

/// By turns, so that what else the machine does is shared out evenly.
async fn processes() -> (Times, Times) {
    let world = World::start(Runtime::Process);
    let (mut ours, mut bare) = (Times::default(), Times::default());
    for round in 0..PROCESSES {
        let path = world.place(&format!("stamp-{round}"));
        if let Some(took) = through(&world, &path).await.filter(|_| round > 0) {
            ours.push(took);
        }
        let path = world.place(&format!("bare-{round}"));
        let sent = now();
        let status = Command::new(probe()).args(["stamp", &path, "start"]).status();
        assert!(status.is_ok_and(|status| status.success()), "the probe can be run");
        let stamp = std::fs::read_to_string(&path).expect("the probe has written");
        bare.push(stamped(&stamp).saturating_sub(sent));
    }
    (ours, bare)
}

async fn containers() -> (Times, Times) {
    let world = World::start(Runtime::Docker);
    let engine = Engine::connect().await;
    let folder = tempfile::tempdir().expect("a folder can be made");
    let (mut ours, mut bare) = (Times::default(), Times::default());
    for round in 0..CONTAINERS {
        let path = world.place("stamp");
        if let Some(took) = through(&world, &path).await.filter(|_| round > 0) {
            ours.push(took);
        }
        let name = format!("bench-{}-{round}", std::process::id());
        let command = ["stamp", &format!("/out/{name}"), "start"];
        let sent = now();
        engine.run(&name, &command, folder.path().to_str()).await;
        let stamp = std::fs::read_to_string(folder.path().join(name)).expect("it has written");
        bare.push(stamped(&stamp).saturating_sub(sent));
    }
    (ours, bare)
}

/// From the submit of a job to its process's stamp.
async fn through(world: &World, path: &str) -> Option<Duration> {
    world.nothing_owed().await;
    let (cpu, memory_mib) = RESOURCES;
    let spec: Spec = world.probe(&format!("stamp {path} start")).keep(path);
    let spec = spec.with("resources", json!({"cpu": cpu, "memory_mib": memory_mib}));
    let spec = spec.with("network", "none").into();
    let sent = now();
    let job = world.client.post("/v1/jobs", &spec).await.expect(202).json();
    let job = job["id"].as_str().expect("a job has an id");
    world.client.finish_as(job, "succeeded").await;
    let archive = world.client.archive(job).await;
    Some(stamped(archive.text(path)).saturating_sub(sent))
}

/// The time that a stamp tells, since 1970.
fn stamped(line: &str) -> Duration {
    let nanos = line.split(' ').next().and_then(|nanos| nanos.parse().ok());
    Duration::from_nanos(nanos.expect("a stamp starts with its time"))
}

/// The time since 1970, as the probe tells it.
#[expect(clippy::disallowed_methods, reason = "it is held against the probe's")]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

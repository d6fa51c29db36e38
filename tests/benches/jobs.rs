//! Jobs that do nothing, end to end: accepted durably, run by an agent, their
//! archive stored. What is left is what the service itself costs.

use std::{
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{
    Client, Cpu, Options, Runtime, World, probe,
    report::{Figure, Quantity, Report, Unit},
};

use crate::load::{many, millis, per_second};

const JOBS: usize = 3_000;
const WARM: usize = 100;
const CLIENTS: usize = 16;

/// However slow it is, it comes to an end.
const LONGEST: Duration = Duration::from_mins(1);

/// How often it is asked whether all is over.
const LOOK: Duration = Duration::from_millis(50);

pub async fn measure(report: &mut Report) {
    report.part(format!("{JOBS} jobs that do nothing, as processes, {CLIENTS} clients"));
    let bare = bare();
    // Room for 32 at once, so that it is this server that sets the pace.
    let options = Options { cpus: 8.0, ..Options::default() };
    let mut world = World::start_with(Runtime::Process, options);
    let client = world.client.clone();
    let job = world.probe("exit 0").with("resources", json!({"cpu": 0.25, "memory_mib": 64}));
    let job = job.into();
    let submit = async || {
        client.post("/v1/jobs", &job).await.expect(202);
    };
    many(CLIENTS, WARM, LONGEST, submit).await;
    over(&client, Instant::now()).await;

    let own = std::process::id();
    let (cpu, ours) = (world.cpu(), Cpu::of(own));
    let began = Instant::now();
    let (submitted, submitting) = many(CLIENTS, JOBS, LONGEST, submit).await;
    let all = over(&client, began).await;
    let took = began.elapsed();
    let cpu = world.cpu().since(cpu);
    let ours = Cpu::of(own).zip(ours).map(|(after, before)| after.since(before));

    let ended = client.list("state=succeeded&limit=100").await;
    let finished = ended.len() - WARM;
    let newest = ended[0]["id"].as_str().expect("a job has an id");
    client.archive(newest).await;
    if !all || finished < submitted.count() {
        report.note(format!("{finished} of {} jobs succeeded in time", submitted.count()));
        world.kill9();
    }
    let jobs = per_second(finished, took);
    let each = |time: Duration| millis(time) / per_second(finished, Duration::from_secs(1));
    report.figure(
        Figure::new("jobs, from first submit to last end", jobs, Unit::PerSecond)
            .beside("the process alone", Quantity(bare, Unit::PerSecond))
            .at_least(300.0),
    );
    report.figure(
        Figure::new("the server's CPU for a job", each(cpu.own), Unit::Milliseconds)
            .beside("two CPUs at that pace", Quantity(2_000.0 / jobs, Unit::Milliseconds))
            .at_most(3.0),
    );
    report.figure(Figure::new(
        "its agent's and process's CPU for a job",
        each(cpu.children),
        Unit::Milliseconds,
    ));
    let ours = ours.map_or(0.0, |ours| each(ours.own));
    report.figure(Figure::new("the clients' CPU for a job", ours, Unit::Milliseconds));
    let rate = per_second(submitted.count(), submitting);
    report.figure(Figure::new("submits meanwhile", rate, Unit::PerSecond));
}

/// Waits until no job is open; whether that came in time.
async fn over(client: &Client, began: Instant) -> bool {
    for state in ["queued", "running"] {
        while !client.page("jobs", &format!("state={state}&limit=1"), None).await.items.is_empty() {
            if began.elapsed() > LONGEST {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    true
}

/// How often a second this machine starts the same process and sees it end,
/// on all CPUs at once: the pace of a service that costs nothing.
fn bare() -> f64 {
    const LASTING: Duration = Duration::from_secs(2);
    let program = probe();
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let began = Instant::now();
    let run = || {
        let mut count = 0;
        while began.elapsed() < LASTING {
            let mut command = Command::new(&program);
            command.args(["exit", "0"]).stdin(Stdio::null()).stdout(Stdio::null());
            let ended = command.status().expect("the probe can be run");
            assert!(ended.success(), "{ended}");
            count += 1;
        }
        count
    };
    let count: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cpus).map(|_| scope.spawn(run)).collect();
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).sum()
    });
    per_second(count, began.elapsed())
}

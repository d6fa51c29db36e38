//! What each function weighs, how soon it is ready, and what it holds.
//!
//! `make bench-aws`: the programs are those that are deployed, as small as they
//! are there. Each is started many times, and then has invocations of a job's
//! whole life.

use std::{fs, path::PathBuf, process::Stdio, time::Duration};

use tests::{
    probe,
    report::{Figure, Quantity, Report, Unit},
    workspace,
};
use tests_lambda::{Installation, Setup, every_function, functions};
use tokio::{process::Command, time::Instant};

/// How often each program is started.
const STARTS: usize = 15;

const MIB: f64 = 1024.0 * 1024.0;

/// What was seen of a function.
#[derive(Default)]
struct Seen {
    name: &'static str,
    /// Millions of bytes, as AWS counts them.
    zip: f64,
    /// Milliseconds, half of all starts and nine of ten.
    ready: [f64; 2],
    /// 2^20 bytes at most.
    held: f64,
}

#[tokio::main]
async fn main() {
    let mut report = Report::start();
    let setup = Setup { programs: programs(), ..Setup::default() };
    let installation = Installation::start(setup).await;

    let mut all = Vec::new();
    for (_, name) in functions() {
        let mut starts = Vec::with_capacity(STARTS);
        for _ in 0..STARTS {
            starts.push(installation.cold_start(name).await);
        }
        all.push(Seen { name, zip: zipped(name), ready: quantiles(starts), held: 0.0 });
    }
    let mut bare = Vec::with_capacity(STARTS);
    for _ in 0..STARTS {
        bare.push(bare_start().await);
    }
    every_function(&installation).await;
    for seen in &mut all {
        let memory = installation.memory(seen.name).await.expect("it was invoked");
        #[expect(clippy::cast_precision_loss, reason = "a few digits are all that is shown")]
        let peak = memory.peak as f64;
        seen.held = peak / MIB;
    }
    tell(&mut report, &all, quantiles(bare));
}

fn tell(report: &mut Report, all: &[Seen], bare: [f64; 2]) {
    report.part(
        "each function: its zip; ready for an invocation within, half and 9 of 10; held at most",
    );
    for Seen { name, zip, ready: [half, most], held } in all {
        report.row(&format!("{name:<20} {zip:6.2} MB {half:8.1} ms {most:8.1} ms {held:8.1} MiB"));
    }
    report.part("the worst of them");
    let worst = |of: fn(&Seen) -> f64| {
        all.iter().max_by(|a, b| of(a).total_cmp(&of(b))).expect("there are functions")
    };
    let bare = Quantity(bare[0], Unit::Milliseconds);
    let largest = worst(|seen| seen.zip);
    let slowest = worst(|seen| seen.ready[0]);
    let fullest = worst(|seen| seen.held);
    report.figure(
        Figure::new(format!("zip: {}", largest.name), largest.zip, Unit::Megabytes).at_most(3.0),
    );
    report.figure(
        Figure::new(format!("ready: {}", slowest.name), slowest.ready[0], Unit::Milliseconds)
            .beside("a static program, started and ended", bare)
            .at_most(10.0),
    );
    report.figure(
        Figure::new(format!("held: {}", fullest.name), fullest.held, Unit::Mebibytes).at_most(25.0),
    );
}

/// Where `make functions` leaves them: the folder is named for the platform.
fn programs() -> PathBuf {
    let folders = fs::read_dir(workspace().join("target")).into_iter().flatten();
    let built = folders.filter_map(|entry| Some(entry.ok()?.path().join("lambda")));
    let found = built.into_iter().find(|folder| folder.join("get-job").exists());
    found.expect("the functions are built: by `make functions`")
}

fn zipped(name: &str) -> f64 {
    let zip = workspace().join("target/lambda").join(format!("{name}.zip"));
    let bytes = fs::metadata(&zip).expect("`make functions` makes zips").len();
    #[expect(clippy::cast_precision_loss, reason = "a few digits are all that is shown")]
    let bytes = bytes as f64;
    bytes / 1e6
}

/// What starting any program takes here.
async fn bare_start() -> Duration {
    let started = Instant::now();
    let status = Command::new(probe()).arg("exit").arg("0").stdout(Stdio::null()).status().await;
    assert!(status.is_ok_and(|status| status.success()), "the probe can be run");
    started.elapsed()
}

/// Milliseconds within which half of them, and nine of ten, are over.
fn quantiles(mut times: Vec<Duration>) -> [f64; 2] {
    times.sort();
    [times.len() / 2, times.len() * 9 / 10].map(|place| times[place].as_secs_f64() * 1e3)
}

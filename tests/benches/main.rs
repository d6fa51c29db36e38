//! Measures the product, each figure beside a baseline of the same run.
//!
//! `cargo bench -p tests` measures everything, `cargo bench -p tests -- submits
//! lists` only those parts. The server is the release build, as in the stories.

mod load;

mod engine;

mod jobs;
mod submits;

mod containers;
mod starts;

mod archives;

mod finished;
mod lists;

use std::process::ExitCode;

use tests::report::Report;

/// The parts, in the order in which they are measured.
const PARTS: [&str; 7] =
    ["jobs", "submits", "starts", "containers", "archives", "finished", "lists"];

#[tokio::main]
async fn main() -> ExitCode {
    // Cargo adds options of its own, which are for its own harness.
    let asked: Vec<_> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if let Some(unknown) = asked.iter().find(|word| !PARTS.contains(&word.as_str())) {
        eprintln!("there is no part `{unknown}`: there are {}", PARTS.join(", "));
        return ExitCode::from(2);
    }
    let mut report = Report::start();
    for part in PARTS {
        if !asked.is_empty() && !asked.iter().any(|word| word == part) {
            continue;
        }
        match part {
            "jobs" => jobs::measure(&mut report).await,
            "submits" => submits::measure(&mut report).await,
            "starts" => starts::measure(&mut report).await,
            "containers" => containers::measure(&mut report).await,
            "archives" => archives::measure(&mut report),
            "finished" => finished::measure(&mut report).await,
            _ => lists::measure(&mut report).await,
        }
    }
    report.end();
    ExitCode::SUCCESS
}

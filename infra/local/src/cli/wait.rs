//! `tarpon wait`: until jobs have ended.

use std::time::Duration;

use futures::{StreamExt, stream::FuturesUnordered};

use super::{
    Common, problem::Failure, progress::Status, session::Session, values, verdict, watch::Watch,
};

/// Wait for jobs to end
///
/// Prints a line for each as it ends. For one job the exit code is that of
/// its process; for several it is 0 if all succeeded, and else 1. It is 124
/// if they did not end in time.
#[derive(clap::Args, Debug)]
#[command(after_long_help = concat!(
    "Examples:\n  tarpon wait job-0198c5…\n  tarpon wait --timeout 10m $(tarpon submit hello)\n"
))]
pub struct Args {
    /// The jobs
    #[arg(required = true, value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Wait for so long at most
    #[arg(long, value_name = "DURATION", value_parser = values::seconds)]
    pub timeout: Option<u32>,

    #[command(flatten)]
    pub common: Common,
}

/// Waits, and tells of each job as it ends.
pub async fn perform(session: &Session, args: Args) -> Result<u8, Failure> {
    let limit = args.timeout.map(|seconds| Duration::from_secs(seconds.into()));
    let screen = &session.screen;
    let status = Status::new(screen);
    let mut waits: FuturesUnordered<_> =
        args.jobs.iter().map(|id| Watch::new(session, id, false).end(limit)).collect();
    let alone = args.jobs.len() == 1;
    let mut code = 0;
    let mut late = 0;
    loop {
        match waits.len() {
            0 => break,
            1 => status.say("waiting for 1 job"),
            count => status.say(&format!("waiting for {count} jobs")),
        }
        let Some(ended) = waits.next().await else { break };
        let Some(ended) = ended? else {
            late += 1;
            continue;
        };
        if session.json {
            screen.json(&ended.json)?;
        } else {
            screen.line(&verdict::sentence(&ended.value))?;
        }
        match verdict::exit_code(&ended.value) {
            0 => {}
            own if alone => code = own,
            _ => code = 1,
        }
    }
    status.clear();
    if late > 0 {
        let jobs = if late == 1 { "job has" } else { "jobs have" };
        screen.note(&format!("{late} {jobs} not ended yet"));
        return Ok(verdict::TIMED_OUT);
    }
    Ok(code)
}

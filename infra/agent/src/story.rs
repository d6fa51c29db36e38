//! One attempt, from its plan to its report.

use std::{fs, sync::Arc, time::Duration};

use data_encoding::BASE64;
use shared::{
    agent::{Plan, Report, exit_code},
    job::{Cause, Usage},
};
use tokio::time::timeout;

use crate::{
    collect, fetch,
    process::{self, Ran},
    program,
    service::{Refused, Service},
    settings::Settings,
    signals::Signals,
};

/// How long the last of the logs may take. The report does not wait for more.
const LAST_LOGS: Duration = Duration::from_secs(5);

/// How long a report may take of an attempt that was stopped before its plan
/// was read: most likely nobody waits for it.
const STOPPED_EARLY: Duration = Duration::from_secs(20);

/// No process was started, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unstarted {
    /// What kind of failure it is.
    pub cause: Cause,
    /// One line for people.
    pub message: String,
}

impl Unstarted {
    /// For this cause.
    pub fn because(cause: Cause, message: String) -> Unstarted {
        Unstarted { cause, message }
    }

    /// The agent cannot do its work here, through no fault of the user's. For
    /// the job that is as if the agent had been lost: tried again elsewhere,
    /// at no cost.
    pub fn fault(message: String) -> Unstarted {
        Unstarted { cause: Cause::AgentLost, message }
    }

    /// It was told to stop before there was a process.
    pub fn stopped() -> Unstarted {
        let message = "stopped before the process was started".to_owned();
        Unstarted { cause: Cause::Interrupted, message }
    }
}

/// Lives through the attempt; the agent's exit code.
pub async fn live(settings: &Settings) -> i32 {
    let mut signals = match Signals::listen() {
        Ok(signals) => signals,
        Err(error) => return fault(&format!("cannot listen to signals: {error}")),
    };
    let service = Arc::new(Service::new(settings));
    let plan = tokio::select! {
        biased;
        plan = service.plan() => plan,
        () = signals.stop() => return stopped_early(&service).await,
    };
    let plan = match plan {
        Some(Ok(plan)) => plan,
        Some(Err(Refused)) => return exit_code::REFUSED,
        None => return fault("the service did not answer for too long"),
    };
    let report = attempt(settings, &service, &plan, &mut signals).await;
    match service.report(&report).await {
        Some(Ok(()) | Err(Refused)) => 0,
        None => fault("the report could not be delivered"),
    }
}

fn fault(why: &str) -> i32 {
    eprintln!("tarpon-agent: {why}");
    exit_code::FAULT
}

/// The plan may have been given out and its answer lost, so the service may
/// believe that the process runs.
async fn stopped_early(service: &Service) -> i32 {
    let report = unstarted(Unstarted::stopped(), 0);
    match timeout(STOPPED_EARLY, service.report(&report)).await {
        Ok(Some(_)) => 0,
        Ok(None) | Err(_) => fault("stopped before the plan was read"),
    }
}

async fn attempt(
    settings: &Settings,
    service: &Arc<Service>,
    plan: &Plan,
    signals: &mut Signals,
) -> Report {
    let scratch = settings.scratch.as_path();
    if let Err(error) = fs::create_dir_all(scratch) {
        let why = program::plain(&error);
        return unstarted(Unstarted::fault(format!("{}: {why}", scratch.display())), 0);
    }
    let fetched = tokio::select! {
        biased;
        () = signals.stop() => Err(Unstarted::stopped()),
        fetched = fetch::fetch(service, plan, scratch) => fetched,
    };
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(why) => return unstarted(why, 0),
    };
    let input_bytes = fetched.bytes;
    match process::run(service, plan, fetched, scratch, signals).await {
        Ok(ran) => finish(settings, service, plan, ran, input_bytes).await,
        Err(why) => unstarted(why, input_bytes),
    }
}

/// Collects, and tells what there is to tell. Signals are not listened to any
/// more: that the container should stop is what is happening.
async fn finish(
    settings: &Settings,
    service: &Service,
    plan: &Plan,
    mut ran: Ran,
    input_bytes: u64,
) -> Report {
    let collected = collect::collect(service, plan, settings, &ran).await;
    if timeout(LAST_LOGS, &mut ran.logs).await.is_err() {
        ran.logs.abort();
    }
    let [stdout, stderr] = &ran.spools;
    let lost = stdout.lost() + stderr.lost();
    let no_room = || format!("the last {lost} bytes of output found no room on the scratch volume");
    let message = collected.trouble.or_else(|| (lost > 0).then(no_room));
    let archive = collected.archive;
    let archived = archive.as_ref().map_or(0, |archive| archive.bytes);
    // What went wrong first is what went wrong.
    let cause = ran.cause.or(message.as_ref().map(|_| Cause::OutputFailed));
    Report {
        exit: Some(ran.exit),
        cause,
        message,
        started_at: Some(ran.started_at),
        ended_at: Some(ran.ended_at),
        usage: Usage {
            wall_ms: ran.wall_ms,
            cpu_ms: ran.cpu_ms,
            peak_memory_bytes: ran.peak_memory_bytes,
            input_bytes,
            output_bytes: archived + collected.object_bytes,
        },
        archive,
        stdout_tail: BASE64.encode(&stdout.tail()),
        stderr_tail: BASE64.encode(&stderr.tail()),
        stdout_bytes: stdout.length() + stdout.lost(),
        stderr_bytes: stderr.length() + stderr.lost(),
    }
}

fn unstarted(why: Unstarted, input_bytes: u64) -> Report {
    Report {
        exit: None,
        cause: Some(why.cause),
        message: Some(why.message),
        started_at: None,
        ended_at: None,
        usage: Usage { input_bytes, ..Usage::default() },
        archive: None,
        stdout_tail: String::new(),
        stderr_tail: String::new(),
        stdout_bytes: 0,
        stderr_bytes: 0,
    }
}

//! An attempt as a client sees it.

use data_encoding::BASE64;
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    agent::ArchiveInfo,
    fargate::Prices,
    job::{Attempt, AttemptId, AttemptPhase, Cause, Exit, Job, container_seconds},
    ops::{attempts::AttemptRecord, history::Tried},
    wire::views::UsageView,
};
use utoipa::ToSchema;

/// An attempt: one container of one instance.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptView {
    /// Its id.
    pub id: String,
    /// The job's run that it is of.
    pub run: u32,
    /// The task's name.
    pub task: String,
    /// The instance, from 0.
    pub instance: u32,
    /// Which attempt of the instance, from 1.
    pub number: u32,
    /// `starting running collecting stopping succeeded failed stopped`.
    pub state: &'static str,
    /// The exit code, if its process has ended; 128 and a signal's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why it did not succeed, or is to stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub cause: Option<Cause>,
    /// Whether another attempt could end otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// What else is known of its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was given its slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub claimed_at: Option<Timestamp>,
    /// When its process started.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// What it used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageView>,
    /// Its archive, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveView>,
    /// The attempt, of another job, whose result it was given in place of
    /// running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_from: Option<String>,
    /// The end of standard output, up to 10,000 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdout_tail: Option<String>,
    /// The end of standard error, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stderr_tail: Option<String>,
}

/// A stored archive.
#[derive(Debug, Serialize, ToSchema)]
pub struct ArchiveView {
    /// Its length.
    pub bytes: u64,
    /// How many members it has, the manifest included.
    pub members: u32,
    /// SHA-256 of its manifest, which has those of all other members.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub manifest_sha256: String,
}

/// A page of attempts.
#[derive(Debug, Serialize, ToSchema)]
pub struct AttemptsView {
    /// The attempts, by run, task, instance and number.
    pub attempts: Vec<AttemptView>,
    /// For the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl AttemptView {
    /// The attempt of one of the job's tasks.
    pub fn of(job: &Job, tried: Tried, prices: Option<Prices>) -> Self {
        match tried {
            Tried::Live(id, attempt) => AttemptView::live(job, id, &attempt),
            Tried::Ended(record) => AttemptView::ended(job, *record, prices),
        }
    }

    fn new(job: &Job, id: AttemptId, state: &'static str, cause: Option<Cause>) -> Self {
        let task = job.tasks.get(id.task as usize);
        AttemptView {
            id: id.to_string(),
            run: id.run,
            task: task.map(|task| task.name.to_string()).unwrap_or_default(),
            instance: id.instance,
            number: id.number,
            state,
            exit_code: None,
            cause,
            retryable: cause.map(Cause::retryable),
            message: None,
            claimed_at: None,
            started_at: None,
            ended_at: None,
            usage: None,
            archive: None,
            cached_from: None,
            stdout_tail: None,
            stderr_tail: None,
        }
    }

    fn live(job: &Job, id: AttemptId, attempt: &Attempt) -> Self {
        let state = match (attempt.stop, attempt.phase) {
            (Some(_), _) => "stopping",
            (None, AttemptPhase::Claimed | AttemptPhase::Starting) => "starting",
            (None, AttemptPhase::Running) => "running",
            (None, AttemptPhase::Collecting) => "collecting",
        };
        AttemptView {
            claimed_at: Some(attempt.claimed_at),
            started_at: attempt.started_at,
            ..AttemptView::new(job, id, state, attempt.stop.map(|stop| stop.why))
        }
    }

    fn ended(job: &Job, record: AttemptRecord, prices: Option<Prices>) -> Self {
        let cost = cost(job, &record, prices);
        let state = match record.cause {
            None => "succeeded",
            Some(cause) if cause.is_halt() => "stopped",
            Some(_) => "failed",
        };
        AttemptView {
            exit_code: record.exit.map(Exit::code),
            message: record.message,
            claimed_at: record.claimed_at,
            started_at: record.started_at,
            ended_at: Some(record.ended_at),
            usage: record.usage.map(|usage| UsageView::priced(usage, cost)),
            archive: record.archive.map(ArchiveView::from),
            cached_from: record.cached_from.map(|from| from.attempt.to_string()),
            stdout_tail: tail(&record.stdout_tail),
            stderr_tail: tail(&record.stderr_tail),
            ..AttemptView::new(job, record.id, state, record.cause)
        }
    }
}

/// What its container would have cost, in millionths of a US dollar.
fn cost(job: &Job, record: &AttemptRecord, prices: Option<Prices>) -> Option<u64> {
    record.started_at?;
    let seconds = container_seconds(record.claimed_at?, record.ended_at);
    prices?.of(job.tasks.get(record.id.task as usize)?.resources, seconds)
}

/// The end of a stream as text; none where it was empty.
fn tail(base64: &str) -> Option<String> {
    let bytes = BASE64.decode(base64.as_bytes()).ok()?;
    (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

impl From<ArchiveInfo> for ArchiveView {
    fn from(info: ArchiveInfo) -> Self {
        let ArchiveInfo { bytes, members, manifest_sha256, .. } = info;
        ArchiveView { bytes, members, manifest_sha256 }
    }
}

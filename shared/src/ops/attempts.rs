//! What the agent calls: the plan ([`super::plan`]), the upload, the report; and
//! what an ended attempt leaves behind.

use std::borrow::Cow;

use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tracing::{instrument, warn};

pub use super::plan::{read_inputs, read_plan};
use super::{
    destinations, recall,
    record::{self, Found},
    rows,
    sources::{GRANT_HOURS, expiry},
};
use crate::{
    agent::{ArchiveInfo, Report, TAIL_BYTES, Upload, UploadRequest},
    job::{
        AttemptEvent, AttemptId, AttemptKey, CachedFrom, Cause, Ended, Event, Exit, Instance, Job,
        JobSpec, ProjectId, Usage,
    },
    platform::{Grant, GrantMethod, ObjectKey, SignedUrl},
    service::Service,
    wire::Problem,
};

/// An archive from this size on is collected long enough to be worth a note.
const WORTH_A_NOTE: u64 = 1 << 20;

/// What an ended attempt left behind: its own row, written before the job that
/// it ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// The stored shape's version.
    pub v: u8,
    /// Which attempt.
    pub id: AttemptId,
    /// How its process ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// What went wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// The same as whoever ended it told it: the job may know better.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Cause>,
    /// One line for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it was given its slot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_at: Option<Timestamp>,
    /// When its process started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Timestamp,
    /// What it used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Its archive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub archive: Option<ArchiveInfo>,
    /// What its result is known by to its equals, if they may have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whose result it was given in place of running.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached_from: Option<CachedFrom>,
    /// The end of standard output, base 64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stdout_tail: String,
    /// The end of standard error, base 64.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stderr_tail: String,
}

/// What an ended attempt left behind, or `None`. It is written but once.
pub async fn load(service: &Service, id: AttemptId) -> Result<Option<AttemptRecord>, Problem> {
    let row = service.platform.table.find(&rows::attempt(id)).await?;
    row.as_ref().map(rows::read).transpose()
}

/// The spec that a job was submitted with: a small one is in its record.
pub async fn load_spec<'j>(service: &Service, job: &'j Job) -> Result<Cow<'j, JobSpec>, Problem> {
    if let Some(spec) = &job.spec {
        return Ok(Cow::Borrowed(spec));
    }
    let row = service.platform.table.find(&rows::spec(job.key())).await?;
    let row = row.ok_or_else(|| Problem::internal(format!("the spec of {} is gone", job.id)))?;
    rows::read(&row).map(Cow::Owned)
}

/// Until when agents of a job that is over may use URLs that they were given,
/// or it may still be brought results of equals; `None` if it had neither.
pub(super) fn granted_until(job: &Job) -> Option<Timestamp> {
    let (_, ended) = job.ending()?;
    let any = job.started_at.is_some() || job.run > 1;
    let any = any || job.tasks.iter().any(|task| task.caches);
    any.then(|| ended.checked_add(SignedDuration::from_hours(GRANT_HOURS)).ok()).flatten()
}

/// Where the attempt's archive may be put: once, under its own name. Or an
/// object that the task's spec asks for.
#[instrument(level = "debug", name = "attempt.upload", skip_all, fields(attempt.id = %attempt.attempt))]
pub async fn grant_upload(
    service: &Service,
    attempt: AttemptKey,
    request: &UploadRequest,
) -> Result<Upload, Problem> {
    if let Some(object) = &request.object {
        return destinations::grant(service, attempt, object, request.bytes).await;
    }
    match request.exit {
        Some(exit) if request.bytes >= WORTH_A_NOTE => {
            let event = Event::Attempt(attempt.attempt, AttemptEvent::Collecting { exit });
            record::record(service, attempt.job(), &event).await?;
        }
        _ => {}
    }
    place_of_archive(service, attempt, Some(request.bytes)).await
}

pub(super) async fn place_of_archive(
    service: &Service,
    attempt: AttemptKey,
    length: Option<u64>,
) -> Result<Upload, Problem> {
    let method = GrantMethod::Put { if_absent: true, length };
    let grant = Grant { method, key: ObjectKey::archive(attempt), expires_at: expiry(service) };
    let SignedUrl { url, headers } = service.platform.objects.sign(&grant).await?;
    Ok(Upload { url, headers })
}

/// The end of an attempt, as its agent tells it. Told again, it changes nothing.
#[instrument(level = "debug", name = "attempt.report", skip_all, fields(attempt.id = %attempt.attempt))]
pub async fn report(
    service: &Service,
    attempt: AttemptKey,
    mut report: Report,
) -> Result<(), Problem> {
    // What shares the container could have sent this: it is believed no
    // further than it can be checked.
    if let Some(archive) = &mut report.archive {
        let stored = service.platform.objects.info(&ObjectKey::archive(attempt)).await?;
        match stored {
            Some(info) => {
                archive.bytes = info.size;
                archive.etag = info.etag;
            }
            None => report.archive = None,
        }
    }
    let found = record::glance(service, attempt.job()).await?;
    let well = report.cause.is_none() && report.archive.is_some();
    let key = match found.as_ref().filter(|_| well) {
        Some(found) => recall::still_known_by(service, attempt, found.job()).await?,
        None => None,
    };
    let ended = Ended {
        exit: report.exit,
        cause: report.cause,
        archive_bytes: report.archive.as_ref().map(|archive| archive.bytes),
        usage: Some(report.usage),
        key: key.clone(),
    };
    let record = AttemptRecord {
        v: 1,
        id: attempt.attempt,
        exit: report.exit,
        cause: report.cause,
        told: None,
        message: report.message.map(|message| message.chars().take(1_000).collect()),
        claimed_at: None,
        started_at: report.started_at,
        ended_at: service.platform.clock.now(),
        usage: Some(report.usage),
        archive: report.archive,
        key,
        cached_from: None,
        stdout_tail: tail(report.stdout_tail),
        stderr_tail: tail(report.stderr_tail),
    };
    end(service, attempt, found, ended, record).await
}

/// The end of an attempt that nobody reported.
pub async fn end_unreported(
    service: &Service,
    attempt: AttemptKey,
    cause: Cause,
    message: Option<String>,
) -> Result<(), Problem> {
    let why = message.as_deref().unwrap_or_default();
    warn!(attempt.id = %attempt.attempt, cause = cause.word(), why, "nobody reported its end");
    let record = AttemptRecord {
        v: 1,
        id: attempt.attempt,
        exit: None,
        cause: Some(cause),
        told: None,
        message,
        claimed_at: None,
        started_at: None,
        ended_at: service.platform.clock.now(),
        usage: None,
        archive: None,
        key: None,
        cached_from: None,
        stdout_tail: String::new(),
        stderr_tail: String::new(),
    };
    end(service, attempt, None, Ended::without_exit(cause), record).await
}

/// The ends of attempts for which nobody answers any more: as a tick would have
/// it, but written down.
pub(super) async fn give_up(
    service: &Service,
    project: ProjectId,
    attempts: Vec<AttemptId>,
) -> Result<(), Problem> {
    for attempt in attempts {
        let message = "it was told to stop, and nobody answered for it any more".to_owned();
        let key = AttemptKey { project, attempt };
        end_unreported(service, key, Cause::AgentLost, Some(message)).await?;
    }
    Ok(())
}

/// Ends the attempt, and writes down what it left behind.
///
/// That comes first, and only where there is nothing yet: so it is what the
/// ending of the attempt *is*, whoever then brings it into the job. If we die
/// between the two, the attempt is live until somebody ends it again: its
/// agent, which has no answer yet, or a sweep that finds it gone. Whatever they
/// come with, they find this ending and bring in that. If we die after the
/// second, the slot is still taken, and a sweep gives it back.
async fn end(
    service: &Service,
    attempt: AttemptKey,
    found: Option<Found>,
    ended: Ended,
    left: AttemptRecord,
) -> Result<(), Problem> {
    let id = attempt.attempt;
    let event = AttemptEvent::Ended(ended);
    let row = move |before: Option<&Instance>, after: Option<&Instance>| {
        let live = before.and_then(|instance| instance.live());
        let outcome = after.and_then(|instance| instance.outcome());
        let record = AttemptRecord {
            claimed_at: live.map(|live| live.claimed_at),
            started_at: left.started_at.or_else(|| live.and_then(|live| live.started_at)),
            // The job knows better why, if it had told the attempt to stop.
            cause: outcome.map_or(left.cause, |outcome| outcome.cause),
            told: left.cause,
            ..left.clone()
        };
        (rows::attempt(id), rows::plain(&record))
    };
    match record::record_after(service, attempt, found, &event, row).await {
        Err(Problem::NotFound { .. }) => Ok(()),
        Ok(None) => end_as_written(service, attempt).await,
        recorded => recorded.map(|_| ()),
    }
}

/// Ends the attempt as somebody wrote who may have died before he came to the
/// job: the first ending stands.
async fn end_as_written(service: &Service, attempt: AttemptKey) -> Result<(), Problem> {
    let id = attempt.attempt;
    // Without one, all that belonged to the job was removed meanwhile.
    let Some(left) = load(service, id).await? else { return Ok(()) };
    let ended = Ended {
        exit: left.exit,
        cause: left.told,
        archive_bytes: left.archive.map(|archive| archive.bytes),
        usage: left.usage,
        key: left.key,
    };
    let event = Event::Attempt(id, AttemptEvent::Ended(ended));
    match record::record(service, attempt.job(), &event).await {
        Err(Problem::NotFound { .. }) => Ok(()),
        recorded => recorded.map(|_| ()),
    }
}

/// A tail that is base 64 of no more than it may be; else none.
fn tail(text: String) -> String {
    match BASE64.decode(text.as_bytes()) {
        Ok(bytes) if bytes.len() <= TAIL_BYTES => text,
        _ => String::new(),
    }
}

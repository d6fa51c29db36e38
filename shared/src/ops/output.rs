//! What a job brought home: the archive of one of its attempts.

use super::{
    attempts, chunks, contents::Contents, objects::Stretch, recall, rows::ChunkKey, turns,
};
use crate::{
    job::{AttemptId, AttemptKey, Job, JobKey},
    platform::{Key, ObjectKey},
    service::Service,
    wire::Problem,
};

/// Which of a job's archives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// The task's name; the only one without.
    pub task: Option<String>,
    /// The instance; the only one without.
    pub instance: Option<u32>,
    /// The attempt; the latest without.
    pub attempt: Option<u32>,
}

/// The attempt that a selector names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// Which; its number is 0 before the first.
    pub attempt: AttemptId,
    /// Whether it is live.
    pub is_live: bool,
    /// The row that changes with it, where that is not its job's, and its
    /// version.
    pub chunk: Option<(Key, u64)>,
}

/// The attempt that the selector names.
pub async fn select(
    service: &Service,
    job: &Job,
    selector: &Selector,
) -> Result<Selected, Problem> {
    let (task, instance) = place(job, selector)?;
    let none = AttemptId { number: 0, ..job.attempt_id(task, instance as usize, 0) };
    let key = ChunkKey::of(AttemptKey { project: job.project, attempt: none });
    let chunk = match job.chunk_of(none) {
        Some(_) => turns::load(service, key).await?,
        None => None,
    };
    let latest = if let Some((_, chunk)) = &chunk {
        chunk.latest_attempt(instance).unwrap_or(none)
    } else {
        let number = job.instance(none).map_or(0, |instance| instance.attempts);
        AttemptId { number, ..none }
    };
    let attempt = match selector.attempt {
        Some(number) if number == 0 || number > latest.number => {
            return Err(Problem::not_found("attempt", number));
        }
        Some(number) => AttemptId { number, ..latest },
        None => latest,
    };
    let is_live = chunk.as_ref().map_or(job.is_live(attempt), |(_, c)| c.is_live(attempt));
    let chunk = chunk.map(|(row, _)| (row.key, row.version));
    Ok(Selected { attempt, is_live, chunk })
}

/// The task and the instance that the selector names.
fn place(job: &Job, selector: &Selector) -> Result<(usize, u32), Problem> {
    let task = match &selector.task {
        None if job.tasks.len() == 1 => 0,
        None => return Err(Problem::invalid("task", "the job has several; name one")),
        Some(name) => job
            .tasks
            .iter()
            .position(|task| task.name.as_str() == name)
            .ok_or_else(|| Problem::not_found("task", name))?,
    };
    let instances = job.tasks[task].members.counts().total();
    match selector.instance {
        None if instances == 1 => Ok((task, 0)),
        None => Err(Problem::invalid("instance", "the task has several; name one")),
        Some(index) if index < instances => Ok((task, index)),
        Some(index) => Err(Problem::not_found("instance", index)),
    }
}

/// The attempt's archive.
pub async fn archive(
    service: &Service,
    key: JobKey,
    attempt: AttemptId,
) -> Result<Stretch, Problem> {
    match stored(service, key, attempt).await? {
        Some(archive) => Ok(archive),
        None => Err(missing(service, key, attempt).await?),
    }
}

/// The attempt's archive, if there is one.
pub async fn stored(
    service: &Service,
    key: JobKey,
    attempt: AttemptId,
) -> Result<Option<Stretch>, Problem> {
    let own = AttemptKey { project: key.project, attempt };
    if let Some(archive) = Stretch::whole(service, &ObjectKey::archive(own)).await? {
        return Ok(Some(archive));
    }
    match attempts::load(service, attempt).await?.and_then(|left| left.cached_from) {
        Some(from) => Stretch::whole(service, &recall::object(own, Some(from))).await,
        None => Ok(None),
    }
}

/// Why there is no archive.
async fn missing(service: &Service, key: JobKey, attempt: AttemptId) -> Result<Problem, Problem> {
    let held = chunks::held(service, AttemptKey { project: key.project, attempt }).await?;
    let held = held.ok_or_else(|| Problem::not_found("job", key.job))?;
    if held.job.ending().is_none() && (attempt.number == 0 || held.is_live(attempt)) {
        let detail = "there is no output yet: the job has not finished";
        return Ok(Problem::conflict("not_finished", detail));
    }
    let left = attempts::load(service, attempt).await?;
    let why = left.and_then(|left| left.message).unwrap_or_else(|| "nothing was run".into());
    Ok(Problem::not_found("output", format!("{}: {why}", attempt.job)))
}

/// One file of an archive. Where several are wanted of one, [`Contents`] finds
/// them for less.
pub async fn member(service: &Service, archive: &Stretch, name: &str) -> Result<Stretch, Problem> {
    Contents::of(archive.clone()).member(service, name).await
}

pub(super) fn malformed(why: &str) -> Problem {
    Problem::conflict("malformed_archive", format!("the archive cannot be read: {why}"))
}

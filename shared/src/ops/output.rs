//! What a job brought home: the archive of one of its attempts.

use super::{attempts, jobs};
use crate::{
    job::{AttemptId, AttemptKey, Job, JobKey},
    platform::{ObjectKey, Range, StoredObject},
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
    /// The attempt; the last that ended without.
    pub attempt: Option<u32>,
}

/// The attempt that the selector names.
pub fn select(job: &Job, selector: &Selector) -> Result<AttemptId, Problem> {
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
    let instance = match selector.instance {
        None if instances == 1 => 0,
        None => return Err(Problem::invalid("instance", "the task has several; name one")),
        Some(index) if index < instances => index,
        Some(index) => return Err(Problem::not_found("instance", index)),
    };
    let id = job.attempt_id(task, instance as usize, 0);
    let latest = job.instance(id).map_or(0, |instance| instance.attempts);
    match selector.attempt {
        Some(number) if number == 0 || number > latest => {
            Err(Problem::not_found("attempt", number))
        }
        Some(number) => Ok(AttemptId { number, ..id }),
        None => Ok(AttemptId { number: latest, ..id }),
    }
}

/// The archive, or a part of it.
pub async fn archive(
    service: &Service,
    key: JobKey,
    attempt: AttemptId,
    range: Option<Range>,
) -> Result<StoredObject, Problem> {
    let object = ObjectKey::archive(AttemptKey { project: key.project, attempt });
    let found = service.platform.objects.get(&object, range).await?;
    let Some(found) = found else { return Err(missing(service, key, attempt).await?) };
    Ok(found)
}

/// Why there is no archive.
async fn missing(service: &Service, key: JobKey, attempt: AttemptId) -> Result<Problem, Problem> {
    let job = jobs::load(service, key).await?;
    if job.ending().is_none() && (attempt.number == 0 || job.is_live(attempt)) {
        let detail = "there is no output yet: the job has not finished";
        return Ok(Problem::conflict("not_finished", detail));
    }
    let left = attempts::load(service, attempt).await?;
    let why = left.and_then(|left| left.message).unwrap_or_else(|| "nothing was run".into());
    Ok(Problem::not_found("output", format!("{}: {why}", attempt.job)))
}

//! `GetTaskResult` and `StopTask`.

use serde_json::json;
use shared::{
    job::{Cause, Ending, Exit, Job, JobKey, Layout, ProjectId},
    ops::{attempts, bundle, jobs, output},
    service::Service,
    wire::Body,
};

use super::answer::{Answer, fields};
use crate::{
    asked::Parameters,
    faults::{Code, Fault},
    words::{State, job_id, task_id},
};

/// The task that is asked about.
pub async fn task(service: &Service, project: ProjectId, asked: &Parameters) -> Result<Job, Fault> {
    let unknown = || Fault::from(Code::TaskNotFound).about(State::Fail);
    let job = job_id(asked.required("TaskId")?).ok_or_else(unknown)?;
    let loaded = jobs::load(service, JobKey { project, job }).await;
    loaded
        .map_err(Fault::from)
        .map_err(|fault| if fault.code == Code::TaskNotFound { unknown() } else { fault })
}

/// What a task has left, or that it is not over.
pub async fn get(
    service: &Service,
    project: ProjectId,
    asked: &Parameters,
) -> Result<Answer, Fault> {
    let job = task(service, project, asked).await?;
    of(service, &job).await
}

/// The same of a job that is known.
pub async fn of(service: &Service, job: &Job) -> Result<Answer, Fault> {
    match job.ending() {
        None => Err(Fault::from(Code::NotFinished).about(State::Running)),
        Some((Ending::Succeeded, _)) => Ok(Answer::Tar(tar(service, job).await?)),
        Some((Ending::Failed | Ending::PartlyFailed | Ending::Cancelled | Ending::TimedOut, _)) => {
            Err(failure(job).about(State::Fail))
        }
    }
}

/// The archive as it is stored, where that is in the API's layout; else it is
/// put into it while it is read. Of several archives, one with a folder for each.
async fn tar(service: &Service, job: &Job) -> Result<Body, Fault> {
    let Some(instance) = job.only_instance() else {
        return Ok(bundle::read(service, job, None, Layout::Ugc).await?);
    };
    let attempt = job.attempt_id(0, 0, instance.attempts);
    let archive = output::archive(service, job.key(), attempt).await?;
    match attempts::load_spec(service, job).await?.layout {
        Layout::Ugc => Ok(archive.read(service, 0..archive.size()).await?),
        Layout::Native => Ok(bundle::relaid(service, &archive, Layout::Ugc).await?),
    }
}

/// Why there is no result.
fn failure(job: &Job) -> Fault {
    let id = task_id(job.id);
    let Some(outcome) = job.only_instance().and_then(|instance| instance.outcome()) else {
        return Fault::new(Code::ContainerFailed, format!("task {id}"));
    };
    let code = outcome.cause.map_or(Code::ContainerFailed, Code::from);
    let cause = outcome.cause.map_or("stopped", Cause::word).replace('_', " ");
    let exit = match outcome.exit.map(Exit::code) {
        Some(exit) => format!(", exit code {exit}"),
        None => String::new(),
    };
    Fault::new(code, format!("task {id}: {cause}{exit}"))
}

/// Ends a task. One that is over cannot be stopped.
pub async fn stop(
    service: &Service,
    project: ProjectId,
    asked: &Parameters,
) -> Result<Answer, Fault> {
    let job = task(service, project, asked).await?;
    if job.ending().is_some() {
        let state = State::of(&job);
        return Err(Fault::new(Code::StopFailed, "the task is over").about(state));
    }
    jobs::cancel(service, job.key()).await?;
    Ok(fields(json!({ "TaskId": task_id(job.id), "State": State::Running.word() })))
}

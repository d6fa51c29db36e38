//! The plan: what the agent of an attempt is told to run, and on what.

use std::collections::BTreeMap;

use tracing::instrument;

use super::{
    attempts::{load_spec, place_of_archive},
    destinations, record,
    sources::Sources,
    submit,
};
use crate::{
    agent::{InputPage, Plan},
    job::{
        AttemptEvent, AttemptId, AttemptKey, Event, ImageState, Job, JobSpec, ResolvedImage,
        TaskSpec,
    },
    service::Service,
    wire::Problem,
};

/// The fence: lets the attempt start, once, and tells the agent what to run.
#[instrument(level = "debug", name = "attempt.plan", skip_all, fields(attempt.id = %attempt.attempt))]
pub async fn read_plan(service: &Service, attempt: AttemptKey) -> Result<Plan, Problem> {
    let job = started(service, attempt).await?;
    let spec = load_spec(service, &job).await?;
    let id = attempt.attempt;
    let task = task_of(&spec, id)?;
    let image = image_of(&job, id);
    let image = image.ok_or_else(|| Problem::internal(format!("{id} has no image")))?;
    let sources = Sources { service, job: &job, task };
    let InputPage { inputs, more } = sources.inputs(None).await?;
    Ok(Plan {
        argv: image.argv(task.entrypoint.as_deref(), task.command.as_deref()),
        env: environment(service, attempt, task, image)?,
        workdir: task.workdir.clone().or_else(|| image.workdir.clone()).unwrap_or("/".into()),
        stdin: sources.stdin().await?,
        inputs,
        more,
        outputs: task.outputs.iter().map(|output| output.path.clone()).collect(),
        timeout_seconds: task.deadlines.running,
        grace_seconds: task.deadlines.grace,
        collect_seconds: task.deadlines.collecting,
        layout: spec.layout,
        image: image.digest.clone(),
        log_limit: service.limits.log_bytes,
        upload: Some(place_of_archive(service, attempt, None).await?),
        objects: destinations::planned(task),
    })
}

/// The plan's inputs from where an earlier answer ended, for as long as the
/// attempt may run.
#[instrument(level = "debug", name = "attempt.inputs", skip_all, fields(attempt.id = %attempt.attempt))]
pub async fn read_inputs(
    service: &Service,
    attempt: AttemptKey,
    after: &str,
) -> Result<InputPage, Problem> {
    let job = started(service, attempt).await?;
    let spec = load_spec(service, &job).await?;
    let task = task_of(&spec, attempt.attempt)?;
    Sources { service, job: &job, task }.inputs(Some(after)).await
}

/// The job of an attempt that may run, which from now on it does.
async fn started(service: &Service, attempt: AttemptKey) -> Result<Job, Problem> {
    let event = Event::Attempt(attempt.attempt, AttemptEvent::PlanRead);
    match record::record(service, attempt.job(), &event).await {
        Err(Problem::NotFound { .. }) => Err(Problem::conflict("superseded", "the job is gone")),
        recorded => Ok(recorded?.job),
    }
}

fn task_of(spec: &JobSpec, id: AttemptId) -> Result<&TaskSpec, Problem> {
    let task = spec.tasks.get(id.task as usize);
    task.ok_or_else(|| Problem::internal(format!("{id} is of no task")))
}

/// The pinned image of an attempt's task.
pub(super) fn image_of(job: &Job, id: AttemptId) -> Option<&ResolvedImage> {
    let task = job.tasks.get(id.task as usize)?;
    match &job.images.get(task.image as usize)?.state {
        ImageState::Resolved(image) => Some(image),
        ImageState::Wanted { .. } | ImageState::Refused(_) => None,
    }
}

/// The variables that tell a process where in its job it is.
pub(super) const OWN_VARIABLES: [&str; 5] = [
    "TARPON_JOB_ID",
    "TARPON_TASK_NAME",
    "TARPON_INSTANCE_INDEX",
    "TARPON_INSTANCE_COUNT",
    "TARPON_ATTEMPT_NUMBER",
];

/// The image's variables, the spec's over them, the secret ones over those,
/// and where in its job the process is.
pub(super) fn environment(
    service: &Service,
    attempt: AttemptKey,
    task: &TaskSpec,
    image: &ResolvedImage,
) -> Result<BTreeMap<String, String>, Problem> {
    let id = attempt.attempt;
    let mut env = image.env.clone();
    env.extend(task.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    for (name, sealed) in &task.secret_env {
        let scope = submit::secret_scope(attempt.job(), id.task as usize, name);
        let secret = service.keyring.open(&scope, sealed);
        let secret = secret.ok_or_else(|| {
            Problem::internal(format!("the secret variable {name} of {} cannot be opened", id.job))
        })?;
        env.insert(name.clone(), secret.reveal().to_owned());
    }
    env.extend(task.index.iter().map(|of| (of.name.clone(), of.number(id.instance).to_string())));
    let own = [
        id.job.to_string(),
        task.name.to_string(),
        id.instance.to_string(),
        task.instances.to_string(),
        id.number.to_string(),
    ];
    env.extend(OWN_VARIABLES.map(str::to_owned).into_iter().zip(own));
    Ok(env)
}

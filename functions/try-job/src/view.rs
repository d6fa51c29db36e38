//! What a dry run answers.

use serde::Serialize;
use shared::{
    fargate::dollars,
    job::{Cause, TaskSpec},
    ops::trial::{TaskTrial, Trial},
    service::Limits,
    wire::views::{QueueView, ResourcesView},
};
use utoipa::ToSchema;

/// A job as it would start.
#[derive(Debug, Serialize, ToSchema)]
pub struct DryRunView {
    /// What it would be called.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Its tasks.
    tasks: Vec<TaskView>,
    /// The queue that it would wait in, as it is now.
    queue: QueueView,
    /// How many unfinished jobs the project has.
    open_jobs: usize,
    /// How many it may have.
    open_jobs_limit: usize,
    /// What it costs at most, in US dollars, where its containers cost
    /// something: every attempt that its `retry` rules allow, each as long as
    /// its timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    usd_at_most: Option<f64>,
}

/// A task as it would start.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskView {
    /// Unique in the job.
    name: String,
    /// The image, as it was asked for.
    image: String,
    /// What it stands for now.
    #[serde(skip_serializing_if = "Option::is_none")]
    image_digest: Option<String>,
    /// What it is made for, such as `linux/amd64`.
    #[serde(skip_serializing_if = "Option::is_none")]
    platform: Option<String>,
    /// Why it could not start: as an attempt's cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    cause: Option<Cause>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// The words of its process.
    argv: Vec<String>,
    /// Its working directory.
    workdir: String,
    /// Its user, if it is not the superuser.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// The names of its environment's variables.
    env: Vec<String>,
    /// How many containers it would have.
    instances: u32,
    /// What each of them would have.
    resources: ResourcesView,
    /// What each is sold as, where it costs something.
    #[serde(skip_serializing_if = "Option::is_none")]
    sold_as: Option<ResourcesView>,
    /// What each costs an hour, in US dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    usd_an_hour: Option<f64>,
}

impl DryRunView {
    /// The view of a trial.
    pub fn of(trial: &Trial, queue: QueueView, limits: &Limits) -> Self {
        let tasks = || trial.spec.tasks.iter().zip(&trial.tasks);
        let most: Option<f64> = tasks().map(|(spec, task)| at_most(spec, task)).sum();
        DryRunView {
            name: trial.spec.name.clone(),
            tasks: tasks().map(|(spec, task)| TaskView::of(spec, task)).collect(),
            queue,
            open_jobs: trial.open_jobs,
            open_jobs_limit: limits.open_jobs,
            usd_at_most: most,
        }
    }
}

fn an_hour(task: &TaskTrial) -> Option<f64> {
    let charge = task.charge.as_ref().ok()?.as_ref()?;
    charge.micro_usd_an_hour.map(dollars)
}

fn at_most(spec: &TaskSpec, task: &TaskTrial) -> Option<f64> {
    let attempts = f64::from(spec.instances) * f64::from(spec.retry.max_attempts);
    let hours = f64::from(spec.deadlines.running) / 3_600.0;
    an_hour(task).map(|usd| (usd * attempts * hours * 1e6).ceil() / 1e6)
}

impl TaskView {
    fn of(spec: &TaskSpec, task: &TaskTrial) -> Self {
        let image = task.image.as_ref().ok();
        let (cause, message) = match (&task.image, &task.charge) {
            (Err(none), _) => (Some(none.cause), Some(none.message.clone())),
            (Ok(_), Err(why)) => (Some(Cause::TooLarge), Some(why.clone())),
            (Ok(_), Ok(_)) => (None, None),
        };
        let charge = task.charge.as_ref().ok().and_then(Option::as_ref);
        let named = spec.registered.as_ref().map(ToString::to_string);
        TaskView {
            name: spec.name.to_string(),
            image: named.unwrap_or_else(|| spec.image.to_string()),
            image_digest: image.map(|image| image.digest.clone()),
            platform: image.map(|image| image.platform.clone()),
            cause,
            message,
            argv: task.argv.clone(),
            workdir: spec
                .workdir
                .clone()
                .or_else(|| image.and_then(|image| image.workdir.clone()))
                .unwrap_or_else(|| "/".to_owned()),
            user: spec.user.clone().or_else(|| image.and_then(|image| image.user.clone())),
            env: task.env.clone(),
            instances: spec.instances,
            resources: spec.resources.into(),
            sold_as: charge.map(|charge| charge.sold.into()),
            usd_an_hour: an_hour(task),
        }
    }
}

//! How jobs, queues, images, keys and objects look to a client.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    fargate::{Prices, dollars},
    job::{
        Cause, Counts, Ending, Exit, Halt, ImageState, InstanceState, Job, MadeBy, Phase,
        Resources, Spent, Task, TaskState, Usage,
    },
    ops::{images::RegisteredImage, keys::KeyRecord, queues::Queue},
    platform::SetSize,
    wire::callback::{CallbackStateView, QueueCallbackView},
};

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobView {
    /// `job-` and 32 hex digits.
    pub id: String,
    /// What the client calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its owner.
    pub project_id: String,
    /// The queue it waits or waited in.
    pub queue: String,
    /// Higher starts first.
    pub priority: i16,
    /// `queued running stopping succeeded failed partly_failed cancelled timed_out`.
    pub state: &'static str,
    /// 1, and one more for each retry.
    pub run: u32,
    /// Why it has not started, while it has not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<WaitingView>,
    /// Its tasks.
    pub tasks: Vec<TaskView>,
    /// The exit code, for a job of one container whose process has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why it did not succeed, for a job of one container.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub cause: Option<Cause>,
    /// Whether the same job, submitted again, could end otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// What else is known of its failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The attempt, of another job, whose result it was given in place of
    /// running, for a job of one container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_from: Option<String>,
    /// Labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What led to it, where that was more than a request of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_by: Option<MadeByView>,
    /// When it was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its first container was claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// When all of it is stopped, if it is not over by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub deadline_at: Option<Timestamp>,
    /// When it is removed with all that belongs to it, now that it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// What its containers used together that have ended, those of failed
    /// attempts and of earlier runs included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageView>,
    /// How telling its caller stands, if somebody is to be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackStateView>,
    /// Where to go from here.
    pub links: LinksView,
}

/// What led to a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct MadeByView {
    /// The template that it is from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The trigger that submitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// The job that it was made from, with edits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How many triggers led here, each by an object that a job before wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub depth: Option<u32>,
}

impl MadeByView {
    fn of(made_by: &MadeBy) -> Option<Self> {
        let MadeBy { template, trigger, from, depth } = made_by;
        (!made_by.is_request()).then(|| MadeByView {
            template: template.as_ref().map(ToString::to_string),
            trigger: trigger.as_ref().map(ToString::to_string),
            from: from.map(|from| from.to_string()),
            depth: (*depth > 0).then_some(*depth),
        })
    }
}

/// Why a job waits.
#[derive(Debug, Serialize, ToSchema)]
pub struct WaitingView {
    /// `dependency image cache retry_pause queue_paused queue_limit capacity`.
    pub reason: &'static str,
    /// How many jobs start before it: exact to 100, then `100+`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<String>,
}

/// A task.
#[derive(Debug, Serialize, ToSchema)]
pub struct TaskView {
    /// Unique in the job.
    pub name: String,
    /// `pending ready running succeeded failed partly_failed stopped skipped`.
    #[schema(value_type = String)]
    pub state: TaskState,
    /// The image, as it was asked for.
    pub image: String,
    /// What the image stood for when it was looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_digest: Option<String>,
    /// How many instances stand where.
    pub instances: CountsView,
    /// The causes of what failed, each with how often.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, u32>)]
    pub causes: BTreeMap<Cause, u32>,
    /// What its containers used together, as for the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<UsageView>,
}

/// How many instances stand where.
#[derive(Debug, Serialize, ToSchema)]
pub struct CountsView {
    /// Not started, or between two attempts.
    pub waiting: u32,
    /// With a container.
    pub running: u32,
    /// Ended well.
    pub succeeded: u32,
    /// Failed for good.
    pub failed: u32,
    /// Stopped.
    pub stopped: u32,
}

/// What an attempt used, or all attempts of a task or of a job together.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct UsageView {
    /// From the process's start to its end, in milliseconds.
    pub wall_ms: u64,
    /// User and system time, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory held at one time, in bytes.
    pub peak_memory_bytes: u64,
    /// Bytes of stdin and inputs.
    pub input_bytes: u64,
    /// Bytes of the archive.
    pub output_bytes: u64,
    /// What the containers would have cost on Fargate, in US dollars, by the
    /// installation's prices: an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usd_on_fargate: Option<f64>,
}

/// Where to go from a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinksView {
    /// The job.
    #[serde(rename = "self")]
    pub own: String,
    /// Its archive.
    pub output: String,
    /// Its logs.
    pub logs: String,
    /// Its callbacks.
    pub callbacks: String,
}

/// A page of jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobsView {
    /// The jobs. A page may be short and not be the last.
    pub jobs: Vec<JobView>,
    /// For the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// The words for where a job stands that is not over.
pub const OPEN_STATES: [&str; 3] = ["queued", "running", "stopping"];

/// The words for how a job's run has ended.
pub const ENDED_STATES: [&str; 5] =
    ["succeeded", "failed", "partly_failed", "cancelled", "timed_out"];

/// Every word for where a job stands.
pub const JOB_STATES: [&str; 8] = {
    let [queued, running, stopping] = OPEN_STATES;
    let [succeeded, failed, partly_failed, cancelled, timed_out] = ENDED_STATES;
    [queued, running, stopping, succeeded, failed, partly_failed, cancelled, timed_out]
};

/// The word for where a job stands, one of [`JOB_STATES`].
pub fn job_state(job: &Job) -> &'static str {
    match job.phase {
        Phase::Queued => "queued",
        Phase::Running => "running",
        Phase::Stopping {
            why: Halt::Cancelled | Halt::DeadlinePassed | Halt::FailedFast, ..
        } => "stopping",
        Phase::Finished { ending, .. } => ending_word(ending),
    }
}

/// The word for how a run ended, one of [`ENDED_STATES`].
pub fn ending_word(ending: Ending) -> &'static str {
    match ending {
        Ending::Succeeded => "succeeded",
        Ending::Failed => "failed",
        Ending::PartlyFailed => "partly_failed",
        Ending::Cancelled => "cancelled",
        Ending::TimedOut => "timed_out",
    }
}

impl JobView {
    /// The job as its record tells it. What takes a further look — why it
    /// waits, what its only attempt said — is for the caller to add.
    pub fn of(job: &Job) -> Self {
        let id = job.id.to_string();
        let alone = job.only_instance().and_then(|instance| instance.outcome());
        JobView {
            name: job.name.clone(),
            project_id: job.project.to_string(),
            queue: job.queue.to_string(),
            priority: job.priority,
            state: job_state(job),
            run: job.run,
            waiting_for: None,
            tasks: job.tasks.iter().map(|task| TaskView::of(job, task)).collect(),
            exit_code: alone.and_then(|outcome| outcome.exit).map(Exit::code),
            cause: alone.and_then(|outcome| outcome.cause),
            retryable: alone.and_then(|outcome| outcome.cause).map(Cause::retryable),
            message: None,
            cached_from: alone
                .and_then(|outcome| outcome.cached_from)
                .map(|from| from.attempt.to_string()),
            tags: job.tags.clone(),
            made_by: MadeByView::of(&job.made_by),
            created_at: job.id.created_at(),
            started_at: job.started_at,
            ended_at: job.ending().map(|(_, at)| at),
            deadline_at: job.deadline().filter(|_| job.ending().is_none()),
            expires_at: job.expiry(),
            usage: UsageView::of(job.spent(), None),
            callback: CallbackStateView::of(job),
            links: LinksView {
                own: format!("/v1/jobs/{id}"),
                output: format!("/v1/jobs/{id}/output"),
                logs: format!("/v1/jobs/{id}/logs"),
                callbacks: format!("/v1/jobs/{id}/callbacks"),
            },
            id,
        }
    }
}

impl JobView {
    /// The job with what it would have cost by these prices; what is larger
    /// than anything that is sold has none.
    #[must_use]
    pub fn priced(mut self, job: &Job, prices: Option<Prices>) -> Self {
        let cost = |task: &Task| prices?.of(task.resources, task.spent().container_seconds);
        let costs: Vec<Option<u64>> = job.tasks.iter().map(cost).collect();
        for (view, (task, cost)) in self.tasks.iter_mut().zip(job.tasks.iter().zip(&costs)) {
            view.usage = UsageView::of(task.spent(), *cost);
        }
        self.usage = UsageView::of(job.spent(), costs.into_iter().sum());
        self
    }
}

impl TaskView {
    fn of(job: &Job, task: &Task) -> Self {
        let image = &job.images[task.image as usize];
        let name = image.registered.as_ref().map_or(image.reference.as_str(), |n| n.as_str());
        let mut causes = BTreeMap::new();
        for instance in task.instances() {
            let failed = match &instance.state {
                InstanceState::Failed(outcome) | InstanceState::Stopped(outcome) => outcome.cause,
                InstanceState::Waiting { last, .. } => *last,
                InstanceState::Live(_) | InstanceState::Succeeded(_) => None,
            };
            if let Some(cause) = failed {
                *causes.entry(cause).or_insert(0) += 1;
            }
        }
        TaskView {
            name: task.name.to_string(),
            state: task.state,
            image: name.to_owned(),
            image_digest: match &image.state {
                ImageState::Resolved(resolved) => Some(resolved.digest.clone()),
                ImageState::Wanted { .. } | ImageState::Refused(_) => None,
            },
            instances: task.members.counts().into(),
            causes,
            usage: UsageView::of(task.spent(), None),
        }
    }
}

impl From<Counts> for CountsView {
    fn from(counts: Counts) -> Self {
        CountsView {
            waiting: counts.waiting,
            running: counts.live,
            succeeded: counts.succeeded,
            failed: counts.failed,
            stopped: counts.stopped,
        }
    }
}

impl UsageView {
    /// What was used, and what that cost, in millionths of a US dollar; `None`
    /// of nothing.
    pub fn of(spent: Spent, cost: Option<u64>) -> Option<Self> {
        (!spent.is_nothing()).then(|| UsageView::priced(spent.usage, cost))
    }

    /// The same of one attempt's measures.
    pub fn priced(usage: Usage, cost: Option<u64>) -> Self {
        UsageView {
            wall_ms: usage.wall_ms,
            cpu_ms: usage.cpu_ms,
            peak_memory_bytes: usage.peak_memory_bytes,
            input_bytes: usage.input_bytes,
            output_bytes: usage.output_bytes,
            usd_on_fargate: cost.map(dollars),
        }
    }
}

/// A queue.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueView {
    /// Its name.
    pub name: String,
    /// Whether nothing starts from it.
    pub paused: bool,
    /// How many containers it may have at once.
    pub limit: u32,
    /// CPUs that these may have together, where that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_limit: Option<f64>,
    /// MiB of memory that these may have together, where that is limited.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_limit_mib: Option<u32>,
    /// What a container has whose task does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesView>,
    /// How many containers it has.
    pub running: u64,
    /// CPUs that these have together.
    pub running_cpu: f64,
    /// MiB of memory that these have together.
    pub running_memory_mib: u64,
    /// How many jobs wait for their turn: exact to 100, then `100+`.
    pub waiting: String,
    /// Who is told of its jobs, where they do not say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub callback: Option<QueueCallbackView>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
}

/// What a container may use.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
pub struct ResourcesView {
    /// CPUs.
    pub cpu: f64,
    /// MiB of memory.
    pub memory_mib: u32,
}

impl From<Resources> for ResourcesView {
    fn from(resources: Resources) -> Self {
        let Resources { cpu_millis, memory_mib } = resources;
        ResourcesView { cpu: cpus(cpu_millis), memory_mib }
    }
}

/// Thousandths of a CPU, as clients write them.
pub fn cpus(millis: u32) -> f64 {
    f64::from(millis) / 1_000.0
}

impl QueueView {
    /// The queue, with what runs from it and what waits in it.
    pub fn of(queue: &Queue, held: SetSize, waiting: String) -> Self {
        let [cpu_millis, memory_mib] = held.weights;
        QueueView {
            name: queue.name.to_string(),
            paused: queue.paused,
            limit: queue.limit,
            cpu_limit: queue.cpu_millis.map(cpus),
            memory_limit_mib: queue.memory_mib,
            resources: queue.resources.map(ResourcesView::from),
            running: held.members,
            running_cpu: cpus(u32::try_from(cpu_millis).unwrap_or(u32::MAX)),
            running_memory_mib: memory_mib,
            waiting,
            callback: queue.callback.as_ref().map(QueueCallbackView::of),
            created_at: queue.created_at,
        }
    }
}

/// A registered image. Its password is never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImageView {
    /// Its name in the project.
    pub name: String,
    /// What the name stands for.
    pub reference: String,
    /// The registry's user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// When it was registered, or last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

impl From<RegisteredImage> for ImageView {
    fn from(image: RegisteredImage) -> Self {
        ImageView {
            name: image.name.to_string(),
            reference: image.reference.to_string(),
            username: image.username,
            updated_at: image.updated_at,
        }
    }
}

/// An access key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeyView {
    /// The public half.
    pub access_key_id: String,
    /// What its owner calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The APIs that it is limited to; all without.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub apis: BTreeSet<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// Since when it is no longer good.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub disabled_at: Option<Timestamp>,
}

impl From<KeyRecord> for KeyView {
    fn from(key: KeyRecord) -> Self {
        KeyView {
            access_key_id: key.id.to_string(),
            note: key.note,
            apis: key.apis,
            created_at: key.created_at,
            disabled_at: key.disabled_at,
        }
    }
}

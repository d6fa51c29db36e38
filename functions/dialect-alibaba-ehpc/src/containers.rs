//! `DescribeServerlessJobs`: one job or one part of it, with its containers and
//! how they ended.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    job::{
        AttemptId, AttemptKey, AttemptPhase, Cause, Exit, Image, ImageState, Instance, Job,
        JobSpec, TaskSpec,
    },
    ops::{
        attempts, chunks,
        history::{self, Filter, Tried},
    },
    service::Service,
    wire::{Problem, Reply, views::cpus},
};

use crate::{
    call::{AT_ONCE, Call},
    faults::Fault,
    words::{self, Indices},
};

/// How many container groups are shown of a job that has more.
const SHOWN: usize = 100;

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    total_count: u32,
    job_infos: [JobInfo; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct JobInfo {
    job_id: String,
    job_name: String,
    state: &'static str,
    priority: i16,
    queue: String,
    user: String,
    submit_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<i64>,
    last_modify_time: i64,
    is_array_job: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    array_properties: Option<ArrayProperties>,
    container_groups: Vec<Group>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ArrayProperties {
    #[serde(rename = "IndexStart")]
    first: u32,
    #[serde(rename = "IndexEnd")]
    last: u64,
    #[serde(rename = "IndexStep")]
    step: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Group {
    container_group_id: String,
    container_group_name: String,
    status: &'static str,
    cpu: f64,
    memory: f64,
    restart_policy: &'static str,
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    succeeded_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_time: Option<String>,
    containers: [Container; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Container {
    name: String,
    image: String,
    commands: Vec<String>,
    args: Vec<String>,
    cpu: f64,
    memory: f64,
    gpu: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<String>,
    environment_vars: Vec<Variable>,
    ready: bool,
    restart_count: u32,
    current_state: ContainerState,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_state: Option<ContainerState>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Variable {
    key: String,
    value: String,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerState {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail_status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_time: Option<String>,
}

/// One container's part of a job, and its last attempts.
pub struct Part {
    task: u32,
    pub place: u32,
    /// None where it was never begun.
    pub instance: Option<Instance>,
    attempts: u32,
    last: Option<Tried>,
    before: Option<Tried>,
}

pub async fn describe(call: &Call<'_>) -> Result<Reply, Fault> {
    call.parameters.only(&["ClusterId"], &["JobIds"])?;
    let cluster = call.cluster().await?;
    let ids = call.parameters.list("JobIds", 1)?;
    let id = ids.first().ok_or_else(|| Fault::missing("JobIds"))?;
    let unknown = || Fault::invalid("JobIds", format!("there is no job `{id}`"));
    let (job, index) = words::of_job_id(id).ok_or_else(unknown)?;
    let job = call.job(&cluster, job).await?.ok_or_else(unknown)?;
    let spec = attempts::load_spec(call.service, &job).await?;
    let info = match index {
        None => whole(call.service, &job, &spec).await?,
        Some(index) => {
            let place = Indices::of(&spec).and_then(|of| of.place(index)).ok_or_else(unknown)?;
            part_alone(call.service, &job, &spec, place).await?
        }
    };
    Ok(call.answer(Described { total_count: 1, job_infos: [info] }))
}

/// A job with the containers of all its tasks, or the first of them.
async fn whole(service: &Service, job: &Job, spec: &JobSpec) -> Result<JobInfo, Problem> {
    let tasks = (0..).zip(&spec.tasks);
    let places = tasks.flat_map(|(task, of)| (0..of.instances).map(move |place| (task, place)));
    let parts: Vec<_> =
        places.take(SHOWN).map(|(task, place)| part(service, job, task, place)).collect();
    let parts: Vec<Part> = stream::iter(parts).buffered(AT_ONCE).try_collect().await?;
    let state = match (job.ending(), parts.as_slice()) {
        (None, [only]) if spec.instances() == 1 => words::part_state(job, only.instance.as_ref()),
        _ => words::job_state(job),
    };
    let groups = parts.iter().map(|part| group(job, spec, part)).collect();
    Ok(info(job, spec, words::job_id(job.id), state, groups))
}

/// One part of an array, shown as a job.
async fn part_alone(
    service: &Service,
    job: &Job,
    spec: &JobSpec,
    place: u32,
) -> Result<JobInfo, Problem> {
    let part = part(service, job, 0, place).await?;
    let state = words::part_state(job, part.instance.as_ref());
    let group = group(job, spec, &part);
    let id = group.container_group_id.clone();
    Ok(JobInfo {
        start_time: part.started_at().map(Timestamp::as_second),
        end_time: part.ended_at().map(Timestamp::as_second),
        ..info(job, spec, id, state, vec![group])
    })
}

fn info(
    job: &Job,
    spec: &JobSpec,
    job_id: String,
    state: &'static str,
    container_groups: Vec<Group>,
) -> JobInfo {
    let indices = Indices::of(spec);
    let changed = job.ending().map(|(_, at)| at).max(job.started_at);
    let changed = job.tasks.iter().map(|task| task.since).max().max(changed);
    JobInfo {
        job_id,
        job_name: job.name.clone().unwrap_or_default(),
        state,
        priority: words::priority(job),
        queue: job.queue.to_string(),
        user: user(job, spec),
        submit_time: job.id.created_at().as_second(),
        start_time: job.started_at.map(Timestamp::as_second),
        end_time: job.ending().map(|(_, at)| at.as_second()),
        last_modify_time: changed.unwrap_or(job.run_at).as_millisecond(),
        is_array_job: indices.is_some(),
        array_properties: indices.map(|of| ArrayProperties {
            first: of.first,
            last: of.index(of.count - 1),
            step: of.step,
        }),
        container_groups,
    }
}

/// By whose rights the job's first container runs.
pub fn user(job: &Job, spec: &JobSpec) -> String {
    let said = spec.tasks.first().and_then(|task| task.user.clone());
    let images = || match job.images.first().map(|image: &Image| &image.state) {
        Some(ImageState::Resolved(image)) => image.user.clone().filter(|user| !user.is_empty()),
        Some(ImageState::Wanted { .. } | ImageState::Refused(_)) | None => None,
    };
    said.or_else(images).unwrap_or_else(|| "root".into())
}

/// One container's part of the job.
pub async fn part(service: &Service, job: &Job, task: u32, place: u32) -> Result<Part, Problem> {
    let none = AttemptId { job: job.id, run: job.run, task, instance: place, number: 0 };
    let key = AttemptKey { project: job.project, attempt: none };
    let held = chunks::held(service, key).await?;
    // What is not of this run yet tells only of an earlier one.
    let instance = held.as_ref().and_then(|held| held.instance(none)).cloned();
    let latest = held.filter(|_| instance.is_some());
    let latest = latest.map_or(none, |held| held.latest(task, place));
    let (mut last, mut before) = (None, None);
    if latest.number > 0 {
        let filter = Filter { run: Some(latest.run), task: Some(task), instance: Some(place) };
        // The last two.
        let after = AttemptId { number: latest.number.saturating_sub(2), ..latest };
        let after = Some(after).filter(|after| after.number > 0);
        let (mut tried, _) = history::list(service, job, filter, after, 2).await?;
        last = tried.pop();
        before = tried.pop();
    }
    Ok(Part { task, place, instance, attempts: latest.number, last, before })
}

fn group(job: &Job, spec: &JobSpec, part: &Part) -> Group {
    let task = &spec.tasks[part.task as usize];
    let state = words::part_state(job, part.instance.as_ref());
    let ended = part.ended_at().map(words::rfc3339);
    let is_well = state == "Succeeded";
    let name = job.name.clone().unwrap_or_else(|| task.name.to_string());
    Group {
        container_group_id: match Indices::of(spec) {
            Some(of) => words::subtask_id(job.id, of.index(part.place)),
            None => words::job_id(job.id),
        },
        container_group_name: name,
        status: match state {
            "Initing" => "Pending",
            "Canceled" => "Failed",
            other => other,
        },
        cpu: cpus(task.resources.cpu_millis),
        memory: gib(task.resources.memory_mib),
        restart_policy: if task.retry.max_attempts > 1 { "OnFailure" } else { "Never" },
        creation_time: words::rfc3339(
            part.last.as_ref().and_then(claimed).unwrap_or(job.id.created_at()),
        ),
        succeeded_time: ended.clone().filter(|_| is_well),
        failed_time: ended.filter(|_| !is_well),
        containers: [container(task, part)],
    }
}

fn container(task: &TaskSpec, part: &Part) -> Container {
    let image = task.registered.as_ref().map(ToString::to_string);
    let variable =
        |(key, value): (&String, &String)| Variable { key: key.clone(), value: value.clone() };
    let current_state = match &part.last {
        // The next one's turn has not come.
        Some(Tried::Ended(_)) if part.instance.as_ref().is_some_and(|i| !i.is_ended()) => waiting(),
        Some(tried) => state(tried),
        None => never_begun(part.instance.as_ref()),
    };
    let has_waited = current_state.state == "Waiting" && part.last.is_some();
    let previous = if has_waited { part.last.as_ref() } else { part.before.as_ref() };
    Container {
        name: task.name.to_string(),
        image: image.unwrap_or_else(|| task.image.to_string()),
        commands: task.entrypoint.clone().unwrap_or_default(),
        args: task.command.clone().unwrap_or_default(),
        cpu: cpus(task.resources.cpu_millis),
        memory: gib(task.resources.memory_mib),
        gpu: 0,
        working_dir: task.workdir.clone(),
        environment_vars: task.env.iter().map(variable).collect(),
        ready: current_state.state == "Running",
        restart_count: part.attempts.saturating_sub(1),
        previous_state: previous.filter(|tried| matches!(tried, Tried::Ended(_))).map(state),
        current_state,
    }
}

/// How an attempt stands, or ended.
fn state(tried: &Tried) -> ContainerState {
    let record = match tried {
        Tried::Live(_, attempt) => {
            return match attempt.phase {
                AttemptPhase::Claimed | AttemptPhase::Starting => waiting(),
                AttemptPhase::Running | AttemptPhase::Collecting => ContainerState {
                    state: "Running",
                    detail_status: Some("working".into()),
                    start_time: attempt.started_at.map(words::rfc3339),
                    ..ContainerState::default()
                },
            };
        }
        Tried::Ended(record) => record,
    };
    ContainerState {
        exit_code: record.exit.map(Exit::code),
        signal: match record.exit {
            Some(Exit::Signal(signal)) => Some(signal),
            Some(Exit::Code(_)) | None => None,
        },
        message: record.message.clone().or_else(|| record.cause.map(words::message)),
        start_time: record.started_at.map(words::rfc3339),
        finish_time: Some(words::rfc3339(record.ended_at)),
        ..terminated(record.cause)
    }
}

/// A part of which no container was ever started.
fn never_begun(instance: Option<&Instance>) -> ContainerState {
    let outcome = instance.and_then(Instance::outcome);
    match outcome {
        Some(outcome) => ContainerState {
            message: outcome.cause.map(words::message),
            finish_time: Some(words::rfc3339(outcome.at)),
            ..terminated(outcome.cause)
        },
        None => waiting(),
    }
}

fn terminated(cause: Option<Cause>) -> ContainerState {
    let reason = words::reason(cause);
    ContainerState {
        state: "Terminated",
        reason: Some(reason),
        detail_status: Some(reason.to_owned()),
        ..ContainerState::default()
    }
}

fn waiting() -> ContainerState {
    ContainerState { state: "Waiting", ..ContainerState::default() }
}

fn started(tried: &Tried) -> Option<Timestamp> {
    match tried {
        Tried::Live(_, attempt) => attempt.started_at,
        Tried::Ended(record) => record.started_at,
    }
}

fn claimed(tried: &Tried) -> Option<Timestamp> {
    match tried {
        Tried::Live(_, attempt) => Some(attempt.claimed_at),
        Tried::Ended(record) => record.claimed_at,
    }
}

impl Part {
    /// When its last process started.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.last.as_ref().and_then(started)
    }

    /// When it was over.
    pub fn ended_at(&self) -> Option<Timestamp> {
        self.instance.as_ref().and_then(Instance::outcome).map(|outcome| outcome.at)
    }
}

fn gib(mib: u32) -> f64 {
    f64::from(mib) / 1_024.0
}

//! Scheduler jobs, as far as they have a meaning where a cluster has no nodes
//! of its own: every job of the cluster is listed and described as one, can be
//! stopped, run again and removed, and has a log.

use std::collections::HashSet;

use data_encoding::BASE64;
use futures::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use shared::{
    agent::Stream,
    job::{Job, JobId},
    ops::{
        attempts,
        jobs::{self, Filter},
        output::Selector,
        retry::{self, Again},
        rows::QueueKey,
        transcript::{self, Wanted},
    },
    wire::{
        Problem, Reply,
        views::{ENDED_STATES, OPEN_STATES, cpus},
    },
};

use crate::{
    call::{AT_ONCE, Call, Nothing},
    containers,
    faults::Fault,
    words::{self, Indices},
};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    page_number: u32,
    page_size: u32,
    total_count: usize,
    jobs: JobInfos,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct JobInfos {
    job_info: Vec<JobInfo>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct JobInfo {
    id: String,
    name: String,
    owner: String,
    state: &'static str,
    priority: i16,
    comment: String,
    shell_path: String,
    stdout: String,
    stderr: String,
    array_request: String,
    submit_time: String,
    start_time: String,
    last_modify_time: String,
    node_list: String,
    resources: Resources,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Resources {
    nodes: u64,
    cores: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    message: Message,
}

/// The job as JSON within a text.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    job_info: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    job_id: String,
    output_log: String,
    error_log: String,
}

/// A job as the calls name it that take many.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Named {
    id: String,
}

pub async fn list(call: &Call<'_>) -> Result<Reply, Fault> {
    let known = ["ClusterId", "State", "Rerunable", "PageNumber", "PageSize", "Owner"];
    call.parameters.only(&known, &[])?;
    let cluster = call.cluster().await?;
    let page = call.page(50, 10, u32::MAX)?;
    let state = call.parameters.word("State", &["all", "finished", "notfinish"])?.unwrap_or(0);
    // Every job can run again: asking for those that can is asking for all.
    call.parameters.flag("Rerunable")?;
    let states: &[&str] = match state {
        1 => &ENDED_STATES,
        2 => &OPEN_STATES,
        _ => &[],
    };
    let filter = Filter {
        states: states.iter().map(|state| (*state).to_owned()).collect(),
        queue: Some(cluster.name.to_string()),
        ..Filter::default()
    };
    let mut found = jobs::newest(call.service, cluster.project, &filter).await?;
    if let Some(owner) = call.parameters.get("Owner") {
        found = owned(call, found, owner).await?;
    }
    let infos: Vec<_> = page.of(&found).iter().map(|job| info(call, job)).collect();
    let job_info = stream::iter(infos).buffered(AT_ONCE).try_collect().await?;
    Ok(call.answer(Found {
        page_number: page.number,
        page_size: page.size,
        total_count: found.len(),
        jobs: JobInfos { job_info },
    }))
}

/// Those of the jobs whose first container runs by this user's rights.
async fn owned(call: &Call<'_>, jobs: Vec<Job>, owner: &str) -> Result<Vec<Job>, Problem> {
    let looked_at = jobs.into_iter().map(|job| async move {
        let spec = attempts::load_spec(call.service, &job).await?;
        let is_owned = containers::user(&job, &spec) == owner;
        drop(spec);
        Ok::<_, Problem>(is_owned.then_some(job))
    });
    let looked_at: Vec<_> = looked_at.collect();
    let owned = stream::iter(looked_at).buffered(AT_ONCE).try_collect::<Vec<_>>().await?;
    Ok(owned.into_iter().flatten().collect())
}

pub async fn describe(call: &Call<'_>) -> Result<Reply, Fault> {
    call.parameters.only(&["ClusterId", "JobId"], &[])?;
    let cluster = call.cluster().await?;
    let job = job(call, &cluster, "JobId", call.parameters.required("JobId")?).await?;
    let info = info(call, &job).await?;
    let job_info = serde_json::to_string(&info).unwrap_or_default();
    Ok(call.answer(Described { message: Message { job_info } }))
}

async fn info(call: &Call<'_>, job: &Job) -> Result<JobInfo, Problem> {
    let spec = attempts::load_spec(call.service, job).await?;
    let changed = job.ending().map(|(_, at)| at).or(job.started_at).unwrap_or(job.run_at);
    let cpu_millis = spec.tasks.iter().map(|task| task.resources.cpu_millis).max();
    Ok(JobInfo {
        id: words::job_id(job.id),
        name: job.name.clone().unwrap_or_default(),
        owner: containers::user(job, &spec),
        state: words::scheduler_state(job),
        priority: words::priority(job),
        comment: String::new(),
        shell_path: String::new(),
        stdout: String::new(),
        stderr: String::new(),
        array_request: Indices::of(&spec).map_or_else(String::new, |of| {
            format!("{}-{}:{}", of.first, of.index(of.count - 1), of.step)
        }),
        submit_time: words::local(job.id.created_at()),
        start_time: job.started_at.map(words::local).unwrap_or_default(),
        last_modify_time: words::local(changed),
        node_list: String::new(),
        resources: Resources {
            nodes: spec.instances(),
            cores: cpus(cpu_millis.unwrap_or_default()),
        },
    })
}

/// Stops jobs; those that are over stay as they are.
pub async fn stop(call: &Call<'_>) -> Result<Reply, Fault> {
    let all = named(call).await?;
    let stopped: Vec<_> = all.iter().map(|job| jobs::cancel(call.service, job.key())).collect();
    let _: Vec<Job> = stream::iter(stopped).buffered(AT_ONCE).try_collect().await?;
    Ok(call.answer(Nothing {}))
}

/// Removes jobs that are over.
pub async fn delete(call: &Call<'_>) -> Result<Reply, Fault> {
    let all = named(call).await?;
    only_ended(&all)?;
    let deleted: Vec<_> = all.iter().map(|job| jobs::delete(call.service, job.key())).collect();
    let () = stream::iter(deleted).buffered(AT_ONCE).try_collect().await?;
    Ok(call.answer(Nothing {}))
}

/// Another run of jobs that are over, of all that is in them.
pub async fn rerun(call: &Call<'_>) -> Result<Reply, Fault> {
    let all = named(call).await?;
    only_ended(&all)?;
    let rerun = |job: &Job| {
        let again = Again { all: true, run: Some(job.run) };
        retry::retry(call.service, job.key(), again)
    };
    let rerun: Vec<_> = all.iter().map(rerun).collect();
    let _: Vec<Job> = stream::iter(rerun).buffered(AT_ONCE).try_collect().await?;
    Ok(call.answer(Nothing {}))
}

fn only_ended(jobs: &[Job]) -> Result<(), Fault> {
    match jobs.iter().find(|job| job.ending().is_none()) {
        Some(job) => {
            let id = words::job_id(job.id);
            Err(Fault::invalid("Jobs", format!("the job `{id}` is not over: stop it first")))
        }
        None => Ok(()),
    }
}

/// A stretch of what a job's process wrote, each stream by itself.
pub async fn log(call: &Call<'_>) -> Result<Reply, Fault> {
    call.parameters.only(&["ClusterId", "JobId", "ExecHost", "Offset", "Size"], &[])?;
    let cluster = call.cluster().await?;
    let said = call.parameters.required("JobId")?;
    let offset = u64::from(call.parameters.number("Offset", 0, u32::MAX)?.unwrap_or(0));
    let size = call.parameters.number("Size", 1, 1 << 20)?.unwrap_or(1_024) as usize;
    let unknown = || Fault::invalid("JobId", format!("there is no job `{said}`"));
    let (id, index) = words::of_job_id(said).ok_or_else(unknown)?;
    let job = call.job(&cluster, id).await?.ok_or_else(unknown)?;
    let spec = attempts::load_spec(call.service, &job).await?;
    let instance = match (index, Indices::of(&spec)) {
        (Some(index), Some(of)) => Some(of.place(index).ok_or_else(unknown)?),
        (Some(_), None) => return Err(unknown()),
        (None, _) => None,
    };
    let selector = Selector { instance, ..Selector::default() };
    let (mut output, mut error) = (Vec::new(), Vec::new());
    for (stream, bytes) in [(Stream::Stdout, &mut output), (Stream::Stderr, &mut error)] {
        let wanted =
            Wanted { selector: selector.clone(), streams: vec![(stream, offset)], follow: false };
        let pieces = transcript::read(call.service, job.key(), wanted).await;
        let mut pieces = pieces.map_err(|problem| several(problem, said))?;
        while bytes.len() < size
            && let Some(piece) = pieces.try_next().await?
        {
            bytes.extend_from_slice(&piece.bytes);
        }
        bytes.truncate(size);
    }
    Ok(call.answer(Written {
        job_id: said.to_owned(),
        output_log: BASE64.encode(&output),
        error_log: BASE64.encode(&error),
    }))
}

/// A job of many containers has no one log.
fn several(problem: Problem, id: &str) -> Fault {
    match problem {
        Problem::Invalid { .. } => {
            let why = format!("`{id}` has many logs: name one part, such as `{id}_1`");
            Fault::invalid("JobId", why)
        }
        other => other.into(),
    }
}

/// The jobs that a call names, `[{"Id": "…"}, …]`, each once: all there, or a
/// fault.
async fn named(call: &Call<'_>) -> Result<Vec<Job>, Fault> {
    call.parameters.only(&["ClusterId", "Jobs"], &[])?;
    let cluster = call.cluster().await?;
    call.parameters.required("Jobs")?;
    let named: Vec<Named> = call.parameters.json("Jobs")?.unwrap_or_default();
    if !(1..=100).contains(&named.len()) {
        return Err(Fault::invalid("Jobs", "there are 1 to 100"));
    }
    let found: Vec<_> = named.iter().map(|one| job(call, &cluster, "Jobs", &one.id)).collect();
    let mut jobs: Vec<Job> = stream::iter(found).buffered(AT_ONCE).try_collect().await?;
    let mut seen = HashSet::new();
    jobs.retain(|job| seen.insert(job.id));
    Ok(jobs)
}

/// The job of this id, whole.
async fn job(call: &Call<'_>, cluster: &QueueKey, name: &str, id: &str) -> Result<Job, Fault> {
    let whole = |(job, index): (JobId, Option<u64>)| index.is_none().then_some(job);
    let found = match words::of_job_id(id).and_then(whole) {
        Some(job) => call.job(cluster, job).await?,
        None => None,
    };
    found.ok_or_else(|| Fault::invalid(name, format!("there is no job `{id}`")))
}

//! Jobs: described, terminated, retried, deleted.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::{
    auth::Identity,
    job::{Ending, Job},
    ops::{
        jobs, queues,
        retry::{self, Again},
        rows::QueueKey,
    },
    service::Service,
    wire::Problem,
};

use crate::{
    call::Call,
    faults::Fault,
    fields::Fields,
    rebuilt, released,
    seen::Seen,
    words::{self, State, time},
};

fn only_id(call: Call) -> Result<String, Fault> {
    let mut fields = Fields::new(call.parameters);
    let id = fields.said("JobId")?;
    fields.end()?;
    Ok(id)
}

/// `DescribeJob`.
pub(crate) async fn describe(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let seen = Seen::load(service, who.project, &only_id(call)?).await?;
    let Seen { job, tasks, instances, state, .. } = &seen;
    let created = time(job.id.created_at());
    let view = |(place, task): (usize, &shared::job::Task)| {
        json!({
            "TaskName": task.name,
            "TaskState": tasks[place].word(),
            "CreateTime": created,
            "EndTime": task.state.is_ended().then(|| time(task.since)),
        })
    };
    Ok(json!({
        "JobId": job.id,
        "JobName": job.name,
        "Zone": seen.zone(),
        "Priority": priority(job),
        "JobState": state.word(),
        "CreateTime": created,
        "EndTime": ended(job),
        "TaskSet": job.tasks.iter().enumerate().map(view).collect::<Vec<_>>(),
        "DependenceSet": rebuilt::dependences(job),
        "TaskMetrics": words::metrics(&by_state(tasks)),
        "TaskInstanceMetrics": words::metrics(&in_all(instances)),
        "StateReason": state_reason(job),
        "Tags": tags(job),
        "NextAction": "",
    }))
}

/// Larger is more urgent, here and there; those beyond are shown as the last.
pub(crate) fn priority(job: &Job) -> i16 {
    job.priority.clamp(0, 100)
}

pub(crate) fn ended(job: &Job) -> Option<String> {
    job.ending().map(|(_, at)| time(at))
}

pub(crate) fn by_state(tasks: &[State]) -> BTreeMap<State, u32> {
    let mut states = BTreeMap::new();
    for state in tasks {
        *states.entry(*state).or_insert(0) += 1;
    }
    states
}

fn in_all(instances: &[BTreeMap<State, u32>]) -> BTreeMap<State, u32> {
    let mut all = BTreeMap::new();
    for (state, count) in instances.iter().flatten() {
        *all.entry(*state).or_insert(0) += count;
    }
    all
}

pub(crate) fn tags(job: &Job) -> Vec<Value> {
    job.tags.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect()
}

/// Why the job did not succeed, by the first task that did not.
fn state_reason(job: &Job) -> Option<String> {
    let (ending, _) = job.ending()?;
    match ending {
        Ending::Succeeded => return None,
        Ending::Cancelled => return Some("The job was terminated.".to_owned()),
        Ending::TimedOut => return Some("The deadline of the job passed.".to_owned()),
        Ending::Failed | Ending::PartlyFailed => {}
    }
    job.tasks.iter().find_map(|task| {
        let causes = task.instances().iter().filter_map(|one| one.outcome()?.cause);
        let cause = causes.into_iter().next()?;
        Some(format!("Task `{}`: {}", task.name, words::reason(cause)))
    })
}

/// `DescribeJobSubmitInfo`: what was submitted, or could have been.
pub(crate) async fn submit_info(
    service: &Service,
    who: Identity,
    call: Call,
) -> Result<Value, Fault> {
    let seen = Seen::load(service, who.project, &only_id(call)?).await?;
    let (job, kept) = (&seen.job, seen.kept.as_ref());
    let said = |name: &str| kept.and_then(|kept| kept.job.get(name)).cloned();
    let tasks = match said("Tasks") {
        Some(tasks) => tasks,
        None => rebuilt::tasks(service, job).await?,
    };
    let mut info = Map::new();
    info.insert("JobId".into(), json!(job.id));
    info.insert("JobName".into(), json!(job.name));
    info.insert("JobDescription".into(), said("JobDescription").unwrap_or(Value::Null));
    info.insert("Priority".into(), json!(priority(job)));
    info.insert("Tasks".into(), tasks);
    let dependences = said("Dependences").unwrap_or_else(|| rebuilt::dependences(job));
    info.insert("Dependences".into(), dependences);
    info.insert("Tags".into(), json!(tags(job)));
    Ok(Value::Object(info))
}

/// `TerminateJob`: what has not ended is stopped, and what is held is let go.
pub(crate) async fn terminate(
    service: &Service,
    who: Identity,
    call: Call,
) -> Result<Value, Fault> {
    let seen = Seen::load(service, who.project, &only_id(call)?).await?;
    let holds = (0..seen.job.tasks.len()).any(|place| seen.holds(place));
    match seen.state {
        State::Succeed | State::Failed => return Ok(json!({})),
        State::Pending
        | State::Runnable
        | State::Starting
        | State::Running
        | State::FailedInterrupted => {}
    }
    if holds {
        released::all(service, &seen.job).await?;
    }
    jobs::cancel(service, seen.job.key()).await?;
    Ok(json!({}))
}

/// `RetryJobs`: all, or none if one of them has not failed or its environment is
/// gone, or if there is no room for all.
///
/// What keeps one from it after that was looked at keeps nothing from the others:
/// it is told once they have been retried.
pub(crate) async fn retry(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let mut ids = fields.texts("JobIds")?;
    fields.end()?;
    if ids.is_empty() {
        return Err(Fault::missing("JobIds"));
    }
    if ids.len() > 100 {
        return Err(Fault::limit("JobIds", "100 ids"));
    }
    ids.sort();
    ids.dedup();
    let mut all = Vec::with_capacity(ids.len());
    for text in &ids {
        let seen = Seen::load(service, who.project, text).await?;
        if seen.state != State::Failed {
            let message = format!("The job `{text}` is {}, not FAILED.", seen.state.word());
            return Err(Fault::new("UnsupportedOperation", message));
        }
        let queue = QueueKey::of(&seen.job);
        if queues::known(service, &queue).await?.is_none() {
            let message = format!("The job `{text}` ran in `{}`, which is gone.", queue.name);
            return Err(Fault::new("UnsupportedOperation", message));
        }
        all.push(seen.job);
    }
    let limit = service.limits.open_jobs;
    let open = service.backlog.count(&service.platform, who.project, limit).await?;
    if open + all.len() > limit {
        let message = format!("The project has {open} unfinished jobs; it may have {limit}.");
        return Err(Fault::new("LimitExceeded.JobQuota", message));
    }
    let mut outcome = Ok(json!({}));
    for job in all {
        let again = Again { all: false, run: Some(job.run) };
        if let Err(problem) = retry::retry(service, job.key(), again).await {
            outcome = outcome.and(Err(problem.into()));
        }
    }
    outcome
}

/// `DeleteJob`.
pub(crate) async fn delete(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let seen = Seen::load(service, who.project, &only_id(call)?).await?;
    let in_use = || {
        let message =
            format!("The job `{}` is {}: terminate it first.", seen.job.id, seen.state.word());
        Fault::new("ResourceInUse.Job", message)
    };
    match seen.state {
        State::Succeed | State::Failed => {}
        State::Pending
        | State::Runnable
        | State::Starting
        | State::Running
        | State::FailedInterrupted => return Err(in_use()),
    }
    match jobs::delete(service, seen.job.key()).await {
        // Retried meanwhile.
        Err(Problem::Conflict { .. }) => Err(in_use()),
        Err(Problem::NotFound { .. }) => Err(Fault::no_job(&seen.job.id.to_string())),
        deleted => deleted.map(|()| json!({})).map_err(Fault::from),
    }
}

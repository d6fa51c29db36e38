//! Jobs: described, listed, terminated, retried, deleted.

use std::collections::BTreeMap;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Map, Value, json};
use shared::{
    auth::Identity,
    job::{Ending, Job, JobKey, ProjectId},
    ops::{
        jobs::{self, Filter},
        retry::{self, Again},
    },
    service::Service,
    wire::Problem,
};

use crate::{
    call::Call,
    faults::Fault,
    fields::Fields,
    filters::{Filters, page},
    rebuilt,
    seen::{self, Seen},
    words::{self, State, time},
};

/// How far back jobs are listed; the total is exact up to here.
const WALKED: usize = 10_000;

/// How many jobs are looked into at once.
const AT_ONCE: usize = 8;

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

fn ended(job: &Job) -> Option<String> {
    job.ending().map(|(_, at)| time(at))
}

fn by_state(tasks: &[State]) -> BTreeMap<State, u32> {
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

/// `DescribeJobs`.
pub(crate) async fn list(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let ids = fields.texts("JobIds")?;
    let names = ["job-id", "job-name", "job-state", "zone", "tag-key", "tag-value"];
    let filters = Filters::read(&mut fields, &names)?;
    let page = page(&mut fields, 20, 100)?;
    fields.end()?;
    if !ids.is_empty() && !filters.is_empty() {
        return Err(Fault::combination("`JobIds` and `Filters` do not go together."));
    }
    if ids.len() > 100 {
        return Err(Fault::limit("JobIds", "100 ids"));
    }
    let ids = if ids.is_empty() { filters.of("job-id").unwrap_or_default() } else { &ids };
    let mut found = if ids.is_empty() {
        jobs::newest(service, who.project, &Filter::default(), WALKED).await?
    } else {
        by_ids(service, who.project, ids).await?
    };
    found.retain(|job| is_of(job, &filters));
    // What it takes to know the rest is looked at only if it is asked for.
    let looks = filters.of("job-state").is_some() || filters.of("zone").is_some();
    let (total, shown) = if looks {
        let mut all = seen(service, found).await?;
        all.retain(|seen| {
            filters.of("job-state").is_none_or(|all| all.iter().any(|w| w == seen.state.word()))
                && filters.of("zone").is_none_or(|all| {
                    seen.zone().is_some_and(|zone| all.iter().any(|wanted| wanted == zone))
                })
        });
        let total = all.len();
        (total, all.into_iter().skip(page.offset).take(page.limit).collect())
    } else {
        (found.len(), seen(service, page.of(&found).to_vec()).await?)
    };
    let set: Vec<Value> = shown.iter().map(view).collect();
    Ok(json!({ "TotalCount": total, "JobSet": set }))
}

fn is_of(job: &Job, filters: &Filters) -> bool {
    let named = filters
        .of("job-name")
        .is_none_or(|names| job.name.as_ref().is_some_and(|name| names.contains(name)));
    named && filters.admits_tags(&job.tags)
}

/// Those of the jobs that there are.
async fn by_ids(service: &Service, project: ProjectId, ids: &[String]) -> Result<Vec<Job>, Fault> {
    let mut found = Vec::new();
    for text in ids {
        match jobs::load(service, JobKey { project, job: seen::id(text)? }).await {
            Ok(job) => found.push(job),
            Err(Problem::NotFound { .. }) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(found)
}

async fn seen(service: &Service, jobs: Vec<Job>) -> Result<Vec<Seen>, Fault> {
    let each: Vec<_> = jobs.into_iter().map(|job| Seen::of(service, job)).collect();
    Ok(stream::iter(each).buffered(AT_ONCE).try_collect().await?)
}

fn view(seen: &Seen) -> Value {
    let Seen { job, tasks, state, .. } = seen;
    json!({
        "JobId": job.id,
        "JobName": job.name,
        "JobState": state.word(),
        "Priority": priority(job),
        "Placement": placement(seen),
        "CreateTime": time(job.id.created_at()),
        "EndTime": ended(job),
        "TaskMetrics": words::metrics(&by_state(tasks)),
        "Tags": tags(job),
    })
}

fn placement(seen: &Seen) -> Value {
    let mut placement = seen.kept.as_ref().map(|kept| kept.placement.clone()).unwrap_or_default();
    for (name, none) in [("Zone", Value::Null), ("ProjectId", 0.into()), ("HostIds", Value::Null)] {
        placement.entry(name).or_insert(none);
    }
    Value::Object(placement)
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
        seen.release(service, None).await?;
    }
    jobs::cancel(service, seen.job.key()).await?;
    Ok(json!({}))
}

/// `RetryJobs`: all, or none if one of them has not failed.
pub(crate) async fn retry(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let ids = fields.texts("JobIds")?;
    fields.end()?;
    if ids.is_empty() {
        return Err(Fault::missing("JobIds"));
    }
    if ids.len() > 100 {
        return Err(Fault::limit("JobIds", "100 ids"));
    }
    let mut all = Vec::with_capacity(ids.len());
    for text in &ids {
        let seen = Seen::load(service, who.project, text).await?;
        if seen.state != State::Failed {
            let message = format!("The job `{text}` is {}, not FAILED.", seen.state.word());
            return Err(Fault::new("UnsupportedOperation", message));
        }
        all.push(seen.job);
    }
    for job in all {
        let again = Again { all: false, run: Some(job.run) };
        retry::retry(service, job.key(), again).await?;
    }
    Ok(json!({}))
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

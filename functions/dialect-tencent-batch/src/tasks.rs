//! Tasks and their instances: described, read the logs of, terminated.

use std::ops::Range;

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use shared::{
    auth::Identity,
    job::{Exit, Instance, InstanceState},
    ops::{
        attempts::{self, AttemptRecord},
        jobs,
        members::{self, Member},
    },
    service::Service,
};

use crate::{
    call::Call,
    faults::Fault,
    fields::Fields,
    filters::{Filters, page},
    logs, released,
    seen::Seen,
    submit::{check_name, streams},
    words::{self, State, time},
};

/// How many instances are looked into at once.
const AT_ONCE: usize = 8;

/// A job and a task of it, by their parameters.
pub(crate) async fn named(
    service: &Service,
    who: Identity,
    fields: &mut Fields,
) -> Result<(Seen, usize), Fault> {
    let (id, name) = (fields.said("JobId")?, fields.said("TaskName")?);
    crate::seen::id(&id)?;
    check_name("TaskName", &name)?;
    let seen = Seen::load(service, who.project, &id).await?;
    let place = seen.task(&name)?;
    Ok((seen, place))
}

pub(crate) fn total(seen: &Seen, place: usize) -> u32 {
    seen.job.tasks[place].members.counts().total()
}

/// The instance at an index of the task, alone.
pub(crate) async fn member(
    service: &Service,
    seen: &Seen,
    place: usize,
    index: u32,
) -> Result<Member, Fault> {
    let range = index..index.saturating_add(1);
    let found = members::of_task(service, &seen.job, place, range).await?;
    found.into_iter().next().ok_or_else(|| Fault::no_instance(index))
}

/// What an instance's last attempt left behind.
pub(crate) async fn left(
    service: &Service,
    member: &Member,
) -> Result<Option<AttemptRecord>, Fault> {
    match member.attempt {
        Some(attempt) => Ok(attempts::load(service, attempt).await?),
        None => Ok(None),
    }
}

/// `DescribeTask`.
pub(crate) async fn describe(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let (id, name) = (fields.said("JobId")?, fields.said("TaskName")?);
    let filters = Filters::read(&mut fields, &["task-instance-state", "task-instance-type"])?;
    let page = page(&mut fields, 100, 1_000)?;
    fields.end()?;
    crate::seen::id(&id)?;
    // Of a job that is not there, no task is.
    let seen = Seen::load(service, who.project, &id).await.map_err(|fault| match fault.code {
        "ResourceNotFound.Job" => Fault::no_task(&name),
        _ => fault,
    })?;
    let place = seen.task(&name)?;
    let task = &seen.job.tasks[place];
    let states = filters.of("task-instance-state").or(filters.of("task-instance-type"));
    let shown = match states {
        None => {
            let start = index(page.offset);
            let range = start..start.saturating_add(index(page.limit));
            members::of_task(service, &seen.job, place, range).await?
        }
        Some(states) => {
            let whole: Range<u32> = 0..total(&seen, place);
            let mut all = members::of_task(service, &seen.job, place, whole).await?;
            all.retain(|one| {
                let state = seen.instance(place, one.index, &one.instance);
                states.iter().any(|wanted| wanted == state.word())
            });
            page.of(&all).to_vec()
        }
    };
    let views = shown.iter().map(|one| view(service, &seen, place, one)).collect::<Vec<_>>();
    let views: Vec<Value> = stream::iter(views).buffered(AT_ONCE).try_collect().await?;
    Ok(json!({
        "JobId": seen.job.id,
        "TaskName": task.name,
        "TaskState": seen.tasks[place].word(),
        "CreateTime": time(seen.job.id.created_at()),
        "EndTime": task.state.is_ended().then(|| time(task.since)),
        "TaskInstanceTotalCount": total(&seen, place),
        "TaskInstanceSet": views,
        "TaskInstanceMetrics": words::metrics(&seen.instances[place]),
    }))
}

fn index(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

async fn view(
    service: &Service,
    seen: &Seen,
    place: usize,
    member: &Member,
) -> Result<Value, Fault> {
    let Member { index, instance, .. } = member;
    let left = if instance.is_ended() { left(service, member).await? } else { None };
    let (live, outcome) = (instance.live(), instance.outcome());
    let launched = live.map(|live| live.claimed_at);
    let launched = launched.or_else(|| left.as_ref().and_then(|left| left.claimed_at));
    let running = live.and_then(|live| live.started_at);
    let running = running.or_else(|| outcome.and_then(|outcome| outcome.started_at));
    let cause = cause(instance);
    Ok(json!({
        "TaskInstanceIndex": index,
        "TaskInstanceState": seen.instance(place, *index, instance).word(),
        "ExitCode": outcome.and_then(|outcome| outcome.exit).map(Exit::code),
        "StateReason": cause.map(words::reason),
        "ComputeNodeInstanceId": live.and_then(|live| live.handle.clone()),
        "CreateTime": time(seen.job.id.created_at()),
        "LaunchTime": launched.map(time),
        "RunningTime": running.map(time),
        "EndTime": outcome.map(|outcome| time(outcome.at)),
        "RedirectInfo": redirects(seen, place, *index),
        "StateDetailedReason": left.and_then(|left| left.message),
    }))
}

fn cause(instance: &Instance) -> Option<shared::job::Cause> {
    match &instance.state {
        InstanceState::Waiting { last, .. } => *last,
        InstanceState::Live(_) | InstanceState::Succeeded(_) => None,
        InstanceState::Failed(outcome) | InstanceState::Stopped(outcome) => outcome.cause,
    }
}

/// Where an instance's streams go, with all filled in.
pub(crate) fn redirects(seen: &Seen, place: usize, index: u32) -> Value {
    let task = &seen.job.tasks[place];
    let said = seen.kept.as_ref().and_then(|kept| kept.tasks().get(place));
    let said = |name: &str| said?["RedirectInfo"][name].as_str().filter(|text| !text.is_empty());
    let (job, name) = (seen.job.id.to_string(), task.name.as_str());
    let file = |path: &str, file: &str, which: streams::Which| {
        said(path)?;
        let standard = which.file_name();
        let file = said(file).unwrap_or(&standard);
        Some(streams::filled(file, &job, name, index))
    };
    json!({
        "StdoutRedirectPath": said("StdoutRedirectPath"),
        "StderrRedirectPath": said("StderrRedirectPath"),
        "StdoutRedirectFileName":
            file("StdoutRedirectPath", "StdoutRedirectFileName", streams::Which::Stdout),
        "StderrRedirectFileName":
            file("StderrRedirectPath", "StderrRedirectFileName", streams::Which::Stderr),
    })
}

/// `DescribeTaskLogs`.
pub(crate) async fn describe_logs(
    service: &Service,
    who: Identity,
    call: Call,
) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let (seen, place) = named(service, who, &mut fields).await?;
    let indexes = fields.counts("TaskInstanceIndexes")?;
    let offset = fields.count("Offset", u32::MAX)?;
    let limit = page(&mut fields, 5, 10)?.limit;
    fields.end()?;
    if !indexes.is_empty() && offset.is_some() {
        return Err(Fault::combination("`TaskInstanceIndexes` and `Offset` do not go together."));
    }
    let all = total(&seen, place);
    if let Some(missing) = indexes.iter().find(|index| **index >= all) {
        return Err(Fault::no_instance(*missing));
    }
    let wanted: Vec<u32> = if indexes.is_empty() {
        (offset.unwrap_or(0)..all).take(limit).collect()
    } else {
        indexes.iter().copied().take(limit).collect()
    };
    let count = if indexes.is_empty() { all } else { index(indexes.len()) };
    let mut set = Vec::with_capacity(wanted.len());
    for index in wanted {
        let one = member(service, &seen, place, index).await?;
        let [stdout, stderr] = logs::ends(service, &one).await?;
        let mut view = redirects(&seen, place, index);
        view["TaskInstanceIndex"] = index.into();
        view["StdoutLog"] = stdout.into();
        view["StderrLog"] = stderr.into();
        set.push(view);
    }
    Ok(json!({ "TotalCount": count, "TaskInstanceLogSet": set }))
}

/// `TerminateTaskInstance`: what has not ended is stopped, and what is held is
/// let go.
pub(crate) async fn terminate(
    service: &Service,
    who: Identity,
    call: Call,
) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let (id, name) = (fields.said("JobId")?, fields.said("TaskName")?);
    let index = fields.count("TaskInstanceIndex", u32::MAX)?;
    let index = fields.needed("TaskInstanceIndex", index)?;
    fields.end()?;
    crate::seen::id(&id)?;
    // Of what is not there, no instance is.
    let found = Seen::load(service, who.project, &id).await;
    let seen = found.map_err(|fault| match fault.code {
        "ResourceNotFound.Job" => Fault::no_instance(index),
        _ => fault,
    })?;
    let place = seen.task(&name).map_err(|_| Fault::no_instance(index))?;
    let one = member(service, &seen, place, index).await?;
    match seen.instance(place, index, &one.instance) {
        State::Succeed | State::Failed => {}
        State::FailedInterrupted => released::one(service, &seen.job, (place, index)).await?,
        State::Pending | State::Runnable | State::Starting | State::Running => {
            if seen.holds(place) {
                released::one(service, &seen.job, (place, index)).await?;
            }
            let task = u32::try_from(place).unwrap_or(u32::MAX);
            jobs::stop_instance(service, seen.job.key(), task, index).await?;
        }
    }
    Ok(json!({}))
}

//! `GetTaskDetail` and `GetTaskList`.

use std::borrow::Cow;

use data_encoding::BASE64;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde_json::{Value, json};
use shared::{
    job::{Job, JobSpec, ProjectId},
    ops::{
        attempts::{self, AttemptRecord},
        jobs::{self, Filter},
    },
    service::Service,
};

use super::{
    answer::{Answer, fields},
    page::Page,
    results,
    submit::Said,
};
use crate::{
    asked::Parameters,
    faults::{Code, Fault},
    words::{Kind, State, seconds, task_id},
};

/// The word for no limit.
const ALL: &str = "All";

/// What is known of a task.
pub async fn detail(
    service: &Service,
    project: ProjectId,
    asked: &Parameters,
) -> Result<Answer, Fault> {
    let job = results::task(service, project, asked).await?;
    let spec = attempts::load_spec(service, &job).await?;
    let said = Said::of_job(&spec);
    let left = last_attempt(service, &job).await?;
    let text = |tail: fn(&AttemptRecord) -> &String| {
        let tail = left.as_ref().map(tail).map(|tail| BASE64.decode(tail.as_bytes()));
        let bytes = tail.and_then(Result::ok).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let cpu_ms = left.as_ref().and_then(|left| left.usage).map_or(0, |usage| usage.cpu_ms);
    let mut detail = listed(&job, &said);
    for (name, value) in [
        ("ImageName", Value::from(said.image)),
        ("Cmd", said.command.into()),
        ("OutputDir", said.folder.into()),
        ("OutputFileName", said.names.join(",").into()),
        ("Timeout", said.seconds.into()),
        ("StdoutBrief", text(|left| &left.stdout_tail).into()),
        ("StderrBrief", text(|left| &left.stderr_tail).into()),
        ("CPUUsage", cpu_ms.into()),
    ] {
        detail[name] = value;
    }
    Ok(fields(detail))
}

/// What the last attempt of a job of one instance left, once it is over.
async fn last_attempt(service: &Service, job: &Job) -> Result<Option<AttemptRecord>, Fault> {
    match job.only_instance() {
        Some(instance) if instance.attempts > 0 && job.ending().is_some() => {
            Ok(attempts::load(service, job.attempt_id(0, 0, instance.attempts)).await?)
        }
        _ => Ok(None),
    }
}

/// A task as it is in a list.
fn listed(job: &Job, said: &Said) -> Value {
    let instance = job.only_instance();
    let process = instance.and_then(|instance| match instance.outcome() {
        Some(outcome) => outcome.started_at,
        None => instance.live().and_then(|live| live.started_at),
    });
    json!({
        "TaskId": task_id(job.id),
        "TaskName": job.name.as_deref().unwrap_or_default(),
        "TaskType": said.kind.word(),
        "Owner": job.project.to_string(),
        "State": State::of(job).word(),
        "CreateTime": seconds(Some(job.id.created_at())),
        "StartTime": seconds(process.or(job.started_at)),
        "EndTime": seconds(job.ending().map(|(_, at)| at)),
    })
}

/// What a list is narrowed to.
struct Wanted<'a> {
    ours: Filter,
    kind: Option<Kind>,
    image: Option<&'a str>,
    from: Option<i64>,
    to: Option<i64>,
}

impl<'a> Wanted<'a> {
    fn of(asked: &'a Parameters) -> Result<Self, Fault> {
        let word = |name| asked.filter(name).filter(|word| *word != ALL);
        let unknown =
            |name: &str, word: &str| Fault::new(Code::BadParameter, format!("{name}: `{word}`"));
        let states = word("State")
            .map(|word| State::named(word).map(State::ours).ok_or_else(|| unknown("State", word)));
        let kind =
            word("TaskType").map(|word| Kind::named(word).ok_or_else(|| unknown("TaskType", word)));
        if let Some(order) = asked.filter("OrderBy").filter(|order| *order != "Default") {
            return Err(unknown("OrderBy", order));
        }
        let (from, to) = times(asked)?;
        Ok(Wanted {
            ours: Filter {
                states: states.transpose()?.unwrap_or_default(),
                name: asked.filter("TaskName").map(str::to_owned),
                ..Filter::default()
            },
            kind: kind.transpose()?,
            image: asked.filter("ImageName"),
            from,
            to,
        })
    }

    /// Whether a job may be wanted, as far as its record tells.
    fn admits(&self, job: &Job) -> bool {
        let at = job.id.created_at().as_second();
        self.ours.admits(job)
            && self.from.is_none_or(|from| from <= at)
            && self.to.is_none_or(|to| at <= to)
    }

    /// Whether that is all that it is narrowed by.
    fn is_by_record(&self) -> bool {
        self.kind.is_none() && self.image.is_none()
    }

    /// Whether one that may be is.
    fn takes(&self, said: &Said) -> bool {
        self.kind.is_none_or(|kind| kind == said.kind)
            && self.image.is_none_or(|image| image == said.image)
    }
}

/// The first and the last second that is wanted: said as such, or as a day of
/// UTC.
fn times(asked: &Parameters) -> Result<(Option<i64>, Option<i64>), Fault> {
    let from = asked.number("StartTime", Code::BadTime)?;
    let to = asked.number("EndTime", Code::BadTime)?;
    let Some(date) = asked.filter("Date") else { return Ok((from, to)) };
    let bad = || Fault::new(Code::BadTime, format!("Date: `{date}`"));
    let day: Date = date.parse().map_err(|_| bad())?;
    let start = |day: Date| TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).map_err(|_| bad());
    let end = start(day.tomorrow().map_err(|_| bad())?)?;
    let last = |end: Timestamp| end.as_second() - 1;
    Ok((from.or(Some(start(day)?.as_second())), to.or(Some(last(end)))))
}

/// Tasks, newest first.
pub async fn list(
    service: &Service,
    project: ProjectId,
    asked: &Parameters,
) -> Result<Answer, Fault> {
    let (wanted, page) = (Wanted::of(asked)?, Page::of(asked)?);
    let jobs = match asked.filter("TaskId") {
        None => jobs::newest(service, project, &wanted.ours).await?,
        Some(_) => match results::task(service, project, asked).await {
            Ok(job) => vec![job],
            Err(fault) if fault.code == Code::TaskNotFound => Vec::new(),
            Err(fault) => return Err(fault),
        },
    };
    let (mut total, mut tasks) = (0, Vec::new());
    for job in jobs.iter().filter(|job| wanted.admits(job)) {
        if wanted.is_by_record() && !page.has(total + 1) {
            // What is only counted need not be read.
            total += 1;
            continue;
        }
        let spec: Cow<'_, JobSpec> = attempts::load_spec(service, job).await?;
        let said = Said::of_job(&spec);
        if wanted.takes(&said) {
            total += 1;
            tasks.extend(page.has(total).then(|| listed(job, &said)));
        }
    }
    Ok(fields(json!({ "TotalCount": total, "TaskSet": tasks })))
}

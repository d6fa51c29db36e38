//! A job, as this API shows it: one that was asked of it as it was asked, and
//! any other as far as it can be told in these words.

use std::collections::{HashMap, HashSet};

use data_encoding::BASE64;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use shared::{
    job::{Cause, Ending, Exit, Job, JobSpec, Phase, Source, Telling},
    ops::{
        attempts,
        queues::{self, Queue},
        rows::QueueKey,
    },
    service::Service,
    wire::Problem,
};

use crate::{
    jobs::AT_ONCE,
    order::Order,
    picture,
    tree::{Fields, Value},
    words::{self, Kind, NAMELESS, NOT_YET},
};

/// The most characters of what is said of a failure.
const MOST_SAID: usize = 1_000;

/// What an operation has that is shown in a place of its own.
const KNOWN: [&str; 6] =
    ["Output", "TemplateId", "PicProcess", "UserData", "JobLevel", "PicProcessResult"];

/// The queues that jobs which are shown together wait in: each is looked up
/// once.
pub struct Queues(HashMap<QueueKey, Queue>);

impl Queues {
    /// Those of these jobs, as far as they are there.
    pub async fn of(service: &Service, jobs: &[Job]) -> Result<Self, Problem> {
        let waiting = jobs.iter().filter(|job| job.phase == Phase::Queued);
        let keys: HashSet<QueueKey> = waiting.map(QueueKey::of).collect();
        let looked_up = keys.into_iter().map(|key| async move {
            let found = queues::load(service, &key).await?;
            Ok::<_, Problem>(found.map(|(_, queue)| (key, queue)))
        });
        let looked_up: Vec<_> = looked_up.collect();
        let found = stream::iter(looked_up).buffered(AT_ONCE).try_collect::<Vec<_>>().await?;
        Ok(Queues(found.into_iter().flatten().collect()))
    }

    /// The queue that a job waits in; `None` if it waits in none, or that is
    /// gone.
    pub fn waits_in(&self, job: &Job) -> Option<&Queue> {
        self.0.get(&QueueKey::of(job))
    }
}

/// A job in these words, in parts: messages put them together otherwise.
pub struct Detail {
    /// What comes before the operation.
    pub head: Fields,
    /// The operation, without its result.
    pub operation: Fields,
    /// What became of the picture, if it was on one.
    pub result: Option<Fields>,
    /// The service.
    pub kind: Kind,
}

impl Detail {
    /// All of it.
    pub fn whole(self) -> Fields {
        let operation = self.operation.with_some("PicProcessResult", self.result);
        self.head.with("Operation", operation)
    }
}

/// The job as it stands.
pub async fn of(service: &Service, job: &Job, queue: Option<&Queue>) -> Result<Detail, Problem> {
    let spec = attempts::load_spec(service, job).await?;
    as_it_stands(service, job, &spec, queue).await
}

async fn as_it_stands(
    service: &Service,
    job: &Job,
    spec: &JobSpec,
    queue: Option<&Queue>,
) -> Result<Detail, Problem> {
    let run = Run {
        state: words::job_state(job.phase, queue),
        started_at: job.started_at,
        ended_at: job.ending().map(|(_, at)| at),
    };
    let order = Order::of(spec);
    let result = picture::result(service, job, spec, order.as_ref()).await?;
    let failure = if run.state == "Failed" { Some(failure(service, job).await?) } else { None };
    Ok(put_together(job, spec, order.as_ref(), &run, failure, result))
}

/// The job as it was at the end of the run that is told of: of one that was
/// followed by another, only its ending is still known.
pub async fn ended(
    service: &Service,
    job: &Job,
    spec: &JobSpec,
    telling: &Telling,
    ending: Ending,
) -> Result<Detail, Problem> {
    if telling.key.run == job.run {
        return as_it_stands(service, job, spec, None).await;
    }
    let state = words::ending_state(ending);
    let run = Run { state, started_at: None, ended_at: Some(telling.happened_at) };
    let failure = (state == "Failed").then(|| {
        ("JobFailed".to_owned(), "The job was run again before this could be told.".to_owned())
    });
    Ok(put_together(job, spec, Order::of(spec).as_ref(), &run, failure, None))
}

/// How one run of a job stands.
struct Run {
    state: &'static str,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
}

fn put_together(
    job: &Job,
    spec: &JobSpec,
    order: Option<&Order>,
    run: &Run,
    failure: Option<(String, String)>,
    result: Option<Fields>,
) -> Detail {
    let time = |at: Option<Timestamp>| at.map_or(NOT_YET.to_owned(), words::time);
    let (code, message) = failure.unwrap_or_else(|| ("Success".into(), String::new()));
    let tag = tag(job);
    let kind = order.map_or(Kind::Media.of_tag(tag), |order| order.kind);
    let (input, operation) = match order {
        Some(order) => asked(order),
        None => foreign(job, spec),
    };
    let head = Fields::new()
        .with("Code", code)
        .with("Message", message)
        .with("JobId", words::job_id(kind, job.id))
        .with("State", run.state)
        .with("CreationTime", words::time(job.id.created_at()))
        .with("EndTime", time(run.ended_at))
        .with("StartTime", time(run.started_at))
        .with("QueueId", words::queue_id(&QueueKey::of(job)))
        .with("Tag", tag)
        .with("Input", input);
    Detail { head, operation, result, kind }
}

/// What names the operation of a job.
pub fn tag(job: &Job) -> &str {
    job.name.as_deref().unwrap_or(NAMELESS)
}

/// The input and the operation of a job that was asked of this API.
fn asked(order: &Order) -> (Fields, Fields) {
    let said = &order.operation;
    let input = Fields::new()
        .with("BucketId", order.bucket.as_str())
        .with("Object", order.object.as_str())
        .with("Region", order.region.as_str());
    let output = said.fields("Output").map(|output| {
        let text = |name| output.text(name).unwrap_or_default();
        Fields::new()
            .with("Bucket", text("Bucket"))
            .with("Object", text("Object"))
            .with("Region", text("Region"))
    });
    let rule = said.fields("PicProcess").map(|picture| {
        let wants_info = picture.text("IsPicInfo") == Some("true");
        let rest = picture.only(|name| name != "IsPicInfo");
        Fields::new().with("IsPicInfo", wants_info).and(rest)
    });
    let template = said.text("TemplateId").map(|id| {
        let name = order.template_name.as_deref().unwrap_or_default();
        Fields::new().with("TemplateId", id).with("TemplateName", name)
    });
    let operation = Fields::new()
        .with_some("Output", output)
        .and(template.unwrap_or_default())
        .with_some("PicProcess", rule)
        .with_some("UserData", said.text("UserData"))
        .with("JobLevel", said.text("JobLevel").unwrap_or("0"))
        .and(said.only(|name| !KNOWN.contains(&name)));
    (input, operation)
}

/// The same of any other job, as far as it has such things.
fn foreign(job: &Job, spec: &JobSpec) -> (Fields, Fields) {
    let sources = spec
        .tasks
        .iter()
        .flat_map(|task| task.stdin.iter().chain(task.inputs.iter().map(|input| &input.source)));
    let object = sources.into_iter().find_map(|source| match source {
        Source::Object { bucket, key } => Some((bucket.as_str(), key.as_str())),
        _ => None,
    });
    let (bucket, key) = object.unwrap_or_default();
    let input = Fields::new().with("BucketId", bucket).with("Object", key).with("Region", "");
    let to = spec.tasks.iter().flat_map(|task| &task.outputs).find_map(|one| one.to.as_ref());
    let output = to.map(|to| {
        Fields::new()
            .with("Bucket", to.bucket.as_str())
            .with("Object", to.key.as_str())
            .with("Region", "")
    });
    let level = job.priority.clamp(0, 2).to_string();
    (input, Fields::new().with_some("Output", output).with("JobLevel", Value::from(level)))
}

/// Why a job has failed: a code, and a sentence.
async fn failure(service: &Service, job: &Job) -> Result<(String, String), Problem> {
    let Some(instance) = job.only_instance() else {
        let message = "Not all tasks of the job succeeded.";
        return Ok(("JobFailed".into(), message.into()));
    };
    let outcome = instance.outcome();
    let cause = outcome.and_then(|outcome| outcome.cause).unwrap_or(Cause::Exited);
    let left = match instance.attempts {
        0 => None,
        number => attempts::load(service, job.attempt_id(0, 0, number)).await?,
    };
    let said = left.as_ref().and_then(|left| last_line(&left.stderr_tail));
    let message = left.and_then(|left| left.message);
    let exit = outcome.and_then(|outcome| outcome.exit).map(Exit::code);
    let message = match (cause, said, message, exit) {
        (Cause::Exited, Some(said), _, _) => said,
        (_, _, Some(message), _) => message,
        (_, _, None, Some(code)) => format!("The process ended with code {code}."),
        (_, _, None, None) => "The job could not be run.".to_owned(),
    };
    Ok((words::failure(cause).to_owned(), message))
}

/// The last line of text that is base 64.
fn last_line(tail: &str) -> Option<String> {
    let bytes = BASE64.decode(tail.as_bytes()).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
    Some(line.chars().take(MOST_SAID).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_that_says_something_is_what_was_said() {
        let encoded = |text: &str| BASE64.encode(text.as_bytes());
        assert_eq!(last_line(&encoded("a\nb \n\n")).as_deref(), Some("b"));
        assert_eq!(last_line(&encoded("\n")), None);
        assert_eq!(last_line("%"), None);
    }
}

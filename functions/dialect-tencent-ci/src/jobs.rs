//! Jobs: created, described, cancelled.

use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use serde_json::json;
use shared::{
    job::{Job, JobKey, Name},
    ops::{
        jobs, record,
        rows::QueueKey,
        submit::{self, MOST_TOGETHER},
        templates::{self, Template},
    },
    wire::{
        Problem,
        callback::CallbackChoice,
        submit::{FromTemplate, Submission},
    },
};

use crate::{
    asker::Asker,
    callback,
    detail::{self, Queues},
    faults::Fault,
    order::Order,
    queues, templates as saved,
    tree::Fields,
    words::{self, Kind},
};

/// Jobs that are described at once.
const MOST: usize = 100;

/// Jobs that are looked up side by side.
pub const AT_ONCE: usize = 8;

/// Makes a job of each operation, of all or of none.
pub async fn create(asker: &Asker<'_>, kind: Kind, asked: &Fields) -> Result<Fields, Fault> {
    let orders = Order::read(&asker.place, kind, asked)?;
    if orders.len() > MOST_TOGETHER {
        return Err(Fault::argument("Operation", &format!("there are at most {MOST_TOGETHER}")));
    }
    let callback = callback::of_job(asked)?;
    let queue = match asked.text("QueueId") {
        Some(id) => queues::find(asker, id).await?,
        None => asker.queue_key(orders[0].kind)?,
    };
    let submissions: Vec<_> = orders
        .into_iter()
        .map(|order| submission(asker, order, &queue, callback.as_ref()))
        .collect();
    let submissions = stream::iter(submissions).buffered(AT_ONCE).try_collect().await?;
    asker.made(&queue).await?;
    let made = submit::submit_all(asker.service, asker.project, submissions).await?;
    Ok(Fields::new().with("JobsDetail", details(asker, &made).await?))
}

async fn submission(
    asker: &Asker<'_>,
    mut order: Order,
    queue: &QueueKey,
    callback: Option<&CallbackChoice>,
) -> Result<Submission, Fault> {
    let template = match order.template() {
        Some(id) => {
            let (template, saved) = saved::find(asker, id).await?;
            if saved.tag != order.tag {
                let rule = format!("it is of the template: {}", saved.tag);
                return Err(Fault::argument("Tag", &rule));
            }
            order.template_name = Some(saved.name);
            template
        }
        None => operation(asker, &order.tag).await?,
    };
    let over = json!({
        "name": order.tag, "queue": queue.name.as_str(), "priority": order.level(),
    });
    let from = FromTemplate {
        template: template.name.to_string(),
        parameters: order.values(&template)?,
        over: over.as_object().cloned().unwrap_or_default(),
    };
    let mut submission = templates::submission(asker.service, asker.project, from).await?;
    submission.spec.origin = Some(order.origin());
    if let Some(callback) = callback {
        submission.callback = callback.clone();
    }
    Ok(submission)
}

/// The operation that a tag names.
pub async fn operation(asker: &Asker<'_>, tag: &str) -> Result<Template, Fault> {
    let found = match tag.parse::<Name>() {
        Ok(name) => templates::load(asker.service, asker.project, &name).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| Fault::argument("Tag", "it names no operation, nor a template of yours"))
}

/// The jobs of these ids, and the ids that name none.
pub async fn describe(asker: &Asker<'_>, ids: &str) -> Result<Fields, Fault> {
    let ids: Vec<&str> = ids.split(',').filter(|id| !id.is_empty()).collect();
    if ids.len() > MOST {
        return Err(Fault::argument("jobId", &format!("there are at most {MOST}")));
    }
    let looked_up: Vec<_> = ids.iter().map(|id| look_up(asker, id)).collect();
    let found: Vec<Option<Job>> = stream::iter(looked_up).buffered(AT_ONCE).try_collect().await?;
    let missing: Vec<&str> =
        ids.iter().zip(&found).filter(|(_, job)| job.is_none()).map(|(id, _)| *id).collect();
    let jobs: Vec<Job> = found.into_iter().flatten().collect();
    let answer = Fields::new().with("JobsDetail", details(asker, &jobs).await?);
    let missing = (!missing.is_empty()).then(|| missing.join(","));
    Ok(answer.with_some("NonExistJobIds", missing))
}

async fn look_up(asker: &Asker<'_>, id: &str) -> Result<Option<Job>, Problem> {
    let Some(job) = words::read_job_id(id) else { return Ok(None) };
    let key = JobKey { project: asker.project, job };
    Ok(record::load(asker.service, key).await?.map(|(_, job)| job))
}

/// How jobs are shown.
pub async fn details(asker: &Asker<'_>, jobs: &[Job]) -> Result<Vec<Fields>, Fault> {
    let queues = Queues::of(asker.service, jobs).await?;
    let shown = jobs.iter().map(|job| {
        let queue = queues.waits_in(job);
        async move { Ok::<_, Problem>(detail::of(asker.service, job, queue).await?.whole()) }
    });
    let shown: Vec<_> = shown.collect();
    Ok(stream::iter(shown).buffered(AT_ONCE).try_collect().await?)
}

/// Cancels a job that waits.
pub async fn cancel(asker: &Asker<'_>, id: &str) -> Result<(), Fault> {
    let none = || {
        let message = "The specified job does not exist.";
        Fault::new(StatusCode::NOT_FOUND, "NoSuchJob", message)
    };
    let job = words::read_job_id(id).ok_or_else(none)?;
    let key = JobKey { project: asker.project, job };
    match jobs::withdraw(asker.service, key).await {
        Err(Problem::NotFound { .. }) => Err(none()),
        withdrawn => Ok(withdrawn.map(|_| ())?),
    }
}

//! Jobs: created, described, cancelled.

use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use serde_json::json;
use shared::{
    job::{Job, JobKey, Name},
    ops::{
        jobs, queues, record,
        rows::QueueKey,
        submit,
        templates::{self, Template},
    },
    wire::{
        Problem,
        callback::CallbackChoice,
        submit::{FromTemplate, Submission},
    },
};

use crate::{
    callback,
    detail::{self, Queues},
    faults::Fault,
    order::Order,
    router::Asker,
    templates as saved,
    tree::Fields,
    words::{self, Kind},
};

/// Jobs of one request.
const MOST: usize = 100;

/// Jobs that are looked up side by side.
const AT_ONCE: usize = 8;

/// Makes a job of each operation; none where one of them does not fit its
/// template. What fails while they are accepted leaves those before it.
pub async fn create(asker: &Asker<'_>, kind: Kind, asked: &Fields) -> Result<Fields, Fault> {
    let orders = Order::read(&asker.place, kind, asked)?;
    if orders.len() > MOST {
        return Err(Fault::argument("Operation", &format!("there are at most {MOST}")));
    }
    let callback = callback::of_job(asked)?;
    let queue = match asked.text("QueueId") {
        Some(id) => find_queue(asker, id).await?,
        None => asker.queue_of(orders[0].kind).await?.0,
    };
    let mut submissions = Vec::with_capacity(orders.len());
    for order in orders {
        submissions.push(submission(asker, order, &queue, callback.as_ref()).await?);
    }
    let mut made = Vec::with_capacity(submissions.len());
    for submission in submissions {
        let Asker { service, project, .. } = *asker;
        // Without a token, nothing is compared with what was sent.
        let accepted = submit::submit(service, project, submission, &[], None).await?;
        made.push(accepted.job);
    }
    Ok(Fields::new().with("JobsDetail", details(asker, &made).await?))
}

/// The queue of this id, whatever bucket or API it is of.
pub async fn find_queue(asker: &Asker<'_>, id: &str) -> Result<QueueKey, Fault> {
    let all = queues::list(asker.service, asker.project).await?;
    let keys = all.into_iter().map(|queue| QueueKey { project: asker.project, name: queue.name });
    let found = keys.into_iter().find(|key| words::queue_id(key) == id);
    found.ok_or_else(|| {
        let message = "The specified queue does not exist.";
        Fault::new(StatusCode::NOT_FOUND, "NoSuchQueue", message)
    })
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
    let mut queues = Queues::default();
    let mut shown = Vec::with_capacity(jobs.len());
    for job in jobs {
        let queue = queues.of(asker.service, job).await?.cloned();
        shown.push(async move {
            let detail = detail::of(asker.service, job, queue.as_ref()).await?;
            Ok::<_, Problem>(detail.whole())
        });
    }
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

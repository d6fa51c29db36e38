//! Whom to tell, and by which secrets he knows us: a job's own settings, or
//! those of its queue.

use serde_json::{Value, json};

use crate::{
    auth::Secret,
    job::{
        CallbackEvent, CallbackFormat, CallbackSpec, CallbackTarget, Job, JobKey, JobSpec, Name,
        ProjectId, Sealed,
    },
    ops::{queues, rows::QueueKey},
    platform::Recipient,
    service::Service,
    wire::{
        Problem,
        callback::{CallbackChoice, CallbackSettings, NOBODY, event_word},
    },
};

/// What it takes to tell somebody.
pub(super) struct Settings {
    pub(super) to: Recipient,
    pub(super) secrets: Vec<Secret>,
    pub(super) format: CallbackFormat,
}

fn job_scope(key: JobKey, place: usize) -> String {
    format!("{}/{}/callback/{place}", key.project, key.job)
}

fn queue_scope(project: ProjectId, queue: &Name, place: usize) -> String {
    format!("{project}/queue/{queue}/callback/{place}")
}

fn seal(service: &Service, secrets: &[Secret], scope: impl Fn(usize) -> String) -> Vec<Sealed> {
    let clock = service.platform.clock.as_ref();
    let seal = |(place, secret): (usize, &Secret)| {
        service.keyring.seal(clock, &scope(place), secret.reveal())
    };
    secrets.iter().enumerate().map(seal).collect()
}

/// The callback of a job that is submitted, its secrets sealed. What goes to
/// the queue's receiver is looked up when it is sent, so that an address or a
/// secret that is changed there counts for what is under way.
pub(in crate::ops) fn for_job(
    service: &Service,
    key: JobKey,
    choice: &CallbackChoice,
    queue: Option<&CallbackSpec>,
) -> Result<Option<CallbackSpec>, Problem> {
    match choice {
        CallbackChoice::Nobody => Ok(None),
        CallbackChoice::OfQueue => {
            Ok(queue.map(|queue| of_queue(queue, CallbackTarget::OfQueue, queue.format)))
        }
        CallbackChoice::OfQueueIn(format) => {
            Ok(queue.map(|queue| of_queue(queue, CallbackTarget::OfQueueInOwnForm, *format)))
        }
        CallbackChoice::Own(settings) => {
            sealed(service, settings, |place| job_scope(key, place)).map(Some)
        }
    }
}

fn of_queue(queue: &CallbackSpec, to: CallbackTarget, format: CallbackFormat) -> CallbackSpec {
    CallbackSpec { to, secrets: Vec::new(), started: queue.started, format }
}

/// The callback of a queue, its secrets sealed.
pub(in crate::ops) fn for_queue(
    service: &Service,
    key: &QueueKey,
    settings: &CallbackSettings,
) -> Result<CallbackSpec, Problem> {
    sealed(service, settings, |place| queue_scope(key.project, &key.name, place))
}

fn sealed(
    service: &Service,
    settings: &CallbackSettings,
    scope: impl Fn(usize) -> String,
) -> Result<CallbackSpec, Problem> {
    is_allowed(service, settings)?;
    Ok(CallbackSpec {
        to: settings.to.clone(),
        secrets: seal(service, &settings.secrets, scope),
        started: settings.started,
        format: settings.format,
    })
}

/// What a request says of the callback that this job could have come from;
/// `None` where its queue decides.
pub(in crate::ops) fn request(
    service: &Service,
    key: JobKey,
    spec: &JobSpec,
) -> Result<Option<Value>, Problem> {
    let Some(callback) = &spec.callback else {
        return Ok(spec.muted.then(|| NOBODY.into()));
    };
    let (place, to) = match &callback.to {
        CallbackTarget::Url(url) => ("url", url.as_str()),
        CallbackTarget::MessageQueue(name) => ("message_queue", name.as_str()),
        CallbackTarget::OfQueue | CallbackTarget::OfQueueInOwnForm => return Ok(None),
    };
    let secrets = open(service, &callback.secrets, |place| job_scope(key, place))?;
    let secret = |nth: usize| secrets.get(nth).map(Secret::reveal);
    let started = callback.started.then_some(CallbackEvent::Started);
    let events = started.into_iter().chain([CallbackEvent::Finished]);
    Ok(Some(json!({
        place: to,
        "secret": secret(0),
        "previous_secret": secret(1),
        "events": events.map(event_word).collect::<Vec<_>>(),
        "format": callback.format,
    })))
}

/// A message queue has to be one that the operator allows.
fn is_allowed(service: &Service, settings: &CallbackSettings) -> Result<(), Problem> {
    match &settings.to {
        CallbackTarget::MessageQueue(name) if !service.config.message_queues.contains(name) => {
            let rule = format!("no message queue `{name}` is allowed here");
            Err(Problem::invalid("callback.message_queue", rule))
        }
        CallbackTarget::MessageQueue(_)
        | CallbackTarget::Url(_)
        | CallbackTarget::OfQueue
        | CallbackTarget::OfQueueInOwnForm => Ok(()),
    }
}

/// The settings of a job that is to be told of; `None` if they were its
/// queue's, which has none any more.
pub(super) async fn of(
    service: &Service,
    job: &Job,
    spec: &JobSpec,
) -> Result<Option<Settings>, Problem> {
    let Some(callback) = &spec.callback else { return Ok(None) };
    let own_form = (callback.to == CallbackTarget::OfQueueInOwnForm).then_some(callback.format);
    if let Some(to) = recipient(&callback.to) {
        let secrets = open(service, &callback.secrets, |place| job_scope(job.key(), place))?;
        return Ok(Some(Settings { to, secrets, format: callback.format }));
    }
    let queue = queues::load(service, &QueueKey::of(job)).await?;
    let Some(callback) = queue.and_then(|(_, queue)| queue.callback) else { return Ok(None) };
    let Some(to) = recipient(&callback.to) else { return Ok(None) };
    let scope = |place| queue_scope(job.project, &job.queue, place);
    let secrets = open(service, &callback.secrets, scope)?;
    Ok(Some(Settings { to, secrets, format: own_form.unwrap_or(callback.format) }))
}

fn recipient(target: &CallbackTarget) -> Option<Recipient> {
    match target {
        CallbackTarget::Url(url) => Some(Recipient::Url(url.clone())),
        CallbackTarget::MessageQueue(name) => Some(Recipient::MessageQueue(name.clone())),
        CallbackTarget::OfQueue | CallbackTarget::OfQueueInOwnForm => None,
    }
}

fn open(
    service: &Service,
    sealed: &[Sealed],
    scope: impl Fn(usize) -> String,
) -> Result<Vec<Secret>, Problem> {
    let open = |(place, sealed): (usize, &Sealed)| {
        let secret = service.keyring.open(&scope(place), sealed);
        secret.ok_or_else(|| Problem::internal("a callback's secret was sealed elsewhere"))
    };
    sealed.iter().enumerate().map(open).collect()
}

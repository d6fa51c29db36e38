//! What a caller is told, and by what he knows that it is us who tell him:
//! Standard Webhooks 1.0.0 (standardwebhooks.com).

use bytes::Bytes;
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::Sha256;

use super::{
    settings::Settings,
    shape::{News, Shape, Shaped},
    xml,
};
use crate::{
    auth::Secret,
    job::{CallbackEvent, CallbackFormat, CallbackKey, Job, JobKey, Telling},
    ops::jobs,
    platform::Message,
    service::Service,
    wire::{
        Problem,
        callback::{SECRET_PREFIX, event_word},
        views::{JobView, ending_word},
    },
};

/// How many tasks a message lists; the job's own address lists them all.
const MOST_TASKS: usize = 100;

/// What every message about it is called, however often it is sent.
pub fn id(key: JobKey, callback: CallbackKey) -> String {
    format!("{}-{}-{}", key.job, callback.run, event_word(callback.event))
}

/// The message, signed with every secret of the callback.
pub(super) async fn of(
    service: &Service,
    job: &Job,
    telling: &Telling,
    settings: &Settings,
) -> Result<Message, Problem> {
    let view = view(service, job, telling).await?;
    let (content_type, body) = match settings.format {
        CallbackFormat::Json => ("application/json", in_json(telling, &view)?),
        CallbackFormat::Xml => ("application/xml", xml::of(telling, &view)?),
    };
    let headers = signed(service, &id(job.key(), telling.key), settings, &body)?;
    Ok(Message { content_type, headers, body: Bytes::from(body) })
}

/// The message as the job's own API has it, which signs none: signed as ours is
/// where somebody has set a secret for it all the same.
pub(super) async fn shaped(
    service: &Service,
    shape: &dyn Shape,
    news: News<'_>,
    settings: &Settings,
) -> Result<Option<Message>, Problem> {
    let Some(Shaped { content_type, body }) = shape.told(service, news).await? else {
        return Ok(None);
    };
    let headers = if settings.secrets.is_empty() {
        Vec::new()
    } else {
        signed(service, &id(news.job.key(), news.telling.key), settings, &body)?
    };
    Ok(Some(Message { content_type, headers, body: Bytes::from(body) }))
}

/// The headers by which a receiver knows the message, and whom it is from.
fn signed(
    service: &Service,
    id: &str,
    settings: &Settings,
    body: &str,
) -> Result<Vec<(&'static str, String)>, Problem> {
    let at = service.platform.clock.now();
    let mut headers = vec![("webhook-timestamp", at.as_second().to_string())];
    let signatures: Option<Vec<_>> =
        settings.secrets.iter().map(|secret| signature(secret, id, at, body)).collect();
    let signatures =
        signatures.ok_or_else(|| Problem::internal("a secret is not as it was set"))?;
    if !signatures.is_empty() {
        headers.push(("webhook-signature", signatures.join(" ")));
    }
    headers.insert(0, ("webhook-id", id.to_owned()));
    Ok(headers)
}

/// The job as it is shown. Of a run that was followed by another, only how it
/// ended is still known.
async fn view(service: &Service, job: &Job, telling: &Telling) -> Result<JobView, Problem> {
    if telling.key.run == job.run {
        // How telling stands is not told: each try would say something else.
        return Ok(JobView { callback: None, ..jobs::view(service, job).await? });
    }
    Ok(JobView {
        run: telling.key.run,
        state: telling.ending.map_or("running", ending_word),
        waiting_for: None,
        tasks: Vec::new(),
        exit_code: None,
        cause: None,
        retryable: None,
        started_at: telling.ending.is_none().then_some(telling.happened_at),
        ended_at: telling.ending.map(|_| telling.happened_at),
        callback: None,
        ..JobView::of(job)
    })
}

#[derive(Serialize)]
struct Told {
    r#type: String,
    timestamp: Timestamp,
    data: Value,
}

fn in_json(telling: &Telling, view: &JobView) -> Result<String, Problem> {
    let unfit = |error: serde_json::Error| Problem::internal(error.to_string());
    let mut data = serde_json::to_value(view).map_err(unfit)?;
    let left_out = view.tasks.len().saturating_sub(MOST_TASKS);
    if left_out > 0 {
        if let Some(tasks) = data["tasks"].as_array_mut() {
            tasks.truncate(MOST_TASKS);
        }
        data["tasks_left_out"] = json!(left_out);
    }
    let told = Told {
        r#type: format!("job.{}", event_word(telling.key.event)),
        timestamp: telling.happened_at,
        data,
    };
    serde_json::to_string(&told).map_err(unfit)
}

/// `v1,` and the HMAC-SHA256 of id, time and body, in base 64; `None` of a
/// secret that is none.
fn signature(secret: &Secret, id: &str, at: Timestamp, body: &str) -> Option<String> {
    let key = secret.reveal().strip_prefix(SECRET_PREFIX)?;
    let key = BASE64.decode(key.as_bytes()).ok()?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).ok()?;
    mac.update(format!("{id}.{}.{body}", at.as_second()).as_bytes());
    Some(format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes())))
}

/// Whether what is told is a start.
pub(super) fn is_start(telling: &Telling) -> bool {
    telling.key.event == CallbackEvent::Started
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_that_the_standard_publishes() {
        // What the standard's own libraries are tested with.
        let secret = Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let at = Timestamp::from_second(1_614_265_330).unwrap();
        let body = r#"{"test": 2432232314}"#;
        let signed = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body);
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
        assert_eq!(signature(&Secret::new("C2FVsBQI"), "a", at, ""), None);
    }
}

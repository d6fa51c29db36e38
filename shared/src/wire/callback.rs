//! How callbacks are asked for, and how they look to a client.

use data_encoding::BASE64;
use http::Uri;
use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Problem, request::misfit, submit::parse_name};
use crate::{
    auth::Secret,
    job::{Callback, CallbackEvent, CallbackFormat, CallbackSpec, CallbackTarget, Job, JobKey},
    ops::callbacks::{self, Kept, State, Try},
};

/// What a secret starts with (Standard Webhooks).
pub const SECRET_PREFIX: &str = "whsec_";

/// The word that stands for no callback at all.
pub const NOBODY: &str = "no";

/// Who is told, and how.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CallbackRequest {
    /// Where the message goes: `https://…` or `http://…`.
    pub url: Option<String>,
    /// In place of an address: a message queue, by the name under which the
    /// operator allows it.
    pub message_queue: Option<String>,
    /// What the message is signed with: `whsec_` and the base 64 of 24 to 64
    /// bytes. Without one it carries no signature.
    pub secret: Option<String>,
    /// A secret that is being replaced: the message is signed with both.
    pub previous_secret: Option<String>,
    /// `finished`, which is told in any case, and `started`.
    pub events: Option<Vec<String>>,
    /// `json` or `xml`.
    pub format: FormatRequest,
}

/// What a message looks like.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FormatRequest {
    /// The job as this API shows it.
    #[default]
    Json,
    /// A short XML document.
    Xml,
}

/// Who is told, checked; secrets as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackSettings {
    /// Where the message goes.
    pub to: CallbackTarget,
    /// What it is signed with, the newest first: up to two.
    pub secrets: Vec<Secret>,
    /// Whether a start is told as well.
    pub started: bool,
    /// What the message looks like.
    pub format: CallbackFormat,
}

/// Who is told of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CallbackChoice {
    /// Whoever its queue says.
    #[default]
    OfQueue,
    /// Whoever its queue says, in this form.
    OfQueueIn(CallbackFormat),
    /// Nobody, whatever its queue says.
    Nobody,
    /// Whoever the job itself says.
    Own(CallbackSettings),
}

impl CallbackChoice {
    /// The choice that the field `callback` makes.
    pub fn parse(field: Option<Value>) -> Result<Self, Problem> {
        match field {
            None => Ok(CallbackChoice::OfQueue),
            Some(Value::String(word)) if word == NOBODY => Ok(CallbackChoice::Nobody),
            Some(value @ Value::Object(_)) => {
                let request: CallbackRequest = from_value(value)?;
                request.check().map(CallbackChoice::Own)
            }
            Some(_) => Err(Problem::invalid("callback", "it is an object, or `\"no\"` for none")),
        }
    }
}

fn from_value<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        misfit("callback", &path, &error.into_inner())
    })
}

impl CallbackRequest {
    fn check(self) -> Result<CallbackSettings, Problem> {
        let to = match (self.url, self.message_queue) {
            (Some(url), None) => CallbackTarget::Url(checked_url(url)?),
            (None, Some(name)) => {
                CallbackTarget::MessageQueue(parse_name("callback.message_queue", &name)?)
            }
            (None, None) => {
                return Err(Problem::invalid("callback.url", "it or `message_queue` is required"));
            }
            (Some(_), Some(_)) => {
                let rule = "it cannot be given together with `url`";
                return Err(Problem::invalid("callback.message_queue", rule));
            }
        };
        if self.secret.is_none() && self.previous_secret.is_some() {
            let rule = "it goes with a `secret` that replaces it";
            return Err(Problem::invalid("callback.previous_secret", rule));
        }
        let secrets = [("secret", self.secret), ("previous_secret", self.previous_secret)];
        let secrets = secrets.into_iter().filter_map(|(name, secret)| Some((name, secret?)));
        let secrets = secrets.map(|(name, secret)| checked_secret(name, secret));
        Ok(CallbackSettings {
            to,
            secrets: secrets.collect::<Result<_, _>>()?,
            started: tells_start(self.events.as_deref())?,
            format: match self.format {
                FormatRequest::Json => CallbackFormat::Json,
                FormatRequest::Xml => CallbackFormat::Xml,
            },
        })
    }
}

/// Whether it is an address that can be asked at all; what is behind it is
/// looked at when it is.
fn checked_url(url: String) -> Result<String, Problem> {
    let parsed: Option<Uri> = url.parse().ok();
    let authority = parsed.as_ref().and_then(Uri::authority);
    let scheme = parsed.as_ref().and_then(Uri::scheme_str);
    let rule = if url.len() > 2_000 {
        "it is longer than 2,000 bytes"
    } else if !matches!(scheme, Some("http" | "https")) {
        "it is an absolute URL, `https://…` or `http://…`"
    } else if authority.is_none_or(|it| it.host().is_empty()) {
        "it has no host"
    } else if authority.is_some_and(|it| it.as_str().contains('@')) {
        "it carries a user's name: sign the messages in place of that"
    } else if url.contains('#') {
        "it has a fragment, which no server is sent"
    } else {
        return Ok(url);
    };
    Err(Problem::invalid("callback.url", rule))
}

fn checked_secret(name: &str, secret: String) -> Result<Secret, Problem> {
    let key = secret.strip_prefix(SECRET_PREFIX).map(|key| BASE64.decode(key.as_bytes()));
    match key {
        Some(Ok(key)) if (24..=64).contains(&key.len()) => Ok(Secret::new(secret)),
        // The value itself is nobody's business, not even its owner's.
        _ => Err(Problem::invalid(
            format!("callback.{name}"),
            "a secret is `whsec_` and the base 64 of 24 to 64 bytes",
        )),
    }
}

fn tells_start(events: Option<&[String]>) -> Result<bool, Problem> {
    let Some(events) = events else { return Ok(false) };
    let known = |word: &String| {
        [CallbackEvent::Started, CallbackEvent::Finished]
            .into_iter()
            .any(|event| event_word(event) == word)
    };
    if let Some(place) = events.iter().position(|word| !known(word)) {
        let field = format!("callback.events[{place}]");
        return Err(Problem::invalid(field, "an event is `started` or `finished`"));
    }
    let tells = |event| events.iter().any(|word| word == event_word(event));
    if !tells(CallbackEvent::Finished) {
        return Err(Problem::invalid("callback.events", "`finished` is always among them"));
    }
    Ok(tells(CallbackEvent::Started))
}

/// The word for an event.
pub fn event_word(event: CallbackEvent) -> &'static str {
    match event {
        CallbackEvent::Started => "started",
        CallbackEvent::Finished => "finished",
    }
}

/// How telling the caller of a job's ending stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallbackStateView {
    /// `waiting` for the end, `pending`, `delivered` or `given_up`.
    pub state: &'static str,
    /// When it is tried next, or was delivered or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

impl CallbackStateView {
    /// That of the job's current run; `None` if nobody is told.
    pub fn of(job: &Job) -> Option<Self> {
        let (state, at) = match job.callback {
            Callback::Unwanted | Callback::Needless => return None,
            Callback::Wanted => ("waiting", None),
            Callback::Owed(tries) => ("pending", Some(tries.at)),
            Callback::Told { at, .. } => ("delivered", Some(at)),
            Callback::GivenUp { at, .. } => ("given_up", Some(at)),
        };
        Some(CallbackStateView { state, at })
    }
}

/// A callback of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallbackView {
    /// The `webhook-id` of its message, however often that is sent.
    pub id: String,
    /// The run that it tells of.
    pub run: u32,
    /// `started` or `finished`.
    pub event: &'static str,
    /// `pending`, `delivered` or `given_up`.
    pub state: &'static str,
    /// When it is tried next, while it is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_try_at: Option<Timestamp>,
    /// The latest tries, up to 50.
    pub tries: Vec<TryView>,
}

/// A try to deliver a callback.
#[derive(Debug, Serialize, ToSchema)]
pub struct TryView {
    /// Counted from 1.
    pub number: u32,
    /// When it was made; absent if it was cut short.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    /// How long it took.
    pub took_ms: u32,
    /// What the receiver answered, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why it failed; absent if the receiver took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl CallbackView {
    /// The callback, as it stands with its job.
    pub fn of(job: &Job, kept: Kept) -> Self {
        let (state, next_try_at) = match callbacks::state_of(job, &kept) {
            State::Pending { at } => ("pending", Some(at)),
            State::Delivered => ("delivered", None),
            State::GivenUp => ("given_up", None),
        };
        let key = JobKey { project: job.project, job: job.id };
        CallbackView {
            id: callbacks::id(key, kept.key),
            run: kept.key.run,
            event: event_word(kept.key.event),
            state,
            next_try_at,
            tries: kept.tries.into_iter().map(TryView::from).collect(),
        }
    }
}

impl From<Try> for TryView {
    fn from(made: Try) -> Self {
        let Try { number, at, took_ms, status, error } = made;
        TryView { number, at, took_ms, status, error }
    }
}

/// A queue's callback. Its secrets are never shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueueCallbackView {
    /// Where the messages go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The message queue that they go into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_queue: Option<String>,
    /// How many secrets they are signed with: 0 to 2.
    pub secrets: usize,
    /// What is told: `finished`, and perhaps `started`.
    pub events: Vec<&'static str>,
    /// `json` or `xml`.
    #[schema(value_type = String)]
    pub format: CallbackFormat,
}

impl QueueCallbackView {
    /// What may be shown of it.
    pub fn of(callback: &CallbackSpec) -> Self {
        let (url, message_queue) = match &callback.to {
            CallbackTarget::Url(url) => (Some(url.clone()), None),
            CallbackTarget::MessageQueue(name) => (None, Some(name.to_string())),
            CallbackTarget::OfQueue | CallbackTarget::OfQueueInOwnForm => (None, None),
        };
        let started = callback.started.then_some(CallbackEvent::Started);
        QueueCallbackView {
            url,
            message_queue,
            secrets: callback.secrets.len(),
            events: started.into_iter().chain([CallbackEvent::Finished]).map(event_word).collect(),
            format: callback.format,
        }
    }
}

//! Requests of actions, as hosts hand them over, and their answers.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;
use shared::{
    function::{Action, DynAction, answer},
    platform::collect,
    service::Service,
    wire::{Body, Caller, Request},
};

use crate::host::Work;

/// A request, which may be sent any number of times.
#[derive(Clone)]
pub struct Ask {
    to: To,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Option<Bytes>,
}

#[derive(Clone)]
enum To {
    Action(Arc<dyn DynAction>),
    /// What is no function: the store of objects.
    Other(&'static str, Arc<dyn Fn(Service) -> Work<Answer> + Send + Sync>),
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The body, if it is JSON.
    pub json: Value,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// An answer without a body.
    pub fn bare(status: u16) -> Self {
        Answer { status, json: Value::Null, body: Bytes::new() }
    }

    /// Whether what was asked was done.
    pub fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Whether the same request may do later.
    pub fn is_passing(&self) -> bool {
        self.status >= 500 || self.status == 429
    }
}

impl Ask {
    /// Of the action, `path?query` undecoded and plain.
    pub fn of(action: impl Action, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (name.to_owned(), value.to_owned())
        };
        Ask {
            to: To::Action(Arc::new(action)),
            path: path.to_owned(),
            query: pairs.map(pair).collect(),
            headers: HeaderMap::new(),
            body: None,
        }
    }

    /// Of something that is no function.
    pub fn other(
        name: &'static str,
        work: impl Fn(Service) -> Work<Answer> + Send + Sync + 'static,
    ) -> Self {
        Ask {
            to: To::Other(name, Arc::new(work)),
            path: String::new(),
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: None,
        }
    }

    /// With this header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("our headers are plain text");
        self.headers.insert(name, value);
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn json(mut self, json: &Value) -> Self {
        self.body = Some(json.to_string().into());
        self.header(header::CONTENT_TYPE, "application/json")
    }

    /// With a body of bytes.
    #[must_use]
    pub fn bytes(mut self, bytes: impl Into<Bytes>) -> Self {
        self.body = Some(bytes.into());
        self.header(header::CONTENT_TYPE, "application/octet-stream")
    }

    /// How long the answer may be waited for, by what is asked.
    pub fn waits(&self) -> Duration {
        let wait = self.query.iter().find(|(name, _)| name == "wait");
        let seconds = wait.and_then(|(_, value)| value.parse().ok());
        Duration::from_secs(seconds.unwrap_or(0))
    }

    /// What a process does about it.
    pub fn work(self, service: Service) -> Work<Answer> {
        let action = match self.to {
            To::Other(_, ref work) => return work(service),
            To::Action(ref action) => Arc::clone(action),
        };
        let request = self.request(action.as_ref());
        Box::pin(async move {
            let reply = answer(action.as_ref(), &service, Ok(request)).await;
            // A body that breaks off is an answer that does not come.
            let Ok(body) = collect(reply.body.into_stream()).await else {
                return Answer::bare(502);
            };
            let json = serde_json::from_slice(&body).unwrap_or_default();
            Answer { status: reply.status.as_u16(), json, body }
        })
    }

    fn request(self, action: &dyn DynAction) -> Request {
        let route = action.route();
        let parameters: BTreeMap<_, _> = route
            .matched(&self.path)
            .expect("the path is of the action's route")
            .into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        Request {
            parameters,
            method: route.method,
            path: self.path,
            query: self.query,
            query_text: String::new(),
            headers: self.headers,
            body: self.body.map_or(Body::Empty, Body::Bytes),
            caller: Caller::Outside,
        }
    }
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            To::Action(action) => write!(f, "{} {}", action.name(), self.path),
            To::Other(name, _) => f.write_str(name),
        }
    }
}

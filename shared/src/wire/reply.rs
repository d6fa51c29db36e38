//! What a function answers.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{Body, views::job_state};
use crate::job::{Instance, Job};

/// An answer.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Body,
}

impl Reply {
    /// An answer of this status and body.
    pub fn new(status: StatusCode, body: Body) -> Self {
        Reply { status, headers: HeaderMap::new(), body }
    }

    /// 204.
    pub fn no_content() -> Self {
        Reply::new(StatusCode::NO_CONTENT, Body::Empty)
    }

    /// `value` as JSON.
    pub fn json(status: StatusCode, value: &impl Serialize) -> Self {
        let json = serde_json::to_vec(value).expect("our views serialise: their keys are text");
        Reply::new(status, Body::Bytes(Bytes::from(json)))
            .with(header::CONTENT_TYPE, "application/json")
    }

    /// The same, saying in headers which job it is about, how that stands, and
    /// how its only process ended.
    #[must_use]
    pub fn about(self, job: &Job) -> Self {
        let reply = self
            .with(HeaderName::from_static("tarpon-job-id"), job.id.to_string())
            .with(HeaderName::from_static("tarpon-job-state"), job_state(job));
        let outcome = job.only_instance().and_then(Instance::outcome);
        match outcome.and_then(|outcome| outcome.exit) {
            Some(exit) => {
                let name = HeaderName::from_static("tarpon-exit-code");
                reply.with(name, exit.code().to_string())
            }
            None => reply,
        }
    }

    /// The same, for an answer that must be kept nowhere on its way.
    #[must_use]
    pub fn secret(self) -> Self {
        self.with(header::CACHE_CONTROL, "no-store")
    }

    /// The same with a header set. A value that is no header value is dropped.
    #[must_use]
    pub fn with(mut self, name: HeaderName, value: impl TryInto<HeaderValue>) -> Self {
        if let Ok(value) = value.try_into() {
            self.headers.insert(name, value);
        }
        self
    }
}

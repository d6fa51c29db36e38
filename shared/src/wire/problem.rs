//! What went wrong with a request, before any wire format is chosen.
//!
//! The native API renders a problem as RFC 9457 problem details; a dialect
//! maps the same enum to its own faults.

use std::borrow::Cow;

use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{Body, Reply, body::TooLarge};
use crate::{
    job::Refused,
    platform::{ObjectsError, RuntimeError, Source, TableError},
};

/// Why a request was not done.
///
/// Public text and private detail never share a string: what carries a
/// [`Source`] is logged whole and answered without it.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A field breaks a rule.
    #[error("`{field}`: {rule}")]
    Invalid {
        /// The field's path, such as `tasks[2].image`; empty for the whole.
        field: String,
        /// The rule, and what is wrong with the value.
        rule: Cow<'static, str>,
    },
    /// The body is not what its type says.
    #[error("the body is not valid: {0}")]
    Malformed(String),
    /// Something is larger than allowed.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// In bytes.
        limit: u64,
    },
    /// Who asks is not known.
    #[error("{0}")]
    Unauthenticated(&'static str),
    /// Who asks may not do this.
    #[error("{0}")]
    Forbidden(&'static str),
    /// There is no such thing, or it is somebody else's.
    #[error("no {what} `{id}`")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// By which name.
        id: String,
    },
    /// What is asked does not go with how things stand.
    #[error("{detail}")]
    Conflict {
        /// A stable word for programs.
        code: &'static str,
        /// A sentence for people.
        detail: Cow<'static, str>,
    },
    /// A precondition of the request does not hold.
    #[error("{0}")]
    PreconditionFailed(&'static str),
    /// The range starts beyond the end.
    #[error("the range starts beyond the end: there are {size} bytes")]
    OutOfRange {
        /// How many there are.
        size: u64,
    },
    /// No function has this path.
    #[error("{0}")]
    NoRoute(&'static str),
    /// A function has this path, but not with this method.
    #[error("the path is there, but not with this method")]
    NoMethod,
    /// There is too much of it already.
    #[error("{0}")]
    TooMany(Cow<'static, str>),
    /// Something we lean on did not answer; the same request may do later.
    #[error("the service is not available")]
    Unavailable(#[source] Source),
    /// A fault of ours.
    #[error("the service could not complete the request")]
    Internal(#[source] Source),
}

/// What there is not the time for, and what to ask for instead: of all that
/// [`Problem::Unavailable`] comes from, what whoever asks is told.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OutOfTime(pub &'static str);

impl Problem {
    /// A field that breaks a rule.
    pub fn invalid(field: impl Into<String>, rule: impl Into<Cow<'static, str>>) -> Self {
        Problem::Invalid { field: field.into(), rule: rule.into() }
    }

    /// A thing that is not there.
    #[expect(clippy::needless_pass_by_value, reason = "ids and names are handed over as they are")]
    pub fn not_found(what: &'static str, id: impl ToString) -> Self {
        Problem::NotFound { what, id: id.to_string() }
    }

    /// What does not go with how things stand.
    pub fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Problem::Conflict { code, detail: detail.into() }
    }

    /// A fault of ours that needs no more than a sentence.
    pub fn internal(what: impl Into<Source>) -> Self {
        Problem::Internal(what.into())
    }

    /// The status that every native action answers with.
    pub fn status(&self) -> StatusCode {
        match self {
            Problem::Invalid { .. } | Problem::Malformed(_) => StatusCode::BAD_REQUEST,
            Problem::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Problem::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Problem::Forbidden(_) => StatusCode::FORBIDDEN,
            Problem::NotFound { .. } => StatusCode::NOT_FOUND,
            Problem::Conflict { .. } => StatusCode::CONFLICT,
            Problem::PreconditionFailed(_) => StatusCode::PRECONDITION_FAILED,
            Problem::OutOfRange { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Problem::NoRoute(_) => StatusCode::NOT_FOUND,
            Problem::NoMethod => StatusCode::METHOD_NOT_ALLOWED,
            Problem::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Problem::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Problem::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Problem::Invalid { .. } => "invalid_field",
            Problem::Malformed(_) => "malformed_body",
            Problem::TooLarge { .. } => "too_large",
            Problem::Unauthenticated(_) => "unauthenticated",
            Problem::Forbidden(_) => "forbidden",
            Problem::NotFound { .. } => "not_found",
            Problem::Conflict { code, .. } => code,
            Problem::PreconditionFailed(_) => "precondition_failed",
            Problem::OutOfRange { .. } => "out_of_range",
            Problem::NoRoute(_) | Problem::NoMethod => "no_route",
            Problem::TooMany(_) => "too_many",
            Problem::Unavailable(source) if source.is::<OutOfTime>() => "out_of_time",
            Problem::Unavailable(_) => "unavailable",
            Problem::Internal(_) => "internal",
        }
    }

    /// A sentence for people.
    fn detail(&self) -> String {
        match self {
            Problem::Unavailable(source) if source.is::<OutOfTime>() => source.to_string(),
            _ => self.to_string(),
        }
    }

    /// The reply that the native API gives (RFC 9457).
    pub fn reply(&self) -> Reply {
        let status = self.status();
        let field = match self {
            Problem::Invalid { field, .. } if !field.is_empty() => Some(field.as_str()),
            _ => None,
        };
        let details = Details {
            title: status.canonical_reason().unwrap_or("Problem"),
            status: status.as_u16(),
            code: self.code(),
            detail: self.detail(),
            field,
        };
        let json = serde_json::to_vec(&details).expect("problem details are plain text");
        let mut reply = Reply::new(status, Body::Bytes(json.into()));
        reply = reply.with(header::CONTENT_TYPE, "application/problem+json");
        match self {
            Problem::Unauthenticated(_) => {
                reply.with(header::WWW_AUTHENTICATE, "Bearer, Basic realm=\"tarpon\"")
            }
            Problem::OutOfRange { size } => {
                let range = HeaderValue::try_from(format!("bytes */{size}"));
                reply.with(header::CONTENT_RANGE, range.expect("digits are a header value"))
            }
            // The same again would take as long.
            Problem::Unavailable(source) if source.is::<OutOfTime>() => reply,
            Problem::Unavailable(_) | Problem::TooMany(_) => reply.with(header::RETRY_AFTER, "1"),
            _ => reply,
        }
    }
}

/// RFC 9457 problem details; `code` and `field` are our extensions.
#[derive(Serialize)]
struct Details<'a> {
    title: &'a str,
    status: u16,
    code: &'a str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

/// Why a request's body ended before its end.
pub(super) fn broken_off(error: &std::io::Error) -> Problem {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<TooLarge>()) {
        Some(TooLarge { what, limit }) => Problem::TooLarge { what, limit: *limit },
        None => Problem::Malformed(format!("it could not be read to its end: {error}")),
    }
}

impl From<TableError> for Problem {
    fn from(error: TableError) -> Self {
        match error {
            TableError::Unavailable(source) => Problem::Unavailable(source),
            // Callers act on these outcomes; one that gets this far is a fault.
            other => Problem::Internal(Box::new(other)),
        }
    }
}

impl From<ObjectsError> for Problem {
    fn from(error: ObjectsError) -> Self {
        match error {
            ObjectsError::Exists(_) => {
                Problem::PreconditionFailed("an object of that name exists already")
            }
            ObjectsError::WrongLength { .. } => Problem::Malformed(error.to_string()),
            ObjectsError::Body(error) => broken_off(&error),
            ObjectsError::OutOfRange { size } => Problem::OutOfRange { size },
            ObjectsError::Unavailable(source) => Problem::Unavailable(source),
        }
    }
}

impl From<RuntimeError> for Problem {
    fn from(error: RuntimeError) -> Self {
        Problem::Unavailable(Box::new(error))
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let code = match refused {
            Refused::Superseded => "superseded",
            Refused::Stopping => "stopping",
            Refused::NotWaiting => "not_waiting",
            Refused::NoSuchInstance => "no_such_instance",
            Refused::Started => "started",
            Refused::NotFinished => "not_finished",
            Refused::Deleted => "deleted",
            Refused::NothingToRetry => "nothing_to_retry",
            Refused::TooManyUntold => "too_many_untold",
        };
        Problem::conflict(code, refused.to_string())
    }
}

//! What an operation answers.

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

/// Why an operation was refused: the error's name, its status, its message.
#[derive(Debug)]
pub(crate) struct Refusal {
    kind: &'static str,
    status: StatusCode,
    message: String,
}

pub(crate) type Answer = Result<Value, Refusal>;

impl Refusal {
    /// The caller's mistake.
    pub(crate) fn client(message: impl Into<String>) -> Self {
        Refusal::new("ClientException", message)
    }

    /// A parameter's mistake.
    pub(crate) fn parameter(message: impl Into<String>) -> Self {
        Refusal::new("InvalidParameterException", message)
    }

    /// Another request of the same token.
    pub(crate) fn conflict() -> Self {
        let message = "The client token was used before, with other parameters.";
        Refusal::new("ConflictException", message)
    }

    /// Too many calls.
    pub(crate) fn throttled() -> Self {
        Refusal::new("ThrottlingException", "Rate exceeded")
    }

    /// Too many registrations of one family.
    pub(crate) fn crowded() -> Self {
        let message =
            "Too many concurrent attempts to create a new revision of the specified family.";
        Refusal::client(message)
    }

    /// An answer that got lost on its way.
    pub(crate) fn lost() -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Refusal { kind: "ServerException", status, message: "Service Unavailable.".into() }
    }

    fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Refusal { kind, status: StatusCode::BAD_REQUEST, message: message.into() }
    }
}

/// The answer on the wire.
pub(crate) fn response(answer: Answer) -> Response {
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => {
            let Refusal { kind, status, message } = refusal;
            (status, json!({ "__type": kind, "message": message }))
        }
    };
    let kind = [(header::CONTENT_TYPE, "application/x-amz-json-1.1")];
    (status, kind, body.to_string()).into_response()
}

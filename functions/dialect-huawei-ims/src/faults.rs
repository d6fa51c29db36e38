//! What goes wrong, as the API says it.
//!
//! Two of its faces differ: Keystone, under `/v3`, and the rest. Both put code
//! and message into `error`, where both SDKs look for them. What the real API's
//! gateway says, before the image service has seen a request, has them at the
//! top as well.

use std::borrow::Cow;

use http::StatusCode;
use serde_json::{Value, json};
use shared::{
    dialect::Dialect,
    function::said,
    wire::{Problem, Reply},
};

use crate::HuaweiIms;

/// Which part of the API answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// The image service.
    Ims,
    /// Keystone.
    Keystone,
}

impl Face {
    /// Who answers at this path.
    pub fn of(path: &str) -> Self {
        if path == "/v3" || path.starts_with("/v3/") { Face::Keystone } else { Face::Ims }
    }
}

/// Why a request was not done, in the API's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Who asks is not known.
    Unauthenticated(&'static str),
    /// Who asks may not do this.
    Forbidden(&'static str),
    /// There is no such call.
    NoSuchApi,
    /// There is such a call, but not here.
    Unsupported(&'static str),
    /// The body or a value is not what it has to be.
    Malformed(String),
    /// What stands for a project's id is none.
    WrongProject,
    /// The project is not the caller's.
    OtherProject,
    /// There is no such job in the project.
    NoSuchJob(String),
    /// There is no such thing.
    NotFound(String),
    /// There is too much of it already.
    TooMany(String),
    /// Something we lean on did not answer.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl Fault {
    /// The same in the API's terms. What is our own fault is logged.
    pub fn of(problem: &Problem) -> Self {
        said(HuaweiIms::NAME, problem);
        match problem {
            Problem::Unauthenticated(why) => Fault::Unauthenticated(why),
            Problem::Forbidden(why) => Fault::Forbidden(why),
            Problem::NoRoute(_) | Problem::NoMethod => Fault::NoSuchApi,
            Problem::NotFound { what: "job", id } => Fault::NoSuchJob(id.clone()),
            Problem::NotFound { .. } => Fault::NotFound(problem.to_string()),
            Problem::Invalid { .. }
            | Problem::Malformed(_)
            | Problem::TooLarge { .. }
            | Problem::Conflict { .. }
            | Problem::PreconditionFailed(_)
            | Problem::OutOfRange { .. } => Fault::Malformed(problem.to_string()),
            Problem::TooMany(why) => Fault::TooMany(why.to_string()),
            Problem::Unavailable(_) => Fault::Unavailable,
            Problem::Internal(_) => Fault::Internal,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Fault::Unauthenticated(_) => StatusCode::UNAUTHORIZED,
            Fault::Forbidden(_) => StatusCode::FORBIDDEN,
            Fault::NoSuchApi | Fault::NoSuchJob(_) | Fault::NotFound(_) => StatusCode::NOT_FOUND,
            Fault::Unsupported(_)
            | Fault::Malformed(_)
            | Fault::WrongProject
            | Fault::OtherProject => StatusCode::BAD_REQUEST,
            Fault::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Fault::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Fault::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Fault::Unauthenticated(_) => "APIGW.0301",
            Fault::Forbidden(_) => "IMG.0026",
            Fault::NoSuchApi => "APIGW.0101",
            Fault::Unsupported(_) => "IMG.0105",
            Fault::Malformed(_) => "IMG.0001",
            Fault::WrongProject => "IMG.0067",
            Fault::OtherProject => "IMG.0030",
            Fault::NoSuchJob(_) | Fault::NotFound(_) => "IMG.0023",
            Fault::TooMany(_) => "IMG.0060",
            Fault::Unavailable | Fault::Internal => "IMG.0061",
        }
    }

    fn message(&self) -> Cow<'_, str> {
        match self {
            Fault::Unauthenticated(why) => {
                format!("Incorrect IAM authentication information: {why}").into()
            }
            Fault::Forbidden(why) | Fault::Unsupported(why) => (*why).into(),
            Fault::NoSuchApi => "The API does not exist or has not been published".into(),
            Fault::Malformed(why) | Fault::NotFound(why) | Fault::TooMany(why) => why.into(),
            Fault::WrongProject => "the project's id is not 32 hex digits".into(),
            Fault::OtherProject => {
                "the project is not the one that the token or the key is for".into()
            }
            Fault::NoSuchJob(id) => format!("there is no job {id} in the project").into(),
            Fault::Unavailable => "the service is not available".into(),
            Fault::Internal => "the service could not complete the request".into(),
        }
    }

    /// Whether it comes from what stands before the image service.
    fn is_of_gateway(&self) -> bool {
        matches!(self, Fault::Unauthenticated(_) | Fault::NoSuchApi)
    }

    /// The answer.
    pub fn reply(&self, face: Face, request: &str) -> Reply {
        Reply::json(self.status(), &self.body(face, request))
    }

    fn body(&self, face: Face, request: &str) -> Value {
        let (status, code, message) = (self.status(), self.code(), self.message());
        match face {
            Face::Keystone => {
                let title = status.canonical_reason().unwrap_or("Error");
                json!({"error": {"code": status.as_u16(), "message": message, "title": title}})
            }
            Face::Ims if self.is_of_gateway() => json!({
                "error": {"code": code, "message": message},
                "error_code": code,
                "error_msg": message,
                "request_id": request,
            }),
            Face::Ims => json!({"error": {"code": code, "message": message}}),
        }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Fault::of(&problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_has_its_status_and_code() {
        for (problem, status, code) in [
            (Problem::Unauthenticated("who"), 401, "APIGW.0301"),
            (Problem::Forbidden("no"), 403, "IMG.0026"),
            (Problem::NoRoute("no"), 404, "APIGW.0101"),
            (Problem::NoMethod, 404, "APIGW.0101"),
            (Problem::not_found("job", "j"), 404, "IMG.0023"),
            (Problem::invalid("a", "b"), 400, "IMG.0001"),
            (Problem::TooLarge { what: "it", limit: 1 }, 400, "IMG.0001"),
            (Problem::TooMany("jobs".into()), 429, "IMG.0060"),
            (Problem::Unavailable("gone".into()), 503, "IMG.0061"),
            (Problem::internal("oh"), 500, "IMG.0061"),
        ] {
            let fault = Fault::of(&problem);
            assert_eq!((fault.status().as_u16(), fault.code()), (status, code), "{problem:?}");
        }
    }

    #[test]
    fn what_we_lean_on_is_named_to_nobody() {
        for problem in [Problem::Unavailable("table 7".into()), Problem::internal("table 7")] {
            let body = Fault::of(&problem).body(Face::Ims, "");
            assert!(!body.to_string().contains("table 7"), "{body}");
        }
    }
}

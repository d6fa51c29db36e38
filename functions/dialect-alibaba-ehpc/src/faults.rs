//! What goes wrong, as the API says it: a code, a message, a status.

use std::borrow::Cow;

use http::StatusCode;
use serde::Serialize;
use shared::{
    dialect::Dialect,
    function::said,
    wire::{Problem, Reply},
};

use crate::{AlibabaEhpc, call::RequestId};

/// An error of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub status: StatusCode,
    pub code: Cow<'static, str>,
    pub message: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Body<'a> {
    request_id: &'a str,
    host_id: &'a str,
    code: &'a str,
    message: &'a str,
}

impl Fault {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Fault { status, code: Cow::Borrowed(code), message: message.into() }
    }

    /// 400.
    pub fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Fault::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// A parameter that has to be there.
    pub fn missing(name: &str) -> Self {
        let message = format!("{name} is mandatory for this action.");
        Fault { code: format!("Missing{name}").into(), ..Fault::bad("", message) }
    }

    /// A parameter that breaks a rule, or asks for what cannot be done here.
    pub fn invalid(name: &str, why: impl std::fmt::Display) -> Self {
        Fault::bad("InvalidParams", format!("The specified parameter {name} is invalid: {why}."))
    }

    pub fn cluster_not_found() -> Self {
        let message = "The specified cluster does not exist.";
        Fault::new(StatusCode::NOT_FOUND, "ClusterNotFound", message)
    }

    pub fn no_such_action(action: &str) -> Self {
        let message =
            format!("Specified api is not found, please check your url and method: {action}.");
        Fault::new(StatusCode::NOT_FOUND, "InvalidAction.NotFound", message)
    }

    pub fn no_such_path() -> Self {
        let message = "Specified api is not found, please check your url and method.";
        Fault::new(StatusCode::NOT_FOUND, "InvalidApi.NotFound", message)
    }

    /// An action that is known, and not done here.
    pub fn not_enabled(why: &str) -> Self {
        Fault::bad("NotEnabled", format!("You have not enabled this service: {why}."))
    }

    pub fn no_such_key() -> Self {
        let message = "Specified access key is not found.";
        Fault::new(StatusCode::NOT_FOUND, "InvalidAccessKeyId.NotFound", message)
    }

    /// The key is limited to other APIs. `ListTasks` has a code of its own for
    /// it, and a status that is odd, and really so.
    pub fn not_authorized(action: &str) -> Self {
        let message =
            "You are not authorized to do this action: the access key is limited to other APIs.";
        if action == "ListTasks" {
            return Fault::new(StatusCode::PROXY_AUTHENTICATION_REQUIRED, "NotAuthorized", message);
        }
        Fault::new(StatusCode::FORBIDDEN, "Forbidden.RAM", message)
    }

    /// A problem of ours. What is our own fault is logged.
    pub fn of(problem: &Problem) -> Self {
        said(AlibabaEhpc::NAME, problem);
        match problem {
            Problem::Invalid { field, rule } => Fault::invalid(theirs(field), rule),
            Problem::Malformed(_)
            | Problem::TooLarge { .. }
            | Problem::NotFound { .. }
            | Problem::Conflict { .. }
            | Problem::PreconditionFailed(_)
            | Problem::OutOfRange { .. } => Fault::bad(
                "InvalidParams",
                format!("The specified parameter is invalid: {problem}."),
            ),
            Problem::Unauthenticated(_) => Fault::no_such_key(),
            Problem::Forbidden(_) => Fault::not_authorized(""),
            Problem::NoRoute(_) | Problem::NoMethod => Fault::no_such_path(),
            Problem::TooMany(why) => Fault::bad("Throttling.User", why.clone()),
            Problem::Unavailable(_) => {
                let message = "The request has failed due to a temporary failure of the server.";
                Fault::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable", message)
            }
            Problem::Internal(_) => {
                let message = "The request processing has failed due to some unknown error.";
                Fault::new(StatusCode::INTERNAL_SERVER_ERROR, "UnknownError", message)
            }
        }
    }

    /// The error as it is sent: both SDKs read it out of a JSON object.
    pub fn reply(&self, id: &RequestId, host: &str) -> Reply {
        let Fault { status, code, message } = self;
        let body = Body { request_id: id.as_str(), host_id: host, code, message };
        Reply::json(*status, &body)
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Fault::of(&problem)
    }
}

/// A field of ours by the parameter that it was made from.
fn theirs(field: &str) -> &str {
    match field.split(['[', '.']).next().unwrap_or_default() {
        "name" => "JobName",
        "queue" => "ClusterId",
        "priority" => "JobPriority",
        "image" => "Container.Image",
        "entrypoint" => "Container.Command",
        "command" => "Container.Arg",
        "env" => "Container.EnvironmentVar",
        "workdir" => "Container.WorkingDir",
        "instances" | "index" => "ArrayProperties",
        "retry" => "RetryStrategy",
        "timeout_seconds" => "Timeout",
        "resources" if field.split('.').next_back() == Some("cpu") => "Cpu",
        "resources" => "Memory",
        _ => field,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_a_code_and_status_of_the_api() {
        let unavailable = || std::io::Error::other("secret detail").into();
        for (problem, status, code) in [
            (Problem::invalid("resources.cpu", "x"), 400, "InvalidParams"),
            (Problem::Malformed("x".into()), 400, "InvalidParams"),
            (Problem::TooLarge { what: "the body", limit: 1 }, 400, "InvalidParams"),
            (Problem::not_found("job", "x"), 400, "InvalidParams"),
            (Problem::conflict("c", "d"), 400, "InvalidParams"),
            (Problem::Unauthenticated("x"), 404, "InvalidAccessKeyId.NotFound"),
            (Problem::Forbidden("x"), 403, "Forbidden.RAM"),
            (Problem::NoMethod, 404, "InvalidApi.NotFound"),
            (Problem::TooMany("x".into()), 400, "Throttling.User"),
            (Problem::Unavailable(unavailable()), 503, "ServiceUnavailable"),
            (Problem::Internal(unavailable()), 500, "UnknownError"),
        ] {
            let fault = Fault::of(&problem);
            assert_eq!((fault.status.as_u16(), fault.code.as_ref()), (status, code), "{problem}");
            assert!(!fault.message.contains("secret"), "{}", fault.message);
        }
        assert_eq!(Fault::not_authorized("ListTasks").status, 407);
    }

    #[test]
    fn a_field_is_called_what_its_sender_called_it() {
        let message = |field: &str| Fault::of(&Problem::invalid(field, "no")).message;
        let says = |name: &str| format!("The specified parameter {name} is invalid: no.");
        assert_eq!(message("env.A=B"), says("Container.EnvironmentVar"));
        assert_eq!(message("resources.memory_mib"), says("Memory"));
        assert_eq!(message("command[3]"), says("Container.Arg"));
        assert_eq!(message("Container.Gpu"), says("Container.Gpu"));
    }
}

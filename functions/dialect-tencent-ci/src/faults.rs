//! What went wrong, in this API's words.
//!
//! The vendor's clients read an error only if it has a code, a message, a
//! resource and a request id, none of them empty; so all are always there.

use data_encoding::BASE64;
use http::{HeaderName, StatusCode, header};
use shared::{
    auth::signing::{hex, sha1_hex},
    platform::Clock,
    wire::{Body, Problem, Reply},
};

use crate::tree::Fields;

/// Why a request was not done.
#[derive(Debug)]
pub struct Fault {
    /// The status.
    pub status: StatusCode,
    /// The code that programs read.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
    /// What it came from, where that is no fault of the caller.
    pub problem: Option<Problem>,
}

impl Fault {
    /// A fault of the caller's.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Fault { status, code, message: message.into(), problem: None }
    }

    /// 403, whatever the reason is.
    pub fn forbidden(code: &'static str, message: impl Into<String>) -> Self {
        Fault::new(StatusCode::FORBIDDEN, code, message)
    }

    /// A value that is missing, or breaks a rule.
    pub fn argument(name: &str, rule: &str) -> Self {
        let message = format!("{name}: {rule}");
        Fault::new(StatusCode::BAD_REQUEST, "InvalidArgument", message)
    }

    /// A path that leads nowhere.
    pub fn no_such_path() -> Self {
        let message = "No action of this API has this path and method.";
        Fault::new(StatusCode::BAD_REQUEST, "InvalidURI", message)
    }

    /// The answer.
    pub fn reply(&self, resource: &str, request: &str) -> Reply {
        let error = Fields::new()
            .with("Code", self.code)
            .with("Message", self.message.as_str())
            .with("Resource", resource)
            .with("RequestId", request)
            .with("TraceId", request);
        let text = format!("<?xml version='1.0' encoding='utf-8' ?>\n{}", error.xml("Error"));
        reply(self.status, text, request)
    }
}

/// An answer of this API.
pub fn reply(status: StatusCode, xml: String, request: &str) -> Reply {
    Reply::new(status, Body::Bytes(xml.into()))
        .with(header::CONTENT_TYPE, "application/xml")
        .with(header::SERVER, "tencent-ci")
        .with(HeaderName::from_static("x-ci-request-id"), request)
}

/// A new request's id.
pub fn request_id(clock: &dyn Clock) -> String {
    let at = clock.now().as_second();
    let random = hex(&clock.random::<8>());
    let text = format!("{at:x}_{}_{}_{}", &random[..8], &random[8..12], &random[12..]);
    BASE64.encode(text.as_bytes())
}

/// The answer to a request that a host could not even read: what it is called
/// follows from what went wrong.
pub fn unread(problem: &Problem) -> Reply {
    let fault = Fault::of(problem);
    let id = BASE64.encode(&sha1_hex(fault.message.as_bytes()).as_bytes()[..24]);
    fault.reply("/", &id)
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        let fault = Fault::of(&problem);
        Fault { problem: fault.status.is_server_error().then_some(problem), ..fault }
    }
}

impl Fault {
    fn of(problem: &Problem) -> Self {
        let (status, code) = match problem {
            Problem::Invalid { field, rule } => return Fault::argument(ours(field), rule),
            Problem::Malformed(_) => (StatusCode::BAD_REQUEST, "MalformedXML"),
            Problem::TooLarge { .. } => (StatusCode::BAD_REQUEST, "EntityTooLarge"),
            Problem::Unauthenticated(_) | Problem::Forbidden(_) => {
                (StatusCode::FORBIDDEN, "AccessDenied")
            }
            Problem::NotFound { what, .. } => (StatusCode::NOT_FOUND, missing(what)),
            Problem::Conflict { .. } => (StatusCode::BAD_REQUEST, "InvalidRequest"),
            Problem::PreconditionFailed(_) => {
                (StatusCode::PRECONDITION_FAILED, "PreconditionFailed")
            }
            Problem::OutOfRange { .. } => (StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
            Problem::NoRoute(_) | Problem::NoMethod => return Fault::no_such_path(),
            Problem::TooMany(_) => (StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            Problem::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
            Problem::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        };
        Fault::new(status, code, problem.to_string())
    }
}

fn missing(what: &str) -> &'static str {
    match what {
        "job" => "NoSuchJob",
        "queue" => "NoSuchQueue",
        "template" => "NoSuchTemplate",
        _ => "NoSuchKey",
    }
}

/// A field of ours by the element that it was made from.
fn ours(field: &str) -> &str {
    match field {
        "parameters.input" => "Input.Object",
        "parameters.output" => "Operation.Output",
        "parameters.rules" => "Operation.PicProcess.ProcessRule",
        "callback.url" => "CallBack",
        "callback.message_queue" => "CallBackMqConfig.MqName",
        "template" => "Tag",
        other => other.strip_prefix("parameters.").unwrap_or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_its_code_and_status() {
        for (problem, status, code) in [
            (Problem::invalid("a", "b"), 400, "InvalidArgument"),
            (Problem::Malformed("a".into()), 400, "MalformedXML"),
            (Problem::TooLarge { what: "a", limit: 1 }, 400, "EntityTooLarge"),
            (Problem::Unauthenticated("a"), 403, "AccessDenied"),
            (Problem::Forbidden("a"), 403, "AccessDenied"),
            (Problem::not_found("job", "a"), 404, "NoSuchJob"),
            (Problem::not_found("queue", "a"), 404, "NoSuchQueue"),
            (Problem::not_found("template", "a"), 404, "NoSuchTemplate"),
            (Problem::not_found("object", "a"), 404, "NoSuchKey"),
            (Problem::conflict("started", "a"), 400, "InvalidRequest"),
            (Problem::PreconditionFailed("a"), 412, "PreconditionFailed"),
            (Problem::OutOfRange { size: 1 }, 416, "InvalidRange"),
            (Problem::NoRoute("a"), 400, "InvalidURI"),
            (Problem::NoMethod, 400, "InvalidURI"),
            (Problem::TooMany("a".into()), 503, "SlowDown"),
            (Problem::Unavailable("a".into()), 503, "ServiceUnavailable"),
            (Problem::internal("a"), 500, "InternalError"),
        ] {
            let is_ours = status >= 500;
            let fault = Fault::from(problem);
            assert_eq!((fault.status.as_u16(), fault.code), (status, code));
            assert_eq!(fault.problem.is_some(), is_ours, "{code} is told of in the log");
        }
    }

    #[test]
    fn a_field_is_named_by_the_callers_own_element() {
        let fault = Fault::from(Problem::invalid("parameters.rules", "it is too long"));
        assert_eq!(fault.message, "Operation.PicProcess.ProcessRule: it is too long");
        assert_eq!(Fault::from(Problem::invalid("parameters.Radius", "x")).message, "Radius: x");
    }

    #[test]
    fn an_error_has_all_that_clients_read() {
        let reply = Fault::argument("Tag", "a <b>").reply("host/jobs", "aWQ=");
        let Body::Bytes(bytes) = &reply.body else { panic!("it is all there") };
        assert_eq!(
            std::str::from_utf8(bytes).unwrap(),
            "<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>InvalidArgument</Code>\
             <Message>Tag: a &lt;b&gt;</Message><Resource>host/jobs</Resource>\
             <RequestId>aWQ=</RequestId><TraceId>aWQ=</TraceId></Error>"
        );
        assert_eq!(reply.headers["x-ci-request-id"], "aWQ=");
        assert_eq!(reply.headers["content-type"], "application/xml");
    }
}

//! What went wrong, as this API says it: a code that clients branch on and a
//! sentence, always with status 200. Its client libraries read a code from
//! nothing else.

use http::StatusCode;
use serde_json::{Value, json};
use shared::{
    function::said,
    service::Service,
    wire::{Problem, Reply},
};
use uuid::Builder;

use crate::NAME;

/// A fault: its code, and a sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Fault { code, message: message.into() }
    }

    /// A parameter that is needed and was not given.
    pub(crate) fn missing(path: &str) -> Self {
        Fault::new("MissingParameter", format!("The request is missing the parameter `{path}`."))
    }

    /// A value that is none of those that its parameter may have.
    pub(crate) fn value(path: &str, rule: impl Into<String>) -> Self {
        let rule: String = rule.into();
        Fault::new("InvalidParameterValue", format!("`{path}`: {rule}."))
    }

    /// Parameters that do not go together.
    pub(crate) fn combination(rule: impl Into<String>) -> Self {
        Fault::new("InvalidParameter.InvalidParameterCombination", rule)
    }

    /// More, or longer, than is allowed.
    pub(crate) fn limit(path: &str, most: impl Into<String>) -> Self {
        let most: String = most.into();
        let message = format!("`{path}` exceeds the limit of {most}.");
        Fault::new("InvalidParameterValue.LimitExceeded", message)
    }

    pub(crate) fn no_job(id: &str) -> Self {
        Fault::new("ResourceNotFound.Job", format!("Job `{id}` is not found."))
    }

    pub(crate) fn no_task(name: &str) -> Self {
        Fault::new("ResourceNotFound.Task", format!("Task `{name}` is not found."))
    }

    pub(crate) fn no_instance(index: u32) -> Self {
        let message = format!("Task instance `{index}` is not found.");
        Fault::new("ResourceNotFound.TaskInstance", message)
    }

    pub(crate) fn no_env(id: &str) -> Self {
        Fault::new(
            "ResourceNotFound.ComputeEnv",
            format!("Compute environment `{id}` is not found."),
        )
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        said(NAME, &problem);
        Fault::of(&problem)
    }
}

impl Fault {
    /// The fault that a problem of ours is.
    pub(crate) fn of(problem: &Problem) -> Self {
        let code = match problem {
            Problem::Invalid { field, .. } => invalid(field),
            Problem::Malformed(_) => "InvalidRequest",
            Problem::TooLarge { .. } => "RequestSizeLimitExceeded",
            Problem::Unauthenticated(_) => "AuthFailure.SecretIdNotFound",
            Problem::Forbidden(_) => "UnauthorizedOperation.UserNotAllowedToUseBatch",
            Problem::NotFound { what: "job", .. } => "ResourceNotFound.Job",
            Problem::NotFound { what: "queue", .. } => "ResourceNotFound.ComputeEnv",
            Problem::NotFound { .. } => "ResourceNotFound",
            Problem::Conflict { code, .. } => conflict(code),
            Problem::PreconditionFailed(_) => "FailedOperation",
            Problem::OutOfRange { .. } => "InvalidParameterValue",
            Problem::NoRoute(_) | Problem::NoMethod => "InvalidAction",
            Problem::TooMany(_) => "LimitExceeded.JobQuota",
            Problem::Unavailable(_) => "ServiceUnavailable",
            Problem::Internal(_) => "InternalError",
        };
        Fault::new(code, format!("{problem}."))
    }
}

/// A rule of ours that a request broke which kept those of this API.
fn invalid(field: &str) -> &'static str {
    let name = field.rsplit('.').next().unwrap_or_default();
    match name.split('[').next().unwrap_or_default() {
        "image" => "InvalidParameter.ImageIdMalformed",
        "queue" => "InvalidParameterValue.ComputeEnv",
        "inputs" | "outputs" | "path" => "InvalidParameterValue.LocalPath",
        "object" | "source" | "to" | "stdout_to" | "stderr_to" => {
            "InvalidParameterValue.RemoteStoragePath"
        }
        "task" => "InvalidParameterValue.DependenceUnfeasible",
        "cpu" | "memory_mib" | "instances" | "max_concurrent" => {
            "InvalidParameterValue.LimitExceeded"
        }
        "message_queue" => "InvalidParameter.NotificationTopicName",
        _ => "InvalidParameterValue",
    }
}

fn conflict(code: &str) -> &'static str {
    match code {
        "queue_in_use" => "ResourceInUse",
        "not_finished" | "nothing_to_retry" | "not_begun" | "no_queue" => "UnsupportedOperation",
        _ => "FailedOperation",
    }
}

/// What is answered, with an id of its own.
pub(crate) fn reply(service: &Service, outcome: Result<Value, Fault>) -> Reply {
    enveloped(request_id(service.platform.clock.random()), outcome)
}

/// What is answered where there is no service, and nothing random, to make an id
/// with.
pub(crate) fn reply_without(fault: Fault) -> Reply {
    enveloped(request_id([0; 16]), Err(fault))
}

fn enveloped(id: String, outcome: Result<Value, Fault>) -> Reply {
    let mut response = match outcome {
        Ok(response) => response,
        Err(Fault { code, message }) => json!({ "Error": { "Code": code, "Message": message } }),
    };
    response["RequestId"] = id.into();
    Reply::json(StatusCode::OK, &json!({ "Response": response }))
}

fn request_id(entropy: [u8; 16]) -> String {
    Builder::from_random_bytes(entropy).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use shared::conformance::memory::Memory;

    use super::*;

    #[test]
    fn a_fault_of_ours_is_an_internal_error_and_says_nothing_of_why() {
        let fault = Fault::of(&Problem::internal("the private detail"));
        assert_eq!(fault.code, "InternalError");
        assert!(!fault.message.contains("private"), "{}", fault.message);
        assert_eq!(Fault::of(&Problem::Unavailable("away".into())).code, "ServiceUnavailable");
    }

    #[test]
    fn what_is_refused_by_a_rule_of_ours_has_the_code_of_what_it_is_about() {
        for (field, code) in [
            ("tasks[0].image", "InvalidParameter.ImageIdMalformed"),
            ("tasks[0].outputs[1]", "InvalidParameterValue.LocalPath"),
            ("tasks[0].resources.cpu", "InvalidParameterValue.LimitExceeded"),
            ("queue", "InvalidParameterValue.ComputeEnv"),
            ("tasks[1].after[0].task", "InvalidParameterValue.DependenceUnfeasible"),
            ("callback.message_queue", "InvalidParameter.NotificationTopicName"),
            ("", "InvalidParameterValue"),
        ] {
            assert_eq!(Fault::of(&Problem::invalid(field, "a rule")).code, code, "{field}");
        }
    }

    #[test]
    fn what_there_is_not_or_is_in_the_way_has_a_code_of_its_own() {
        for (problem, code) in [
            (Problem::not_found("image", "i"), "ResourceNotFound"),
            (Problem::not_found("queue", "q"), "ResourceNotFound.ComputeEnv"),
            (Problem::conflict("queue_in_use", "it"), "ResourceInUse"),
            (Problem::conflict("nothing_to_retry", "it"), "UnsupportedOperation"),
            (Problem::conflict("another_run", "it"), "FailedOperation"),
        ] {
            assert_eq!(Fault::of(&problem).code, code, "{problem}");
        }
    }

    #[test]
    fn every_answer_has_status_200_and_the_bare_type() {
        let service = Memory::new(1).service();
        for outcome in [Ok(json!({ "JobId": "j" })), Err(Fault::new("A.B", "no"))] {
            let reply = reply(&service, outcome);
            assert_eq!(reply.status, StatusCode::OK);
            assert_eq!(reply.headers["content-type"], "application/json");
        }
    }
}

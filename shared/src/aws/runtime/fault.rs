//! What ECS's refusals mean to us.

use aws_sdk_ecs::{
    error::{ProvideErrorMetadata, SdkError},
    operation::{
        describe_task_definition::DescribeTaskDefinitionError,
        register_task_definition::RegisterTaskDefinitionError,
        run_task::{RunTaskError, RunTaskOutput},
    },
    types::Failure,
};

use crate::platform::{RuntimeError, Source};

/// Why a task was not started.
#[derive(Debug)]
pub(super) enum Unstarted {
    /// It was, by an earlier request in other words.
    Before,
    /// There is no such task definition any more.
    Undefined,
    /// This.
    For(RuntimeError),
}

/// Why a task definition was not registered.
#[derive(Debug)]
pub(super) enum Unregistered {
    /// Others were at it, or too much is asked of ECS at once: it passes.
    Crowded(Source),
    /// This.
    For(RuntimeError),
}

impl From<Unregistered> for RuntimeError {
    fn from(unregistered: Unregistered) -> Self {
        match unregistered {
            Unregistered::Crowded(source) => RuntimeError::Unavailable(source),
            Unregistered::For(error) => error,
        }
    }
}

/// What ECS says of capacity that it does not have, and of quotas. They pass.
const FULL: [&str; 4] =
    ["resource:", "capacity is unavailable", "reached the limit on the number of", "no capacity"];

/// What ECS says when too much is asked of it at once, under the name of an
/// error that otherwise is the caller's fault.
const CROWDED: [&str; 2] = ["too many concurrent attempts", "rate exceeded"];

/// What became of a request that ECS has answered with a success.
pub(super) fn started(output: &RunTaskOutput) -> Result<String, RuntimeError> {
    let task = output.tasks().first().and_then(|task| task.task_arn());
    if let Some(arn) = task {
        return Ok(arn.to_owned());
    }
    Err(match output.failures().first() {
        Some(failure) => unplaced(failure),
        None => unavailable("ECS answered with neither a task nor a failure"),
    })
}

fn unplaced(failure: &Failure) -> RuntimeError {
    let reason = failure.reason().unwrap_or("no reason is given");
    let text = match failure.detail() {
        Some(detail) if !detail.is_empty() => format!("{reason}: {detail}"),
        Some(_) | None => reason.to_owned(),
    };
    if is_full(&text) { RuntimeError::NoCapacity(text) } else { RuntimeError::Refused(text) }
}

fn is_full(text: &str) -> bool {
    says(text, &FULL)
}

fn is_crowded(text: &str) -> bool {
    says(text, &CROWDED)
}

fn says(text: &str, signs: &[&str]) -> bool {
    let text = text.to_lowercase();
    signs.iter().any(|sign| text.contains(sign))
}

/// Why ECS refused to start a task.
pub(super) fn unstarted(error: SdkError<RunTaskError>) -> Unstarted {
    let Some(told) = error.as_service_error() else {
        return Unstarted::For(RuntimeError::Unavailable(Box::new(error)));
    };
    let why = told.message().unwrap_or_else(|| told.code().unwrap_or("no reason is given"));
    let why = why.to_owned();
    match told {
        RunTaskError::ConflictException(_) => Unstarted::Before,
        _ if is_full(&why) => Unstarted::For(RuntimeError::NoCapacity(why)),
        _ if is_crowded(&why) => Unstarted::For(RuntimeError::Unavailable(Box::new(error))),
        RunTaskError::ClientException(_) | RunTaskError::InvalidParameterException(_)
            if why.to_lowercase().contains("taskdefinition") =>
        {
            Unstarted::Undefined
        }
        RunTaskError::ClientException(_)
        | RunTaskError::InvalidParameterException(_)
        | RunTaskError::PlatformTaskDefinitionIncompatibilityException(_)
        | RunTaskError::PlatformUnknownException(_)
        | RunTaskError::UnsupportedFeatureException(_) => {
            Unstarted::For(RuntimeError::Refused(why))
        }
        // The operator's to mend, or ECS's: no reason to fail the job.
        _ => Unstarted::For(RuntimeError::Unavailable(Box::new(error))),
    }
}

/// Whether a task definition that was asked for is not there.
pub(super) fn is_undefined(error: &SdkError<DescribeTaskDefinitionError>) -> bool {
    let is_clients =
        matches!(error.as_service_error(), Some(DescribeTaskDefinitionError::ClientException(_)));
    is_clients && !error.message().is_some_and(is_crowded)
}

/// Why a task definition was not registered.
pub(super) fn unregistered(error: SdkError<RegisterTaskDefinitionError>) -> Unregistered {
    if error.message().is_some_and(is_crowded) {
        return Unregistered::Crowded(Box::new(error));
    }
    let refused = |why: Option<&str>| RuntimeError::Refused(why.unwrap_or("its form").to_owned());
    Unregistered::For(match error.as_service_error() {
        Some(RegisterTaskDefinitionError::ClientException(told)) => refused(told.message()),
        Some(RegisterTaskDefinitionError::InvalidParameterException(told)) => {
            refused(told.message())
        }
        _ => RuntimeError::Unavailable(Box::new(error)),
    })
}

/// ECS did not do as it says it does.
pub(super) fn unavailable(
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> RuntimeError {
    RuntimeError::Unavailable(source.into())
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::{
        config::http::HttpResponse, error::ErrorMetadata, types::error::ClientException,
    };
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn failed(reason: &str, detail: Option<&str>) -> RuntimeError {
        let failure =
            Failure::builder().reason(reason).set_detail(detail.map(str::to_owned)).build();
        started(&RunTaskOutput::builder().failures(failure).build()).unwrap_err()
    }

    #[test]
    fn a_lack_of_room_is_told_from_a_refusal() {
        for full in [
            "RESOURCE:MEMORY",
            "RESOURCE:ENI",
            "Capacity is unavailable at this time. Please try again later or in a different \
             availability zone",
            "You've reached the limit on the number of vCPUs you can run concurrently",
        ] {
            let error = failed(full, None);
            assert!(matches!(error, RuntimeError::NoCapacity(_)), "{full}: {error:?}");
        }
        for refused in ["AGENT", "MISSING", "ATTRIBUTE", "INACTIVE"] {
            let error = failed(refused, None);
            assert!(matches!(error, RuntimeError::Refused(_)), "{refused}: {error:?}");
        }
        let told = failed("RESOURCE:CPU", Some("512 units")).to_string();
        assert_eq!(told, "the platform has no room: RESOURCE:CPU: 512 units");
    }

    /// What ECS blames its caller for, in these words.
    fn blamed<E>(error: fn(ClientException) -> E, message: &str) -> SdkError<E> {
        let told = ClientException::builder().message(message);
        let told = told.meta(ErrorMetadata::builder().message(message).build()).build();
        let response = HttpResponse::new(400.try_into().unwrap(), SdkBody::empty());
        SdkError::service_error(error(told), response)
    }

    #[test]
    fn what_comes_of_too_much_at_once_is_nobodys_fault() {
        for message in [
            "Too many concurrent attempts to create a new revision of the specified family.",
            "Rate exceeded",
        ] {
            let unregistered =
                unregistered(blamed(RegisterTaskDefinitionError::ClientException, message));
            assert!(matches!(unregistered, Unregistered::Crowded(_)), "{unregistered:?}");
            let error = RuntimeError::from(unregistered);
            assert!(matches!(error, RuntimeError::Unavailable(_)), "{error:?}");

            let unstarted = unstarted(blamed(RunTaskError::ClientException, message));
            assert!(
                matches!(unstarted, Unstarted::For(RuntimeError::Unavailable(_))),
                "{unstarted:?}"
            );
            let undescribed = blamed(DescribeTaskDefinitionError::ClientException, message);
            assert!(!is_undefined(&undescribed), "{undescribed:?}");
        }
        let form = blamed(RegisterTaskDefinitionError::ClientException, "Role is not valid");
        let error = RuntimeError::from(unregistered(form));
        assert!(matches!(error, RuntimeError::Refused(_)), "{error:?}");
        let missing = "Unable to describe task definition.";
        assert!(is_undefined(&blamed(DescribeTaskDefinitionError::ClientException, missing)));
    }

    #[test]
    fn an_answer_with_nothing_in_it_is_no_start() {
        let error = started(&RunTaskOutput::builder().build()).unwrap_err();
        assert!(matches!(error, RuntimeError::Unavailable(_)), "{error:?}");
    }
}

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

use crate::platform::RuntimeError;

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

/// What ECS says of capacity that it does not have, and of quotas. They pass.
const FULL: [&str; 4] =
    ["resource:", "capacity is unavailable", "reached the limit on the number of", "no capacity"];

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
    let text = text.to_lowercase();
    FULL.iter().any(|sign| text.contains(sign))
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
    matches!(error.as_service_error(), Some(DescribeTaskDefinitionError::ClientException(_)))
}

/// Why a task definition was not registered.
pub(super) fn unregistered(error: SdkError<RegisterTaskDefinitionError>) -> RuntimeError {
    match error.as_service_error() {
        Some(RegisterTaskDefinitionError::ClientException(told)) => {
            RuntimeError::Refused(told.message().unwrap_or("its form").to_owned())
        }
        Some(RegisterTaskDefinitionError::InvalidParameterException(told)) => {
            RuntimeError::Refused(told.message().unwrap_or("its form").to_owned())
        }
        _ => RuntimeError::Unavailable(Box::new(error)),
    }
}

/// ECS did not do as it says it does.
pub(super) fn unavailable(
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> RuntimeError {
    RuntimeError::Unavailable(source.into())
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn an_answer_with_nothing_in_it_is_no_start() {
        let error = started(&RunTaskOutput::builder().build()).unwrap_err();
        assert!(matches!(error, RuntimeError::Unavailable(_)), "{error:?}");
    }
}

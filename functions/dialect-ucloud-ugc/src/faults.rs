//! What goes wrong, in the API's words: always 200, the failure in `RetCode`.

use http::StatusCode;
use serde_json::{Value, json};
use shared::{
    dialect::Dialect,
    job::Cause,
    wire::{Problem, Reply},
};

use crate::{UcloudUgc, action::Action, words::State};

/// The API's codes that have a cause here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The task is not over.
    NotFinished,
    /// The task was not over when the caller could wait no longer.
    TimedOut,
    /// Something that we lean on did not answer.
    Unavailable,
    /// There is too much of it already.
    Throttled,
    /// No action is named.
    NoAction,
    /// No action has that name.
    UnknownAction,
    /// There is no signature.
    NoSignature,
    /// The signature is wrong.
    WrongSignature,
    /// Nobody has this public key, or not any more.
    UnknownKey,
    /// There is no such project.
    UnknownProject,
    /// The key is not good for this API.
    Refused,
    /// The access token is none of ours.
    TokenInvalid,
    /// The access token's time is over.
    TokenExpired,
    /// A parameter is missing.
    ParameterMissing,
    /// The request cannot be read, or a task's input cannot.
    RequestUnread,
    /// The task cannot be accepted as things stand.
    SubmitFailed,
    /// Outputs could not be stored.
    FileNotKept,
    /// There is no such task.
    TaskNotFound,
    /// A fault of ours.
    InnerFault,
    /// There is a bucket of that name.
    BucketExists,
    /// There is no bucket of that name.
    NoSuchBucket,
    /// The image's name is not one, or stands for none.
    BadImageName,
    /// A bucket cannot have that name.
    BadBucketName,
    /// A time is not one.
    BadTime,
    /// A parameter breaks a rule.
    BadParameter,
    /// There is nothing to stop.
    StopFailed,
    /// The container did not start.
    NotStarted,
    /// There is no such image.
    NoSuchImage,
    /// No image is named.
    NoImage,
    /// No tag is named.
    NoTag,
    /// The process failed.
    ContainerFailed,
}

impl Code {
    /// The number, and what the API says with it. Its spelling is kept.
    pub fn said(self) -> (i32, &'static str) {
        match self {
            Code::NotFinished => (-1, "Not Finish"),
            Code::TimedOut => (110, "Timeout"),
            Code::Unavailable => (150, "Service unavailable"),
            Code::Throttled => (153, "Too many requests"),
            Code::NoAction => (160, "Missing Action"),
            Code::UnknownAction => (161, "Action not found"),
            Code::NoSignature => (170, "Missing Signature"),
            Code::WrongSignature => (171, "Signature mismatch"),
            Code::UnknownKey => (172, "User not found"),
            Code::UnknownProject => (292, "Project not found"),
            Code::Refused => (299, "Access denied"),
            Code::TokenInvalid => (43004, "TokenNotVaild"),
            Code::TokenExpired => (43005, "TokenExpired"),
            Code::ParameterMissing => (43006, "ParaMiss"),
            Code::RequestUnread => (43007, "ReadReqError"),
            Code::SubmitFailed => (43008, "SubmitTaskFail"),
            Code::FileNotKept => (43011, "WriteFileToTarError"),
            Code::TaskNotFound => (43016, "TaskNotFound"),
            Code::InnerFault => (43018, "InnerFrameworkError"),
            Code::BucketExists => (43022, "CreateBucketConflict"),
            Code::NoSuchBucket => (43023, "BucketNotExistError"),
            Code::BadImageName => (43024, "ImageNameNotValid"),
            Code::BadBucketName => (43025, "BucketNameNotValid"),
            Code::BadTime => (43028, "TimeParamNotValid"),
            Code::BadParameter => (43033, "ParaError"),
            Code::StopFailed => (43039, "StopTaskFail"),
            Code::NotStarted => (43040, "StartAppContainerFail"),
            Code::NoSuchImage => (43045, "DeleteImageNotExsitError"),
            Code::NoImage => (43046, "DeleteImageEmptyError"),
            Code::NoTag => (43047, "DeleteTagNameEmptyError"),
            Code::ContainerFailed => (43048, "SubmitTaskContainerError"),
        }
    }
}

impl From<Cause> for Code {
    /// What a failure of that cause is.
    fn from(cause: Cause) -> Self {
        match cause {
            Cause::Exited
            | Cause::Signalled
            | Cause::OutOfMemory
            | Cause::TimedOut
            | Cause::Cancelled
            | Cause::InstanceStopped
            | Cause::DeadlinePassed
            | Cause::FailedFast
            | Cause::DependencyFailed => Code::ContainerFailed,
            Cause::ImageNotFound | Cause::ImageDenied | Cause::ImageUnusable => Code::BadImageName,
            Cause::StartFailed
            | Cause::ImageUnavailable
            | Cause::NoCapacity
            | Cause::TooLarge
            | Cause::StartTimedOut
            | Cause::WaitTimedOut => Code::NotStarted,
            Cause::OutputFailed => Code::FileNotKept,
            Cause::InputFailed => Code::RequestUnread,
            Cause::AgentLost | Cause::Interrupted => Code::InnerFault,
        }
    }
}

/// Why a request is not answered as it was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The API's code.
    pub code: Code,
    /// What people want to know besides.
    detail: Option<String>,
    /// Where the task stands, if it is about one.
    state: Option<State>,
}

impl Fault {
    /// A code, with what people want to know besides.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Fault { detail: Some(detail.into()), ..code.into() }
    }

    /// The same about a task that stands there.
    pub fn about(self, state: State) -> Self {
        Fault { state: Some(state), ..self }
    }

    /// What the API says of a problem.
    pub fn of(problem: &Problem) -> Self {
        let code = match problem {
            Problem::Invalid { field, .. } => match field.as_str() {
                "image" => Code::BadImageName,
                "timeout_seconds" => Code::BadTime,
                _ => Code::BadParameter,
            },
            Problem::Malformed(_) => Code::RequestUnread,
            Problem::TooLarge { .. } => Code::BadParameter,
            Problem::Unauthenticated(_) => Code::UnknownKey,
            Problem::Forbidden(_) => Code::Refused,
            Problem::NotFound { what: "job", .. } => Code::TaskNotFound,
            Problem::NotFound { what: "image", .. } => Code::NoSuchImage,
            Problem::NotFound { .. } => Code::InnerFault,
            Problem::Conflict { code: "malformed_archive", .. } => Code::InnerFault,
            Problem::Conflict { .. } => Code::SubmitFailed,
            Problem::PreconditionFailed(_) | Problem::OutOfRange { .. } => Code::BadParameter,
            Problem::NoRoute(_) | Problem::NoMethod => Code::UnknownAction,
            Problem::TooMany(_) => Code::Throttled,
            Problem::Unavailable(_) => Code::Unavailable,
            Problem::Internal(_) => Code::InnerFault,
        };
        match problem {
            Problem::Invalid { field, rule } => {
                Fault::new(code, format!("{}: {rule}", named(field)))
            }
            Problem::NotFound { what: "job", .. } => code.into(),
            problem => Fault::new(code, problem.to_string()),
        }
    }

    /// As the action answers it. Callers of the task plane look for a state in
    /// every answer.
    pub fn reply(&self, action: Option<Action>) -> Reply {
        let (number, text) = self.code.said();
        let message = match &self.detail {
            Some(detail) => format!("{text}: {detail}"),
            None => text.to_owned(),
        };
        let mut answer = json!({ "RetCode": number, "Message": message });
        if let Some(action) = action {
            answer["Action"] = action.answer().into();
        }
        if self.state.is_some() || action.is_some_and(Action::is_of_task_plane) {
            answer["State"] = self.state.map_or(Value::from(""), |state| state.word().into());
        }
        Reply::json(StatusCode::OK, &answer)
    }
}

/// The parameter that became this field.
fn named(field: &str) -> &str {
    match field.split('[').next().unwrap_or_default() {
        "image" => "ImageName",
        "name" => "TaskName",
        "command" => "Cmd",
        "outputs" => "OutputFileName",
        "timeout_seconds" => "TimeOut",
        other => other,
    }
}

impl From<Code> for Fault {
    fn from(code: Code) -> Self {
        Fault { code, detail: None, state: None }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        shared::function::said(UcloudUgc::NAME, &problem);
        Fault::of(&problem)
    }
}

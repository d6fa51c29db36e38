//! From an action's name to who does it.

mod images;
mod lists;
mod results;
mod shelf;
mod submit;
mod tokens;

use http::{HeaderValue, StatusCode, header};
use serde_json::{Map, Value};
use shared::{
    auth::Identity,
    service::Service,
    wire::{Body, Reply, Request},
};

use crate::{
    access,
    asked::Parameters,
    faults::{Code, Fault},
};

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A token for the task plane.
    GetAccessToken,
    /// Runs a container.
    SubmitTask,
    /// What a task has left.
    GetTaskResult,
    /// Ends a task.
    StopTask,
    /// What is known of a task.
    GetTaskDetail,
    /// Tasks, newest first.
    GetTaskList,
    /// A place for images.
    CreateDockerImageBucket,
    /// The places for images.
    GetImageBucketList,
    /// What is in one of them.
    GetDockerImageList,
    /// What is in all of them.
    GetAllImages,
    /// Takes images out of one.
    DeleteImage,
}

/// What an action answers when it could do what was asked.
pub enum Answer {
    /// JSON with these members.
    Fields(Map<String, Value>),
    /// A tar.
    Tar(Body),
}

impl Action {
    const ALL: [Action; 11] = [
        Action::GetAccessToken,
        Action::SubmitTask,
        Action::GetTaskResult,
        Action::StopTask,
        Action::GetTaskDetail,
        Action::GetTaskList,
        Action::CreateDockerImageBucket,
        Action::GetImageBucketList,
        Action::GetDockerImageList,
        Action::GetAllImages,
        Action::DeleteImage,
    ];

    /// The action of that name.
    pub fn named(name: &str) -> Option<Self> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }

    fn name(self) -> &'static str {
        self.answer().strip_suffix("Response").expect("every answer is called so")
    }

    /// What its answers say that they are.
    pub fn answer(self) -> &'static str {
        match self {
            Action::GetAccessToken => "GetAccessTokenResponse",
            Action::SubmitTask => "SubmitTaskResponse",
            Action::GetTaskResult => "GetTaskResultResponse",
            Action::StopTask => "StopTaskResponse",
            Action::GetTaskDetail => "GetTaskDetailResponse",
            Action::GetTaskList => "GetTaskListResponse",
            Action::CreateDockerImageBucket => "CreateDockerImageBucketResponse",
            Action::GetImageBucketList => "GetImageBucketListResponse",
            Action::GetDockerImageList => "GetDockerImageListResponse",
            Action::GetAllImages => "GetAllImagesResponse",
            Action::DeleteImage => "DeleteImageResponse",
        }
    }

    /// Whether callers show a token, and not a signature.
    pub fn is_of_task_plane(self) -> bool {
        match self {
            Action::SubmitTask | Action::GetTaskResult | Action::StopTask => true,
            Action::GetAccessToken
            | Action::GetTaskDetail
            | Action::GetTaskList
            | Action::CreateDockerImageBucket
            | Action::GetImageBucketList
            | Action::GetDockerImageList
            | Action::GetAllImages
            | Action::DeleteImage => false,
        }
    }

    /// Whether it is asked with a region. There is but one here; yet what is
    /// missing there is missing here.
    fn has_region(self) -> bool {
        self != Action::GetTaskResult
    }
}

/// Does what is asked, and answers for all that goes wrong.
pub async fn answer(service: &Service, asked: &Parameters, request: Request) -> Reply {
    let Some(name) = asked.text("Action") else { return Fault::from(Code::NoAction).reply(None) };
    let Some(action) = Action::named(name) else {
        return Fault::new(Code::UnknownAction, name).reply(None);
    };
    match act(service, action, asked, request).await {
        Ok(Answer::Tar(body)) => {
            // Clients compare the whole of it.
            let kind = HeaderValue::from_static("application/octet-stream");
            Reply::new(StatusCode::OK, body).with(header::CONTENT_TYPE, kind)
        }
        Ok(Answer::Fields(mut fields)) => {
            fields.insert("RetCode".into(), 0.into());
            fields.insert("Action".into(), action.answer().into());
            fields.insert("Message".into(), "".into());
            Reply::json(StatusCode::OK, &fields)
        }
        Err(fault) => fault.reply(Some(action)),
    }
}

async fn act(
    service: &Service,
    action: Action,
    asked: &Parameters,
    request: Request,
) -> Result<Answer, Fault> {
    let who = if action.is_of_task_plane() {
        access::by_token(service, asked).await?
    } else {
        access::by_signature(service, asked).await?
    };
    if action.has_region() {
        asked.required("Region")?;
    }
    let Identity { project, key } = who;
    match action {
        Action::GetAccessToken => tokens::issue(service, key, asked),
        Action::SubmitTask => submit::submit(service, project, asked, request.body).await,
        Action::GetTaskResult => results::get(service, project, asked).await,
        Action::StopTask => results::stop(service, project, asked).await,
        Action::GetTaskDetail => lists::detail(service, project, asked).await,
        Action::GetTaskList => lists::list(service, project, asked).await,
        Action::CreateDockerImageBucket => images::create_bucket(service, project, asked).await,
        Action::GetImageBucketList => images::buckets(service, project, asked).await,
        Action::GetDockerImageList => images::images(service, project, asked).await,
        Action::GetAllImages => images::all(service, project).await,
        Action::DeleteImage => images::delete(service, project, asked).await,
    }
}

/// The members of a JSON object.
fn fields(value: Value) -> Answer {
    match value {
        Value::Object(fields) => Answer::Fields(fields),
        _ => Answer::Fields(Map::new()),
    }
}

/// The part of a list that is asked for by `Limit` and `Offset`.
struct Page {
    offset: usize,
    limit: usize,
}

impl Page {
    const MOST: i64 = 10_000;

    fn of(asked: &Parameters) -> Result<Self, Fault> {
        let number = |name, standard| {
            let number = asked.number(name, Code::BadParameter)?.unwrap_or(standard);
            let outside = || Fault::new(Code::BadParameter, format!("{name}: {number}"));
            let number = Some(number).filter(|number| (0..=Page::MOST).contains(number));
            number.and_then(|number| usize::try_from(number).ok()).ok_or_else(outside)
        };
        Ok(Page { offset: number("Offset", 0)?, limit: number("Limit", 20)? })
    }

    /// Whether the `nth` of a list is on it, counted from 1.
    fn has(&self, nth: usize) -> bool {
        nth > self.offset && nth - self.offset <= self.limit
    }

    fn take<T>(&self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        all.into_iter().skip(self.offset).take(self.limit).collect()
    }
}

//! From an action's name to who does it.

mod answer;
mod images;
mod lists;
mod page;
mod results;
mod shelf;
mod submit;
mod tokens;

use http::{HeaderValue, StatusCode, header};
use shared::{
    auth::Identity,
    service::Service,
    wire::{Reply, Request},
};

use self::answer::Answer;
use crate::{
    access,
    action::Action,
    asked::Parameters,
    faults::{Code, Fault},
};

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

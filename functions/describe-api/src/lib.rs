//! `GET /openapi.json`: the API, as the functions describe themselves.
//!
//! The one function that depends on others: on what they say, not on what they
//! do.

use std::sync::LazyLock;

use bytes::Bytes;
use http::{StatusCode, header};
use shared::{
    function::{Action, DynAction, Route},
    service::Service,
    wire::{Body, Problem, Reply, Request, openapi},
};

/// The action.
pub struct DescribeApi;

/// Every action that may be described.
const ACTIONS: [&dyn DynAction; 37] = [
    &submit_job::SubmitJob,
    &try_job::TryJob,
    &get_job::GetJob,
    &list_jobs::ListJobs,
    &cancel_job::CancelJob,
    &retry_job::RetryJob,
    &change_jobs::ChangeJobs,
    &delete_job::DeleteJob,
    &get_output::GetOutput,
    &list_attempts::ListAttempts,
    &read_logs::ReadLogs,
    &list_callbacks::ListCallbacks,
    &redeliver_callback::RedeliverCallback,
    &issue_token::IssueToken,
    &create_upload::CreateUpload,
    &get_object::GetObject,
    &list_objects::ListObjects,
    &delete_object::DeleteObject,
    &put_queue::PutQueue,
    &list_queues::ListQueues,
    &delete_queue::DeleteQueue,
    &put_image::PutImage,
    &list_images::ListImages,
    &delete_image::DeleteImage,
    &put_template::PutTemplate,
    &get_template::GetTemplate,
    &list_templates::ListTemplates,
    &delete_template::DeleteTemplate,
    &put_trigger::PutTrigger,
    &get_trigger::GetTrigger,
    &list_triggers::ListTriggers,
    &delete_trigger::DeleteTrigger,
    &post_event::PostEvent,
    &create_key::CreateKey,
    &list_keys::ListKeys,
    &disable_key::DisableKey,
    &create_project::CreateProject,
];

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| openapi::document(ACTIONS).to_string().into());

/// The description of the API, as JSON.
pub fn document() -> Bytes {
    DOCUMENT.clone()
}

impl Action for DescribeApi {
    const NAME: &'static str = "describe-api";
    const ROUTE: Route = Route::get("/openapi.json");

    async fn handle(&self, _: &Service, request: Request) -> Result<Reply, Problem> {
        request.only_query(&[])?;
        let reply = Reply::new(StatusCode::OK, Body::Bytes(document()));
        Ok(reply.with(header::CONTENT_TYPE, "application/json"))
    }
}

#[cfg(test)]
mod tests {
    use shared::conformance::memory::World;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_no_key_is_told_as_well() {
        let world = World::new().await;
        let document = world.ask("/openapi.json").nameless().of(DescribeApi).await.expect(200);
        let document = document.json();
        let submit = &document["paths"]["/v1/jobs"]["post"];
        assert_eq!(submit["operationId"], "submit-job");
        assert!(document["paths"].get("/openapi.json").is_none(), "it is no part of itself");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_understood_is_refused() {
        let world = World::new().await;
        let answer = world.ask("/openapi.json?version=2").nameless().of(DescribeApi).await;
        answer.refused(400, "invalid_field", "version");
    }
}

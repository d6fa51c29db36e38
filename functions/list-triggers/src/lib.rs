//! `GET /v1/triggers`: a project's triggers, by name.

use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use serde::Serialize;
use shared::{
    auth,
    function::{Action, Route},
    ops::triggers,
    service::Service,
    wire::{Problem, Reply, Request, openapi, triggers::TriggerView},
};
use utoipa::ToSchema;

/// The action.
pub struct ListTriggers;

/// Every trigger of a project.
#[derive(Debug, Serialize, ToSchema)]
pub struct TriggersView {
    /// In the order of their names.
    triggers: Vec<TriggerView>,
}

impl Action for ListTriggers {
    const NAME: &'static str = "list-triggers";
    const ROUTE: Route = Route::get("/v1/triggers");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let all = triggers::list(service, who.project).await?.into_iter();
        let views = all.map(|trigger| async {
            triggers::standing(service, who.project, trigger).await.map(TriggerView::from)
        });
        let triggers = stream::iter(views).buffered(8).try_collect().await?;
        Ok(Reply::json(StatusCode::OK, &TriggersView { triggers }))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe.summary("List triggers").reply::<TriggersView>(200, "The project's triggers.");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::conformance::memory::World;

    use super::ListTriggers;

    #[tokio::test(start_paused = true)]
    async fn a_projects_triggers_are_listed() {
        let world = World::new().await;
        world.template("t", json!({"job": {"image": "a"}})).await;
        let nightly = json!({"on": {"schedule": {"cron": "0 3 * * *"}}, "template": "t"});
        world.trigger("t", nightly).await;
        let seen = world.ask("/v1/triggers").of(ListTriggers).await.expect(200).json();
        assert_eq!(seen["triggers"][0]["name"], "t");
        assert!(seen["triggers"][0]["next_at"].is_string());
        let other = world.neighbour().await;
        let theirs = other.ask("/v1/triggers").of(ListTriggers).await.expect(200).json();
        assert_eq!(theirs["triggers"], json!([]));
        let answer = world.ask("/v1/triggers?x=1").of(ListTriggers).await;
        answer.refused(400, "invalid_field", "x");
        let answer = world.ask("/v1/triggers").nameless().of(ListTriggers).await;
        answer.refused(401, "unauthenticated", "");
    }
}

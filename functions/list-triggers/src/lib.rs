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
    use shared::{
        conformance::memory::World,
        ops::{templates, triggers},
        wire::triggers::TriggerRequest,
    };

    use super::ListTriggers;

    async fn trigger(world: &World) {
        let job = serde_json::json!({"image": "a"});
        let draft = templates::Draft {
            job: job.as_object().expect("an object").clone(),
            ..templates::Draft::default()
        };
        let name = || "t".parse().expect("a name");
        let put = templates::put(&world.service, world.project, name(), draft);
        put.await.expect("it is saved");
        let asked: TriggerRequest = serde_json::from_value(serde_json::json!({
            "on": {"schedule": {"cron": "0 3 * * *"}}, "template": "t",
        }))
        .expect("a trigger");
        let draft = asked.draft().expect("a trigger");
        let put = triggers::put(&world.service, world.project, name(), draft);
        put.await.expect("it is made");
    }

    #[tokio::test(start_paused = true)]
    async fn a_projects_triggers_are_listed() {
        let world = World::new().await;
        trigger(&world).await;
        let seen = world.ask("/v1/triggers").of(ListTriggers).await.expect(200).json();
        assert_eq!(seen["triggers"][0]["name"], "t");
        assert!(seen["triggers"][0]["next_at"].is_string());
        let other = world.neighbour().await;
        let theirs = other.ask("/v1/triggers").of(ListTriggers).await.expect(200).json();
        assert_eq!(theirs["triggers"], serde_json::json!([]));
        let answer = world.ask("/v1/triggers?x=1").of(ListTriggers).await;
        answer.refused(400, "invalid_field", "x");
        let answer = world.ask("/v1/triggers").nameless().of(ListTriggers).await;
        answer.refused(401, "unauthenticated", "");
    }
}

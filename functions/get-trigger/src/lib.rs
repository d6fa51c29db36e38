//! `GET /v1/triggers/{trigger}`: a trigger, and how it has been doing.

use http::StatusCode;
use shared::{
    auth,
    function::{Action, Route},
    job::Name,
    ops::triggers,
    service::Service,
    wire::{Problem, Reply, Request, openapi, triggers::TriggerView},
};

/// The action.
pub struct GetTrigger;

impl Action for GetTrigger {
    const NAME: &'static str = "get-trigger";
    const ROUTE: Route = Route::get("/v1/triggers/{trigger}");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let name: Name = request.parameter("trigger")?;
        let found = triggers::load(service, who.project, &name).await?;
        let trigger = found.ok_or_else(|| Problem::not_found("trigger", &name))?;
        let standing = triggers::standing(service, who.project, trigger).await?;
        Ok(Reply::json(StatusCode::OK, &TriggerView::from(standing)))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe.summary("Show a trigger").reply::<TriggerView>(200, "The trigger.");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::conformance::memory::World;

    use super::GetTrigger;

    #[tokio::test(start_paused = true)]
    async fn a_trigger_is_shown_to_its_project_alone_with_its_last_job() {
        let world = World::new().await;
        world.template("t", json!({"job": {"image": "a"}})).await;
        let nightly = json!({"on": {"schedule": {"cron": "0 3 * * *"}}, "template": "t"});
        world.trigger("t", nightly).await;
        let show = || world.ask("/v1/triggers/t").of(GetTrigger);
        let seen = show().await.expect(200).json();
        assert_eq!((seen.get("last_fired"), seen.get("last_error")), (None, None));
        tokio::time::advance(std::time::Duration::from_hours(24)).await;
        world.settle().await;
        let fired = show().await.expect(200).json();
        assert_eq!(fired["last_fired"]["event"], seen["next_at"]);
        assert_ne!(fired["next_at"], seen["next_at"]);
        let job = fired["last_fired"]["job"].as_str().expect("an id").parse().expect("an id");
        assert_eq!(world.job(job).await.id, job);

        let other = world.neighbour().await;
        for name in ["t", "a b"] {
            let answer = other.ask(&format!("/v1/triggers/{name}")).of(GetTrigger).await;
            answer.refused(404, "not_found", "");
        }
        let answer = world.ask("/v1/triggers/t").nameless().of(GetTrigger).await;
        answer.refused(401, "unauthenticated", "");
    }
}

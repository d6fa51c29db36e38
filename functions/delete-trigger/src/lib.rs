//! `DELETE /v1/triggers/{trigger}`: forget a trigger. Jobs that it made are
//! what they are.

use shared::{
    auth,
    function::{Action, Route},
    ops::triggers,
    service::Service,
    wire::{Problem, Reply, Request, openapi},
};

/// The action.
pub struct DeleteTrigger;

impl Action for DeleteTrigger {
    const NAME: &'static str = "delete-trigger";
    const ROUTE: Route = Route::delete("/v1/triggers/{trigger}");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let name = request.parameter("trigger")?;
        triggers::delete(service, who.project, &name).await?;
        Ok(Reply::no_content())
    }

    fn describe(describe: &mut openapi::Describe) {
        describe.summary("Forget a trigger").bytes(204, "", "The name is free.");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::conformance::memory::World;

    use super::DeleteTrigger;

    #[tokio::test(start_paused = true)]
    async fn a_trigger_is_forgotten_by_its_own_project_alone_and_does_no_more() {
        let world = World::new().await;
        world.template("t", json!({"job": {"image": "a"}})).await;
        let nightly = json!({"on": {"schedule": {"cron": "0 3 * * *"}}, "template": "t"});
        world.trigger("t", nightly).await;
        let theirs = world.neighbour().await.ask("/v1/triggers/t").of(DeleteTrigger).await;
        theirs.refused(404, "not_found", "");
        let nobodys = world.ask("/v1/triggers/t").nameless().of(DeleteTrigger).await;
        nobodys.refused(401, "unauthenticated", "");
        let _ = world.ask("/v1/triggers/t").of(DeleteTrigger).await.expect(204);
        for name in ["t", "-", "a b"] {
            let answer = world.ask(&format!("/v1/triggers/{name}")).of(DeleteTrigger).await;
            answer.refused(404, "not_found", "");
        }
        tokio::time::advance(std::time::Duration::from_hours(48)).await;
        world.settle().await;
        let rows = world.memory.table.rows();
        assert!(!rows.iter().any(|row| row.key.sort.starts_with("job-")), "it made a job");
    }
}

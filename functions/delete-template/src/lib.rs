//! `DELETE /v1/templates/{template}`: forget a template. Jobs that were
//! submitted from it are what they are.

use shared::{
    auth,
    function::{Action, Route},
    ops::templates,
    service::Service,
    wire::{Problem, Reply, Request, openapi},
};

/// The action.
pub struct DeleteTemplate;

impl Action for DeleteTemplate {
    const NAME: &'static str = "delete-template";
    const ROUTE: Route = Route::delete("/v1/templates/{template}");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let name = request.parameter("template")?;
        templates::delete(service, who.project, &name).await?;
        Ok(Reply::no_content())
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Forget a template")
            .text("Triggers that name it stay, and say that it is not there when they fire.")
            .bytes(204, "", "The name is free.");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::conformance::memory::World;

    use super::DeleteTemplate;

    #[tokio::test(start_paused = true)]
    async fn a_template_is_forgotten_by_its_own_project_alone_and_an_operation_stays() {
        let world = World::new().await;
        world.template("t", json!({"job": {"image": "a"}})).await;

        let theirs = world.neighbour().await.ask("/v1/templates/t").of(DeleteTemplate).await;
        theirs.refused(404, "not_found", "");
        let nobodys = world.ask("/v1/templates/t").nameless().of(DeleteTemplate).await;
        nobodys.refused(401, "unauthenticated", "");
        let _ = world.ask("/v1/templates/t").of(DeleteTemplate).await.expect(204);
        for name in ["t", "-", "a b"] {
            let answer = world.ask(&format!("/v1/templates/{name}")).of(DeleteTemplate).await;
            answer.refused(404, "not_found", "");
        }
        let answer = world.ask("/v1/templates/PicProcess").of(DeleteTemplate).await;
        answer.refused(409, "operation", "");
    }
}

//! `GET /v1/templates/{template}`: a template, or an operation.

use http::StatusCode;
use shared::{
    auth,
    function::{Action, Route},
    job::Name,
    ops::templates,
    service::Service,
    wire::{Problem, Reply, Request, openapi, templates::TemplateView},
};

/// The action.
pub struct GetTemplate;

impl Action for GetTemplate {
    const NAME: &'static str = "get-template";
    const ROUTE: Route = Route::get("/v1/templates/{template}");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let name: Name = request.parameter("template")?;
        let found = templates::load(service, who.project, &name).await?;
        let template = found.ok_or_else(|| Problem::not_found("template", &name))?;
        Ok(Reply::json(StatusCode::OK, &TemplateView::from(template)))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe.summary("Show a template").reply::<TemplateView>(200, "The template.");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::conformance::memory::World;

    use super::GetTemplate;

    #[tokio::test(start_paused = true)]
    async fn a_template_is_shown_to_its_project_and_an_operation_to_all() {
        let world = World::new().await;
        world.template("t", json!({"job": {"image": "a"}})).await;
        let seen = world.ask("/v1/templates/t").of(GetTemplate).await.expect(200).json();
        assert_eq!(seen["job"], json!({"image": "a"}));
        let other = world.neighbour().await;
        for name in ["t", "a b"] {
            let answer = other.ask(&format!("/v1/templates/{name}")).of(GetTemplate).await;
            answer.refused(404, "not_found", "");
        }
        let known = other.ask("/v1/templates/PicProcess").of(GetTemplate).await.expect(200).json();
        assert_eq!(
            (&known["operation"], &known["job"]["image"]),
            (&true.into(), &"tarpon/pic-process".into())
        );
        let answer = world.ask("/v1/templates/t").nameless().of(GetTemplate).await;
        answer.refused(401, "unauthenticated", "");
    }
}

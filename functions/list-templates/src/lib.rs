//! `GET /v1/templates`: a project's templates, and the operations, by name.

use http::StatusCode;
use serde::Serialize;
use shared::{
    auth,
    function::{Action, Route},
    ops::templates,
    service::Service,
    wire::{Problem, Reply, Request, openapi, templates::TemplateView},
};
use utoipa::ToSchema;

/// The action.
pub struct ListTemplates;

/// Every template of a project, and every operation.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplatesView {
    /// In the order of their names.
    templates: Vec<TemplateView>,
}

impl Action for ListTemplates {
    const NAME: &'static str = "list-templates";
    const ROUTE: Route = Route::get("/v1/templates");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let all = templates::list(service, who.project).await?;
        let templates = all.into_iter().map(TemplateView::from).collect();
        Ok(Reply::json(StatusCode::OK, &TemplatesView { templates }))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("List templates")
            .reply::<TemplatesView>(200, "The project's templates, and the operations.");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::conformance::memory::World;

    use super::ListTemplates;

    #[tokio::test(start_paused = true)]
    async fn a_projects_own_template_hides_an_operation() {
        let world = World::new().await;
        for name in ["t", "PicProcess"] {
            world.template(name, json!({"job": {"image": "a"}})).await;
        }
        let seen = |view: serde_json::Value| {
            let all = view["templates"].as_array().expect("an array").clone();
            let seen = all.iter().map(|t| (t["name"].clone(), t["operation"].clone()));
            seen.collect::<Vec<_>>()
        };
        let own = seen(world.ask("/v1/templates").of(ListTemplates).await.expect(200).json());
        assert_eq!(own, [(json!("PicProcess"), json!(false)), (json!("t"), json!(false))]);
        let other = world.neighbour().await;
        let theirs = seen(other.ask("/v1/templates").of(ListTemplates).await.expect(200).json());
        assert_eq!(theirs, [(json!("PicProcess"), json!(true))]);
        let answer = world.ask("/v1/templates?x=1").of(ListTemplates).await;
        answer.refused(400, "invalid_field", "x");
        let answer = world.ask("/v1/templates").nameless().of(ListTemplates).await;
        answer.refused(401, "unauthenticated", "");
    }
}

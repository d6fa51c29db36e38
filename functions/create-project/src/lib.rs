//! `POST /v1/projects`: make a project, with its first access key and a queue.
//! For the operator alone.

use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::{
    auth,
    function::{Action, Route},
    ops::projects::{self, NewProject},
    service::Service,
    wire::{Problem, Reply, Request, SMALL_BODY_BYTES, openapi},
};
use utoipa::ToSchema;

/// The action.
pub struct CreateProject;

/// A project to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProjectRequest {
    /// What people call it; up to 64 characters. Need not be unique.
    name: String,
}

/// A new project and its first access key.
#[derive(Serialize, ToSchema)]
pub struct NewProjectView {
    /// 32 hex digits.
    project_id: String,
    /// What people call it.
    name: String,
    /// The key's public half.
    access_key_id: String,
    /// The key's secret half, shown this once.
    secret_access_key: String,
}

impl Action for CreateProject {
    const NAME: &'static str = "create-project";
    const ROUTE: Route = Route::post("/v1/projects");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        auth::operator(&request)?;
        request.only_query(&[])?;
        let asked: ProjectRequest = request.json("the body", SMALL_BODY_BYTES).await?;
        let NewProject { project, key, secret } = projects::create(service, &asked.name).await?;
        let view = NewProjectView {
            project_id: project.id.to_string(),
            name: project.name,
            access_key_id: key.to_string(),
            secret_access_key: secret.reveal().to_owned(),
        };
        Ok(Reply::json(StatusCode::CREATED, &view).secret())
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Make a project")
            .text("For the operator, who reaches the service by a way of its own.")
            .request::<ProjectRequest>()
            .reply::<NewProjectView>(201, "The project, and its first access key.");
    }
}

#[cfg(test)]
mod tests {
    use shared::conformance::memory::World;

    use super::CreateProject;

    #[tokio::test(start_paused = true)]
    async fn the_operator_makes_a_project_with_a_key_and_a_queue() {
        let world = World::new().await;
        let ask = || world.ask("/v1/projects").json(r#"{"name": "team"}"#).operator();
        let first = ask().of(CreateProject).await.expect(201).json();
        let again = ask().of(CreateProject).await.expect(201).json();
        assert_eq!(first["name"], "team");
        assert_eq!(first["project_id"].as_str().map(str::len), Some(32));
        assert_eq!(first["secret_access_key"].as_str().map(str::len), Some(43));
        assert_ne!(first["project_id"], again["project_id"], "a name may be used twice");
        let rows = world.memory.table.rows();
        let project = first["project_id"].as_str().expect("an id");
        assert!(rows.iter().any(|r| r.key.partition == project && r.key.sort == "queue#default"));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_else_does() {
        let world = World::new().await;
        let ask = || world.ask("/v1/projects").json(r#"{"name": "team"}"#);
        ask().of(CreateProject).await.refused(403, "forbidden", "");
        ask().nameless().of(CreateProject).await.refused(403, "forbidden", "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_name_is_refused() {
        let world = World::new().await;
        let long = format!(r#"{{"name": "{}"}}"#, "x".repeat(65));
        for body in [r"{}", r#"{"name": ""}"#, r#"{"name": "a\nb"}"#, &long] {
            let answer = world.ask("/v1/projects").json(body).operator().of(CreateProject).await;
            answer.refused(400, "invalid_field", "name");
        }
        let more = r#"{"name": "a", "plan": "free"}"#;
        let answer = world.ask("/v1/projects").json(more).operator().of(CreateProject).await;
        answer.refused(400, "invalid_field", "plan");
    }
}

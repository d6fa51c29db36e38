//! `GET /v1/keys`: the access keys of a project, without their secrets.

use http::StatusCode;
use serde::Serialize;
use shared::{
    auth,
    function::{Action, Route},
    ops::keys,
    service::Service,
    wire::{Problem, Reply, Request, openapi, views::KeyView},
};
use utoipa::ToSchema;

/// The action.
pub struct ListKeys;

/// Every access key of a project.
#[derive(Debug, Serialize, ToSchema)]
pub struct KeysView {
    /// In the order of their ids.
    keys: Vec<KeyView>,
}

impl Action for ListKeys {
    const NAME: &'static str = "list-keys";
    const ROUTE: Route = Route::get("/v1/keys");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let keys = keys::list(service, who.project).await?.into_iter().map(KeyView::from).collect();
        Ok(Reply::json(StatusCode::OK, &KeysView { keys }))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("List access keys")
            .reply::<KeysView>(200, "Every access key of the project, the disabled ones included.");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use shared::{conformance::memory::World, ops::keys};

    use super::ListKeys;

    #[tokio::test(start_paused = true)]
    async fn every_key_is_listed_and_no_secret() {
        let world = World::new().await;
        world.neighbour().await;
        let (second, _) =
            keys::create(&world.service, world.project, Some("laptop".into()), BTreeSet::new())
                .await
                .expect("it is made");
        keys::disable(&world.service, world.project, second.id).await.expect("it is there");

        let answer = world.ask("/v1/keys").of(ListKeys).await.expect(200);
        let view = answer.json();
        let listed = view["keys"].as_array().expect("an array");
        assert_eq!(listed.len(), 2);
        let find = |id: String| listed.iter().find(|key| key["access_key_id"] == id.as_str());
        let first = find(world.key.to_string()).expect("the first key");
        assert!(first.get("disabled_at").is_none());
        let second = find(second.id.to_string()).expect("the second key");
        assert_eq!(second["note"], "laptop");
        assert_eq!(second["disabled_at"], "2026-03-01T12:00:00Z");
        assert!(!answer.text().contains(world.secret.reveal()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_understood_is_refused() {
        let world = World::new().await;
        let answer = world.ask("/v1/keys?all=1").of(ListKeys).await;
        answer.refused(400, "invalid_field", "all");
        let answer = world.ask("/v1/keys").nameless().of(ListKeys).await;
        answer.refused(401, "unauthenticated", "");
    }
}

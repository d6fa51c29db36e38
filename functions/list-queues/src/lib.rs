//! `GET /v1/queues`: the queues of a project, by name.

use futures::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use serde::Serialize;
use shared::{
    auth,
    function::{Action, Route},
    ops::queues,
    service::Service,
    wire::{Problem, Reply, Request, openapi, views::QueueView},
};
use utoipa::ToSchema;

/// The action.
pub struct ListQueues;

/// Every queue of a project.
#[derive(Debug, Serialize, ToSchema)]
pub struct QueuesView {
    /// In the order of their names.
    queues: Vec<QueueView>,
}

impl Action for ListQueues {
    const NAME: &'static str = "list-queues";
    const ROUTE: Route = Route::get("/v1/queues");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let listed = queues::list(service, who.project).await?;
        let views: Vec<_> =
            listed.iter().map(|queue| queues::view(service, who.project, queue)).collect();
        let queues = stream::iter(views).buffered(8).try_collect().await?;
        Ok(Reply::json(StatusCode::OK, &QueuesView { queues }))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe.summary("List queues").reply::<QueuesView>(200, "Every queue of the project.");
    }
}

#[cfg(test)]
mod tests {
    use shared::{
        conformance::memory::World,
        ops::{
            queues::{self, QueueChange},
            rows::QueueKey,
        },
    };

    use super::ListQueues;

    #[tokio::test(start_paused = true)]
    async fn every_queue_is_listed_with_what_runs_in_it() {
        let world = World::new().await;
        let key = QueueKey { project: world.project, name: "b".parse().expect("a name") };
        let change = QueueChange { paused: Some(true), limit: Some(2), ..QueueChange::default() };
        queues::put(&world.service, &key, change).await.expect("it is made");
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        world.start(job).await;

        let view = world.ask("/v1/queues").of(ListQueues).await.expect(200).json();
        let seen: Vec<_> = view["queues"]
            .as_array()
            .expect("an array")
            .iter()
            .map(|q| {
                (
                    q["name"].as_str(),
                    q["paused"].as_bool(),
                    q["limit"].as_u64(),
                    q["running"].as_u64(),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                (Some("b"), Some(true), Some(2), Some(0)),
                (Some("default"), Some(false), Some(10_000), Some(1)),
            ]
        );
        let theirs = world.neighbour().await.ask("/v1/queues").of(ListQueues).await.json();
        assert_eq!(theirs["queues"].as_array().map(Vec::len), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_understood_is_refused() {
        let world = World::new().await;
        let answer = world.ask("/v1/queues?limit=1").of(ListQueues).await;
        answer.refused(400, "invalid_field", "limit");
        let answer = world.ask("/v1/queues").nameless().of(ListQueues).await;
        answer.refused(401, "unauthenticated", "");
    }
}

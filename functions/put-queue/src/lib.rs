//! `PUT /v1/queues/{queue}`: make a queue, or change one. What is left out
//! stays as it is.

use http::StatusCode;
use serde::Deserialize;
use shared::{
    auth,
    function::{Action, Route},
    ops::{
        queues::{self, QueueChange},
        rows::QueueKey,
    },
    service::Service,
    wire::{
        Problem, Reply, Request, SMALL_BODY_BYTES, openapi,
        submit::{parse_name, within},
        views::QueueView,
    },
};
use utoipa::ToSchema;

/// The action.
pub struct PutQueue;

/// What a queue should be like.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueRequest {
    /// Whether nothing starts from it.
    paused: Option<bool>,
    /// How many containers it may have at once.
    limit: Option<i64>,
}

impl Action for PutQueue {
    const NAME: &'static str = "put-queue";
    const ROUTE: Route = Route::put("/v1/queues/{queue}");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        // A name that is to be made is told what is wrong with it.
        let name: String = request.parameter("queue")?;
        let key = QueueKey { project: who.project, name: parse_name("queue", &name)? };
        let asked: QueueRequest = request.optional_json("the body", SMALL_BODY_BYTES).await?;
        let limit = asked.limit.map(|limit| checked(limit, service)).transpose()?;
        let change = QueueChange { paused: asked.paused, limit };
        let (queue, is_new) = queues::put(service, &key, change).await?;
        let running = queues::live(service, &key).await?.len();
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(Reply::json(status, &QueueView::of(&queue, running)))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Make or change a queue")
            .text("A limit below what runs stops nothing: it holds for what starts next.")
            .request::<QueueRequest>()
            .reply::<QueueView>(201, "The queue is new.")
            .reply::<QueueView>(200, "The queue, changed.");
    }
}

fn checked(limit: i64, service: &Service) -> Result<u32, Problem> {
    within("limit", limit, 1, i64::from(service.limits.queue_live))?;
    u32::try_from(limit).map_err(|error| Problem::invalid("limit", error.to_string()))
}

#[cfg(test)]
mod tests {
    use shared::conformance::memory::World;

    use super::PutQueue;

    #[tokio::test(start_paused = true)]
    async fn a_queue_is_made_and_then_changed_field_by_field() {
        let world = World::new().await;
        let put = |body: &str| world.ask("/v1/queues/nightly").json(body).of(PutQueue);
        let made = put(r#"{"limit": 3}"#).await.expect(201).json();
        assert_eq!((&made["name"], &made["limit"]), (&"nightly".into(), &3.into()));
        assert_eq!((&made["paused"], &made["running"]), (&false.into(), &0.into()));
        let paused = put(r#"{"paused": true}"#).await.expect(200).json();
        assert_eq!((&paused["paused"], &paused["limit"]), (&true.into(), &3.into()));
        assert_eq!(put("{}").await.expect(200).json(), paused);
        assert_eq!(world.ask("/v1/queues/nightly").of(PutQueue).await.expect(200).json(), paused);
        let other = world.neighbour().await;
        let theirs = other.ask("/v1/queues/nightly").of(PutQueue).await.expect(201).json();
        assert_eq!(theirs["limit"], 10_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_paused_queue_starts_nothing_until_it_goes_on() {
        let world = World::new().await;
        let put = |body: &str| world.ask("/v1/queues/default").json(body).of(PutQueue);
        let _ = put(r#"{"paused": true}"#).await.expect(200);
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        world.settle().await;
        assert_eq!(world.job(job).await.live_attempts(), []);
        let _ = put(r#"{"paused": false}"#).await.expect(200);
        world.settle().await;
        assert_eq!(world.job(job).await.live_attempts().len(), 1);
        assert_eq!(put("{}").await.json()["running"], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_request_is_refused_with_its_field() {
        let world = World::new().await;
        for (body, field) in [
            (r#"{"limit": 0}"#, "limit"),
            (r#"{"limit": 10001}"#, "limit"),
            (r#"{"limit": "3"}"#, "limit"),
            (r#"{"paused": "yes"}"#, "paused"),
            (r#"{"name": "x"}"#, "name"),
        ] {
            let answer = world.ask("/v1/queues/q").json(body).of(PutQueue).await;
            answer.refused(400, "invalid_field", field);
        }
        for name in ["-q", "a b", &"q".repeat(65)] {
            let answer = world.ask(&format!("/v1/queues/{name}")).of(PutQueue).await;
            answer.refused(400, "invalid_field", "queue");
        }
        let answer = world.ask("/v1/queues/q").nameless().of(PutQueue).await;
        answer.refused(401, "unauthenticated", "");
    }
}

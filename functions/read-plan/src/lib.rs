//! `POST /v1/attempts/{attempt}/plan`: tell an agent what to run, once.
//!
//! This is the fence: an attempt that may not start any more is refused, and
//! its agent runs no user code.

use http::StatusCode;
use shared::{
    agent::PlanRequest,
    auth,
    function::{Action, Route},
    ops::attempts,
    service::Service,
    wire::{Problem, Reply, Request, SMALL_BODY_BYTES},
};

/// The action.
pub struct ReadPlan;

impl Action for ReadPlan {
    const NAME: &'static str = "read-plan";
    const ROUTE: Route = Route::post("/v1/attempts/{attempt}/plan");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let attempt = auth::attempt_of(service, &request)?;
        let asked: PlanRequest = request.json("the body", SMALL_BODY_BYTES).await?;
        let reply = match asked.after {
            Some(after) => {
                let page = attempts::read_inputs(service, attempt, &after).await?;
                Reply::json(StatusCode::OK, &page)
            }
            None => Reply::json(StatusCode::OK, &attempts::read_plan(service, attempt).await?),
        };
        Ok(reply.secret())
    }
}

#[cfg(test)]
mod tests {
    use shared::{
        conformance::memory::{Ask, World},
        job::{AttemptId, AttemptKey},
        ops::jobs,
    };

    use super::ReadPlan;

    async fn launched(world: &World) -> AttemptKey {
        let json = r#"{"image": "a", "command": ["x"], "secret_env": {"S": "hunter2"}}"#;
        world.submit(json).await;
        world.settle().await;
        world.memory.runtime.launched()[0].attempt
    }

    fn ask(world: &World, attempt: AttemptKey) -> Ask {
        let path = format!("/v1/attempts/{}/plan", attempt.attempt);
        let token = world.bearer(attempt);
        world.ask(&path).header("authorization", &token).json(r#"{"agent": "1"}"#)
    }

    #[tokio::test(start_paused = true)]
    async fn the_agent_is_told_what_to_run() {
        let world = World::new().await;
        let attempt = launched(&world).await;
        let plan = ask(&world, attempt).of(ReadPlan).await.expect(200).json();
        assert_eq!(plan["argv"][0], "/entrypoint");
        assert_eq!(plan["argv"][1], "x");
        assert_eq!(plan["env"]["S"], "hunter2");
        assert_eq!(plan["env"]["TARPON_JOB_ID"], attempt.attempt.job.to_string());
    }

    #[tokio::test(start_paused = true)]
    async fn more_inputs_are_all_that_a_later_answer_has() {
        let world = World::new().await;
        let attempt = launched(&world).await;
        let first = ask(&world, attempt).of(ReadPlan).await.expect(200).json();
        assert!(first["more"].is_null());
        let later = ask(&world, attempt).json(r#"{"agent": "1", "after": "0:0:"}"#);
        assert_eq!(later.of(ReadPlan).await.expect(200).text(), "{}");
    }

    #[tokio::test(start_paused = true)]
    async fn instances_are_counted_as_their_job_wants_it() {
        let world = World::new().await;
        let index = r#"{"name": "PART", "first": 10, "step": 5}"#;
        let json = format!(r#"{{"image": "a", "instances": 3, "index": {index}}}"#);
        let job = world.submit(&json).await.id;
        world.settle().await;
        for (place, attempt) in world.live(job).await.into_iter().enumerate() {
            let plan = ask(&world, attempt).of(ReadPlan).await.expect(200).json();
            assert_eq!(plan["env"]["PART"], ["10", "15", "20"][place]);
            assert_eq!(plan["env"]["TARPON_INSTANCE_INDEX"], place.to_string());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_is_to_stop_is_refused() {
        let world = World::new().await;
        let attempt = launched(&world).await;
        jobs::cancel(&world.service, attempt.job()).await.expect("it can be cancelled");
        assert_eq!(ask(&world, attempt).of(ReadPlan).await.status, 409);
        world.neighbour().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempts_token_is_good_for_that_attempt_alone() {
        let world = World::new().await;
        let attempt = launched(&world).await;
        let other = AttemptId { number: 2, ..attempt.attempt };
        let path = format!("/v1/attempts/{other}/plan");
        let json = r#"{"agent": "1"}"#;
        let token = world.bearer(attempt);
        let answer = world.ask(&path).header("authorization", &token).json(json).of(ReadPlan).await;
        answer.refused(401, "unauthenticated", "");
        let own = format!("/v1/attempts/{}/plan", attempt.attempt);
        let by_key = world.ask(&own).json(json).of(ReadPlan).await;
        by_key.refused(401, "unauthenticated", "");
        let nobodys = world.ask(&own).nameless().json(json).of(ReadPlan).await;
        nobodys.refused(401, "unauthenticated", "");
        assert_eq!(
            world
                .ask("/v1/attempts/x/plan")
                .header("authorization", &token)
                .json(json)
                .of(ReadPlan)
                .await
                .status,
            404
        );
    }
}

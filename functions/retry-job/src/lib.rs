//! `POST /v1/jobs/{job}/retry`: run a job that is over once more, as the same
//! job: what failed or was stopped in it, or all of it.

use http::StatusCode;
use serde::Deserialize;
use shared::{
    auth,
    function::{Action, Route},
    job::JobKey,
    ops::{
        jobs,
        retry::{self, Again},
    },
    service::Service,
    wire::{Problem, Reply, Request, SMALL_BODY_BYTES, openapi, views::JobView},
};
use utoipa::ToSchema;

/// The action.
pub struct RetryJob;

/// What of a job is to run again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryRequest {
    /// Also what succeeded; only what failed or was stopped without.
    all: bool,
    /// The run that is to be followed by another: makes a repeated request
    /// safe. The last without.
    run: Option<u32>,
}

impl Action for RetryJob {
    const NAME: &'static str = "retry-job";
    const ROUTE: Route = Route::post("/v1/jobs/{job}/retry");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let key = JobKey { project: who.project, job: request.parameter("job")? };
        let RetryRequest { all, run } = request.optional_json("the body", SMALL_BODY_BYTES).await?;
        let job = retry::retry(service, key, Again { all, run }).await?;
        Ok(Reply::json(StatusCode::ACCEPTED, &jobs::view(service, &job).await?))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Run a job again")
            .text(
                "A job that is over is opened as its next run, with the same id. What succeeded \
                 stays as it is, with its outputs, unless `all` is asked for; images that were \
                 looked up stay pinned. For another image, command or input, submit a job `from` \
                 this one.",
            )
            .request::<RetryRequest>()
            .reply::<JobView>(202, "The job, in its next run.");
    }
}

#[cfg(test)]
mod tests {
    use shared::{
        conformance::memory::{Answer, World},
        job::JobId,
        ops::{
            queues::{self, QueueChange},
            rows::QueueKey,
        },
    };

    use super::RetryJob;

    async fn retry(world: &World, job: JobId, body: &str) -> Answer {
        world.ask(&format!("/v1/jobs/{job}/retry")).json(body).of(RetryJob).await
    }

    #[tokio::test(start_paused = true)]
    async fn what_failed_runs_again_and_what_succeeded_stays() {
        let world = World::new().await;
        let job = world
            .submit(
                r#"{"tasks": [{"name": "first", "image": "a"},
                    {"name": "then", "image": "a", "after": [{"task": "first"}]}]}"#,
            )
            .await
            .id;
        world.run(job, 0, &[]).await;
        world.run(job, 3, &[]).await;
        let again = retry(&world, job, "").await.expect(202).json();
        assert_eq!((&again["state"], &again["run"]), (&"queued".into(), &2.into()));
        assert_eq!(again["tasks"][0]["state"], "succeeded");
        let (attempt, _) = world.start(job).await;
        assert_eq!((attempt.attempt.task, attempt.attempt.run), (1, 2));
        world.finish(attempt, 0, &[]).await;
        retry(&world, job, "").await.refused(409, "nothing_to_retry", "");

        let all = retry(&world, job, r#"{"all": true}"#).await.expect(202).json();
        assert_eq!((&all["run"], &all["tasks"][0]["state"]), (&3.into(), &"ready".into()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_names_the_run_can_be_repeated() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        world.run(job, 1, &[]).await;
        let again = retry(&world, job, r#"{"run": 1}"#).await.expect(202).json();
        assert_eq!(retry(&world, job, r#"{"run": 1}"#).await.expect(202).json(), again);
        world.run(job, 1, &[]).await;
        let over = retry(&world, job, r#"{"run": 1}"#).await.expect(202).json();
        assert_eq!((&over["run"], &over["state"]), (&2.into(), &"failed".into()));
        retry(&world, job, r#"{"run": 3}"#).await.refused(409, "another_run", "");
        let _ = retry(&world, job, r#"{"run": 2}"#).await.expect(202);
        retry(&world, job, r#"{"run": 1}"#).await.refused(409, "another_run", "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_cannot_run_again_is_refused_and_stays_as_it_is() {
        let world = World::new().await;
        let key = QueueKey { project: world.project, name: "q".parse().expect("a name") };
        queues::put(&world.service, &key, QueueChange::default()).await.expect("it is made");
        let job = world.submit(r#"{"image": "a", "queue": "q"}"#).await.id;
        retry(&world, job, "").await.refused(409, "not_finished", "");
        world.run(job, 1, &[]).await;
        queues::delete(&world.service, &key).await.expect("it is empty");
        let before = world.job(job).await;
        retry(&world, job, "").await.refused(409, "no_queue", "");
        for (body, field) in
            [(r#"{"all": 1}"#, "all"), (r#"{"run": -1}"#, "run"), (r#"{"runs": 1}"#, "runs")]
        {
            retry(&world, job, body).await.refused(400, "invalid_field", field);
        }
        let path = format!("/v1/jobs/{job}/retry");
        let theirs = world.neighbour().await;
        theirs.ask(&path).of(RetryJob).await.refused(404, "not_found", "");
        world.ask(&path).nameless().of(RetryJob).await.refused(401, "unauthenticated", "");
        assert_eq!(world.job(job).await, before);
    }
}

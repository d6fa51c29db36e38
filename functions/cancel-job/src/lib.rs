//! `POST /v1/jobs/{job}/cancel`: ask a job to stop.
//!
//! What waits will not start; what runs is told to stop, and still brings its
//! outputs home. Asking again changes nothing.

use http::StatusCode;
use shared::{
    auth,
    function::{Action, Route},
    job::JobKey,
    ops::jobs,
    service::Service,
    wire::{Problem, Reply, Request, openapi, views::JobView},
};

/// The action.
pub struct CancelJob;

impl Action for CancelJob {
    const NAME: &'static str = "cancel-job";
    const ROUTE: Route = Route::post("/v1/jobs/{job}/cancel");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&["wait"])?;
        let wait = request.wait_seconds(service.config.longest_wait_seconds)?;
        let key = JobKey { project: who.project, job: request.parameter("job")? };
        let mut job = jobs::cancel(service, key).await?;
        if wait > 0 && job.ending().is_none() {
            job = jobs::wait(service, key, wait).await?;
        }
        let over = job.ending().is_some();
        let status = if over { StatusCode::OK } else { StatusCode::ACCEPTED };
        Ok(Reply::json(status, &jobs::view(service, &job).await?))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Cancel a job")
            .text("What runs is given its grace period, and its outputs are collected.")
            .query("wait", "Seconds to wait for the job's end.")
            .reply::<JobView>(200, "The job is over.")
            .reply::<JobView>(202, "The job is stopping.");
    }
}

#[cfg(test)]
mod tests {
    use shared::conformance::memory::World;

    use super::CancelJob;

    #[tokio::test(start_paused = true)]
    async fn a_job_that_waits_is_cancelled_at_once() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let path = format!("/v1/jobs/{job}/cancel");
        let first = world.ask(&path).of(CancelJob).await.expect(200).json();
        assert_eq!(first["state"], "cancelled");
        assert_eq!(world.ask(&path).of(CancelJob).await.expect(200).json(), first);
        world.settle().await;
        assert_eq!(world.memory.runtime.launched(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_runs_is_stopped_and_brings_its_outputs_home() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let (attempt, _) = world.start(job).await;
        let path = format!("/v1/jobs/{job}/cancel");
        let stopping = world.ask(&path).of(CancelJob).await.expect(202).json();
        assert_eq!(stopping["state"], "stopping");
        assert_eq!(world.ask(&path).of(CancelJob).await.expect(202).json(), stopping);

        let waiting = world.ask(&path).query("wait", "30").of(CancelJob);
        let playing = async {
            world.settle().await;
            assert!(world.memory.runtime.is_stopped(attempt));
            world.interrupt(attempt, &[("Stdout", "so far")]).await;
        };
        let (answer, ()) = tokio::join!(waiting, playing);
        assert_eq!(answer.expect(200).json()["state"], "cancelled");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_is_over_stays_as_it_is() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        world.run(job, 0, &[("Stdout", "")]).await;
        let path = format!("/v1/jobs/{job}/cancel");
        assert_eq!(world.ask(&path).of(CancelJob).await.expect(200).json()["state"], "succeeded");
    }

    #[tokio::test(start_paused = true)]
    async fn another_projects_job_cannot_be_cancelled() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let path = format!("/v1/jobs/{job}/cancel");
        let answer = world.neighbour().await.ask(&path).of(CancelJob).await;
        answer.refused(404, "not_found", "");
        world.ask(&path).nameless().of(CancelJob).await.refused(401, "unauthenticated", "");
        assert!(world.job(job).await.ending().is_none());
    }
}

//! `GET /v1/jobs/{job}`: one job, at once or when it is over.

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
pub struct GetJob;

impl Action for GetJob {
    const NAME: &'static str = "get-job";
    const ROUTE: Route = Route::get("/v1/jobs/{job}");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&["wait"])?;
        let wait = request.wait_seconds(service.config.longest_wait_seconds)?;
        let key = JobKey { project: who.project, job: request.parameter("job")? };
        let job = match wait {
            0 => jobs::load(service, key).await?,
            seconds => jobs::wait(service, key, seconds).await?,
        };
        Ok(Reply::json(StatusCode::OK, &jobs::view(service, &job).await?))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Get a job")
            .query("wait", "Seconds to wait for the job's end.")
            .reply::<JobView>(200, "The job as it is, or as it was when the waiting ended.");
    }
}

#[cfg(test)]
mod tests {
    use shared::conformance::memory::World;

    use super::GetJob;

    #[tokio::test(start_paused = true)]
    async fn a_job_is_shown_with_why_it_waits_and_how_it_ended() {
        let world = World::new().await;
        let job = world.submit(r#"{"name": "n", "image": "a", "tags": {"k": "v"}}"#).await.id;

        let fresh = world.ask(&format!("/v1/jobs/{job}")).of(GetJob).await.expect(200).json();
        assert_eq!(fresh["id"], job.to_string());
        assert_eq!(fresh["project_id"], world.project.to_string());
        assert_eq!((&fresh["state"], &fresh["name"]), (&"queued".into(), &"n".into()));
        assert_eq!(fresh["waiting_for"]["reason"], "image");
        assert_eq!(fresh["tasks"][0]["name"], "main");
        assert_eq!(fresh["created_at"], "2026-03-01T12:00:00Z");

        let (attempt, _) = world.start(job).await;
        let running = world.ask(&format!("/v1/jobs/{job}")).of(GetJob).await.json();
        assert_eq!(running["state"], "running");
        assert!(running["waiting_for"].is_null(), "{running}");
        assert_eq!(running["tasks"][0]["instances"]["running"], 1);

        world.finish(attempt, 3, &[("Stdout", ""), ("Stderr", "")]).await;
        let ended = world.ask(&format!("/v1/jobs/{job}")).of(GetJob).await.json();
        assert_eq!((&ended["state"], &ended["cause"]), (&"failed".into(), &"exited".into()));
        assert_eq!((&ended["exit_code"], &ended["usage"]["wall_ms"]), (&3.into(), &1_500.into()));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_job_or_with_patience() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let waiting = format!("/v1/jobs/{job}?wait=20");

        let still = world.ask(&waiting).of(GetJob).await.expect(200).json();
        assert_eq!(still["state"], "queued");

        let asked = world.ask(&waiting).of(GetJob);
        let played = world.run(job, 0, &[("Stdout", "")]);
        let (answer, _) = tokio::join!(asked, played);
        assert_eq!(answer.expect(200).json()["state"], "succeeded");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_ours_is_not_there() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let path = format!("/v1/jobs/{job}");
        world.neighbour().await.ask(&path).of(GetJob).await.refused(404, "not_found", "");
        world.ask("/v1/jobs/nonsense").of(GetJob).await.refused(404, "not_found", "");
        world.ask(&path).nameless().of(GetJob).await.refused(401, "unauthenticated", "");
        world.ask(&path).query("wiat", "1").of(GetJob).await.refused(400, "invalid_field", "wiat");
        world.ask(&path).query("wait", "x").of(GetJob).await.refused(400, "invalid_field", "wait");
    }
}

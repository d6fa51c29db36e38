//! `DELETE /v1/jobs/{job}`: remove a finished job and all that belongs to it.
//!
//! It is out of sight at once; its objects and rows are removed after, as a
//! duty of the job.

use shared::{
    auth,
    function::{Action, Route},
    job::JobKey,
    ops::jobs,
    service::Service,
    wire::{Problem, Reply, Request, openapi},
};

/// The action.
pub struct DeleteJob;

impl Action for DeleteJob {
    const NAME: &'static str = "delete-job";
    const ROUTE: Route = Route::delete("/v1/jobs/{job}");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let key = JobKey { project: who.project, job: request.parameter("job")? };
        jobs::delete(service, key).await?;
        Ok(Reply::no_content())
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Delete a job")
            .text("A job that is not over is refused: cancel it first.")
            .bytes(204, "", "The job, its logs and its outputs are no more.");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use shared::{agent::Stream, conformance::memory::World};

    use super::DeleteJob;

    #[tokio::test(start_paused = true)]
    async fn a_deleted_job_is_out_of_sight_at_once_and_leaves_nothing() {
        let world = World::new().await;
        let before = (world.memory.table.rows(), world.memory.objects.names());
        let long = "x".repeat(20_000);
        let json = format!(r#"{{"image": "a", "stdin": {{"inline": "{long}"}}}}"#);
        let job = world.submit(&json).await.id;
        let (attempt, _) = world.start(job).await;
        world.write(attempt, Stream::Stdout, 0, "hello").await;
        world.finish(attempt, 0, &[("Stdout", "hello"), ("Stderr", "")]).await;
        let path = format!("/v1/jobs/{job}");

        let _ = world.ask(&path).of(DeleteJob).await.expect(204);
        world.ask(&path).of(DeleteJob).await.refused(404, "not_found", "");

        world.settle().await;
        assert_eq!(world.memory.objects.names(), before.1);
        // Nothing can come late any more.
        tokio::time::sleep(Duration::from_hours(14)).await;
        world.settle().await;
        assert_eq!((world.memory.table.rows(), world.memory.objects.names()), before);
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_is_not_over_is_refused() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let path = format!("/v1/jobs/{job}");
        world.ask(&path).of(DeleteJob).await.refused(409, "not_finished", "");
        world.start(job).await;
        world.ask(&path).of(DeleteJob).await.refused(409, "not_finished", "");
    }

    #[tokio::test(start_paused = true)]
    async fn another_projects_job_cannot_be_deleted() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        world.run(job, 0, &[]).await;
        let path = format!("/v1/jobs/{job}");
        let answer = world.neighbour().await.ask(&path).of(DeleteJob).await;
        answer.refused(404, "not_found", "");
        world.ask(&path).nameless().of(DeleteJob).await.refused(401, "unauthenticated", "");
        world.job(job).await;
    }
}

//! `POST /v1/attempts/{attempt}/report`: take an agent's report of how its
//! attempt went. Told again, it changes nothing.

use shared::{
    agent::Report,
    auth,
    function::{Action, Route},
    ops::attempts,
    service::Service,
    wire::{Problem, Reply, Request},
};

/// The action.
pub struct ReportAttempt;

/// The most bytes of a report: two tails in base 64, and what is around them.
const REPORT_BYTES: u64 = 256 << 10;

impl Action for ReportAttempt {
    const NAME: &'static str = "report-attempt";
    const ROUTE: Route = Route::post("/v1/attempts/{attempt}/report");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let attempt = auth::attempt_of(service, &request)?;
        let report: Report = request.json("the report", REPORT_BYTES).await?;
        attempts::report(service, attempt, report).await?;
        Ok(Reply::no_content())
    }
}

#[cfg(test)]
mod tests {
    use shared::{
        conformance::memory::{Ask, World},
        job::{AttemptKey, Ending},
    };

    use super::ReportAttempt;

    fn ask(world: &World, attempt: AttemptKey, code: i32, cause: &str) -> Ask {
        let json = format!(
            r#"{{"exit": {{"code": {code}}}, "cause": {cause}, "started_at": null, "ended_at": null,
                "usage": {{"wall_ms": 1, "cpu_ms": 1, "peak_memory_bytes": 1, "input_bytes": 0,
                           "output_bytes": 0}},
                "archive": {{"bytes": 9, "sha256": "", "etag": "made-up", "members": 1}},
                "stdout_tail": "", "stderr_tail": "", "stdout_bytes": 0, "stderr_bytes": 0}}"#
        );
        world.ask(&format!("/v1/attempts/{}/report", attempt.attempt)).json(json)
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_report_ends_the_attempt_and_repeats_change_nothing() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let (attempt, _) = world.start(job).await;
        let token = world.bearer(attempt);
        for (code, cause) in [(0, "null"), (0, "null"), (1, "\"exited\"")] {
            let answer = ask(&world, attempt, code, cause).header("authorization", &token);
            let _ = answer.of(ReportAttempt).await.expect(204);
        }
        let job = world.job(job).await;
        assert_eq!(job.ending().map(|(ending, _)| ending), Some(Ending::Succeeded));
        let outcome = job.only_instance().and_then(|instance| instance.outcome().cloned());
        assert_eq!(outcome.and_then(|outcome| outcome.archive_bytes), None, "there is no archive");
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_attempts_own_agent_reports() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let (attempt, _) = world.start(job).await;
        ask(&world, attempt, 0, "null").of(ReportAttempt).await.refused(401, "unauthenticated", "");
        assert!(world.job(job).await.ending().is_none());
    }
}

//! `GET /v1/jobs/{job}/callbacks`: who was told of a job, and how that went.

use http::StatusCode;
use serde::Serialize;
use shared::{
    auth,
    function::{Action, Route},
    job::JobKey,
    ops::callbacks,
    service::Service,
    wire::{Problem, Reply, Request, callback::CallbackView, openapi},
};
use utoipa::ToSchema;

/// The action.
pub struct ListCallbacks;

/// The callbacks of a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallbacksView {
    /// By run, the start of each before its ending.
    callbacks: Vec<CallbackView>,
}

impl Action for ListCallbacks {
    const NAME: &'static str = "list-callbacks";
    const ROUTE: Route = Route::get("/v1/jobs/{job}/callbacks");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let key = JobKey { project: who.project, job: request.parameter("job")? };
        let (job, all) = callbacks::list(service, key).await?;
        let callbacks = all.into_iter().map(|kept| CallbackView::of(&job, kept)).collect();
        Ok(Reply::json(StatusCode::OK, &CallbacksView { callbacks }))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("List a job's callbacks")
            .text("Each is tried until the receiver takes it, for three days; every try is listed.")
            .reply::<CallbacksView>(200, "What was told, or will be.");
    }
}

#[cfg(test)]
mod tests {
    use shared::conformance::memory::{Reception, World};

    use super::ListCallbacks;

    #[tokio::test(start_paused = true)]
    async fn every_try_is_shown_and_how_the_callback_stands() {
        let world = World::new().await;
        let json = r#"{"image": "a", "callback": {"url": "https://example.com/hook"}}"#;
        let job = world.submit(json).await.id;
        let path = format!("/v1/jobs/{job}/callbacks");
        let before = world.ask(&path).of(ListCallbacks).await.expect(200).json();
        assert_eq!(before["callbacks"].as_array().map(Vec::len), Some(0));

        world.memory.outbox.receive(&[Reception::Answer(500)]);
        world.run(job, 0, &[("Stdout", "")]).await;
        world.tell().await;
        let after = world.ask(&path).of(ListCallbacks).await.expect(200).json();
        let callback = &after["callbacks"][0];
        assert_eq!(callback["id"], format!("{job}-1-finished"));
        assert_eq!(
            (&callback["state"], &callback["event"]),
            (&"pending".into(), &"finished".into())
        );
        assert!(callback["next_try_at"].as_str() > Some("2026-03-01T12:00:04Z"), "{callback}");
        let made = &callback["tries"][0];
        assert_eq!((&made["number"], &made["status"]), (&1.into(), &500.into()));
        assert_eq!(made["error"], "the receiver answered with status 500");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_ours_is_not_there() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let path = format!("/v1/jobs/{job}/callbacks");
        let theirs = world.neighbour().await.ask(&path).of(ListCallbacks).await;
        theirs.refused(404, "not_found", "");
        world.ask(&path).nameless().of(ListCallbacks).await.refused(401, "unauthenticated", "");
        let asked = world.ask(&path).query("limit", "1").of(ListCallbacks).await;
        asked.refused(400, "invalid_field", "limit");
    }
}

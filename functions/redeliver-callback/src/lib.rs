//! `POST /v1/jobs/{job}/callbacks/{callback}/redeliver`: tell a caller once
//! more, or now. The message keeps its id.

use http::StatusCode;
use shared::{
    auth,
    function::{Action, Route},
    job::JobKey,
    ops::callbacks,
    service::Service,
    wire::{Problem, Reply, Request, callback::CallbackView, openapi},
};

/// The action.
pub struct RedeliverCallback;

impl Action for RedeliverCallback {
    const NAME: &'static str = "redeliver-callback";
    const ROUTE: Route = Route::post("/v1/jobs/{job}/callbacks/{callback}/redeliver");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let key = JobKey { project: who.project, job: request.parameter("job")? };
        let id: String = request.parameter("callback")?;
        let (job, kept) = callbacks::redeliver(service, key, &id).await?;
        Ok(Reply::json(StatusCode::ACCEPTED, &CallbackView::of(&job, kept)))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Deliver a callback once more")
            .text("It is tried at once, and again by the whole schedule if that fails.")
            .reply::<CallbackView>(202, "The callback, to be tried at once.");
    }
}

#[cfg(test)]
mod tests {
    use shared::conformance::memory::World;

    use super::RedeliverCallback;

    #[tokio::test(start_paused = true)]
    async fn a_callback_that_was_delivered_is_delivered_again() {
        let world = World::new().await;
        let json = r#"{"image": "a", "callback": {"url": "https://example.com/hook"}}"#;
        let job = world.submit(json).await.id;
        let path = format!("/v1/jobs/{job}/callbacks/{job}-1-finished/redeliver");
        let early = world.ask(&path).of(RedeliverCallback).await;
        early.refused(404, "not_found", "");
        world.run(job, 0, &[("Stdout", "")]).await;
        world.tell().await;
        let asked = world.ask(&path).of(RedeliverCallback).await.expect(202).json();
        assert_eq!((&asked["state"], &asked["tries"][0]["number"]), (&"pending".into(), &1.into()));
        world.tell().await;
        assert_eq!(world.memory.outbox.told().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_ours_is_not_there() {
        let world = World::new().await;
        let json = r#"{"image": "a", "callback": {"url": "https://example.com/hook"}}"#;
        let job = world.submit(json).await.id;
        world.run(job, 0, &[("Stdout", "")]).await;
        let path = format!("/v1/jobs/{job}/callbacks/{job}-1-finished/redeliver");
        let theirs = world.neighbour().await.ask(&path).of(RedeliverCallback).await;
        theirs.refused(404, "not_found", "");
        world.ask(&path).nameless().of(RedeliverCallback).await.refused(401, "unauthenticated", "");
        let other = format!("/v1/jobs/{job}/callbacks/{job}-2-finished/redeliver");
        world.ask(&other).of(RedeliverCallback).await.refused(404, "not_found", "");
    }
}

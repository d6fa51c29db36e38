//! `GET /healthz`: a sign of life, for whoever watches over the service.
//!
//! It says that requests are answered, and nothing about what they need: who
//! watches should not have a server ended because a store is slow.

use http::{StatusCode, header};
use shared::{
    function::{Action, Route},
    service::Service,
    wire::{Body, Problem, Reply, Request},
};

/// The action.
pub struct GetHealth;

impl Action for GetHealth {
    const NAME: &'static str = "get-health";
    const ROUTE: Route = Route::get("/healthz");

    async fn handle(&self, _: &Service, _: Request) -> Result<Reply, Problem> {
        let reply = Reply::new(StatusCode::OK, Body::Bytes("ok\n".into()));
        Ok(reply.with(header::CONTENT_TYPE, "text/plain; charset=utf-8"))
    }
}

#[cfg(test)]
mod tests {
    use shared::conformance::memory::World;

    use super::GetHealth;

    #[tokio::test(start_paused = true)]
    async fn who_asks_is_told_whoever_it_is() {
        let world = World::new().await;
        let answer = world.ask("/healthz").nameless().of(GetHealth).await.expect(200);
        assert_eq!(answer.text(), "ok\n");
    }
}

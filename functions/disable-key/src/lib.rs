//! `POST /v1/keys/{key}/disable`: end an access key, and with it every token
//! that was made with it. There is no way back.

use http::StatusCode;
use shared::{
    auth,
    function::{Action, Route},
    ops::keys,
    service::Service,
    wire::{Problem, Reply, Request, openapi, views::KeyView},
};

/// The action.
pub struct DisableKey;

impl Action for DisableKey {
    const NAME: &'static str = "disable-key";
    const ROUTE: Route = Route::post("/v1/keys/{key}/disable");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let key = keys::disable(service, who.project, request.parameter("key")?).await?;
        Ok(Reply::json(StatusCode::OK, &KeyView::from(key)))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Disable an access key")
            .text("Also the one that asks: make another first.")
            .reply::<KeyView>(200, "The key, no longer good.");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use std::time::Duration;

    use shared::{conformance::memory::World, ops::keys};

    use super::DisableKey;

    #[tokio::test(start_paused = true)]
    async fn a_disabled_key_is_good_for_nothing_from_then_on() {
        let world = World::new().await;
        let made = keys::create(&world.service, world.project, None, BTreeSet::new()).await;
        let (second, _) = made.expect("it is made");
        let path = format!("/v1/keys/{}/disable", second.id);
        let first = world.ask(&path).of(DisableKey).await.expect(200).json();
        assert_eq!(first["disabled_at"], "2026-03-01T12:00:00Z");
        tokio::time::advance(Duration::from_mins(1)).await;
        assert_eq!(
            world.ask(&path).of(DisableKey).await.expect(200).json(),
            first,
            "once is enough"
        );

        let own = format!("/v1/keys/{}/disable", world.key);
        let _ = world.ask(&own).of(DisableKey).await.expect(200);
        let answer = world.ask(&own).of(DisableKey).await;
        answer.refused(401, "unauthenticated", "");
    }

    #[tokio::test(start_paused = true)]
    async fn another_projects_key_is_not_there() {
        let world = World::new().await;
        let other = world.neighbour().await;
        for key in [other.key.to_string(), "tp".into(), "x".into()] {
            let answer = world.ask(&format!("/v1/keys/{key}/disable")).of(DisableKey).await;
            answer.refused(404, "not_found", "");
        }
        let own = format!("/v1/keys/{}/disable", other.key);
        other.ask(&own).nameless().of(DisableKey).await.refused(401, "unauthenticated", "");
        let _ = other.ask(&own).of(DisableKey).await.expect(200);
    }
}

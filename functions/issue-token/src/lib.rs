//! `POST /v1/tokens`: an access token for an access key.

use http::StatusCode;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use shared::{
    auth::{self, AccessToken, TOKEN_SECONDS},
    function::{Action, Route},
    service::Service,
    wire::{Problem, Reply, Request, SMALL_BODY_BYTES, openapi, submit::within},
};
use utoipa::ToSchema;

/// The action.
pub struct IssueToken;

/// The longest that a token may be good for, in seconds.
const LONGEST: i64 = 24 * 3600;

/// What a token should be like.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// Seconds that it is good for: 60 to 86400; 12 hours without.
    expires_in: Option<i64>,
}

/// An access token.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenView {
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds that it is good for.
    expires_in: i64,
}

impl Action for IssueToken {
    const NAME: &'static str = "issue-token";
    const ROUTE: Route = Route::post("/v1/tokens");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate_key(service, &request).await?;
        request.only_query(&[])?;
        let asked: TokenRequest = request.optional_json("the body", SMALL_BODY_BYTES).await?;
        let expires_in = asked.expires_in.unwrap_or_else(|| TOKEN_SECONDS.into());
        within("expires_in", expires_in, 60, LONGEST)?;
        let expires_at = service.platform.clock.now() + SignedDuration::from_secs(expires_in);
        let token = AccessToken { key: who.key, expires_at };
        let view = TokenView {
            access_token: token.seal(&service.keyring),
            token_type: "Bearer",
            expires_in,
        };
        Ok(Reply::json(StatusCode::OK, &view).secret())
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Get an access token")
            .text("By an access key alone: Basic, with its id and secret.")
            .request::<TokenRequest>()
            .reply::<TokenView>(200, "A token that stands for the key until it expires.");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use data_encoding::BASE64;
    use shared::{auth::authenticate, conformance::memory::World, ops::keys};

    use super::*;

    /// An action that says which project asks.
    struct WhoAmI;

    impl Action for WhoAmI {
        const NAME: &'static str = "who-am-i";
        const ROUTE: Route = Route::get("/who");

        async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
            let who = authenticate(service, &request).await?;
            Ok(Reply::json(StatusCode::OK, &who.project.to_string()))
        }
    }

    async fn token(world: &World, body: &str) -> String {
        let answer = world.ask("/v1/tokens").json(body).of(IssueToken).await.expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let json = answer.json();
        assert_eq!(json["token_type"], "Bearer");
        format!("Bearer {}", json["access_token"].as_str().expect("a token"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_stands_for_its_key_until_it_expires() {
        let world = World::new().await;
        let token = token(&world, r#"{"expires_in": 60}"#).await;
        let ask = || world.ask("/who").header("authorization", &token).of(WhoAmI);
        assert_eq!(ask().await.expect(200).json(), world.project.to_string());
        tokio::time::advance(Duration::from_secs(59)).await;
        let _ = ask().await.expect(200);
        tokio::time::advance(Duration::from_secs(1)).await;
        ask().await.refused(401, "unauthenticated", "");
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_ends_with_its_key() {
        let world = World::new().await;
        let token = token(&world, "{}").await;
        keys::disable(&world.service, world.project, world.key).await.expect("it is there");
        let ask = world.ask("/who").header("authorization", &token);
        ask.of(WhoAmI).await.refused(401, "unauthenticated", "");
        world.ask("/v1/tokens").of(IssueToken).await.refused(401, "unauthenticated", "");
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_body_a_token_is_good_for_half_a_day() {
        let world = World::new().await;
        let json = world.ask("/v1/tokens").of(IssueToken).await.expect(200).json();
        assert_eq!(json["expires_in"], 43_200);
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_key_and_its_secret_get_one() {
        let world = World::new().await;
        let bearer = token(&world, "{}").await;
        let other = world.neighbour().await;
        let wrong = |id: &str, secret: &str| {
            let pair = format!("{id}:{secret}");
            format!("Basic {}", BASE64.encode(pair.as_bytes()))
        };
        let own = world.key.to_string();
        for header in [
            bearer,
            wrong(&own, "wrong"),
            wrong(&own, other.secret.reveal()),
            wrong("nobody", "x"),
            "Basic".into(),
            "Basic ???".into(),
            "Digest x".into(),
        ] {
            let ask = world.ask("/v1/tokens").header("authorization", &header);
            ask.of(IssueToken).await.refused(401, "unauthenticated", "");
        }
        let answer = world.ask("/v1/tokens").nameless().of(IssueToken).await;
        answer.refused(401, "unauthenticated", "");
        assert!(answer.header("www-authenticate").is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_body_is_refused_with_its_field() {
        let world = World::new().await;
        for (body, field) in [
            (r#"{"expires_in": 59}"#, "expires_in"),
            (r#"{"expires_in": 86401}"#, "expires_in"),
            (r#"{"expires_in": "1h"}"#, "expires_in"),
            (r#"{"scope": "all"}"#, "scope"),
        ] {
            let answer = world.ask("/v1/tokens").json(body).of(IssueToken).await;
            answer.refused(400, "invalid_field", field);
        }
        let answer = world.ask("/v1/tokens").json("[]").of(IssueToken).await;
        answer.refused(400, "malformed_body", "");
    }
}

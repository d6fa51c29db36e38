//! `POST /v1/keys`: make an access key. Its secret is shown this once.

use std::collections::BTreeSet;

use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::{
    auth::{self, APIS},
    function::{Action, Route},
    ops::keys,
    service::Service,
    wire::{Problem, Reply, Request, SMALL_BODY_BYTES, openapi, submit::check_text},
};
use utoipa::ToSchema;

/// The action.
pub struct CreateKey;

/// What a key should be like.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// What you call it; up to 128 characters.
    note: Option<String>,
    /// The APIs that it is good for: `native`, and the names of dialects; all
    /// without.
    #[serde(default)]
    apis: BTreeSet<String>,
}

/// A new access key.
#[derive(Serialize, ToSchema)]
pub struct NewKeyView {
    /// The public half.
    access_key_id: String,
    /// The secret half, shown this once.
    secret_access_key: String,
    /// What you call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// The APIs that it is limited to; all without.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    apis: BTreeSet<String>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl Action for CreateKey {
    const NAME: &'static str = "create-key";
    const ROUTE: Route = Route::post("/v1/keys");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let asked: KeyRequest = request.optional_json("the body", SMALL_BODY_BYTES).await?;
        if let Some(note) = &asked.note {
            check_text("note", note, 128)?;
        }
        if let Some(unknown) = asked.apis.iter().find(|api| !APIS.contains(&api.as_str())) {
            let rule = format!("no such API: `{unknown}`; there are {}", APIS.join(", "));
            return Err(Problem::invalid("apis", rule));
        }
        let (key, secret) = keys::create(service, who.project, asked.note, asked.apis).await?;
        let view = NewKeyView {
            access_key_id: key.id.to_string(),
            secret_access_key: secret.reveal().to_owned(),
            note: key.note,
            apis: key.apis,
            created_at: key.created_at,
        };
        Ok(Reply::json(StatusCode::CREATED, &view).secret())
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Make an access key")
            .request::<KeyRequest>()
            .reply::<NewKeyView>(201, "The key, with its secret.");
    }
}

#[cfg(test)]
mod tests {
    use data_encoding::BASE64;
    use shared::conformance::memory::World;

    use super::CreateKey;

    #[tokio::test(start_paused = true)]
    async fn a_key_that_was_made_is_as_good_as_the_first() {
        let world = World::new().await;
        let ask = world.ask("/v1/keys").json(r#"{"note": "laptop"}"#);
        let answer = ask.of(CreateKey).await.expect(201);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let key = answer.json();
        assert_eq!(key["note"], "laptop");
        assert_eq!(key["created_at"], "2026-03-01T12:00:00Z");
        let text = |name: &str| key[name].as_str().expect("text").to_owned();
        let pair = format!("{}:{}", text("access_key_id"), text("secret_access_key"));
        let basic = format!("Basic {}", BASE64.encode(pair.as_bytes()));
        let by_it = world.ask("/v1/keys").header("authorization", &basic).of(CreateKey).await;
        let _ = by_it.expect(201);
        let rows = world.memory.table.rows();
        let secret = text("secret_access_key");
        assert!(!rows.iter().any(|row| String::from_utf8_lossy(&row.body).contains(&secret)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_limited_to_other_apis_is_refused_here() {
        let world = World::new().await;
        for (apis, status) in [(r#"["ucloud-ugc"]"#, 403), (r#"["ucloud-ugc", "native"]"#, 201)] {
            let ask = world.ask("/v1/keys").json(format!(r#"{{"apis": {apis}}}"#));
            let key = ask.of(CreateKey).await.expect(201).json();
            let text = |name: &str| key[name].as_str().expect("text").to_owned();
            let pair = format!("{}:{}", text("access_key_id"), text("secret_access_key"));
            let basic = format!("Basic {}", BASE64.encode(pair.as_bytes()));
            let by_it = world.ask("/v1/keys").header("authorization", &basic).of(CreateKey).await;
            let _ = by_it.expect(status);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_request_is_refused_with_its_field() {
        let world = World::new().await;
        let long = format!(r#"{{"note": "{}"}}"#, "x".repeat(129));
        for (body, field) in [
            (long.as_str(), "note"),
            (r#"{"note": ""}"#, "note"),
            (r#"{"name": "x"}"#, "name"),
            (r#"{"apis": ["native", "x"]}"#, "apis"),
        ] {
            let answer = world.ask("/v1/keys").json(body).of(CreateKey).await;
            answer.refused(400, "invalid_field", field);
        }
        let answer = world.ask("/v1/keys").nameless().of(CreateKey).await;
        answer.refused(401, "unauthenticated", "");
    }
}

//! `POST /v1/uploads`: a place to upload to, for inputs that are too large to
//! go into a request.

use std::collections::BTreeMap;

use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::{
    auth,
    function::{Action, Route},
    ops::objects::{self, NewUpload},
    service::Service,
    wire::{
        Problem, Reply, Request, SMALL_BODY_BYTES, openapi,
        submit::{parse_object, within},
    },
};
use utoipa::ToSchema;

/// The action.
pub struct CreateUpload;

/// The most that one PUT may carry, on every platform.
const MOST_BYTES: i64 = 5 << 30;

/// What is to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UploadRequest {
    /// Where it goes, `bucket/key`. Without, to a place of its own, whose id
    /// a job names as a source.
    object: Option<String>,
    /// Its exact length, where that is known.
    bytes: Option<i64>,
}

/// Where to upload to: one PUT.
#[derive(Debug, Serialize, ToSchema)]
pub struct UploadView {
    /// What a job names as its source.
    #[serde(skip_serializing_if = "Option::is_none")]
    upload_id: Option<String>,
    /// Where it goes, as it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    /// Absolute, or a path on this service.
    url: String,
    /// Headers that the PUT must carry.
    headers: BTreeMap<String, String>,
    /// Until when the URL is good.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl Action for CreateUpload {
    const NAME: &'static str = "create-upload";
    const ROUTE: Route = Route::post("/v1/uploads");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let asked: UploadRequest = request.optional_json("the body", SMALL_BODY_BYTES).await?;
        let target =
            asked.object.as_deref().map(|name| parse_object("object", name)).transpose()?;
        let length = asked.bytes.map(length).transpose()?;
        let NewUpload { id, url, expires_at } =
            objects::create_upload(service, who.project, target, length).await?;
        let view = UploadView {
            upload_id: id,
            object: asked.object,
            url: url.url,
            headers: url.headers.into_iter().collect(),
            expires_at,
        };
        Ok(Reply::json(StatusCode::CREATED, &view).secret())
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Get a place to upload to")
            .request::<UploadRequest>()
            .reply::<UploadView>(201, "A URL that takes one PUT and no further credential.");
    }
}

fn length(bytes: i64) -> Result<u64, Problem> {
    within("bytes", bytes, 0, MOST_BYTES)?;
    u64::try_from(bytes).map_err(|error| Problem::invalid("bytes", error.to_string()))
}

#[cfg(test)]
mod tests {
    use shared::{
        conformance::memory::World,
        platform::{Grant, GrantMethod},
    };

    use super::CreateUpload;

    #[tokio::test(start_paused = true)]
    async fn an_upload_is_a_url_for_one_put_of_what_was_said() {
        let world = World::new().await;
        let ask = world.ask("/v1/uploads").json(r#"{"object": "data/in/a.bin", "bytes": 12}"#);
        let view = ask.of(CreateUpload).await.expect(201).json();
        assert_eq!(view["object"], "data/in/a.bin");
        assert!(view.get("upload_id").is_none());
        let url = view["url"].as_str().expect("a URL");
        let Grant { method, key, expires_at } = world.memory.objects.granted(url).expect("good");
        assert_eq!(method, GrantMethod::Put { if_absent: false, length: Some(12) });
        assert_eq!(key.as_str(), format!("{}/user/data/in/a.bin", world.project));
        assert_eq!(view["expires_at"], expires_at.to_string());
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_name_an_upload_has_an_id() {
        let world = World::new().await;
        let mut ids = Vec::new();
        for ask in [world.ask("/v1/uploads"), world.ask("/v1/uploads").json("{}")] {
            let view = ask.of(CreateUpload).await.expect(201).json();
            let id = view["upload_id"].as_str().expect("an id").to_owned();
            let url = view["url"].as_str().expect("a URL");
            let grant = world.memory.objects.granted(url).expect("good");
            assert_eq!(grant.key.as_str(), format!("{}/upload/{id}", world.project));
            ids.push(id);
        }
        assert_ne!(ids[0], ids[1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_body_is_refused_with_its_field() {
        let world = World::new().await;
        for (body, field) in [
            (r#"{"object": "nokey"}"#, "object"),
            (r#"{"object": "b/"}"#, "object"),
            (r#"{"object": "/k"}"#, "object"),
            (r#"{"object": "b b/k"}"#, "object"),
            (r#"{"bytes": -1}"#, "bytes"),
            (r#"{"bytes": 5368709121}"#, "bytes"),
            (r#"{"bytes": 1.5}"#, "bytes"),
            (r#"{"size": 1}"#, "size"),
        ] {
            let answer = world.ask("/v1/uploads").json(body).of(CreateUpload).await;
            answer.refused(400, "invalid_field", field);
        }
        let answer = world.ask("/v1/uploads").nameless().of(CreateUpload).await;
        answer.refused(401, "unauthenticated", "");
    }
}

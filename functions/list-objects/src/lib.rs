//! `GET /v1/objects/{bucket}`: the objects of a bucket, in the order of their
//! keys, a page at a time.

use http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    auth,
    function::{Action, Route},
    job::Name,
    ops::objects,
    platform::ObjectInfo,
    service::Service,
    wire::{Cursor, Problem, Reply, Request, openapi},
};
use utoipa::ToSchema;

/// The action.
pub struct ListObjects;

/// The longest prefix: a key's longest length.
const PREFIX_BYTES: usize = 900;

/// A page of objects.
#[derive(Debug, Serialize, ToSchema)]
pub struct ObjectsView {
    /// The objects, in the bytewise order of their keys.
    objects: Vec<ObjectView>,
    /// For the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// What is known of an object.
#[derive(Debug, Serialize, ToSchema)]
pub struct ObjectView {
    /// Its name in the bucket.
    key: String,
    /// Bytes.
    size: u64,
    /// Changes with the bytes.
    etag: String,
    /// Its media type, if it was given one.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// When it was written.
    #[schema(value_type = String, format = DateTime)]
    modified_at: Timestamp,
}

impl Action for ListObjects {
    const NAME: &'static str = "list-objects";
    const ROUTE: Route = Route::get("/v1/objects/{bucket}");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&["prefix", "limit", "cursor"])?;
        let bucket: Name = request.parameter("bucket")?;
        let limit = request.limit(100, 1_000)?;
        let prefix = request.query("prefix").unwrap_or_default();
        if prefix.len() > PREFIX_BYTES {
            let rule = format!("it is longer than {PREFIX_BYTES} bytes");
            return Err(Problem::invalid("prefix", rule));
        }
        // A cursor is a place in one listing: of this bucket and this prefix.
        let listing = format!("objects:{bucket}:{prefix}");
        let open = |text: &str| Cursor::open(text, &service.keyring, who.project, &listing);
        let cursor = request.query("cursor").map(open).transpose()?.map(|Cursor(text)| text);
        let (found, next) =
            objects::list(service, who.project, &bucket, prefix, cursor.as_deref(), limit).await?;
        let view = ObjectsView {
            objects: found.into_iter().map(view).collect(),
            next: next.map(|next| Cursor(next).seal(&service.keyring, who.project, &listing)),
        };
        Ok(Reply::json(StatusCode::OK, &view))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("List the objects of a bucket")
            .query("prefix", "Only keys that start with this.")
            .query("limit", "Objects of a page: 1 to 1000; 100 without.")
            .query("cursor", "The `next` of the page before.")
            .reply::<ObjectsView>(200, "A page of objects.");
    }
}

fn view((key, info): (String, ObjectInfo)) -> ObjectView {
    let ObjectInfo { size, etag, content_type, modified_at, .. } = info;
    ObjectView { key, size, etag, content_type, modified_at }
}

#[cfg(test)]
mod tests {
    use shared::{
        conformance::memory::World,
        platform::{ObjectKey, Objects, Put, one_chunk},
    };

    use super::ListObjects;

    async fn fill(world: &World, bucket: &str, keys: &[&str]) {
        let bucket = bucket.parse().expect("a name");
        for key in keys {
            let key = ObjectKey::user(world.project, &bucket, key);
            let put = Put { content_type: Some("text/plain".into()), ..Put::default() };
            world.memory.objects.put(&key, one_chunk("text"), put).await.expect("it is stored");
        }
    }

    async fn keys(world: &World, query: &str) -> Vec<String> {
        let mut keys = Vec::new();
        let mut ask = world.ask(&format!("/v1/objects/data?{query}"));
        loop {
            let page = ask.of(ListObjects).await.expect(200).json();
            let objects = page["objects"].as_array().expect("an array");
            keys.extend(objects.iter().filter_map(|o| o["key"].as_str().map(str::to_owned)));
            let Some(next) = page["next"].as_str() else { return keys };
            ask = world.ask(&format!("/v1/objects/data?{query}")).query("cursor", next);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keys_come_in_order_and_in_whole_pages() {
        let world = World::new().await;
        let all = ["a", "a/1", "a/2", "b", "c/d/e", "ä"];
        fill(&world, "data", &all).await;
        fill(&world, "data2", &["other"]).await;
        fill(&world.neighbour().await, "data", &["theirs"]).await;
        for query in ["", "limit=1", "limit=2", "limit=6", "limit=1000"] {
            assert_eq!(keys(&world, query).await, all, "{query}");
        }
        assert_eq!(keys(&world, "prefix=a/&limit=1").await, ["a/1", "a/2"]);
        assert_eq!(keys(&world, "prefix=x").await, Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_is_listed_with_what_is_known_of_it() {
        let world = World::new().await;
        fill(&world, "data", &["a"]).await;
        let page = world.ask("/v1/objects/data").of(ListObjects).await.expect(200).json();
        let object = &page["objects"][0];
        assert_eq!((&object["key"], &object["size"]), (&"a".into(), &4.into()));
        assert_eq!(object["content_type"], "text/plain");
        assert_eq!(object["modified_at"], "2026-03-01T12:00:00Z");
        assert!(object["etag"].is_string());
    }

    #[tokio::test(start_paused = true)]
    async fn a_cursor_is_good_for_its_own_listing_alone() {
        let world = World::new().await;
        fill(&world, "data", &["a", "b", "c"]).await;
        let page = world.ask("/v1/objects/data?limit=1").of(ListObjects).await.json();
        let next = page["next"].as_str().expect("a next page");
        let other = world.neighbour().await;
        for ask in [
            other.ask("/v1/objects/data"),
            world.ask("/v1/objects/data2"),
            world.ask("/v1/objects/data?prefix=b"),
        ] {
            let answer = ask.query("cursor", next).of(ListObjects).await;
            answer.refused(400, "invalid_field", "cursor");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_query_is_refused_with_its_field() {
        let world = World::new().await;
        let long = format!("prefix={}", "x".repeat(901));
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("delimiter=/", "delimiter"),
            (&long, "prefix"),
        ] {
            let answer = world.ask(&format!("/v1/objects/data?{query}")).of(ListObjects).await;
            answer.refused(400, "invalid_field", field);
        }
        world.ask("/v1/objects/b b").of(ListObjects).await.refused(404, "not_found", "");
        let answer = world.ask("/v1/objects/data").nameless().of(ListObjects).await;
        answer.refused(401, "unauthenticated", "");
    }
}

//! `GET /v1/objects/{bucket}/{key}`: one object, or a range of it.

use shared::{
    auth,
    function::{Action, Route},
    ops::objects,
    service::Service,
    wire::{Problem, RangeAsked, Reply, Request, openapi},
};

/// The action.
pub struct GetObject;

impl Action for GetObject {
    const NAME: &'static str = "get-object";
    const ROUTE: Route = Route::get("/v1/objects/{bucket}/{*key}");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let (bucket, key) = request.object()?;
        let object = objects::find(service, who.project, &bucket, &key).await?;
        let ranged = RangeAsked::of(&request).within(object.size(), &object.etag)?;
        let body = object.read(service, ranged.part.clone()).await?;
        let media_type = object.content_type.as_deref().unwrap_or("application/octet-stream");
        Ok(ranged.reply(body, &object.etag, media_type))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Get an object")
            .bytes(200, "application/octet-stream", "Its bytes, of the type that it was given.")
            .bytes(206, "application/octet-stream", "The range that was asked for.");
    }
}

#[cfg(test)]
mod tests {
    use shared::{
        conformance::memory::World,
        platform::{ObjectKey, Objects, Put, one_chunk},
    };

    use super::GetObject;

    async fn put(world: &World, key: &str, text: &'static str, content_type: Option<&str>) {
        let bucket = "data".parse().expect("a name");
        let key = ObjectKey::user(world.project, &bucket, key);
        let put = Put { content_type: content_type.map(str::to_owned), ..Put::default() };
        world.memory.objects.put(&key, one_chunk(text), put).await.expect("it is stored");
    }

    #[tokio::test(start_paused = true)]
    async fn an_object_is_served_as_what_it_is() {
        let world = World::new().await;
        put(&world, "in/ä b.txt", "0123456789", Some("text/plain")).await;
        put(&world, "raw", "", None).await;

        let answer = world.ask("/v1/objects/data/in/ä b.txt").of(GetObject).await.expect(200);
        assert_eq!(answer.text(), "0123456789");
        assert_eq!(answer.header("content-type"), Some("text/plain"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        let raw = world.ask("/v1/objects/data/raw").of(GetObject).await.expect(200);
        assert_eq!(raw.text(), "");
        assert_eq!(raw.header("content-type"), Some("application/octet-stream"));
        assert_ne!(raw.header("etag"), answer.header("etag"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_range_of_an_object_can_be_had() {
        let world = World::new().await;
        put(&world, "a", "0123456789", None).await;
        let ask =
            |range: &str| world.ask("/v1/objects/data/a").header("range", range).of(GetObject);
        let answer = ask("bytes=2-4").await.expect(206);
        assert_eq!(answer.text(), "234");
        assert_eq!(answer.header("content-range"), Some("bytes 2-4/10"));
        assert_eq!(ask("bytes=8-").await.expect(206).text(), "89");
        assert_eq!(ask("bytes=-1").await.expect(206).text(), "9");
        assert_eq!(ask("bytes=0-1,3-4").await.expect(200).text(), "0123456789");
        ask("bytes=10-").await.refused(416, "out_of_range", "");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_ours_is_not_there() {
        let world = World::new().await;
        put(&world, "a", "x", None).await;
        let path = "/v1/objects/data/a";
        world.neighbour().await.ask(path).of(GetObject).await.refused(404, "not_found", "");
        for other in ["/v1/objects/data/b", "/v1/objects/other/a", "/v1/objects/b b/a"] {
            world.ask(other).of(GetObject).await.refused(404, "not_found", "");
        }
        world.ask(path).query("part", "1").of(GetObject).await.refused(
            400,
            "invalid_field",
            "part",
        );
        world.ask(path).nameless().of(GetObject).await.refused(401, "unauthenticated", "");
    }
}

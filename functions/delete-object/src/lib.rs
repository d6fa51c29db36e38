//! `DELETE /v1/objects/{bucket}/{key}`: remove an object. One that is not
//! there is fine.

use shared::{
    auth,
    function::{Action, Route},
    ops::objects,
    service::Service,
    wire::{Problem, Reply, Request, openapi},
};

/// The action.
pub struct DeleteObject;

impl Action for DeleteObject {
    const NAME: &'static str = "delete-object";
    const ROUTE: Route = Route::delete("/v1/objects/{bucket}/{*key}");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let (bucket, key) = request.object()?;
        objects::delete(service, who.project, &bucket, &key).await?;
        Ok(Reply::no_content())
    }

    fn describe(describe: &mut openapi::Describe) {
        describe.summary("Delete an object").bytes(204, "", "There is no such object now.");
    }
}

#[cfg(test)]
mod tests {
    use shared::{
        conformance::memory::World,
        platform::{ObjectKey, Objects, Put, one_chunk},
    };

    use super::DeleteObject;

    #[tokio::test(start_paused = true)]
    async fn an_object_is_removed_once_and_for_all() {
        let world = World::new().await;
        let bucket = "data".parse().expect("a name");
        for key in ["a/b", "a"] {
            let key = ObjectKey::user(world.project, &bucket, key);
            let put = world.memory.objects.put(&key, one_chunk("x"), Put::default()).await;
            put.expect("it is stored");
        }
        let path = "/v1/objects/data/a/b";

        let theirs = world.neighbour().await.ask(path).of(DeleteObject).await;
        let _ = theirs.expect(204);
        assert_eq!(world.memory.objects.names().len(), 2, "another project's is not touched");

        for _ in 0..2 {
            let _ = world.ask(path).of(DeleteObject).await.expect(204);
            assert_eq!(world.memory.objects.names(), [format!("{}/user/data/a", world.project)]);
        }
        world.ask(path).nameless().of(DeleteObject).await.refused(401, "unauthenticated", "");
    }
}

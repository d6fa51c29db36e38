//! `DELETE /v1/images/{image}`: forget a registered image. Jobs that were
//! submitted with it keep what it stood for.

use shared::{
    auth,
    function::{Action, Route},
    ops::images,
    service::Service,
    wire::{Problem, Reply, Request, openapi},
};

/// The action.
pub struct DeleteImage;

impl Action for DeleteImage {
    const NAME: &'static str = "delete-image";
    const ROUTE: Route = Route::delete("/v1/images/{image}");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let name = request.parameter("image")?;
        images::delete(service, who.project, &name).await?;
        Ok(Reply::no_content())
    }

    fn describe(describe: &mut openapi::Describe) {
        describe.summary("Forget a registered image").bytes(204, "", "The name is free.");
    }
}

#[cfg(test)]
mod tests {
    use shared::{conformance::memory::World, ops::images};

    use super::DeleteImage;

    #[tokio::test(start_paused = true)]
    async fn an_image_is_forgotten_by_its_own_project_alone() {
        let world = World::new().await;
        let (name, reference) = ("i".parse().expect("a name"), "t:1".parse().expect("an image"));
        let put = images::put(&world.service, world.project, name, reference, None).await;
        put.expect("it is registered");

        let theirs = world.neighbour().await.ask("/v1/images/i").of(DeleteImage).await;
        theirs.refused(404, "not_found", "");
        let nobodys = world.ask("/v1/images/i").nameless().of(DeleteImage).await;
        nobodys.refused(401, "unauthenticated", "");
        let _ = world.ask("/v1/images/i").of(DeleteImage).await.expect(204);
        for name in ["i", "-", "a b"] {
            let answer = world.ask(&format!("/v1/images/{name}")).of(DeleteImage).await;
            answer.refused(404, "not_found", "");
        }
    }
}

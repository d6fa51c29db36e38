//! `GET /v1/images`: the registered images of a project, by name.

use http::StatusCode;
use serde::Serialize;
use shared::{
    auth,
    function::{Action, Route},
    ops::images,
    service::Service,
    wire::{Problem, Reply, Request, openapi, views::ImageView},
};
use utoipa::ToSchema;

/// The action.
pub struct ListImages;

/// Every registered image of a project.
#[derive(Debug, Serialize, ToSchema)]
pub struct ImagesView {
    /// In the order of their names.
    images: Vec<ImageView>,
}

impl Action for ListImages {
    const NAME: &'static str = "list-images";
    const ROUTE: Route = Route::get("/v1/images");

    async fn handle(&self, service: &Service, request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let images = images::list(service, who.project).await?;
        let images = images.into_iter().map(ImageView::from).collect();
        Ok(Reply::json(StatusCode::OK, &ImagesView { images }))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("List registered images")
            .reply::<ImagesView>(200, "Every registered image of the project.");
    }
}

#[cfg(test)]
mod tests {
    use shared::{auth::Secret, conformance::memory::World, ops::images};

    use super::ListImages;

    #[tokio::test(start_paused = true)]
    async fn images_are_listed_by_name_and_without_their_passwords() {
        let world = World::new().await;
        for name in ["b", "a"] {
            let credentials = Some(("u".to_owned(), Secret::new("hunter2")));
            let (name, reference) =
                (name.parse().expect("a name"), "t:1".parse().expect("an image"));
            let put = images::put(&world.service, world.project, name, reference, credentials);
            put.await.expect("it is registered");
        }
        let answer = world.ask("/v1/images").of(ListImages).await.expect(200);
        let view = answer.json();
        assert_eq!(
            (&view["images"][0]["name"], &view["images"][1]["name"]),
            (&"a".into(), &"b".into())
        );
        assert!(!answer.text().contains("hunter2") && !answer.text().contains("password"));
        let theirs = world.neighbour().await.ask("/v1/images").of(ListImages).await.expect(200);
        assert_eq!(theirs.text(), r#"{"images":[]}"#);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_understood_is_refused() {
        let world = World::new().await;
        let answer = world.ask("/v1/images?limit=1").of(ListImages).await;
        answer.refused(400, "invalid_field", "limit");
        let answer = world.ask("/v1/images").nameless().of(ListImages).await;
        answer.refused(401, "unauthenticated", "");
    }
}

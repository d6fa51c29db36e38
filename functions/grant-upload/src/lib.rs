//! `POST /v1/attempts/{attempt}/upload`: tell an agent where its archive may
//! go: once, and of the length that it says.

use http::StatusCode;
use shared::{
    agent::UploadRequest,
    auth,
    function::{Action, Route},
    ops::attempts,
    service::Service,
    wire::{Problem, Reply, Request, SMALL_BODY_BYTES},
};

/// The action.
pub struct GrantUpload;

impl Action for GrantUpload {
    const NAME: &'static str = "grant-upload";
    const ROUTE: Route = Route::post("/v1/attempts/{attempt}/upload");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let attempt = auth::attempt_of(service, &request)?;
        let asked: UploadRequest = request.json("the body", SMALL_BODY_BYTES).await?;
        let upload = attempts::grant_upload(service, attempt, &asked).await?;
        Ok(Reply::json(StatusCode::OK, &upload).secret())
    }
}

#[cfg(test)]
mod tests {
    use shared::{conformance::memory::World, platform::GrantMethod};

    use super::GrantUpload;

    #[tokio::test(start_paused = true)]
    async fn the_archive_may_be_put_once_in_its_exact_length() {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a"}"#).await.id;
        let (attempt, _) = world.start(job).await;
        let path = format!("/v1/attempts/{}/upload", attempt.attempt);
        let json = r#"{"bytes": 1024, "exit": {"code": 0}}"#;
        let ask = || world.ask(&path).json(json);

        let token = world.bearer(attempt);
        let upload = ask().header("authorization", &token).of(GrantUpload).await.expect(200).json();
        let url = upload["url"].as_str().expect("a URL");
        let grant = world.memory.objects.granted(url).expect("a URL that is good");
        assert_eq!(grant.method, GrantMethod::Put { if_absent: true, length: Some(1_024) });
        let name = format!("{}/job/{job}/{}.tar", world.project, attempt.attempt);
        assert_eq!(grant.key.as_str(), name);

        ask().of(GrantUpload).await.refused(401, "unauthenticated", "");
    }
}

//! `POST /v1/attempts/{attempt}/upload`: tell an agent where its archive may
//! go: once, and of the length that it says. Or an output that its task's spec
//! makes an object.

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
    use shared::{
        conformance::memory::World,
        ops::rows,
        platform::{Expect, GrantMethod, Op, Table},
    };

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

    const TO_OBJECTS: &str = r#"{"image": "a", "stdout_to": "logs/{instance}.txt", "outputs":
        ["/kept", {"path": "/one", "to": "b/k"}, {"path": "/many", "to": "b/in/"}]}"#;

    #[tokio::test(start_paused = true)]
    async fn an_object_may_be_put_where_the_spec_says() {
        let world = World::new().await;
        let job = world.submit(TO_OBJECTS).await.id;
        let (attempt, plan) = world.start(job).await;
        let path = format!("/v1/attempts/{}/upload", attempt.attempt);
        let token = world.bearer(attempt);
        let ask = |object: &str| {
            let json = format!(r#"{{"bytes": 7, "exit": null, "object": {object}}}"#);
            world.ask(&path).json(json).header("authorization", &token)
        };
        let planned: Vec<_> = plan.objects.iter().map(|object| object.many).collect();
        assert_eq!(planned, [false, true, false]);

        for (object, name) in [
            (r#"{"of": {"stream": "stdout"}}"#, "logs/0.txt"),
            (r#"{"of": {"output": 1}}"#, "b/k"),
            (r#"{"of": {"output": 2}, "path": "x/y.csv"}"#, "b/in/x/y.csv"),
        ] {
            let upload = ask(object).of(GrantUpload).await.expect(200).json();
            let url = upload["url"].as_str().expect("a URL");
            let grant = world.memory.objects.granted(url).expect("a URL that is good");
            assert_eq!(grant.method, GrantMethod::Put { if_absent: false, length: Some(7) });
            assert_eq!(grant.key.as_str(), format!("{}/user/{name}", world.project));
        }
        for (object, field) in [
            (r#"{"of": {"stream": "stderr"}}"#, "object.of"),
            (r#"{"of": {"output": 0}}"#, "object.of"),
            (r#"{"of": {"output": 9}}"#, "object.of"),
            (r#"{"of": {"output": 1}, "path": "x"}"#, "object.path"),
            (r#"{"of": {"output": 2}, "path": "../x"}"#, "object.path"),
            (r#"{"of": {"output": 2}}"#, "object.path"),
        ] {
            ask(object).of(GrantUpload).await.refused(400, "invalid_field", field);
        }
        let much = r#"{"bytes": 9999999999, "exit": null, "object": {"of": {"output": 1}}}"#;
        let much = world.ask(&path).json(much).header("authorization", &token);
        much.of(GrantUpload).await.refused(413, "too_large", "");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_that_has_ended_puts_no_more_objects() {
        let world = World::new().await;
        let job = world.submit(TO_OBJECTS).await.id;
        let (attempt, _) = world.start(job).await;
        world.finish(attempt, 0, &[]).await;
        let path = format!("/v1/attempts/{}/upload", attempt.attempt);
        let json = r#"{"bytes": 7, "exit": null, "object": {"of": {"output": 1}}}"#;
        let late = world.ask(&path).json(json).header("authorization", &world.bearer(attempt));
        late.of(GrantUpload).await.refused(409, "superseded", "");
    }

    #[tokio::test(start_paused = true)]
    async fn an_attempt_puts_no_more_objects_than_it_may() {
        let world = World::new().await;
        let job = world.submit(TO_OBJECTS).await.id;
        let (attempt, _) = world.start(job).await;
        let path = format!("/v1/attempts/{}/upload", attempt.attempt);
        let token = world.bearer(attempt);
        let ask = |object: &str| {
            let json = format!(r#"{{"bytes": 7, "exit": null, "object": {object}}}"#);
            world.ask(&path).json(json).header("authorization", &token).of(GrantUpload)
        };
        let (one, many) = (r#"{"of": {"output": 1}}"#, r#"{"of": {"output": 2}, "path": "x"}"#);
        let _ = ask(many).await.expect(200);

        // As many as there may be, and each asked for twice, but for one.
        let key = rows::granted(attempt.attempt);
        let row = world.memory.table.get(&key).await.unwrap().unwrap();
        let mut granted: serde_json::Value = rows::read(&row).unwrap();
        assert_eq!(granted["count"], 1);
        granted["count"] = 19_999.into();
        let put = Op::Put(key, Expect::Anything, rows::plain(&granted));
        world.memory.table.commit(vec![put]).await.unwrap();

        let _ = ask(many).await.expect(200);
        ask(many).await.refused(409, "too_many_objects", "");
        let _ = ask(one).await.expect(200);
    }
}

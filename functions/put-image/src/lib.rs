//! `PUT /v1/images/{image}`: register an image under a name, with what its
//! registry asks for.

use http::StatusCode;
use serde::Deserialize;
use shared::{
    auth::{self, Secret},
    function::{Action, Route},
    job::ImageReference,
    ops::images,
    service::Service,
    wire::{
        Problem, Reply, Request, SMALL_BODY_BYTES, openapi,
        submit::{check_text, parse_name},
        views::ImageView,
    },
};
use utoipa::ToSchema;

/// The action.
pub struct PutImage;

/// The longest password: a registry's token may be long.
const PASSWORD_BYTES: usize = 16 << 10;

/// An image to be registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageRequest {
    /// What the name stands for: `[host/]path[:tag][@digest]`.
    reference: String,
    /// The registry's user; with `password` or not at all.
    username: Option<String>,
    /// The password or token. Kept sealed, and never shown.
    password: Option<String>,
}

impl Action for PutImage {
    const NAME: &'static str = "put-image";
    const ROUTE: Route = Route::put("/v1/images/{image}");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        // A name that is to be made is told what is wrong with it.
        let name: String = request.parameter("image")?;
        let name = parse_name("image", &name)?;
        let asked: ImageRequest = request.json("the body", SMALL_BODY_BYTES).await?;
        let reference: ImageReference = asked
            .reference
            .parse()
            .map_err(|error| Problem::invalid("reference", format!("{error}")))?;
        let credentials = credentials(asked.username, asked.password)?;
        let image = images::put(service, who.project, name, reference, credentials).await?;
        Ok(Reply::json(StatusCode::OK, &ImageView::from(image)))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Register an image")
            .text(
                "A job may name the image by its name here. What the name stood for before is \
                 replaced, credentials included.",
            )
            .request::<ImageRequest>()
            .reply::<ImageView>(200, "The image, registered.");
    }
}

fn credentials(
    username: Option<String>,
    password: Option<String>,
) -> Result<Option<(String, Secret)>, Problem> {
    match (username, password) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(Problem::invalid("password", "a username has one")),
        (None, Some(_)) => Err(Problem::invalid("username", "a password has one")),
        (Some(username), Some(password)) => {
            check_text("username", &username, 255)?;
            if username.contains(':') {
                return Err(Problem::invalid("username", "it contains `:`, which none can"));
            }
            if password.is_empty() || password.len() > PASSWORD_BYTES {
                let rule = format!("it is 1 to {PASSWORD_BYTES} bytes");
                return Err(Problem::invalid("password", rule));
            }
            Ok(Some((username, Secret::new(password))))
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::conformance::memory::World;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_image_is_registered_and_its_password_never_shown() {
        let world = World::new().await;
        let body = r#"{"reference": "denied/tool:1", "username": "u", "password": "hunter2"}"#;
        let answer = world.ask("/v1/images/img-1").json(body).of(PutImage).await.expect(200);
        let view = answer.json();
        assert_eq!((&view["name"], &view["username"]), (&"img-1".into(), &"u".into()));
        assert_eq!(view["reference"], "denied/tool:1");
        assert_eq!(view["updated_at"], "2026-03-01T12:00:00Z");
        assert!(!answer.text().contains("hunter2"));
        let rows = world.memory.table.rows();
        let plain = rows.iter().any(|row| String::from_utf8_lossy(&row.body).contains("hunter2"));
        assert!(!plain, "the password is kept sealed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_that_names_the_image_runs_what_it_stands_for() {
        let world = World::new().await;
        let body = r#"{"reference": "denied/tool:1", "username": "u", "password": "p"}"#;
        let _ = world.ask("/v1/images/img-1").json(body).of(PutImage).await.expect(200);
        let job = world.submit(r#"{"image": "img-1"}"#).await.id;
        let (attempt, _) = world.start(job).await;
        let launched = world.memory.runtime.launched();
        assert_eq!(launched[0].attempt, attempt);
        assert!(launched[0].image.digest.starts_with("denied/tool:1@sha256:"));

        // Put again without credentials, it has none.
        let body = r#"{"reference": "denied/tool:1"}"#;
        let _ = world.ask("/v1/images/img-1").json(body).of(PutImage).await.expect(200);
        let job = world.submit(r#"{"image": "img-1"}"#).await.id;
        world.settle().await;
        assert!(world.job(job).await.ending().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_request_is_refused_with_its_field() {
        let world = World::new().await;
        let long = format!(
            r#"{{"reference": "a", "username": "u", "password": "{}"}}"#,
            "x".repeat(PASSWORD_BYTES + 1)
        );
        for (body, field) in [
            (r"{}", "reference"),
            (r#"{"reference": "Not/An/Image"}"#, "reference"),
            (r#"{"reference": "a", "username": "u"}"#, "password"),
            (r#"{"reference": "a", "password": "p"}"#, "username"),
            (r#"{"reference": "a", "username": "", "password": "p"}"#, "username"),
            (r#"{"reference": "a", "username": "u:v", "password": "p"}"#, "username"),
            (r#"{"reference": "a", "username": "u", "password": ""}"#, "password"),
            (long.as_str(), "password"),
            (r#"{"reference": "a", "tag": "x"}"#, "tag"),
        ] {
            let answer = world.ask("/v1/images/i").json(body).of(PutImage).await;
            answer.refused(400, "invalid_field", field);
        }
        let body = r#"{"reference": "a"}"#;
        let answer = world.ask("/v1/images/-").json(body).of(PutImage).await;
        answer.refused(400, "invalid_field", "image");
        let answer = world.ask("/v1/images/i").of(PutImage).await;
        answer.refused(400, "malformed_body", "");
        let large = " ".repeat(70_000);
        let answer = world.ask("/v1/images/i").json(large).of(PutImage).await;
        answer.refused(413, "too_large", "");
        let answer = world.ask("/v1/images/i").json(body).nameless().of(PutImage).await;
        answer.refused(401, "unauthenticated", "");
    }
}

//! `PUT /v1/templates/{template}`: save a job with parameters, in place of one
//! of the same name.

use http::StatusCode;
use shared::{
    auth,
    function::{Action, Route},
    ops::templates,
    service::Service,
    wire::{
        Problem, Reply, Request, openapi,
        submit::parse_name,
        templates::{TemplateRequest, TemplateView},
    },
};

/// The action.
pub struct PutTemplate;

impl Action for PutTemplate {
    const NAME: &'static str = "put-template";
    const ROUTE: Route = Route::put("/v1/templates/{template}");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        // A name that is to be made is told what is wrong with it.
        let name: String = request.parameter("template")?;
        let name = parse_name("template", &name)?;
        let asked: TemplateRequest =
            request.json("the template", service.limits.request_bytes).await?;
        let (template, is_new) = templates::put(service, who.project, name, asked.into()).await?;
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(Reply::json(status, &TemplateView::from(template)))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Save a template")
            .text(
                "A job with `${name}` in the places of its parameters. Where that is the whole of \
                 a text, the value comes there in its own type; a list's items take an item's \
                 place; what is not given and has no default is left out. `$${` is `${` itself. A \
                 template of an operation's name hides the operation.",
            )
            .request::<TemplateRequest>()
            .reply::<TemplateView>(201, "The template is new.")
            .reply::<TemplateView>(200, "The template, replaced.");
    }
}

#[cfg(test)]
mod tests {
    use shared::conformance::memory::World;

    use super::PutTemplate;

    #[tokio::test(start_paused = true)]
    async fn a_template_is_made_and_then_replaced_and_its_secrets_are_never_shown() {
        let world = World::new().await;
        let put = |body: &str| world.ask("/v1/templates/t").json(body).of(PutTemplate);
        let made = put(r#"{"parameters": {"n": {"type": "integer", "minimum": 1}},
                "job": {"image": "a", "command": ["${n}"], "secret_env": {"KEY": "hush"}}}"#);
        let made = made.await.expect(201);
        assert!(!made.text().contains("hush"), "{}", made.text());
        let json = made.json();
        assert_eq!((&json["name"], &json["operation"]), (&"t".into(), &false.into()));
        assert_eq!(json["parameters"]["n"]["minimum"], 1);
        assert_eq!(json["job"]["secret_env"]["KEY"], "(sealed)");
        let replaced = put(r#"{"job": {"image": "b"}}"#).await.expect(200).json();
        assert_eq!(
            (&replaced["job"]["image"], &replaced["created_at"]),
            (&"b".into(), &json["created_at"])
        );
        let _ = world
            .neighbour()
            .await
            .ask("/v1/templates/t")
            .json(r#"{"job": {"image": "b"}}"#)
            .of(PutTemplate)
            .await
            .expect(201);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_template_is_refused_with_its_field() {
        let world = World::new().await;
        let long =
            format!(r#"{{"job": {{"image": "a", "command": ["{}"]}}}}"#, "x".repeat(300_000));
        world.ask("/v1/templates/t").json(long).of(PutTemplate).await.refused(413, "too_large", "");
        for (body, field) in [
            (r"{}", "job"),
            (r#"{"job": {"image": "a"}, "x": 1}"#, "x"),
            (r#"{"job": {"image": "a", "command": ["${n}"]}}"#, "job.command[0]"),
            (r#"{"job": {"image": "a", "env": {"${n}": "x"}}}"#, "job.env.${n}"),
            (r#"{"job": {"image": "a", "client_token": "x"}}"#, "job.client_token"),
            (r#"{"job": {"template": "a"}}"#, "job.template"),
            (r#"{"job": {"image": "UPPER"}}"#, "job.image"),
            (r#"{"job": {"image": "a", "hue": 1}}"#, "job.hue"),
            (r#"{"job": {"image": "a", "secret_env": {"A": 1}}}"#, "job.secret_env.A"),
            (r#"{"job": {"image": "a", "secret_env": {"A": "(sealed)"}}}"#, "job.secret_env.A"),
            (r#"{"parameters": {"a b": {"type": "string"}}, "job": {}}"#, "parameters.a b"),
            (r#"{"parameters": {"a": {"type": "text"}}, "job": {}}"#, "parameters.a.type"),
            (
                r#"{"parameters": {"a": {"type": "string", "max": 1}}, "job": {}}"#,
                "parameters.a.max",
            ),
            (r#"{"parameters": {"a": {"type": "list"}}, "job": {"image": "x${a}"}}"#, "job.image"),
            (
                r#"{"parameters": {"a": {"type": "string", "required": false}}, "job": {"image": "x${a}"}}"#,
                "job.image",
            ),
        ] {
            let answer = world.ask("/v1/templates/t").json(body).of(PutTemplate).await;
            answer.refused(400, "invalid_field", field);
        }
        let body = r#"{"job": {"image": "a"}}"#;
        let answer = world.ask("/v1/templates/a b").json(body).of(PutTemplate).await;
        answer.refused(400, "invalid_field", "template");
        let answer = world.ask("/v1/templates/t").nameless().json(body).of(PutTemplate).await;
        answer.refused(401, "unauthenticated", "");
    }
}

//! `PUT /v1/triggers/{trigger}`: make a rule that submits a job when something
//! happens, or put it in the place of one.

use http::StatusCode;
use shared::{
    auth,
    function::{Action, Route},
    ops::triggers,
    service::Service,
    wire::{
        Problem, Reply, Request, SMALL_BODY_BYTES, openapi,
        submit::parse_name,
        triggers::{TriggerRequest, TriggerView},
    },
};

/// The action.
pub struct PutTrigger;

impl Action for PutTrigger {
    const NAME: &'static str = "put-trigger";
    const ROUTE: Route = Route::put("/v1/triggers/{trigger}");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        // A name that is to be made is told what is wrong with it.
        let name: String = request.parameter("trigger")?;
        let name = parse_name("trigger", &name)?;
        let asked: TriggerRequest = request.json("the trigger", SMALL_BODY_BYTES).await?;
        let (trigger, is_new) = triggers::put(service, who.project, name, asked.draft()?).await?;
        let standing = triggers::standing(service, who.project, trigger).await?;
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        Ok(Reply::json(status, &TriggerView::from(standing)))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Make or replace a trigger")
            .text(
                "Each event submits one job, however often it comes within a week. Of a \
                 schedule's times that were missed, the last alone counts. A trigger whose jobs \
                 write objects that it waits for goes round in a circle: let them write elsewhere.",
            )
            .request::<TriggerRequest>()
            .reply::<TriggerView>(201, "The trigger is new.")
            .reply::<TriggerView>(200, "The trigger, replaced.");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::conformance::memory::World;

    use super::PutTrigger;

    async fn template(world: &World) {
        let parameters = json!({"x": {"type": "string", "default": "none"}});
        let job = json!({"image": "a", "command": ["${x}"]});
        world.template("t", json!({"parameters": parameters, "job": job})).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_trigger_is_made_replaced_and_told_when_its_time_comes() {
        let world = World::new().await;
        template(&world).await;
        let put = |body: &str| world.ask("/v1/triggers/nightly").json(body).of(PutTrigger);
        let made = put(
            r#"{"on": {"schedule": {"cron": "0 3 * * *", "time_zone": "Europe/Berlin"}},
                "template": "t", "parameters": {"x": "${event.time}"}, "job": {"queue": "default"}}"#,
        );
        let made = made.await.expect(201).json();
        assert_eq!((&made["enabled"], &made["template"]), (&true.into(), &"t".into()));
        let next = made["next_at"].as_str().expect("a time").to_owned();
        assert!(next.ends_with("T02:00:00Z"), "{next}");
        let off = put(
            r#"{"on": {"schedule": {"cron": "0 3 * * *"}}, "template": "t", "enabled": false}"#,
        );
        let off = off.await.expect(200).json();
        assert_eq!((&off["enabled"], off.get("next_at")), (&false.into(), None));
        assert_eq!(off["created_at"], made["created_at"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_bad_trigger_is_refused_with_its_field() {
        let world = World::new().await;
        template(&world).await;
        let on = r#""on": {"event": {"type": "a"}}, "template": "t""#;
        for (body, field) in [
            (r#"{"template": "t"}"#.to_owned(), "on"),
            (
                r#"{"on": {"object": {"bucket": "a b"}}, "template": "t"}"#.to_owned(),
                "on.object.bucket",
            ),
            (
                r#"{"on": {"object": {"bucket": "b", "glob": "[a"}}, "template": "t"}"#.to_owned(),
                "on.object.glob",
            ),
            (
                r#"{"on": {"object": {"bucket": "b", "prefix": ""}}, "template": "t"}"#.to_owned(),
                "on.object.prefix",
            ),
            (
                r#"{"on": {"schedule": {"cron": "x"}}, "template": "t"}"#.to_owned(),
                "on.schedule.cron",
            ),
            (
                r#"{"on": {"schedule": {"cron": "0 0 30 2 *"}}, "template": "t"}"#.to_owned(),
                "on.schedule.cron",
            ),
            (
                r#"{"on": {"schedule": {"cron": "@daily", "time_zone": "Mars"}}, "template": "t"}"#
                    .to_owned(),
                "on.schedule.time_zone",
            ),
            (r#"{"on": {"event": {}}, "template": "t"}"#.to_owned(), "on.event"),
            (r#"{"on": {"event": {"type": "a"}}, "template": "other"}"#.to_owned(), "template"),
            (r#"{"on": {"event": {"type": "a"}}, "template": "a b"}"#.to_owned(), "template"),
            (format!(r#"{{{on}, "parameters": {{"y": "1"}}}}"#), "parameters.y"),
            (format!(r#"{{{on}, "parameters": {{"x": 1}}}}"#), "parameters.x"),
            (format!(r#"{{{on}, "parameters": {{"x": "${{key}}"}}}}"#), "parameters.x"),
            (format!(r#"{{{on}, "job": {{"image": "a"}}}}"#), "job.image"),
            (format!(r#"{{{on}, "job": {{"client_token": "a"}}}}"#), "job.client_token"),
            (format!(r#"{{{on}, "hue": 1}}"#), "hue"),
        ] {
            let answer = world.ask("/v1/triggers/n").json(body).of(PutTrigger).await;
            answer.refused(400, "invalid_field", field);
        }
        let body = format!("{{{on}}}");
        let answer = world.ask("/v1/triggers/a b").json(&body).of(PutTrigger).await;
        answer.refused(400, "invalid_field", "trigger");
        let answer = world.ask("/v1/triggers/n").nameless().json(&body).of(PutTrigger).await;
        answer.refused(401, "unauthenticated", "");
    }
}

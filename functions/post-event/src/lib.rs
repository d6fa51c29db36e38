//! `POST /v1/events`: tell of an event. The triggers that wait for it submit
//! their jobs before the answer goes out.

use http::StatusCode;
use serde::Serialize;
use shared::{
    auth,
    function::{Action, Route},
    ops::triggers::{self, Event, Fired},
    service::Service,
    wire::{Problem, Reply, Request, openapi},
};
use utoipa::ToSchema;

/// The action.
pub struct PostEvent;

/// What came of an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventView {
    /// The triggers that wait for it; none need to.
    triggers: Vec<FiredView>,
}

/// What came of an event for a trigger: a job, or an error.
#[derive(Debug, Serialize, ToSchema)]
pub struct FiredView {
    /// The trigger's name.
    trigger: String,
    /// The job that there is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl From<Fired> for FiredView {
    fn from(Fired { trigger, outcome }: Fired) -> Self {
        let (job, error) = match outcome {
            Ok(job) => (Some(job.to_string()), None),
            Err(error) => (None, Some(error)),
        };
        FiredView { trigger: trigger.to_string(), job, error }
    }
}

impl Action for PostEvent {
    const NAME: &'static str = "post-event";
    const ROUTE: Route = Route::post("/v1/events");

    async fn handle(&self, service: &Service, mut request: Request) -> Result<Reply, Problem> {
        let who = auth::authenticate(service, &request).await?;
        request.only_query(&[])?;
        let event = Event::of_request(&mut request).await?;
        let fired = triggers::on_event(service, who.project, &event).await?;
        let triggers = fired.into_iter().map(FiredView::from).collect();
        Ok(Reply::json(StatusCode::OK, &EventView { triggers }))
    }

    fn describe(describe: &mut openapi::Describe) {
        describe
            .summary("Post an event")
            .text(
                "A CloudEvent 1.0: whole in the body (application/cloudevents+json), or its \
                 attributes as `ce-` headers and its data as the body. Up to 256 KiB. The same \
                 `source` and `id` again, within a week, make no other job: an event that was \
                 answered with an error can be posted again.",
            )
            .request_bytes("application/cloudevents+json")
            .reply::<EventView>(200, "The event was taken.");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::{
        conformance::memory::{Answer, World},
        ops::{templates, triggers},
    };

    use super::PostEvent;

    async fn trigger(world: &World, name: &str, on: Value) {
        let job = json!({"image": "a", "command": ["${x}"]});
        let parameters = json!({"x": {"type": "string"}});
        world.template("t", json!({"parameters": parameters, "job": job})).await;
        let parameters = json!({"x": "${event.data.x}"});
        let asked = json!({"on": {"event": on}, "template": "t", "parameters": parameters});
        world.trigger(name, asked).await;
    }

    async fn post(world: &World, event: Value) -> Answer {
        let ask = world.ask("/v1/events").json(event.to_string());
        ask.header("content-type", "application/cloudevents+json; charset=utf-8")
            .of(PostEvent)
            .await
    }

    fn event(id: &str) -> Value {
        json!({"specversion": "1.0", "id": id, "source": "/shop", "type": "order.paid",
            "data": {"x": "7"}})
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_is_one_job_of_each_trigger_that_waits_for_it() {
        let world = World::new().await;
        trigger(&world, "all", json!({"type": "order.*"})).await;
        trigger(&world, "paid", json!({"type": "order.paid", "source": "/shop"})).await;
        trigger(&world, "other", json!({"type": "order.paid", "subject": "9"})).await;
        let first = post(&world, event("1")).await.expect(200).json();
        let names: Vec<_> = first["triggers"]
            .as_array()
            .expect("an array")
            .iter()
            .map(|fired| fired["trigger"].clone())
            .collect();
        assert_eq!(names, ["all", "paid"]);
        assert_eq!(post(&world, event("1")).await.expect(200).json(), first);
        let job = first["triggers"][1]["job"].as_str().expect("an id").parse().expect("an id");
        assert_eq!(world.start(job).await.1.argv.last().map(String::as_str), Some("7"));
        let second = post(&world, event("2")).await.expect(200).json();
        assert_ne!(second["triggers"][0]["job"], first["triggers"][0]["job"]);
        let theirs = post(&world.neighbour().await, event("1")).await.expect(200).json();
        assert_eq!(theirs["triggers"], json!([]));
    }

    #[tokio::test(start_paused = true)]
    async fn attributes_may_be_headers() {
        let world = World::new().await;
        trigger(&world, "t", json!({"subject": "\u{e9}t\u{e9} *"})).await;
        let ask = world.ask("/v1/events").json(r#"{"x": "7"}"#);
        let ask = ask.header("ce-specversion", "1.0").header("ce-id", "1").header("ce-type", "a");
        let ask = ask.header("ce-source", "/s").header("ce-subject", "%C3%A9t%C3%A9 1");
        let answer = ask.of(PostEvent).await.expect(200).json();
        assert!(answer["triggers"][0]["job"].is_string(), "{answer}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_trigger_that_is_refused_says_so_and_keeps_nothing_from_the_others() {
        let world = World::new().await;
        trigger(&world, "a", json!({"type": "*"})).await;
        trigger(&world, "b", json!({"type": "*"})).await;
        let mut without = event("1");
        without["data"] = json!({"y": "7"});
        let answer = post(&world, without).await.expect(200).json();
        for fired in answer["triggers"].as_array().expect("an array") {
            assert_eq!(fired["error"], "`parameters.x`: the event has no `event.data.x`");
        }
        templates::delete(&world.service, world.project, &"t".parse().expect("a name"))
            .await
            .expect("it is gone");
        let answer = post(&world, event("2")).await.expect(200).json();
        assert_eq!(answer["triggers"][0]["error"], "`template`: the project has no template `t`");
        let name = "a".parse().expect("a name");
        let load = triggers::load(&world.service, world.project, &name).await;
        let trigger = load.expect("an answer").expect("a trigger");
        let standing =
            triggers::standing(&world.service, world.project, trigger).await.expect("an answer");
        assert_eq!(standing.failed.expect("an error").event, "2");
        assert_eq!(standing.fired, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_event_is_refused_with_its_field() {
        let world = World::new().await;
        for (name, value) in [
            ("specversion", json!("0.3")),
            ("id", json!("")),
            ("source", Value::Null),
            ("type", json!(7)),
            ("subject", json!(7)),
            ("time", json!("noon")),
        ] {
            let mut event = event("1");
            event[name] = value;
            post(&world, event).await.refused(400, "invalid_field", name);
        }
        let plain = world.ask("/v1/events").json(event("1").to_string());
        plain.of(PostEvent).await.refused(400, "invalid_field", "Content-Type");
        let batch = world.ask("/v1/events").json("[]");
        let batch = batch.header("content-type", "application/cloudevents-batch+json");
        batch.of(PostEvent).await.refused(400, "invalid_field", "Content-Type");
        let long = json!({"specversion": "1.0", "id": "1", "source": "s", "type": "t", "data": "x".repeat(300_000)});
        post(&world, long).await.refused(413, "too_large", "");
        let answer = world.ask("/v1/events").nameless().json("{}").of(PostEvent).await;
        answer.refused(401, "unauthenticated", "");
    }
}

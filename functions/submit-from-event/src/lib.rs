//! Reacts to an object that was written: submits the jobs of the triggers that
//! wait for it. The event may come again; the jobs are made once.

use shared::{
    function::Reaction,
    ops::triggers::{self, ObjectCreated},
    service::Service,
    wire::Problem,
};

/// The reaction.
pub struct SubmitFromEvent;

impl Reaction for SubmitFromEvent {
    const NAME: &'static str = "submit-from-event";
    type Event = ObjectCreated;

    async fn react(&self, service: &Service, created: ObjectCreated) -> Result<(), Problem> {
        // What a trigger was refused is in its own view.
        triggers::on_object(service, &created).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::{
        conformance::memory::World,
        function::Reaction,
        ops::{templates, triggers},
        wire::triggers::TriggerRequest,
    };

    use super::SubmitFromEvent;

    #[tokio::test(start_paused = true)]
    async fn an_object_is_one_job_however_often_its_event_comes() {
        let world = World::new().await;
        let job = json!({"image": "a", "command": ["${object}", "${size}"]});
        let parameters = json!({"object": {"type": "string"}, "size": {"type": "integer"}});
        let draft = templates::Draft {
            description: None,
            parameters: serde_json::from_value(parameters).expect("parameters"),
            job: job.as_object().expect("an object").clone(),
            origin: None,
        };
        let name = || "t".parse().expect("a name");
        let put = templates::put(&world.service, world.project, name(), draft);
        put.await.expect("it is saved");
        let asked: TriggerRequest = serde_json::from_value(json!({
            "on": {"object": {"bucket": "photos", "glob": "in/**/*.jpg"}}, "template": "t",
            "parameters": {"object": "${event.data.object}", "size": "${event.data.size}"},
        }))
        .expect("a trigger");
        let draft = asked.draft().expect("a trigger");
        let put = triggers::put(&world.service, world.project, name(), draft);
        put.await.expect("it is made");

        let jobs = || {
            let rows = world.memory.table.rows();
            rows.iter().filter(|row| row.key.sort.starts_with("job-")).count()
        };
        for (key, id, expected) in [
            ("in/a/b.jpg", "1", 1),
            ("in/a/b.jpg", "1", 1),
            ("in/a/b.jpg", "2", 2),
            ("out/b.jpg", "1", 2),
            ("in/b.png", "1", 2),
        ] {
            let created = json!({
                "project": world.project, "bucket": "photos", "key": key, "size": 7, "etag": "e",
                "id": id, "at": "2026-01-01T00:00:00Z",
            });
            let created = serde_json::from_value(created).expect("an event");
            SubmitFromEvent.react(&world.service, created).await.expect("it is done");
            assert_eq!(jobs(), expected, "{key} {id}");
        }
    }
}

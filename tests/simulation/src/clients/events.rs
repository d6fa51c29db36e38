//! What clients have triggers wait for, and what then happens.

use http::header;
use post_event::PostEvent;
use put_template::PutTemplate;
use put_trigger::PutTrigger;
use serde_json::json;
use shared::{
    job::Name,
    ops::triggers::ObjectCreated,
    platform::{ObjectInfo, ObjectKey, Objects, Put, one_chunk},
};

use super::Client;
use crate::ask::Ask;

impl Client {
    /// A template, and triggers that use it: each name is of this client alone.
    pub(super) async fn trigger(&mut self) {
        let (template, name) = (format!("of-{}", self.name), self.name.clone());
        let job = json!({
            "image": "image-0", "retain_days": 1, "timeout_seconds": 60,
            "resources": {"cpu": 0.25, "memory_mib": 64},
        });
        let put = Ask::of(PutTemplate, &format!("/v1/templates/{template}"));
        let saved = self.insist(&put.json(&json!({"job": job}))).await;
        if !saved.is_some_and(|answer| answer.is_ok()) {
            return;
        }
        let on = match self.host.sim.roll(|dice| dice.u32(0..5)) {
            0 => json!({"schedule": {"cron": "*/3 * * * *"}}),
            1 | 2 => json!({"event": {"source": name}}),
            _ => json!({"object": {"bucket": name}}),
        };
        let kind = on.as_object().and_then(|on| on.keys().next().cloned()).unwrap_or_default();
        let put = Ask::of(PutTrigger, &format!("/v1/triggers/{kind}-{name}"));
        let over = json!({"name": "${event.source} ${event.id}", "tags": {"of": name}});
        let trigger = json!({"on": on, "template": template, "job": over});
        let made = self.insist(&put.json(&trigger)).await;
        if made.is_some_and(|answer| answer.is_ok()) {
            self.armed.insert(kind);
        }
    }

    /// Writes an object of its bucket.
    pub(super) async fn write(&mut self) {
        let Ok(bucket) = self.name.parse::<Name>() else { return };
        self.written += 1;
        let key = format!("{}", self.written);
        let object = ObjectKey::user(self.project, &bucket, &key);
        let stored = self.host.objects.inner().put(&object, one_chunk("x"), Put::default()).await;
        let Ok(stored) = stored else { return };
        let id = format!("{}-{key}", self.name);
        if self.armed.contains("object") {
            let name = format!("/v1/objects/{bucket} {id}");
            self.host.watch.expects(self.project, name);
        }
        let ObjectInfo { size, etag, modified_at: at, .. } = stored;
        let project = self.project;
        self.host.written(ObjectCreated { project, bucket, key, size, etag, id, at });
    }

    /// Tells of an event until that is answered, or of one again.
    pub(super) async fn post(&mut self) {
        let known = self.events.clone();
        let again = self.host.sim.roll(|dice| dice.choice(known).filter(|_| dice.u32(0..3) > 0));
        let id = again.clone().unwrap_or_else(|| format!("{}-{}", self.name, self.events.len()));
        if again.is_none() {
            self.events.push(id.clone());
        }
        let event = json!({"specversion": "1.0", "id": id, "source": self.name, "type": "t"});
        let ask = Ask::of(PostEvent, "/v1/events").json(&event);
        let media = "application/cloudevents+json";
        let is_armed = self.armed.contains("event");
        let answer = self.insist(&ask.header(header::CONTENT_TYPE, media)).await;
        if is_armed && answer.is_some_and(|answer| answer.is_ok()) {
            self.host.watch.note(|seen| seen.posted_again += usize::from(again.is_some()));
            self.host.watch.expects(self.project, format!("{} {id}", self.name));
        }
    }
}

//! What triggers are told of: every happening has the shape of a `CloudEvent`
//! 1.0 (§3), wherever it comes from.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    job::{Name, ProjectId},
    wire::Problem,
};

/// Something that happened: the attributes and `data` of a `CloudEvent`, as its
/// JSON format has them.
#[derive(Clone, Debug, PartialEq)]
pub struct Event(Map<String, Value>);

/// A user's object was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectCreated {
    /// The owner.
    pub project: ProjectId,
    /// Its bucket.
    pub bucket: Name,
    /// Its key there.
    pub key: String,
    /// How many bytes it has.
    pub size: u64,
    /// Its tag.
    pub etag: String,
    /// Tells this writing of the object from every other.
    pub id: String,
    /// When that was.
    pub at: Timestamp,
}

impl Event {
    /// A `CloudEvent` of these attributes, or what is wrong with it.
    pub fn of_attributes(attributes: Map<String, Value>) -> Result<Self, Problem> {
        let text = |name: &str| attributes.get(name).and_then(Value::as_str);
        if text("specversion") != Some("1.0") {
            return Err(Problem::invalid("specversion", "it is required, and is `1.0`"));
        }
        for name in ["id", "source", "type"] {
            let sound = text(name).is_some_and(|text| (1..=1_024).contains(&text.len()));
            if !sound {
                return Err(Problem::invalid(name, "it is required: 1 to 1,024 bytes of text"));
            }
        }
        for name in ["subject", "datacontenttype", "dataschema", "data_base64"] {
            if attributes.get(name).is_some_and(|value| !value.is_string() && !value.is_null()) {
                return Err(Problem::invalid(name, "it is text"));
            }
        }
        if let Some(time) = attributes.get("time").filter(|time| !time.is_null())
            && time.as_str().is_none_or(|time| time.parse::<Timestamp>().is_err())
        {
            return Err(Problem::invalid("time", "it is a time of RFC 3339"));
        }
        Ok(Event(attributes))
    }

    /// An object was written.
    pub fn of_object(created: &ObjectCreated) -> Self {
        let ObjectCreated { bucket, key, size, etag, id, at, .. } = created;
        let data = json!({
            "bucket": bucket, "key": key, "object": format!("{bucket}/{key}"),
            "size": size, "etag": etag,
        });
        Event::ours("object.created", &format!("/v1/objects/{bucket}"), id, Some(key), *at, &data)
    }

    /// A trigger's time has come.
    pub fn of_schedule(trigger: &Name, at: Timestamp) -> Self {
        let source = format!("/v1/triggers/{trigger}");
        Event::ours("schedule", &source, &at.to_string(), None, at, &json!({ "at": at }))
    }

    fn ours(
        kind: &str,
        source: &str,
        id: &str,
        subject: Option<&str>,
        at: Timestamp,
        data: &Value,
    ) -> Self {
        let event = json!({
            "specversion": "1.0", "id": id, "source": source, "type": format!("tarpon.{kind}"),
            "subject": subject, "time": at, "data": data,
        });
        match event {
            Value::Object(attributes) => Event(attributes),
            _ => Event(Map::new()),
        }
    }

    /// An attribute that is text; empty where there is none.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// What a path such as `event.data.key` leads to; `None` for a null.
    pub fn look_up(&self, path: &str) -> Result<Option<Value>, String> {
        let missing = || format!("the event has no `{path}`");
        let mut names = path.split('.');
        if names.next() != Some("event") {
            return Err(format!("`{path}` is nothing of the event: its parts are `event.…`"));
        }
        let first = names.next().and_then(|name| self.0.get(name)).ok_or_else(missing)?;
        let found = names.try_fold(first, |value, name| match value {
            Value::Object(fields) => fields.get(name),
            Value::Array(items) => items.get(name.parse::<usize>().ok()?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        });
        let found = found.ok_or_else(missing)?;
        Ok((!found.is_null()).then(|| found.clone()))
    }
}

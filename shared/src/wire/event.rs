//! Events as they are posted: `CloudEvents` 1.0 by its HTTP binding, whole in the
//! body (§3.2), or its attributes as headers (§3.1).

use bytes::Bytes;
use data_encoding::BASE64;
use serde_json::{Map, Value};

use super::{Problem, Request, decoded, parse_json};
use crate::ops::triggers::Event;

/// Bytes of an event.
pub const EVENT_BYTES: u64 = 256 << 10;

impl Event {
    /// The event that a request posts.
    pub async fn of_request(request: &mut Request) -> Result<Self, Problem> {
        let media_type = request.header("content-type").unwrap_or_default();
        let essence = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let mut attributes = match essence.as_str() {
            "application/cloudevents+json" => None,
            other if other.starts_with("application/cloudevents") => {
                let rule = "an event is posted as application/cloudevents+json, or with its \
                            attributes as headers; not in batches or other formats";
                return Err(Problem::invalid("Content-Type", rule));
            }
            _ => Some(attributes(request)?),
        };
        let body = request.bytes("the event", EVENT_BYTES).await?;
        let Some(attributes) = &mut attributes else {
            return Event::of_attributes(parse_json(&body)?);
        };
        if !essence.is_empty() {
            attributes.insert("datacontenttype".into(), essence.as_str().into());
        }
        if !body.is_empty() {
            let (name, value) = data(&essence, &body)?;
            attributes.insert(name.into(), value);
        }
        Event::of_attributes(std::mem::take(attributes))
    }
}

/// The attributes in headers: `ce-` and the name, percent-encoded.
fn attributes(request: &Request) -> Result<Map<String, Value>, Problem> {
    let mut attributes = Map::new();
    for (name, value) in &request.headers {
        let Some(attribute) = name.as_str().strip_prefix("ce-") else { continue };
        let text = value.to_str().map_err(|_| Problem::invalid(name.as_str(), "it is no text"))?;
        attributes.insert(attribute.to_owned(), decoded("a header", text)?.into());
    }
    if attributes.is_empty() {
        let rule = "it is application/cloudevents+json for an event that is the body; else the \
                    event's attributes are headers, `ce-id` and so on";
        return Err(Problem::invalid("Content-Type", rule));
    }
    Ok(attributes)
}

fn data(essence: &str, body: &Bytes) -> Result<(&'static str, Value), Problem> {
    if essence == "application/json" || essence.ends_with("+json") {
        let parsed = serde_json::from_slice(body);
        let value =
            parsed.map_err(|error| Problem::Malformed(format!("it is not JSON: {error}")))?;
        return Ok(("data", value));
    }
    Ok(match std::str::from_utf8(body) {
        Ok(text) => ("data", text.into()),
        Err(_) => ("data_base64", BASE64.encode(body).into()),
    })
}

//! What an action answers.

use serde_json::{Map, Value};
use shared::wire::Body;

/// What an action answers when it could do what was asked.
pub enum Answer {
    /// JSON with these members.
    Fields(Map<String, Value>),
    /// A tar.
    Tar(Body),
}

/// The members of a JSON object.
pub fn fields(value: Value) -> Answer {
    match value {
        Value::Object(fields) => Answer::Fields(fields),
        _ => Answer::Fields(Map::new()),
    }
}

//! What the structured parameters look like: JSON within a text.

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::faults::Fault;

/// What runs.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Container {
    pub image: String,
    pub command: Option<Vec<String>>,
    pub arg: Option<Vec<String>>,
    pub environment_var: Option<Vec<Variable>>,
    pub gpu: Option<Whole>,
    pub volume_mount: Option<Vec<Value>>,
    pub working_dir: Option<String>,
}

/// A variable of the container's environment.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Variable {
    pub key: String,
    #[serde(default)]
    pub value: String,
}

/// How many containers, and how they are counted.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrayProperties {
    #[serde(rename = "IndexStart")]
    pub first: Whole,
    #[serde(rename = "IndexEnd")]
    pub last: Whole,
    #[serde(rename = "IndexStep")]
    pub step: Option<Whole>,
}

/// How often a container is tried again.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct RetryStrategy {
    pub attempts: Option<Whole>,
    pub evaluate_on_exit: Option<Vec<Rule>>,
}

/// What an exit code means for that.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub struct Rule {
    pub action: Action,
    pub on_exit_code: Whole,
}

/// What it may mean: another attempt, or the end.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Action {
    Retry,
    Exit,
}

/// A whole number, which some clients write as text.
#[derive(Clone, Copy)]
pub struct Whole(pub u32);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let number = match Value::deserialize(from)? {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        let number = number.and_then(|number| u32::try_from(number).ok());
        number.map(Whole).ok_or_else(|| de::Error::custom("expected a whole number"))
    }
}

impl Whole {
    /// The number, if it is within bounds, both included.
    pub fn within(self, field: &str, least: u32, most: u32) -> Result<u32, Fault> {
        if (least..=most).contains(&self.0) {
            return Ok(self.0);
        }
        Err(Fault::invalid(field, format!("{} is not within {least} to {most}", self.0)))
    }
}

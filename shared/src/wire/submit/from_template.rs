//! A job that is told by a template's name and the parameters' values.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::job::from_value;
use crate::wire::Problem;

/// What may be said beside a template, over what the template says.
pub const OVER_A_TEMPLATE: [&str; 6] =
    ["name", "queue", "priority", "tags", "callback", "client_token"];

/// A job from a template.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FromTemplate {
    /// The template's name.
    pub template: String,
    /// Values by name.
    pub parameters: Map<String, Value>,
    /// Fields of the job in the place of the template's.
    pub over: Map<String, Value>,
}

/// The fields of a job from a template. `name`, `queue`, `priority`,
/// `callback` and `client_token` are as in any job, in the place of what the
/// template says; `tags` are added to the template's.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FromTemplateRequest {
    /// A template of the project, or an operation.
    pub template: String,
    /// The parameters' values, by name.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
}

impl FromTemplate {
    /// Whether these fields tell a job by a template.
    pub fn is_meant(fields: &Map<String, Value>) -> bool {
        fields.contains_key("template")
    }

    /// The template, the values and what goes over them.
    pub fn of_fields(fields: Map<String, Value>) -> Result<Self, Problem> {
        let (over, own): (Map<_, _>, Map<_, _>) =
            fields.into_iter().partition(|(name, _)| OVER_A_TEMPLATE.contains(&name.as_str()));
        let misplaced =
            own.keys().find(|name| !["template", "parameters"].contains(&name.as_str()));
        if let Some(name) = misplaced {
            let rule = format!(
                "the template says it; beside one, there are {}",
                OVER_A_TEMPLATE.join(", ")
            );
            return Err(Problem::invalid(name.clone(), rule));
        }
        let own: FromTemplateRequest = from_value("", Value::Object(own))?;
        Ok(FromTemplate { template: own.template, parameters: own.parameters, over })
    }
}

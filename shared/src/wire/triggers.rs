//! A trigger as a client writes it, and as it is shown.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Problem, submit::parse_name};
use crate::ops::triggers::{Draft, Firing, Misfire, Rule, Standing, Trigger};

/// A rule, and what it is to submit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TriggerRequest {
    /// What it is for; up to 1,000 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// Whether it does anything; so it does without.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// What it waits for.
    pub on: Rule,
    /// A template of the project, or an operation.
    pub template: String,
    /// Values for the template's parameters. `${event.id}`, `${event.subject}`,
    /// `${event.data.key}` and the like stand for what the event has there.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
    /// Fields of the job over the template's: `name`, `queue`, `priority`,
    /// `tags`, `callback`.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub job: Map<String, Value>,
}

impl TriggerRequest {
    /// What the trigger says.
    pub fn draft(self) -> Result<Draft, Problem> {
        let TriggerRequest { description, enabled, on, template, parameters, job } = self;
        let template = parse_name("template", &template)?;
        Ok(Draft { description, enabled: enabled.unwrap_or(true), on, template, parameters, job })
    }
}

/// A trigger, and how it has been doing.
#[derive(Debug, Serialize, ToSchema)]
pub struct TriggerView {
    /// Its name in the project.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it does anything.
    pub enabled: bool,
    /// What it waits for.
    pub on: Rule,
    /// What it submits a job from.
    pub template: String,
    /// Values for the template's parameters.
    #[schema(value_type = Object)]
    pub parameters: Map<String, Value>,
    /// Fields of the job over the template's.
    #[schema(value_type = Object)]
    pub job: Map<String, Value>,
    /// When its time comes next.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_at: Option<Timestamp>,
    /// The last job that it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_fired: Option<FiringView>,
    /// The last time that it could make none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<MisfireView>,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Timestamp,
}

/// A job that a trigger made.
#[derive(Debug, Serialize, ToSchema)]
pub struct FiringView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The event's id.
    pub event: String,
    /// The job's id.
    pub job: String,
}

/// A job that a trigger could not make.
#[derive(Debug, Serialize, ToSchema)]
pub struct MisfireView {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The event's id.
    pub event: String,
    /// Why.
    pub error: String,
}

impl From<Standing> for TriggerView {
    fn from(standing: Standing) -> Self {
        let Standing { trigger, next_at, fired, failed } = standing;
        let Trigger { name, draft, created_at, updated_at, .. } = trigger;
        let Draft { description, enabled, on, template, parameters, job } = draft;
        let firing = |Firing { at, event, job }| FiringView { at, event, job: job.to_string() };
        let misfire = |Misfire { at, event, error }| MisfireView { at, event, error };
        TriggerView {
            name: name.to_string(),
            description,
            enabled,
            on,
            template: template.to_string(),
            parameters,
            job,
            next_at,
            last_fired: fired.map(firing),
            last_error: failed.map(misfire),
            created_at,
            updated_at,
        }
    }
}

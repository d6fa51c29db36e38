//! A template as a client writes it, and as it is shown.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::ops::templates::{Draft, Parameter, Template};

/// A job to be saved.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TemplateRequest {
    /// What it is for; up to 1,000 characters.
    #[serde(default)]
    pub description: Option<String>,
    /// What it takes, by name; up to 100. `${name}` in a text of the job
    /// stands for the value.
    #[serde(default)]
    pub parameters: BTreeMap<String, Parameter>,
    /// A job, as `POST /v1/jobs` takes it. `secret_env` is sealed and never
    /// shown.
    #[schema(value_type = Object)]
    pub job: Map<String, Value>,
}

impl From<TemplateRequest> for Draft {
    fn from(asked: TemplateRequest) -> Self {
        let TemplateRequest { description, parameters, job } = asked;
        Draft { description, parameters, job, origin: None }
    }
}

/// A template.
#[derive(Debug, Serialize, ToSchema)]
pub struct TemplateView {
    /// Its name in the project.
    pub name: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it takes, by name.
    pub parameters: BTreeMap<String, Parameter>,
    /// The job, its secrets sealed.
    #[schema(value_type = Object)]
    pub job: Map<String, Value>,
    /// Whether it is an operation: it came with the installation.
    pub operation: bool,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub updated_at: Option<Timestamp>,
}

impl From<Template> for TemplateView {
    fn from(template: Template) -> Self {
        TemplateView {
            name: template.name.to_string(),
            operation: template.is_operation(),
            description: template.description,
            parameters: template.parameters,
            job: template.job,
            created_at: template.created_at,
            updated_at: template.updated_at,
        }
    }
}

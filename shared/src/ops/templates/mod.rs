//! Templates: saved jobs with parameters; and operations, the templates that
//! come with an installation.
//!
//! A project's own template hides an operation of the same name.

mod fill;
mod operations;
mod parameter;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::{
    fill::{Filler, Hole, Lookup, holes},
    parameter::{Parameter, ParameterType},
};
use super::rows;
use crate::{
    job::{Name, Origin, ProjectId, Sealed},
    platform::{Expect, Op, Query, TableError},
    service::Service,
    wire::{
        Problem,
        submit::{FromTemplate, JobRequest, Submission, check_text},
    },
};

/// Parameters of one template.
const MOST_PARAMETERS: usize = 100;

/// How a sealed value is shown.
const SEALED: &str = "(sealed)";

/// A saved job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    /// The stored shape's version.
    pub v: u8,
    /// Its name in the project.
    pub name: Name,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it takes, by name.
    pub parameters: BTreeMap<String, Parameter>,
    /// A job as the native API takes it, with placeholders; secrets are shown
    /// as [`SEALED`] there.
    pub job: Map<String, Value>,
    /// Those secrets, by where in the job they are (RFC 6901).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Sealed>,
    /// What a client of another API said of it, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// When it was made; `None` for an operation, which was always there.
    pub created_at: Option<Timestamp>,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
}

/// A template that is to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Draft {
    /// What it is for.
    pub description: Option<String>,
    /// What it takes.
    pub parameters: BTreeMap<String, Parameter>,
    /// The job.
    pub job: Map<String, Value>,
    /// What a client of another API says of it.
    pub origin: Option<Origin>,
}

/// Saves a template, in place of one of the same name. Tells whether it is new.
pub async fn put(
    service: &Service,
    project: ProjectId,
    name: Name,
    draft: Draft,
) -> Result<(Template, bool), Problem> {
    draft.check(service)?;
    let Draft { description, parameters, mut job, origin } = draft;
    let secrets = seal(service, project, &name, &mut job)?;
    let key = rows::template(project, &name);
    let now = service.platform.clock.now();
    let mut template = Template {
        v: 1,
        name,
        description,
        parameters,
        job,
        secrets,
        origin,
        created_at: Some(now),
        updated_at: Some(now),
    };
    loop {
        let row = service.platform.table.get(&key).await?;
        let found = row.as_ref().map(rows::read::<Template>).transpose()?;
        let is_new = found.is_none();
        template.created_at = found.and_then(|found| found.created_at).or(Some(now));
        let expect = row.map_or(Expect::Absent, |row| Expect::Version(row.version));
        let put = Op::Put(key.clone(), expect, rows::plain(&template));
        match service.platform.table.commit(vec![put]).await {
            Err(TableError::Stale(_) | TableError::Exists(_)) => {}
            settled => return Ok(settled.map(|()| (template, is_new))?),
        }
    }
}

/// A draft of what another template is, with these values in the place of what
/// has to be given.
pub fn drafted(
    service: &Service,
    project: ProjectId,
    mut from: Template,
    values: Map<String, Value>,
) -> Result<Draft, Problem> {
    unseal(service, project, &mut from)?;
    let Template { description, mut parameters, job, .. } = from;
    for (name, value) in values {
        let unknown = || Problem::invalid(format!("parameters.{name}"), no_parameter(&name));
        let parameter = parameters.get_mut(&name).ok_or_else(unknown)?;
        parameter.required = None;
        parameter.default = Some(value);
    }
    Ok(Draft { description, parameters, job, origin: None })
}

/// The template of that name: the project's own, or an operation.
pub async fn load(
    service: &Service,
    project: ProjectId,
    name: &Name,
) -> Result<Option<Template>, Problem> {
    match service.platform.table.get(&rows::template(project, name)).await? {
        Some(row) => rows::read(&row).map(Some),
        None => Ok(operations::all(&service.config).into_iter().find(|known| known.name == *name)),
    }
}

/// Every template of a project, and the operations, by name.
pub async fn list(service: &Service, project: ProjectId) -> Result<Vec<Template>, Problem> {
    let known = operations::all(&service.config).into_iter();
    let mut all: BTreeMap<Name, Template> = known.map(|one| (one.name.clone(), one)).collect();
    let mut query = Query::partition(project.to_string()).prefix("template#");
    loop {
        let page = service.platform.table.query(&query).await?;
        for row in &page.rows {
            let template: Template = rows::read(row)?;
            all.insert(template.name.clone(), template);
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return Ok(all.into_values().collect());
        }
    }
}

/// Forgets a template. Jobs that were submitted from it are what they are.
pub async fn delete(service: &Service, project: ProjectId, name: &Name) -> Result<(), Problem> {
    let key = rows::template(project, name);
    if service.platform.table.get(&key).await?.is_some() {
        return Ok(service.platform.table.commit(vec![Op::Delete(key, Expect::Anything)]).await?);
    }
    if operations::all(&service.config).iter().any(|known| known.name == *name) {
        let why = "it comes with the installation; a template of the same name hides it";
        return Err(Problem::conflict("operation", why));
    }
    Err(Problem::not_found("template", name))
}

/// The job that comes of a template and the parameters' values, checked like
/// any other.
pub async fn submission(
    service: &Service,
    project: ProjectId,
    asked: FromTemplate,
) -> Result<Submission, Problem> {
    let FromTemplate { template: name, parameters, over } = asked;
    let found = match name.parse::<Name>() {
        Ok(name) => load(service, project, &name).await?,
        Err(_) => None,
    };
    let Some(mut template) = found else {
        let rule = format!("the project has no template `{}`", name.escape_debug());
        return Err(Problem::invalid("template", rule));
    };
    unseal(service, project, &mut template)?;
    let mut job = template.fill(&parameters, room(service))?;
    for (field, value) in over {
        match (job.get_mut(&field), value) {
            (Some(Value::Object(there)), Value::Object(more)) if field == "tags" => {
                there.extend(more);
            }
            (_, value) => {
                job.insert(field, value);
            }
        }
    }
    let mut submission = checked(service, job)?;
    submission.made_by.template = Some(template.name);
    Ok(submission)
}

/// Bytes that parameters may add to a job.
fn room(service: &Service) -> usize {
    usize::try_from(service.limits.request_bytes).unwrap_or(usize::MAX)
}

fn checked(service: &Service, job: Map<String, Value>) -> Result<Submission, Problem> {
    let (job, tasks) = JobRequest::of_fields(job)?;
    job.check(tasks, &service.limits)
}

impl Template {
    /// Whether it comes with the installation.
    pub fn is_operation(&self) -> bool {
        self.created_at.is_none()
    }

    /// The job with its placeholders filled.
    fn fill(&self, given: &Map<String, Value>, room: usize) -> Result<Map<String, Value>, Problem> {
        for (name, value) in given {
            let field = format!("parameters.{name}");
            let parameter = self.parameters.get(name).ok_or_else(|| {
                let known: Vec<&str> = self.parameters.keys().map(String::as_str).collect();
                let rule = match &known[..] {
                    [] => "the template has no parameters".to_owned(),
                    known => format!(
                        "the template has no such parameter; known are {}",
                        known.join(", ")
                    ),
                };
                Problem::invalid(field.clone(), rule)
            })?;
            parameter.accept(&field, value)?;
        }
        let missing = |(name, parameter): &(&String, &Parameter)| {
            parameter.is_required() && !given.contains_key(*name)
        };
        if let Some((name, parameter)) = self.parameters.iter().find(missing) {
            let what = parameter.description.as_deref().unwrap_or("it is required");
            let rule = format!("the template needs it: {what}");
            return Err(Problem::invalid(format!("parameters.{name}"), rule));
        }
        let lookup = |name: &str| match self.parameters.get(name) {
            Some(parameter) => Ok(given.get(name).or(parameter.default.as_ref()).cloned()),
            None => Err(no_parameter(name)),
        };
        Filler::of_job(&lookup, room).fields("", &self.job)
    }
}

fn no_parameter(name: &str) -> String {
    format!(
        "the template has no parameter `{name}`; where `${{` is to stand for itself, it is `$${{`"
    )
}

impl Draft {
    /// Whether it makes sense, as far as that can be told without values.
    fn check(&self, service: &Service) -> Result<(), Problem> {
        if let Some(text) = &self.description {
            check_text("description", text, 1_000)?;
        }
        if self.parameters.len() > MOST_PARAMETERS {
            let rule = format!("there are at most {MOST_PARAMETERS}");
            return Err(Problem::invalid("parameters", rule));
        }
        for (name, parameter) in &self.parameters {
            let field = format!("parameters.{name}");
            let sound = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
            if name.is_empty() || name.len() > 64 || !name.bytes().all(sound) {
                return Err(Problem::invalid(field, "a name is 1 to 64 of `A-Z a-z 0-9 _ -`"));
            }
            parameter.check(&field)?;
        }
        self.check_job(service)
    }

    fn check_job(&self, service: &Service) -> Result<(), Problem> {
        let whole = serde_json::to_vec(&(&self.parameters, &self.job, &self.origin));
        let whole = whole.map_or(0, |json| json.len());
        let limit = service.limits.spec_bytes;
        if whole > limit {
            return Err(Problem::TooLarge { what: "the template", limit: limit as u64 });
        }
        if self.job.contains_key("client_token") {
            let rule = "a token belongs to one submit, not to a template";
            return Err(Problem::invalid("job.client_token", rule));
        }
        if self.job.contains_key("template") {
            return Err(Problem::invalid("job.template", "a template is not made of another"));
        }
        for Hole { field, name, is_whole } in in_job(holes(&Value::Object(self.job.clone())))? {
            let Some(parameter) = self.parameters.get(&name) else {
                return Err(Problem::invalid(format!("job.{field}"), no_parameter(&name)));
            };
            if is_whole {
                continue;
            }
            let rule = if parameter.kind == ParameterType::List {
                "a list is the whole of a value, never part of a text"
            } else if !parameter.is_required() && parameter.default.is_none() {
                "what may be left out is the whole of a value, or has a default"
            } else {
                continue;
            };
            return Err(Problem::invalid(format!("job.{field}"), format!("`{name}`: {rule}")));
        }
        // With nothing to be given, it is a job as it stands.
        if self.parameters.values().any(Parameter::is_required) {
            return Ok(());
        }
        let Draft { description, parameters, job, origin } = self.clone();
        let name = "sample".parse().map_err(|error| Problem::internal(format!("{error}")))?;
        let sample = Template {
            v: 1,
            name,
            description,
            parameters,
            job,
            secrets: BTreeMap::new(),
            origin,
            created_at: None,
            updated_at: None,
        };
        let filled = in_job(sample.fill(&Map::new(), room(service)))?;
        in_job(checked(service, filled)).map(|_| ())
    }
}

/// A refused field of the job by its place in the template.
fn in_job<T>(done: Result<T, Problem>) -> Result<T, Problem> {
    done.map_err(|problem| match problem {
        Problem::Invalid { field, rule } if field.is_empty() => Problem::invalid("job", rule),
        Problem::Invalid { field, rule } => Problem::invalid(format!("job.{field}"), rule),
        other => other,
    })
}

/// The secret members of a job's callback.
const OF_CALLBACK: [&str; 2] = ["secret", "previous_secret"];

/// The places of a job's secrets, and the fields that they are: its secret
/// environment, and its callback.
fn secret_places(job: &Map<String, Value>) -> Vec<(String, String)> {
    let tasks = job.get("tasks").and_then(Value::as_array).map_or(0, Vec::len);
    let in_tasks = (0..tasks)
        .map(|n| (format!("/tasks/{n}/secret_env"), format!("job.tasks[{n}].secret_env")));
    let flat = ("/secret_env".to_owned(), "job.secret_env".to_owned());
    let told = job.get("callback").filter(|callback| callback.is_object());
    let told = told.map(|_| ("/callback".to_owned(), "job.callback".to_owned()));
    std::iter::once(flat).chain(in_tasks).chain(told).collect()
}

/// Takes the secrets out of the job; what is only a placeholder is none.
fn seal(
    service: &Service,
    project: ProjectId,
    name: &Name,
    job: &mut Map<String, Value>,
) -> Result<BTreeMap<String, Sealed>, Problem> {
    let clock = service.platform.clock.as_ref();
    let mut sealed = BTreeMap::new();
    let places = secret_places(job);
    let mut whole = Value::Object(std::mem::take(job));
    for (place, field) in places {
        let Some(secrets) = whole.pointer_mut(&place) else { continue };
        let wrong = || Problem::invalid(field.clone(), "it is an object of strings");
        for (variable, value) in secrets.as_object_mut().ok_or_else(wrong)? {
            if place == "/callback" && !OF_CALLBACK.contains(&variable.as_str()) {
                continue;
            }
            let field = format!("{field}.{variable}");
            let Value::String(secret) = value else {
                return Err(Problem::invalid(field, "it is a string"));
            };
            if secret == SEALED {
                let rule = "this is how a sealed value is shown; give the value itself";
                return Err(Problem::invalid(field, rule));
            }
            let found = holes(&Value::String(secret.clone()))?;
            if matches!(&found[..], [Hole { is_whole: true, .. }]) {
                continue;
            }
            let at = format!("{place}/{}", variable.replace('~', "~0").replace('/', "~1"));
            let scope = scope(project, name, &at);
            sealed.insert(at, service.keyring.seal(clock, &scope, secret));
            SEALED.clone_into(secret);
        }
    }
    if let Value::Object(fields) = whole {
        *job = fields;
    }
    Ok(sealed)
}

/// Puts the secrets back in their places.
fn unseal(service: &Service, project: ProjectId, template: &mut Template) -> Result<(), Problem> {
    if template.secrets.is_empty() {
        return Ok(());
    }
    let mut whole = Value::Object(std::mem::take(&mut template.job));
    for (at, sealed) in &template.secrets {
        let secret = service.keyring.open(&scope(project, &template.name, at), sealed);
        let place = whole.pointer_mut(at);
        let (Some(secret), Some(place)) = (secret, place) else {
            let why = format!("the secret at {at} of template {} cannot be opened", template.name);
            return Err(Problem::internal(why));
        };
        *place = secret.reveal().into();
    }
    if let Value::Object(fields) = whole {
        template.job = fields;
    }
    Ok(())
}

fn scope(project: ProjectId, name: &Name, at: &str) -> String {
    format!("{project}/template/{name}{at}")
}

//! Task templates: a task under a name, kept to be read again. A job takes none
//! by its name; who submits reads one, and sends what it has.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::{auth::Identity, job::ProjectId, ops::notes::Shelf, service::Service};

use crate::{
    API,
    call::Call,
    faults::Fault,
    fields::Fields,
    filters::{Filters, page},
    ids::{eight, is_made},
    kept::{check_size, silenced},
    submit::{Task, tags},
    words::time,
};

/// The most templates of a project.
const QUOTA: usize = 1_000;

/// The most ids of one request.
const MOST_IDS: usize = 100;

const NAME_BYTES: usize = 60;
const DESCRIPTION_BYTES: usize = 200;

/// What the ids of templates start with.
const PREFIX: &str = "task-tmpl-";

/// A template as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Template {
    name: String,
    description: Option<String>,
    info: Map<String, Value>,
    tags: BTreeMap<String, String>,
    created_at: Timestamp,
}

fn shelf(project: ProjectId) -> Shelf {
    Shelf::of_project(project, API, "task-template")
}

fn check_id(text: &str) -> Result<(), Fault> {
    if is_made(PREFIX, text) {
        return Ok(());
    }
    let message = format!("`{text}` is not the id of a task template.");
    Err(Fault::new("InvalidParameter.TaskTemplateIdMalformed", message))
}

fn unknown(id: &str) -> Fault {
    Fault::new("ResourceNotFound.TaskTemplate", format!("Task template `{id}` is not found."))
}

/// `CreateTaskTemplate`.
pub(crate) async fn create(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let region = call.region.clone();
    let mut fields = Fields::new(call.parameters);
    let name = name(&mut fields)?;
    let name = fields.needed("TaskTemplateName", name)?;
    let info = info(&mut fields, region.as_deref())?;
    let info = fields.needed("TaskTemplateInfo", info)?;
    let description = description(&mut fields)?;
    let tags = tags(&mut fields)?;
    fields.end()?;
    let shelf = shelf(who.project);
    if shelf.all::<Template>(service).await?.len() >= QUOTA {
        let message = format!("There are {QUOTA} task templates already.");
        return Err(Fault::new("LimitExceeded.TaskTemplateQuota", message));
    }
    let created_at = service.platform.clock.now();
    let id = format!("{PREFIX}{}", eight(service.platform.clock.random()));
    let template = Template { name, description, info, tags, created_at };
    check_size(&template, service.limits.spec_bytes)?;
    shelf.put(service, &id, &template).await?;
    Ok(json!({ "TaskTemplateId": id }))
}

fn name(fields: &mut Fields) -> Result<Option<String>, Fault> {
    let path = fields.path("TaskTemplateName");
    let Some(name) = fields.text("TaskTemplateName")? else { return Ok(None) };
    if name.len() > NAME_BYTES {
        let message = format!("`{path}` is longer than {NAME_BYTES} bytes.");
        return Err(Fault::new("InvalidParameter.TaskTemplateNameTooLong", message));
    }
    if name.is_empty() || name.chars().any(char::is_control) {
        let message = format!("`{path}`: a name is not empty and has no control characters.");
        return Err(Fault::new("InvalidParameter.TaskTemplateName", message));
    }
    Ok(Some(name))
}

fn description(fields: &mut Fields) -> Result<Option<String>, Fault> {
    let path = fields.path("TaskTemplateDescription");
    let text = fields.text("TaskTemplateDescription")?;
    if text.as_ref().is_some_and(|text| text.len() > DESCRIPTION_BYTES) {
        let message = format!("`{path}` is longer than {DESCRIPTION_BYTES} bytes.");
        return Err(Fault::new("InvalidParameter.TaskTemplateDescriptionTooLong", message));
    }
    Ok(text)
}

/// A task, held to the rules of one that is submitted; its secrets are not kept.
fn info(fields: &mut Fields, region: Option<&str>) -> Result<Option<Map<String, Value>>, Fault> {
    let Some(raw) = fields.raw("TaskTemplateInfo") else { return Ok(None) };
    let whole = [("TaskTemplateInfo".to_owned(), raw.clone())].into_iter().collect();
    if let Some(task) = Fields::new(whole).object("TaskTemplateInfo")? {
        Task::read(task, region)?;
    }
    Ok(Some(silenced(Some(&raw))))
}

/// `DescribeTaskTemplates`.
pub(crate) async fn list(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let ids = ids(&mut fields)?;
    let names = ["task-template-name", "tag-key", "tag-value"];
    let filters = Filters::read(&mut fields, &names)?;
    let page = page(&mut fields, 20, 100)?;
    fields.end()?;
    if !ids.is_empty() && !filters.is_empty() {
        return Err(Fault::combination("`TaskTemplateIds` and `Filters` do not go together."));
    }
    let all = shelf(who.project).all::<Template>(service).await?;
    let mut found: Vec<(String, Template)> = all
        .into_iter()
        .filter(|(id, _)| ids.is_empty() || ids.contains(id))
        .filter(|(_, template)| {
            filters.admits(|_| template.name.clone()) && filters.admits_tags(&template.tags)
        })
        .collect();
    found.sort_by_key(|(_, template)| std::cmp::Reverse(template.created_at));
    let set: Vec<Value> = page.of(&found).iter().map(|(id, one)| one.view(id)).collect();
    Ok(json!({ "TaskTemplateSet": set, "TotalCount": found.len() }))
}

fn ids(fields: &mut Fields) -> Result<Vec<String>, Fault> {
    let ids = fields.texts("TaskTemplateIds")?;
    if ids.len() > MOST_IDS {
        return Err(Fault::limit("TaskTemplateIds", format!("{MOST_IDS} ids")));
    }
    ids.iter().try_for_each(|id| check_id(id))?;
    Ok(ids)
}

impl Template {
    fn view(&self, id: &str) -> Value {
        let tag = |(key, value): (&String, &String)| json!({ "Key": key, "Value": value });
        json!({
            "TaskTemplateId": id,
            "TaskTemplateName": self.name,
            "TaskTemplateDescription": self.description,
            "TaskTemplateInfo": self.info,
            "CreateTime": time(self.created_at),
            "Tags": self.tags.iter().map(tag).collect::<Vec<_>>(),
        })
    }
}

/// `ModifyTaskTemplate`.
pub(crate) async fn modify(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let region = call.region.clone();
    let mut fields = Fields::new(call.parameters);
    let id = fields.said("TaskTemplateId")?;
    check_id(&id)?;
    let (name, description) = (name(&mut fields)?, description(&mut fields)?);
    let info = info(&mut fields, region.as_deref())?;
    fields.end()?;
    if name.is_none() && description.is_none() && info.is_none() {
        let message = "At least one of `TaskTemplateName`, `TaskTemplateDescription` and \
                       `TaskTemplateInfo` is given.";
        return Err(Fault::new("InvalidParameterAtLeastOneAttribute", message));
    }
    check_size(&info, service.limits.spec_bytes)?;
    let shelf = shelf(who.project);
    let change = |template: Option<Template>| {
        let template = template?;
        Some(Template {
            name: name.clone().unwrap_or(template.name),
            description: description.clone().or(template.description),
            info: info.clone().unwrap_or(template.info),
            ..template
        })
    };
    let changed = shelf.change(service, &id, change).await?;
    changed.map(|_| json!({})).ok_or_else(|| unknown(&id))
}

/// `DeleteTaskTemplates`: all at once, or none if one of them is not there.
pub(crate) async fn delete(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let ids = ids(&mut fields)?;
    fields.end()?;
    if ids.is_empty() {
        return Err(Fault::missing("TaskTemplateIds"));
    }
    let ids: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    match shelf(who.project).remove(service, &ids).await? {
        Some(missing) => Err(unknown(missing)),
        None => Ok(json!({})),
    }
}

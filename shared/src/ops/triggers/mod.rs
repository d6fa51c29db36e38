//! Triggers: rules that submit a job from a template when something happens.
//!
//! One event, one job: what tells the event apart, with the trigger's name, is
//! the job's client token. So an event may come as often as it likes.

mod cron;
mod event;
mod fire;
mod origin;
mod rule;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

pub use self::{
    cron::{BadCron, Cron},
    event::{Event, ObjectCreated},
    fire::{Fired, come_due, on_event, on_object},
    origin::note as note_written,
    rule::{EventRule, ObjectRule, Rule, ScheduleRule},
};
use super::{
    rows,
    templates::{self, Template, holes},
};
use crate::{
    job::{JobId, Name, ProjectId},
    platform::{Expect, Index, Key, Op, Query, Row, TableError, Wanted},
    service::Service,
    wire::{
        Problem,
        submit::{OVER_A_TEMPLATE, check_text},
    },
};

/// A rule, and what it submits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trigger {
    /// The stored shape's version.
    pub v: u8,
    /// Its name in the project.
    pub name: Name,
    /// What it says.
    #[serde(flatten)]
    pub draft: Draft,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// What a trigger says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it does anything.
    pub enabled: bool,
    /// What it waits for.
    pub on: Rule,
    /// What it submits a job from.
    pub template: Name,
    /// Values for the template's parameters, of which `${event.…}` is part.
    pub parameters: Map<String, Value>,
    /// Fields of the job, over the template's.
    pub job: Map<String, Value>,
}

/// A trigger, and how it has been doing.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The trigger.
    pub trigger: Trigger,
    /// When its time comes next, if it has one.
    pub next_at: Option<Timestamp>,
    /// The last job it made.
    pub fired: Option<Firing>,
    /// The last time that it could make none.
    pub failed: Option<Misfire>,
}

/// A job that a trigger made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    /// When.
    pub at: Timestamp,
    /// Of which event, by its id.
    pub event: String,
    /// The job.
    pub job: JobId,
}

/// A job that a trigger could not make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Misfire {
    /// When.
    pub at: Timestamp,
    /// Of which event, by its id.
    pub event: String,
    /// Why.
    pub error: String,
}

/// When a trigger's time comes next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Schedule {
    v: u8,
    next: Timestamp,
}

/// Makes a trigger, or puts it in the place of one. Tells whether it is new.
pub async fn put(
    service: &Service,
    project: ProjectId,
    name: Name,
    draft: Draft,
) -> Result<(Trigger, bool), Problem> {
    let now = service.platform.clock.now();
    draft.check(service, project, now).await?;
    let (key, due) = (rows::trigger(project, &name), rows::schedule(project, &name));
    let mut trigger = Trigger { v: 1, name, draft, created_at: now, updated_at: now };
    loop {
        let row = service.platform.table.get(&key).await?;
        let found = row.as_ref().map(rows::read::<Trigger>).transpose()?;
        let kept = service.platform.table.get(&due).await?;
        trigger.created_at = found.as_ref().map_or(now, |found| found.created_at);
        let Draft { enabled, on, .. } = &trigger.draft;
        let expect = row.as_ref().map_or(Expect::Absent, |row| Expect::Version(row.version));
        let mut ops = vec![Op::Put(key.clone(), expect, rows::plain(&trigger))];
        if found.is_none() {
            // Of one of this name that was removed while it fired.
            let told =
                [rows::firing(project, &trigger.name), rows::misfire(project, &trigger.name)];
            ops.extend(told.map(|key| Op::Delete(key, Expect::Anything)));
        }
        let same = found.as_ref().is_some_and(|found| found.draft.on == *on);
        match on {
            // What is due, or nearly, is not passed over because of a new template.
            Rule::Schedule(_) if *enabled && same && kept.is_some() => {}
            Rule::Schedule(rule) if *enabled => {
                let expect = kept.map_or(Expect::Absent, |kept| Expect::Version(kept.version));
                let (cron, zone) = rule.times()?;
                let next = cron.next(now, &zone);
                ops.extend(next.map(|next| written(&due, next, expect)));
            }
            Rule::Schedule(_) | Rule::Object(_) | Rule::Event(_) => {
                ops.push(Op::Delete(due.clone(), Expect::Anything));
            }
        }
        match service.platform.table.commit(ops).await {
            Err(TableError::Stale(_) | TableError::Exists(_)) => {}
            settled => return Ok(settled.map(|()| (trigger, row.is_none()))?),
        }
    }
}

/// The row that has a sweep come to the trigger at `next`.
fn written(due: &Key, next: Timestamp, expect: Expect) -> Op {
    // Many are for the same minute: their names tell them apart.
    let spread = due.to_string().bytes().map(u128::from).sum();
    let mark = rows::due_mark(spread, next);
    let wanted =
        Wanted { marks: [(Index::Due, mark)].into(), ..rows::plain(&Schedule { v: 1, next }) };
    Op::Put(due.clone(), expect, wanted)
}

async fn read<T: DeserializeOwned>(service: &Service, key: &Key) -> Result<Option<T>, Problem> {
    let row = service.platform.table.get(key).await?;
    row.as_ref().map(rows::read).transpose()
}

/// The trigger of that name, or `None`.
pub async fn load(
    service: &Service,
    project: ProjectId,
    name: &Name,
) -> Result<Option<Trigger>, Problem> {
    read(service, &rows::trigger(project, name)).await
}

/// How a trigger has been doing.
pub async fn standing(
    service: &Service,
    project: ProjectId,
    trigger: Trigger,
) -> Result<Standing, Problem> {
    let name = &trigger.name;
    let schedule: Option<Schedule> = read(service, &rows::schedule(project, name)).await?;
    Ok(Standing {
        next_at: schedule.map(|schedule| schedule.next),
        fired: read(service, &rows::firing(project, name)).await?,
        failed: read(service, &rows::misfire(project, name)).await?,
        trigger,
    })
}

/// Every trigger of a project, by name.
pub async fn list(service: &Service, project: ProjectId) -> Result<Vec<Trigger>, Problem> {
    let mut query = Query::partition(project.to_string()).prefix("trigger#");
    let mut all = Vec::new();
    loop {
        let page = service.platform.table.query(&query).await?;
        for row in &page.rows {
            all.push(rows::read(row)?);
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return Ok(all);
        }
    }
}

/// Forgets a trigger. Jobs that it made are what they are.
pub async fn delete(service: &Service, project: ProjectId, name: &Name) -> Result<(), Problem> {
    let key = rows::trigger(project, name);
    if service.platform.table.get(&key).await?.is_none() {
        return Err(Problem::not_found("trigger", name));
    }
    let all = [
        key,
        rows::schedule(project, name),
        rows::firing(project, name),
        rows::misfire(project, name),
    ];
    let ops = all.map(|key| Op::Delete(key, Expect::Anything));
    Ok(service.platform.table.commit(ops.into()).await?)
}

impl Draft {
    async fn check(
        &self,
        service: &Service,
        project: ProjectId,
        now: Timestamp,
    ) -> Result<(), Problem> {
        if let Some(text) = &self.description {
            check_text("description", text, 1_000)?;
        }
        self.on.check(now)?;
        let found = templates::load(service, project, &self.template).await?;
        let template = found.ok_or_else(|| {
            let rule = format!("the project has no template `{}`", self.template);
            Problem::invalid("template", rule)
        })?;
        self.check_parameters(&template)?;
        let known = |field: &str| OVER_A_TEMPLATE.contains(&field) && field != "client_token";
        if let Some(field) = self.job.keys().find(|field| !known(field)) {
            let rule = "the template says it; a trigger says name, queue, priority, tags, callback";
            return Err(Problem::invalid(format!("job.{field}"), rule));
        }
        let said = [("parameters", &self.parameters), ("job", &self.job)];
        for (of, fields) in said {
            let size = serde_json::to_vec(fields).map_or(0, |json| json.len());
            if size > 32 << 10 {
                return Err(Problem::invalid(of, "it is longer than 32 KiB"));
            }
            let found = holes(&Value::Object(fields.clone())).map_err(|problem| match problem {
                Problem::Invalid { field, rule } => Problem::invalid(format!("{of}.{field}"), rule),
                other => other,
            })?;
            if let Some(hole) = found.iter().find(|hole| !hole.name.starts_with("event.")) {
                let rule =
                    format!("`{}` is nothing of the event: its parts are `event.…`", hole.name);
                return Err(Problem::invalid(format!("{of}.{}", hole.field), rule));
            }
        }
        Ok(())
    }

    /// What can be told of the template's parameters before there is an event.
    fn check_parameters(&self, template: &Template) -> Result<(), Problem> {
        for (name, value) in &self.parameters {
            let field = format!("parameters.{name}");
            let Some(parameter) = template.parameters.get(name) else {
                return Err(Problem::invalid(field, "the template has no such parameter"));
            };
            if holes(value).is_ok_and(|holes| holes.is_empty()) {
                parameter.accept(&field, value)?;
            }
        }
        let missing = template.parameters.iter().find(|(name, parameter)| {
            parameter.is_required() && !self.parameters.contains_key(*name)
        });
        match missing {
            Some((name, _)) => {
                Err(Problem::invalid(format!("parameters.{name}"), "the template needs it"))
            }
            None => Ok(()),
        }
    }
}

/// The trigger whose time a row is about.
fn scheduled(row: &Row) -> Option<(ProjectId, Name)> {
    let project = row.key.partition.strip_prefix("schedules#")?;
    Some((project.parse().ok()?, row.key.sort.parse().ok()?))
}

//! What triggers do when something happens.

use data_encoding::HEXLOWER;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tracing::{info, instrument, warn};

use super::{
    Draft, Event, Firing, Misfire, ObjectCreated, Rule, Schedule, Trigger, list, load, origin,
    scheduled, written,
};
use crate::{
    job::{JobId, Name, ProjectId},
    ops::{
        rows, submit,
        templates::{self, Filler},
    },
    platform::{Expect, Op, Row, TableError},
    service::Service,
    wire::{Problem, submit::FromTemplate},
};

/// Bytes that an event may put into a job's parameters.
const ROOM: usize = 256 << 10;

/// How many jobs triggers may make one out of another's objects.
const MOST_CHAINED: u32 = 16;

/// What came of an event for a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fired {
    /// The trigger.
    pub trigger: Name,
    /// The job that there is now, or why there is none.
    pub outcome: Result<JobId, String>,
}

/// An object was written.
#[instrument(level = "debug", name = "trigger.object", skip_all, fields(project.id = %created.project))]
pub async fn on_object(service: &Service, created: &ObjectCreated) -> Result<Vec<Fired>, Problem> {
    let event = Event::of_object(created);
    let fits = |rule: &Rule| match rule {
        Rule::Object(rule) => rule.fits(created),
        Rule::Schedule(_) | Rule::Event(_) => false,
    };
    fire_all(service, created.project, &event, Some(created), fits).await
}

/// Somebody told of an event.
#[instrument(level = "debug", name = "trigger.event", skip_all, fields(project.id = %project))]
pub async fn on_event(
    service: &Service,
    project: ProjectId,
    event: &Event,
) -> Result<Vec<Fired>, Problem> {
    let fits = |rule: &Rule| match rule {
        Rule::Event(rule) => rule.fits(event),
        Rule::Schedule(_) | Rule::Object(_) => false,
    };
    fire_all(service, project, event, None, fits).await
}

/// Fires every trigger that waits for the event. What one of them could not do
/// now, the event coming again does; the others find their jobs made.
async fn fire_all(
    service: &Service,
    project: ProjectId,
    event: &Event,
    object: Option<&ObjectCreated>,
    fits: impl Fn(&Rule) -> bool + Send,
) -> Result<Vec<Fired>, Problem> {
    let mut waiting = list(service, project).await?;
    waiting.retain(|trigger| trigger.draft.enabled && fits(&trigger.draft.on));
    let led_here = match object.filter(|_| !waiting.is_empty()) {
        Some(object) => origin::depth_of(service, object).await?,
        None => None,
    };
    let depth = led_here.map_or(0, |depth| depth.saturating_add(1));
    let mut all = Vec::new();
    let mut failed = None;
    for trigger in waiting {
        match fire(service, project, &trigger, event, depth).await {
            Ok(outcome) => all.push(Fired { trigger: trigger.name, outcome }),
            Err(problem) => {
                failed.get_or_insert(problem);
            }
        }
    }
    failed.map_or(Ok(all), Err)
}

/// The time of a trigger's row has come.
///
/// Of times that were missed only the last counts: a server that was away for
/// a night does not start a night's jobs. The job first, then the row: who dies
/// between the two finds the row still due, and the job made.
pub async fn come_due(service: &Service, row: &Row) -> Result<(), Problem> {
    let Some((project, name)) = scheduled(row) else { return Ok(()) };
    let remove = Op::Delete(row.key.clone(), Expect::Version(row.version));
    let trigger = load(service, project, &name).await?.filter(|trigger| trigger.draft.enabled);
    let Some((trigger, rule)) = trigger.and_then(|trigger| match trigger.draft.on.clone() {
        Rule::Schedule(rule) => Some((trigger, rule)),
        Rule::Object(_) | Rule::Event(_) => None,
    }) else {
        return settle(service, remove).await;
    };
    let Schedule { next: since, .. } = rows::read(row)?;
    let now = service.platform.clock.now();
    let (cron, zone) = rule.times()?;
    if let Some(at) = cron.last(since, now, &zone) {
        let _ = fire(service, project, &trigger, &Event::of_schedule(&name, at), 0).await?;
    }
    let next = match cron.next(now, &zone) {
        Some(next) => written(&row.key, next, Expect::Version(row.version)),
        None => remove,
    };
    settle(service, next).await
}

/// Another sweep may have been faster: then it is done.
async fn settle(service: &Service, op: Op) -> Result<(), Problem> {
    match service.platform.table.commit(vec![op]).await {
        Err(TableError::Stale(_)) => Ok(()),
        settled => Ok(settled?),
    }
}

/// Submits the job of one trigger for one event. An error means that the event
/// is to come again; what would be refused again is told, and noted.
async fn fire(
    service: &Service,
    project: ProjectId,
    trigger: &Trigger,
    event: &Event,
    depth: u32,
) -> Result<Result<JobId, String>, Problem> {
    let (at, event_id) = (service.platform.clock.now(), event.text("id").to_owned());
    let problem = match job_of(service, project, trigger, event, depth).await {
        Ok(job) => {
            info!(trigger.name = %trigger.name, event.id = event_id, job.id = %job, "trigger fired");
            let firing = rows::plain(&Firing { at, event: event_id, job });
            let note = Op::Put(rows::firing(project, &trigger.name), Expect::Anything, firing);
            service.platform.table.commit(vec![note]).await?;
            return Ok(Ok(job));
        }
        // Nothing is known to be wrong with the trigger.
        Err(problem @ (Problem::Unavailable(_) | Problem::Internal(_))) => return Err(problem),
        Err(problem) => problem,
    };
    let error = problem.to_string();
    warn!(trigger.name = %trigger.name, event.id = event_id, error, "trigger made no job");
    let misfire = rows::plain(&Misfire { at, event: event_id, error: error.clone() });
    let note = Op::Put(rows::misfire(project, &trigger.name), Expect::Anything, misfire);
    service.platform.table.commit(vec![note]).await?;
    match problem {
        // There will be room for it.
        problem @ Problem::TooMany(_) => Err(problem),
        _ => Ok(Err(error)),
    }
}

async fn job_of(
    service: &Service,
    project: ProjectId,
    trigger: &Trigger,
    event: &Event,
    depth: u32,
) -> Result<JobId, Problem> {
    if depth > MOST_CHAINED {
        let detail = format!(
            "{MOST_CHAINED} triggers led here one after another, each by an object that the job \
             before wrote: they go round in a circle"
        );
        return Err(Problem::conflict("circle", detail));
    }
    let mut submission = templates::submission(service, project, asked(trigger, event)?).await?;
    let token = token(trigger, event);
    submission.client_token = Some(token.clone());
    submission.made_by.trigger = Some(trigger.name.clone());
    submission.made_by.depth = depth;
    // The token alone says whether it is the same: the trigger may have changed.
    let accepted = submit::submit(service, project, submission, token.as_bytes(), None).await?;
    Ok(accepted.job.id)
}

/// What the trigger says, with the event in its places.
fn asked(trigger: &Trigger, event: &Event) -> Result<FromTemplate, Problem> {
    let Draft { template, parameters, job, .. } = &trigger.draft;
    let look_up = |path: &str| event.look_up(path);
    let mut filler = Filler::of_values(&look_up, ROOM);
    let mut filled = |of: &str, fields: &Map<String, Value>| filler.fields(of, fields);
    Ok(FromTemplate {
        template: template.to_string(),
        parameters: filled("parameters", parameters)?,
        over: filled("job", job)?,
    })
}

/// The client token of a trigger's job for an event. A `CloudEvent` is told from
/// others by its source and its id (§3.1).
fn token(trigger: &Trigger, event: &Event) -> String {
    let mut digest = Sha256::new();
    for part in [trigger.name.as_str(), event.text("source"), event.text("id")] {
        digest.update(part.len().to_be_bytes());
        digest.update(part);
    }
    format!("trigger-{}", HEXLOWER.encode(&digest.finalize()[..24]))
}

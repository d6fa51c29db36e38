//! Results that are used again, where a task asks for that.
//!
//! Before an attempt is claimed, its key says what it would run: see [`key`].
//! A row under that key names who *leads*: the instance that runs it, or has.
//! It only points. Whether there is a result, and which, is read off the
//! leader's own job, so that nothing has to be written when it succeeds, and
//! whoever dies between two writes leaves nothing that is wrong.
//!
//! A result is **copied** into the job that it is given to. So it lives as long
//! as that job, whatever becomes of the first one; the row then points to the
//! copy, and a result lasts for as long as it is asked for.
//!
//! A copy's name says whose result it is, and has nothing in common with the
//! name of what the attempt itself would bring home: two who do the same copy
//! the same, and one that is left behind is in nobody's way.

mod copy;
mod key;
mod lead;

use tracing::{info, instrument};

use self::lead::Found;
use super::{attempts, chunks, dispatch, record};
use crate::{
    job::{AttemptEvent, AttemptKey, Duty, Event, Instance, Job, Recall},
    service::Service,
    wire::Problem,
};

pub(super) use self::{
    copy::object,
    key::{digest, summed},
};

/// Whether the attempt to come runs at all; who does not need to is given what
/// an equal brought home. What can start now is claimed.
#[instrument(level = "debug", name = "attempt.recall", skip_all, fields(attempt.id = %attempt.attempt))]
pub(super) async fn perform(
    service: &Service,
    attempt: AttemptKey,
) -> Result<Option<dispatch::Claimed>, Problem> {
    let id = attempt.attempt;
    let Some(held) = chunks::held(service, attempt).await? else { return Ok(None) };
    // A part of a wide task may not have been told yet that its job stops.
    let stops = held.job.halt().is_some();
    if stops || !held.is_due(Duty::Recall(id), service.platform.clock.now()) {
        return Ok(None);
    }
    let spec = attempts::load_spec(service, &held.job).await?.into_owned();
    let rule = spec.tasks.get(id.task as usize).and_then(|task| task.cache.as_ref());
    let key = key::of(service, attempt, &held.job, &spec).await?;
    let event = match (rule, key) {
        (Some(rule), Some(key)) => match lead::find(service, attempt, rule, &key).await? {
            Found::Nobody => AttemptEvent::Leads { key: Some(key) },
            Found::UnderWay => {
                AttemptEvent::Awaits { key, again_seconds: pause(held.instance(id)) }
            }
            Found::Result(taken) => {
                let from = taken.from();
                copy::bring_in(service, attempt, *taken).await?;
                info!(attempt.id = %id, from = %from.attempt, "a result is used again");
                return Ok(None);
            }
        },
        (None, _) | (_, None) => AttemptEvent::Leads { key: None },
    };
    let leads = matches!(event, AttemptEvent::Leads { .. });
    let event = Event::Attempt(id, event);
    if leads && held.is_inline() {
        let claimed = dispatch::claim_at_once(service, &held.row, &held.job, &event).await?;
        if claimed.is_some() {
            return Ok(claimed);
        }
    }
    record::record(service, attempt.job(), &event).await?;
    Ok(None)
}

/// What the result of an attempt is known by, if its inputs are still those for
/// which it was claimed: what was replaced meanwhile, it may have read or not.
pub(super) async fn still_known_by(
    service: &Service,
    attempt: AttemptKey,
    job: &Job,
) -> Result<Option<String>, Problem> {
    let id = attempt.attempt;
    if !job.tasks.get(id.task as usize).is_some_and(|task| task.caches) {
        return Ok(None);
    }
    let Some(held) = chunks::held(service, attempt).await? else { return Ok(None) };
    let led = match held.instance(id).and_then(|instance| instance.recall.as_ref()) {
        Some(Recall::Leads { key: Some(key) }) if held.is_live(id) => key.clone(),
        Some(Recall::Leads { .. } | Recall::Awaits { .. }) | None => return Ok(None),
    };
    let spec = attempts::load_spec(service, &held.job).await?;
    let now = key::of(service, attempt, &held.job, &spec).await?;
    Ok(now.filter(|now| *now == led))
}

/// How long until an equal that is under way is looked at again, in seconds.
fn pause(instance: Option<&Instance>) -> u32 {
    match instance.and_then(|instance| instance.recall.as_ref()) {
        Some(Recall::Awaits { looks, .. }) => 1 << (*looks).min(5),
        Some(Recall::Leads { .. }) | None => 1,
    }
}

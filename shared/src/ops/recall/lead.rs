//! Who leads: who has run what a key stands for, or is about to.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::copy::{self, Taken};
use crate::{
    job::{
        AttemptId, AttemptKey, CacheRule, CachedFrom, InstanceState, Outcome, ProjectId, Recall,
    },
    ops::{
        chunks::{self, Held},
        queues,
        rows::{self, QueueKey},
    },
    platform::{Expect, Key, Op, TableError, Wanted},
    service::Service,
    wire::Problem,
};

/// How often who keeps being overtaken tries again.
const TRIES: u32 = 20;

/// How long a row is kept beyond what its leader's job is: for as long as that
/// may be under way.
const DAYS_UNDER_WAY: i64 = 60;

/// Who leads, and points to its result once there is one.
#[derive(Serialize, Deserialize)]
struct Entry {
    v: u8,
    leader: AttemptId,
}

/// What was found of an attempt's equals.
pub(super) enum Found {
    /// None that is of use: the attempt leads.
    Nobody,
    /// One is under way.
    UnderWay,
    /// One has brought home this, which is copied by now.
    Result(Box<Taken>),
}

/// Looks for an equal of the attempt; where there is none, it leads from now on.
pub(super) async fn find(
    service: &Service,
    attempt: AttemptKey,
    rule: &CacheRule,
    key: &str,
) -> Result<Found, Problem> {
    let at = rows::result(attempt.project, key);
    for _ in 0..TRIES {
        let row = service.platform.table.get(&at).await?;
        let expect = match &row {
            None => Expect::Absent,
            Some(row) => {
                let Entry { leader, .. } = rows::read(row)?;
                // Who led before, in an earlier run perhaps, leads again, and says
                // so: somebody may have read that it is over.
                let found = if is_same(leader, attempt.attempt) {
                    Found::Nobody
                } else {
                    follow(service, attempt, leader, rule, key).await?
                };
                match found {
                    Found::Nobody => Expect::Version(row.version),
                    found => return Ok(found),
                }
            }
        };
        if points_to(service, at.clone(), attempt, expect).await? {
            return Ok(Found::Nobody);
        }
    }
    Err(Problem::Unavailable("too many equal attempts come at once".into()))
}

/// Lets the row point to the instance of this attempt, if it is as expected.
async fn points_to(
    service: &Service,
    at: Key,
    attempt: AttemptKey,
    expect: Expect,
) -> Result<bool, Problem> {
    let days = SignedDuration::from_hours(24 * DAYS_UNDER_WAY);
    let leader = AttemptId { number: 0, ..attempt.attempt };
    let expires_at = service.platform.clock.now().checked_add(days).ok();
    let wanted = Wanted { expires_at, ..rows::plain(&Entry { v: 1, leader }) };
    match service.platform.table.commit(vec![Op::Put(at, expect, wanted)]).await {
        Ok(()) => Ok(true),
        Err(TableError::Stale(_) | TableError::Exists(_)) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

/// From now on the copy that this attempt was given is what the next one is
/// given: it is kept for longer. If that fails, it is the one before.
pub(super) async fn renew(
    service: &Service,
    attempt: AttemptKey,
    key: &str,
) -> Result<(), Problem> {
    let at = rows::result(attempt.project, key);
    let Some(row) = service.platform.table.get(&at).await? else { return Ok(()) };
    points_to(service, at, attempt, Expect::Version(row.version)).await.map(|_| ())
}

fn is_same(one: AttemptId, other: AttemptId) -> bool {
    (one.job, one.task, one.instance) == (other.job, other.task, other.instance)
}

/// What there is to be had of a leader.
async fn follow(
    service: &Service,
    attempt: AttemptKey,
    leader: AttemptId,
    rule: &CacheRule,
    key: &str,
) -> Result<Found, Problem> {
    let held = chunks::held(service, AttemptKey { attempt: leader, ..attempt }).await?;
    let Some(held) = held.filter(|held| held.job.deleted_at.is_none()) else {
        return Ok(Found::Nobody);
    };
    let Some(instance) = held.instance(leader) else { return Ok(Found::Nobody) };
    let is_live = instance.live().is_some();
    match (&instance.state, &instance.recall) {
        (InstanceState::Succeeded(outcome), _) if outcome.key.as_deref() == Some(key) => {
            let holder = held.latest(leader.task, leader.instance);
            result(service, attempt, (holder, outcome), rule).await
        }
        (InstanceState::Succeeded(_) | InstanceState::Failed(_) | InstanceState::Stopped(_), _) => {
            Ok(Found::Nobody)
        }
        (
            InstanceState::Waiting { .. } | InstanceState::Live(_),
            Some(Recall::Leads { key: led }),
        ) => {
            let leads = led.as_deref() == Some(key);
            let comes = is_live || !is_paused(service, attempt.project, &held).await?;
            Ok(if leads && comes { Found::UnderWay } else { Found::Nobody })
        }
        // Who waits for another's result may be waited for by that other.
        (
            InstanceState::Waiting { .. } | InstanceState::Live(_),
            Some(Recall::Awaits { key: awaited, .. }),
        ) if awaited != key => Ok(Found::Nobody),
        // It is about to learn that it leads, though it may have waited before.
        (
            InstanceState::Waiting { .. } | InstanceState::Live(_),
            None | Some(Recall::Awaits { .. }),
        ) => Ok(Found::UnderWay),
    }
}

/// Nobody waits for who stands in a queue that does not move.
async fn is_paused(service: &Service, project: ProjectId, held: &Held) -> Result<bool, Problem> {
    let queue = QueueKey { project, name: held.job.queue.clone() };
    Ok(queues::load(service, &queue).await?.is_none_or(|(_, queue)| queue.paused))
}

/// The result that is there, if it will do.
async fn result(
    service: &Service,
    attempt: AttemptKey,
    (holder, outcome): (AttemptId, &Outcome),
    rule: &CacheRule,
) -> Result<Found, Problem> {
    let ran = CachedFrom { attempt: holder, at: outcome.at };
    let from = outcome.cached_from.unwrap_or(ran);
    let age = service.platform.clock.now().duration_since(from.at);
    let is_old = rule.max_age_seconds.is_some_and(|most| age.as_secs() > i64::from(most));
    let Some(key) = outcome.key.clone().filter(|_| !is_old) else { return Ok(Found::Nobody) };
    let taken = copy::take(service, attempt, holder, from, key).await?;
    Ok(taken.map_or(Found::Nobody, |taken| Found::Result(Box::new(taken))))
}

//! A task's instances, one by one, wherever they are held.

use std::ops::Range;

use super::{chunks, rows::ChunkKey};
use crate::{
    job::{
        AttemptId, ChunkEntry, INLINE_INSTANCES, Instance, InstanceState, Job, Members, Outcome,
        Task,
    },
    service::Service,
    wire::Problem,
};

/// An instance, and its latest attempt, if it had any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its index in the task.
    pub index: u32,
    /// How it stands.
    pub instance: Instance,
    /// Its latest attempt: of an earlier run, if it succeeded in that.
    pub attempt: Option<AttemptId>,
}

/// The instances of the task at this place, those of the range that there are.
pub async fn of_task(
    service: &Service,
    job: &Job,
    place: usize,
    range: Range<u32>,
) -> Result<Vec<Member>, Problem> {
    let Some(task) = job.tasks.get(place) else { return Ok(Vec::new()) };
    let end = range.end.min(task.members.counts().total());
    match &task.members {
        Members::Inline(instances) => {
            let member = |index: u32| inline(job, place, index, &instances[index as usize]);
            Ok((range.start..end).map(member).collect())
        }
        Members::Chunked(entries) => {
            in_chunks(service, job, place, entries, range.start..end).await
        }
    }
}

fn inline(job: &Job, place: usize, index: u32, instance: &Instance) -> Member {
    let attempt = job.attempt_id(place, index as usize, instance.attempts);
    let attempt = (instance.attempts > 0).then_some(attempt);
    Member { index, instance: instance.clone(), attempt }
}

async fn in_chunks(
    service: &Service,
    job: &Job,
    place: usize,
    entries: &[ChunkEntry],
    range: Range<u32>,
) -> Result<Vec<Member>, Problem> {
    let Ok(of) = u32::try_from(place) else { return Ok(Vec::new()) };
    let (mut members, mut index) = (Vec::new(), range.start);
    while index < range.end {
        let chunk = index / INLINE_INSTANCES;
        let next = range.end.min((chunk + 1) * INLINE_INSTANCES);
        let entry = &entries[chunk as usize];
        let held = chunks::load(service, ChunkKey { job: job.key(), task: of, chunk }).await?;
        for index in index..next {
            let offset = (index % INLINE_INSTANCES) as usize;
            let found = held.as_ref().and_then(|held| {
                let instance = held.instances.get(offset)?;
                let kept = matches!(instance.state, InstanceState::Succeeded(_));
                let counts = held.run == job.run || (kept && entry.counts.succeeded > 0);
                counts.then(|| (instance.clone(), held.latest_attempt(index)))
            });
            let (instance, attempt) =
                found.unwrap_or_else(|| (untold(&job.tasks[place], entry), None));
            members.push(Member { index, instance, attempt });
        }
        index = next;
    }
    Ok(members)
}

/// An instance of a chunk that was never created: all of them stand alike.
fn untold(task: &Task, entry: &ChunkEntry) -> Instance {
    let outcome = || Outcome {
        at: task.since,
        cause: None,
        exit: None,
        started_at: None,
        archive_bytes: None,
        key: None,
        cached_from: None,
    };
    let state = if entry.counts.failed > 0 {
        InstanceState::Failed(outcome())
    } else if entry.counts.stopped > 0 {
        InstanceState::Stopped(outcome())
    } else {
        InstanceState::Waiting { since: entry.since, not_before: None, last: None }
    };
    Instance { state, attempts: 0, spent: 0, faults: 0, kept_from: None, recall: None }
}

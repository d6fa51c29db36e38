//! Every attempt of a job: those that have ended, by what they left behind, and
//! those that are live, by the instance that they are of.

use super::{
    attempts::AttemptRecord,
    chunks,
    rows::{self, ChunkKey},
};
use crate::{
    job::{Attempt, AttemptId, INLINE_INSTANCES, Instance, Job, Members},
    platform::Query,
    service::Service,
    wire::Problem,
};

/// What a listing is narrowed to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only attempts of this run.
    pub run: Option<u32>,
    /// Only attempts of the task at this place.
    pub task: Option<u32>,
    /// Only attempts of this instance of that task.
    pub instance: Option<u32>,
}

/// An attempt, and how far it is or what it left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It is live.
    Live(AttemptId, Box<Attempt>),
    /// It has ended.
    Ended(Box<AttemptRecord>),
}

impl Tried {
    /// Which attempt it is.
    pub fn id(&self) -> AttemptId {
        match self {
            Tried::Live(id, _) => *id,
            Tried::Ended(record) => record.id,
        }
    }
}

/// A page of attempts by run, task, instance and number, and whether there are
/// more. `after` is the last attempt that an earlier page got to.
pub async fn list(
    service: &Service,
    job: &Job,
    filter: Filter,
    after: Option<AttemptId>,
    limit: usize,
) -> Result<(Vec<Tried>, bool), Problem> {
    let first = filter.run.unwrap_or(1).max(after.map_or(1, |after| after.run));
    let last = filter.run.unwrap_or(job.run).min(job.run);
    let mut found = Vec::new();
    for run in first..=last {
        let stretch = Stretch { job, run, filter, after: after.filter(|after| after.run == run) };
        let wanted = limit + 1 - found.len();
        // What ends between the two looks is found twice, and not missed.
        let live = if run == job.run { stretch.live(service, wanted).await? } else { Vec::new() };
        let ended = stretch.ended(service, wanted).await?;
        found.extend(merged(live, ended).into_iter().take(wanted));
        if found.len() > limit {
            found.truncate(limit);
            return Ok((found, true));
        }
    }
    Ok((found, false))
}

/// Both in order; of those that are in both, what they left behind.
fn merged(live: Vec<Tried>, ended: Vec<Tried>) -> Vec<Tried> {
    let mut all = ended;
    all.extend(live);
    // Stable: what has ended comes before the same while it was live.
    all.sort_by_key(Tried::id);
    all.dedup_by_key(|tried| tried.id());
    all
}

/// The attempts of one run that are wanted.
#[derive(Clone, Copy)]
struct Stretch<'a> {
    job: &'a Job,
    run: u32,
    filter: Filter,
    after: Option<AttemptId>,
}

impl Stretch<'_> {
    async fn ended(self, service: &Service, wanted: usize) -> Result<Vec<Tried>, Problem> {
        let Filter { task, instance, .. } = self.filter;
        let mut prefix = format!("attempt#{:05}#", self.run);
        prefix.extend(task.map(|task| format!("{task:04}#")));
        prefix.extend(instance.map(|instance| format!("{instance:05}#")));
        let mut query = Query::partition(rows::parts(self.job.key())).prefix(&prefix);
        if let Some(after) = self.after {
            // `#` comes before every digit, and nothing else follows a number.
            query.from = rows::attempt(after).sort + "#";
        }
        query.limit = wanted.clamp(1, 100);
        let mut ended = Vec::new();
        loop {
            let page = service.platform.table.query(&query).await?;
            for row in &page.rows {
                ended.push(Tried::Ended(Box::new(rows::read(row)?)));
            }
            query.cursor = page.cursor;
            if ended.len() >= wanted || query.cursor.is_none() {
                return Ok(ended);
            }
        }
    }

    async fn live(self, service: &Service, wanted: usize) -> Result<Vec<Tried>, Problem> {
        let mut live = Vec::new();
        if self.job.ending().is_some() {
            return Ok(live);
        }
        let inline = self.job.live_attempts().into_iter().filter(|id| self.wants(*id));
        live.extend(inline.filter_map(|id| tried(id, self.job.instance(id))));
        for key in self.chunks() {
            let Some(chunk) = chunks::load(service, key).await? else { continue };
            let ids = chunk.live_attempts().into_iter().filter(|id| self.wants(*id));
            live.extend(ids.filter_map(|id| tried(id, chunk.instance(id))));
            let before = |tried: &&Tried| tried.id() < first_of(self.job, key);
            if live.iter().filter(before).count() >= wanted {
                break;
            }
        }
        Ok(live)
    }

    /// The chunks that may have what is wanted, in order.
    fn chunks(self) -> impl Iterator<Item = ChunkKey> {
        let tasks = (0..).zip(&self.job.tasks);
        let all = tasks.flat_map(move |(task, of)| {
            let count = match &of.members {
                Members::Inline(_) => 0,
                Members::Chunked(chunks) => u32::try_from(chunks.len()).unwrap_or(u32::MAX),
            };
            (0..count).map(move |chunk| ChunkKey { job: self.job.key(), task, chunk })
        });
        all.filter(move |key| {
            let Filter { task, instance, .. } = self.filter;
            let behind = |after: AttemptId| {
                (key.task, key.chunk) < (after.task, after.instance / INLINE_INSTANCES)
            };
            task.is_none_or(|task| task == key.task)
                && instance.is_none_or(|instance| instance / INLINE_INSTANCES == key.chunk)
                && !self.after.is_some_and(behind)
        })
    }

    fn wants(self, id: AttemptId) -> bool {
        let Filter { task, instance, .. } = self.filter;
        task.is_none_or(|task| task == id.task)
            && instance.is_none_or(|instance| instance == id.instance)
            && self.after.is_none_or(|after| after < id)
    }
}

/// The least id that an attempt of a chunk may have.
fn first_of(job: &Job, key: ChunkKey) -> AttemptId {
    let instance = key.chunk * INLINE_INSTANCES;
    AttemptId { job: job.id, run: job.run, task: key.task, instance, number: 0 }
}

fn tried(id: AttemptId, instance: Option<&Instance>) -> Option<Tried> {
    let attempt = instance?.live()?;
    Some(Tried::Live(id, Box::new(attempt.clone())))
}

//! Changes of chunks: all that this process wants changed of one at a time go
//! into one write.
//!
//! Up to 128 containers report to one row. Were each change written by itself,
//! all but one of those that come together would be overtaken and tried again.
//! So who comes while another writes waits for his turn, and whoever's turn it
//! is brings in the changes of all. Other processes are met as ever, by the
//! row's version.
//!
//! Nothing here has to last: who asked for a change and is gone, or has died,
//! is one whose change may or may not have been made.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tracing::{info, warn};

use super::{
    duties::chain,
    rows::{self, ChunkKey, QueueKey},
    slots,
};
use crate::{
    job::{AttemptId, Chunk, Refused},
    platform::{Expect, Key, Op, Row, Staged, TableError, Wanted},
    service::Service,
    wire::Problem,
};

/// How often a writer that keeps being overtaken tries again.
const TRIES: u32 = 100;

/// The most changes of one write, so that the rows that come first fit one
/// commit with it.
const AT_ONCE: usize = 64;

/// What a chunk becomes.
pub(super) type Change = dyn Fn(&Chunk, Timestamp) -> Result<Chunk, Refused> + Send + Sync;

/// A row that is written before the chunk is, given the chunk before and
/// after: asked for only if they differ.
pub(super) type First = dyn Fn(&Chunk, &Chunk) -> (Key, Wanted) + Send + Sync;

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The chunk has changed.
    Changed,
    /// The chunk was so already.
    Unchanged,
    /// The row that is written first is there already; nothing was changed.
    Preceded,
}

/// Who of this process waits to change which chunk.
#[derive(Default)]
pub struct Turns {
    lines: Mutex<HashMap<ChunkKey, Arc<Line>>>,
}

/// Those who wait for one chunk.
#[derive(Default)]
struct Line {
    turn: tokio::sync::Mutex<()>,
    waiting: Mutex<Vec<Arc<Asked>>>,
}

struct Asked {
    change: Box<Change>,
    first: Option<Box<First>>,
    answer: Mutex<Option<Result<Outcome, Problem>>>,
}

/// A place in a line, which is left when it is dropped.
struct Place<'a> {
    turns: &'a Turns,
    key: ChunkKey,
    line: Arc<Line>,
    asked: Arc<Asked>,
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Turns {
    fn wait(&self, key: ChunkKey, asked: Asked) -> Place<'_> {
        let asked = Arc::new(asked);
        let line = Arc::clone(guard(&self.lines).entry(key).or_default());
        guard(&line.waiting).push(Arc::clone(&asked));
        Place { turns: self, key, line, asked }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut lines = guard(&self.turns.lines);
        let mut waiting = guard(&self.line.waiting);
        waiting.retain(|other| !Arc::ptr_eq(other, &self.asked));
        // Whoever else has the line has a place in it, or is about to.
        if waiting.is_empty() && Arc::strong_count(&self.line) == 2 {
            lines.remove(&self.key);
        }
    }
}

impl Line {
    fn first(&self) -> Vec<Arc<Asked>> {
        let unanswered = |asked: &&Arc<Asked>| guard(&asked.answer).is_none();
        guard(&self.waiting).iter().filter(unanswered).take(AT_ONCE).cloned().collect()
    }
}

impl Asked {
    fn answer(&self, answer: Result<Outcome, Problem>) {
        *guard(&self.answer) = Some(answer);
    }
}

/// Changes the stored chunk, together with what else this process wants
/// changed of it.
pub(super) async fn change(
    service: &Service,
    key: ChunkKey,
    change: Box<Change>,
    first: Option<Box<First>>,
) -> Result<Outcome, Problem> {
    let place = service.turns.wait(key, Asked { change, first, answer: Mutex::default() });
    let answered = || guard(&place.asked.answer).take();
    let _turn = place.line.turn.lock().await;
    for _ in 0..TRIES {
        if let Some(answer) = answered() {
            return answer;
        }
        once(service, key, &place.line.first()).await;
    }
    answered().unwrap_or_else(|| {
        let why = format!("a part of {} is written to by too many at once", key.job.job);
        Err(Problem::Unavailable(why.into()))
    })
}

/// Makes the changes that were asked for, if nobody else has meanwhile changed
/// the chunk. Who has no answer then is to be seen to again.
async fn once(service: &Service, key: ChunkKey, asked: &[Arc<Asked>]) {
    match attempted(service, key, asked).await {
        Ok(()) => {}
        Err(problem) => {
            // The first is told what went wrong, the others that something did.
            let mut problem = Some(problem);
            for asked in asked.iter().filter(|asked| guard(&asked.answer).is_none()) {
                let other = || Problem::Unavailable("a change made with this one failed".into());
                asked.answer(Err(problem.take().unwrap_or_else(other)));
            }
        }
    }
}

async fn attempted(service: &Service, key: ChunkKey, asked: &[Arc<Asked>]) -> Result<(), Problem> {
    let Some((row, chunk)) = load(service, key).await? else {
        let missing =
            |asked: &Arc<Asked>| asked.answer(Err(Problem::not_found("job", key.job.job)));
        asked.iter().for_each(missing);
        return Ok(());
    };
    let now = service.platform.clock.now();
    let mut next = chunk.clone();
    let (mut firsts, mut changed) = (Vec::new(), Vec::new());
    for asked in asked {
        match (asked.change)(&next, now) {
            Err(refused) => asked.answer(Err(refused.into())),
            Ok(after) if after == next => asked.answer(Ok(Outcome::Unchanged)),
            Ok(after) => {
                let first = asked.first.as_ref().map(|first| first(&next, &after));
                changed.push((asked, first.as_ref().map(|(key, _)| key.clone())));
                firsts.extend(first.map(|(key, wanted)| Op::Put(key, Expect::Absent, wanted)));
                next = after;
            }
        }
    }
    if changed.is_empty() {
        return Ok(());
    }
    // A commit takes one change of a set.
    let mut freed = freed(&chunk, &next).into_iter();
    let staged = Staged {
        before: firsts,
        ops: vec![replace(service, &row, &next)],
        after: freed.next().into_iter().collect(),
    };
    match service.platform.table.commit_staged(staged).await {
        Ok(()) => {}
        Err(TableError::Stale(_)) => return Ok(()),
        Err(TableError::Exists(taken)) => {
            let of = |first: &Option<Key>| first.as_ref() == Some(&taken);
            for (asked, _) in changed.iter().filter(|(_, first)| of(first)) {
                asked.answer(Ok(Outcome::Preceded));
            }
            return Ok(());
        }
        Err(other) => return Err(other.into()),
    }
    for (asked, _) in &changed {
        asked.answer(Ok(Outcome::Changed));
    }
    diary(&chunk, &next, changed.len());
    let leaves = freed.map(|leave| service.platform.table.commit(vec![leave]));
    for left in futures::future::join_all(leaves).await {
        if let Err(error) = left {
            warn!(job.id = %key.job.job, error = chain(&error), "a slot is not given back yet");
        }
    }
    Ok(())
}

/// The chunk, and the row it is in.
pub(super) async fn load(
    service: &Service,
    key: ChunkKey,
) -> Result<Option<(Row, Chunk)>, Problem> {
    let Some(row) = service.platform.table.get(&rows::chunk(key)).await? else {
        return Ok(None);
    };
    let chunk: Chunk = rows::read(&row)?;
    Ok(Some((row, chunk)))
}

/// The change from the row that was read to the chunk that follows.
pub(super) fn replace(service: &Service, row: &Row, next: &Chunk) -> Op {
    let (now, slack) = (service.platform.clock.now(), service.platform.table.mark_slack());
    let wanted = rows::next_chunk_row(next, row, now, slack);
    Op::Put(row.key.clone(), Expect::Version(row.version), wanted)
}

/// The slots that a change gives back: after the chunk has changed, as those
/// of a job's own instances are.
fn freed(before: &Chunk, after: &Chunk) -> Vec<Op> {
    let queue = QueueKey { project: before.job.project, name: before.queue.clone() };
    let key = rows::slots(&queue);
    let live = after.live_attempts();
    let ended = before.live_attempts().into_iter().filter(|id| !live.contains(id));
    let slot = |id: AttemptId| slots::member(id, before.resources);
    let leave = |id: AttemptId| Op::Leave { key: key.clone(), member: slot(id) };
    ended.map(leave).collect()
}

fn diary(before: &Chunk, after: &Chunk, changes: usize) {
    let (from, to) = (before.counts(), after.counts());
    info!(
        job.id = %after.job.job,
        chunk.task = after.task,
        chunk.place = after.chunk,
        changes,
        waiting = to.waiting,
        live = to.live,
        ended = to.succeeded + to.failed + to.stopped,
        is_news = from != to,
        "chunk changed"
    );
}

//! Where things are in the table, and how they are written down.
//!
//! | what | partition | sort |
//! |---|---|---|
//! | job record | `<project>#<YYYYMM>` | job id |
//! | spec, if it is large | `job#<job>` | `spec` |
//! | chunk of a wide task | `job#<job>` | `chunk#<task>#<chunk>#<project>` |
//! | attempt | `job#<job>` | `attempt#<run>#<task>#<instance>#<number>` |
//! | how many objects an attempt was let put | `job#<job>` | `granted#<run>#<task>#<instance>#<number>` |
//! | callback | `job#<job>` | `callback#<run>#<event>` |
//! | client token | `token#<project>#<token>` | `token` |
//! | live log | `job#<job>` | `log#<run>#<task>#<instance>#<number>#<place>`, and `loghead#…` |
//! | queue, image, template, access key | `<project>` | `queue#…`, `image#…`, `template#…`, `key#…` |
//! | trigger, and its last job and error | `<project>` | `trigger#…`, `firing#…`, `misfire#…` |
//! | which job wrote an object | `origin#<project>#<bucket>/<key>` | `origin` |
//! | when a trigger's time comes | `schedules#<project>` | the trigger's name |
//! | what a dialect keeps of a project, or of a job | `<project>`, or `job#<job>` | `note#<api>#<kind>#<id>` |
//! | slots of a queue (a set) | `slots#<project>#<queue>` | `live` |
//! | project | `projects` | project id |
//! | nonce of a key, or what a key first used something for | `nonce#<key>#<api>#<hash>` | `nonce` |
//! | lease of stored objects | `leases#<project>` | the job's or upload's id |
//! | who leads those that run the same | `result#<project>#<key>` | `result` |

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    job::{
        AccessKeyId, AttemptId, AttemptKey, CallbackKey, Chunk, INLINE_INSTANCES, Job, JobId,
        JobKey, Name, ProjectId,
    },
    platform::{Index, Key, Mark, Row, Wanted},
    wire::{Problem, callback::event_word},
};

pub use crate::platform::due_sort;

/// How many partitions the index of due rows is spread over, for each kind.
const DUE_SHARDS: u32 = 8;

/// The kind of what is due in general, and of jobs whose callers are to be told.
const DUE: &str = "due";
const TELL: &str = "tell";

/// How old an open job is when it gets its mark as such, where a mark costs
/// something: most are over before.
const MARKED_OPEN_AT: SignedDuration = SignedDuration::from_mins(5);

/// How old a job is that surely has it: a sweep has come by.
const SURELY_MARKED_AT: SignedDuration = SignedDuration::from_mins(10);

/// A queue, and the project it belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct QueueKey {
    /// The owner.
    pub project: ProjectId,
    /// Its name.
    pub name: Name,
}

impl QueueKey {
    /// The queue that a job waits in.
    pub fn of(job: &Job) -> Self {
        QueueKey { project: job.project, name: job.queue.clone() }
    }
}

/// A part of a wide task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChunkKey {
    /// The job it is part of.
    pub job: JobKey,
    /// The task's place in the job.
    pub task: u32,
    /// The chunk's place in the task.
    pub chunk: u32,
}

impl ChunkKey {
    /// The chunk that holds an attempt's instance, where its task is wide.
    pub fn of(attempt: AttemptKey) -> Self {
        let AttemptId { task, instance, .. } = attempt.attempt;
        ChunkKey { job: attempt.job(), task, chunk: instance / INLINE_INSTANCES }
    }
}

/// A job's record.
pub fn job(key: JobKey) -> Key {
    Key::new(job_partition(key.project, &key.job.month()), key.job.to_string())
}

/// The partition that lists a project's jobs of one month.
pub fn job_partition(project: ProjectId, month: &str) -> String {
    format!("{project}#{month}")
}

/// A job's spec.
pub fn spec(key: JobKey) -> Key {
    Key::new(format!("job#{}", key.job), "spec")
}

/// The partition of what belongs to a job.
pub fn parts(key: JobKey) -> String {
    format!("job#{}", key.job)
}

/// The start of what the chunks of a job are sorted by.
pub const CHUNKS: &str = "chunk#";

/// A chunk of a wide task. It names its project, so that who meets it in an
/// index finds its job.
pub fn chunk(key: ChunkKey) -> Key {
    let ChunkKey { job, task, chunk } = key;
    Key::new(parts(job), format!("{CHUNKS}{task:04}#{chunk:04}#{}", job.project))
}

/// The chunk that is at `key`, if one is.
pub fn chunk_at(key: &Key) -> Option<ChunkKey> {
    let job = key.partition.strip_prefix("job#")?.parse().ok()?;
    let mut parts = key.sort.strip_prefix(CHUNKS)?.split('#');
    let (task, chunk) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let project = parts.next()?.parse().ok()?;
    Some(ChunkKey { job: JobKey { project, job }, task, chunk })
}

/// What an ended attempt left behind.
pub fn attempt(id: AttemptId) -> Key {
    of_attempt("attempt", id)
}

/// How many objects an attempt was let put.
pub fn granted(id: AttemptId) -> Key {
    of_attempt("granted", id)
}

/// A row of a job that is about one attempt: they come in the attempts' order.
fn of_attempt(what: &str, id: AttemptId) -> Key {
    let AttemptId { job, run, task, instance, number } = id;
    Key::new(format!("job#{job}"), format!("{what}#{run:05}#{task:04}#{instance:05}#{number:05}"))
}

/// What a client token stands for.
pub fn token(project: ProjectId, token: &str) -> Key {
    Key::new(format!("token#{project}#{token}"), "token")
}

/// What is kept of a callback.
pub fn callback(job: JobId, callback: CallbackKey) -> Key {
    let CallbackKey { run, event } = callback;
    Key::new(format!("job#{job}"), format!("callback#{run:05}#{}", event_word(event)))
}

/// How far an attempt's live log goes.
pub fn log_head(id: AttemptId) -> Key {
    of_attempt("loghead", id)
}

/// A piece of an attempt's live log, by its place: the order of arrival.
pub fn log_piece(id: AttemptId, place: u64) -> Key {
    let Key { partition, sort } = of_attempt("log", id);
    Key { partition, sort: format!("{sort}#{place:020}") }
}

/// A queue's settings.
pub fn queue(key: &QueueKey) -> Key {
    Key::new(key.project.to_string(), format!("queue#{}", key.name))
}

/// The set of a queue's live attempts.
pub fn slots(key: &QueueKey) -> Key {
    Key::new(format!("slots#{}#{}", key.project, key.name), "live")
}

/// The queue whose slots are at `key`, if they are any.
pub fn slots_of(key: &Key) -> Option<QueueKey> {
    let (project, name) = key.partition.strip_prefix("slots#")?.split_once('#')?;
    Some(QueueKey { project: project.parse().ok()?, name: name.parse().ok()? })
}

/// The partition of the index in which a queue's jobs wait.
pub fn waiting(key: &QueueKey) -> String {
    format!("{}#{}", key.project, key.name)
}

/// The queue whose jobs wait in a partition of the index.
pub fn waiting_of(partition: &str) -> Option<QueueKey> {
    let (project, name) = partition.split_once('#')?;
    Some(QueueKey { project: project.parse().ok()?, name: name.parse().ok()? })
}

/// A registered image.
pub fn image(project: ProjectId, name: &Name) -> Key {
    Key::new(project.to_string(), format!("image#{name}"))
}

/// What the keys start with of what a dialect keeps of a project, of one kind.
pub fn notes_of_project(project: ProjectId, api: &str, kind: &str) -> Key {
    Key::new(project.to_string(), format!("note#{api}#{kind}#"))
}

/// The same of what it keeps of a job.
pub fn notes_of_job(job: JobKey, api: &str, kind: &str) -> Key {
    Key::new(parts(job), format!("note#{api}#{kind}#"))
}

/// The one of this id among what starts so.
pub fn note(start: &Key, id: &str) -> Key {
    let Key { partition, sort } = start;
    Key::new(partition.clone(), format!("{sort}{id}"))
}

/// A template.
pub fn template(project: ProjectId, name: &Name) -> Key {
    Key::new(project.to_string(), format!("template#{name}"))
}

/// A trigger.
pub fn trigger(project: ProjectId, name: &Name) -> Key {
    Key::new(project.to_string(), format!("trigger#{name}"))
}

/// The last job that a trigger made.
pub fn firing(project: ProjectId, name: &Name) -> Key {
    Key::new(project.to_string(), format!("firing#{name}"))
}

/// The last time that a trigger could make no job.
pub fn misfire(project: ProjectId, name: &Name) -> Key {
    Key::new(project.to_string(), format!("misfire#{name}"))
}

/// Which job wrote a user's object last.
pub fn origin(project: ProjectId, bucket: &Name, key: &str) -> Key {
    Key::new(format!("origin#{project}#{bucket}/{key}"), "origin")
}

/// When a trigger's time comes.
pub fn schedule(project: ProjectId, name: &Name) -> Key {
    Key::new(format!("schedules#{project}"), name.to_string())
}

/// Whether what is at `key` is a trigger's time.
pub fn is_schedule(key: &Key) -> bool {
    key.partition.starts_with("schedules#")
}

/// A nonce of a key, by its hash, as used with an API.
pub fn nonce(key: AccessKeyId, api: &str, hash: &str) -> Key {
    Key::new(format!("nonce#{key}#{api}#{hash}"), "nonce")
}

/// An access key.
pub fn access_key(id: AccessKeyId) -> Key {
    Key::new(id.project().to_string(), format!("key#{id}"))
}

/// A project.
pub fn project(id: ProjectId) -> Key {
    Key::new("projects", id.to_string())
}

/// A lease of stored objects.
pub fn lease(project: ProjectId, id: &str) -> Key {
    Key::new(format!("leases#{project}"), id)
}

/// Who leads all attempts that run the same, by their key.
pub fn result(project: ProjectId, key: &str) -> Key {
    Key::new(format!("result#{project}#{key}"), "result")
}

/// Whether what is at `key` is a lease.
pub fn is_lease(key: &Key) -> bool {
    key.partition.starts_with("leases#")
}

/// The mark of what is due at `at`; `spread` tells rows apart.
pub fn due_mark(spread: u128, at: Timestamp) -> Mark {
    due_mark_in(DUE, spread, at)
}

fn due_mark_in(kind: &str, spread: u128, at: Timestamp) -> Mark {
    let shard = spread % u128::from(DUE_SHARDS);
    Mark { partition: format!("{kind}#{shard}"), sort: due_sort(at) }
}

/// Every partition of the index of due rows.
pub fn due_partitions() -> impl Iterator<Item = String> {
    partitions(DUE).chain(tell_partitions())
}

/// Those of them in which jobs are whose callers are to be told, whatever else
/// they call for: for who does nothing but tell.
pub fn tell_partitions() -> impl Iterator<Item = String> {
    partitions(TELL)
}

/// Whether a mark says that somebody is to be told.
pub fn tells(mark: &Mark) -> bool {
    mark.partition.strip_prefix(TELL).is_some_and(|rest| rest.starts_with('#'))
}

fn partitions(kind: &'static str) -> impl Iterator<Item = String> {
    (0..DUE_SHARDS).map(move |shard| format!("{kind}#{shard}"))
}

/// When a mark there is due.
pub fn due_of(mark: &Mark) -> Option<Timestamp> {
    Timestamp::from_millisecond(mark.sort.parse().ok()?).ok()
}

/// A job's record as it is written: its marks say what it calls for.
pub fn job_row(job: &Job) -> Wanted {
    job_row_due(job, job.due_at())
}

/// The record of a job that is new. That it is new calls for what is to be done
/// now, so a sweep need not look before `slack` is over.
pub fn new_job_row(job: &Job, now: Timestamp, slack: SignedDuration) -> Wanted {
    let due = job.due_at().map(|due| due + slack);
    let wanted = job_row_due(job, due);
    if slack.is_zero() || due.is_none() || is_old(job, now) { wanted } else { unlisted(wanted) }
}

/// The record of a job that takes the place of `before`, whose mark for sweeps
/// stays if it is less than `slack` too early.
///
/// What waits for its queue often goes on within `slack`, and is then due soon:
/// its mark is left, or put, where that would have it.
pub fn next_job_row(job: &Job, before: &Row, now: Timestamp, slack: SignedDuration) -> Wanted {
    let Some(due) = job.due_at() else { return job_row(job) };
    let wanted = soon_for(due, !job.claims().is_empty(), now, slack);
    let is_listed = slack.is_zero() || before.marks.contains_key(&Index::Open) || is_old(job, now);
    let is_open = job.ending().is_none();
    // Until it is marked as open, a sweep has to come by for that.
    let listed_at = job.id.created_at() + MARKED_OPEN_AT;
    let wanted = if is_listed || !is_open { wanted } else { wanted.min(listed_at) };
    let wanted = job_row_due(job, Some(kept_or(wanted, before, now, slack)));
    if is_listed { wanted } else { unlisted(wanted) }
}

/// When a sweep should come by for what is `due`; what waits for its queue often
/// goes on within `slack`, and is then due soon.
fn soon_for(due: Timestamp, waits: bool, now: Timestamp, slack: SignedDuration) -> Timestamp {
    if slack.is_zero() || !waits { due } else { due.min(now + slack) }
}

/// The mark of the row before, if it is less than `slack` earlier than wanted.
fn kept_or(wanted: Timestamp, before: &Row, now: Timestamp, slack: SignedDuration) -> Timestamp {
    let stays = |kept: &Timestamp| now < *kept && *kept <= wanted && wanted - slack <= *kept;
    let kept = before.marks.get(&Index::Due).and_then(due_of);
    kept.filter(stays).unwrap_or(wanted)
}

/// A chunk as it is written: its marks say what it calls for.
pub fn chunk_row(chunk: &Chunk) -> Wanted {
    chunk_row_due(chunk, chunk.due_at())
}

/// The same of a chunk that takes the place of `before`, as of a job's record.
pub fn next_chunk_row(
    chunk: &Chunk,
    before: &Row,
    now: Timestamp,
    slack: SignedDuration,
) -> Wanted {
    let Some(due) = chunk.due_at() else { return chunk_row(chunk) };
    let wanted = soon_for(due, !chunk.claims().is_empty(), now, slack);
    chunk_row_due(chunk, Some(kept_or(wanted, before, now, slack)))
}

fn chunk_row_due(chunk: &Chunk, due: Option<Timestamp>) -> Wanted {
    let Chunk { job, task, chunk: place, .. } = chunk;
    let mut marks = BTreeMap::new();
    if let Some(at) = due {
        let spread = job.job.bits().wrapping_add((*place).into());
        marks.insert(Index::Due, due_mark(spread, at));
    }
    if !chunk.claims().is_empty() {
        let queue = QueueKey { project: job.project, name: chunk.queue.clone() };
        let turn = turn(chunk.priority, *job);
        let sort = format!("{turn}#{task:04}#{place:04}");
        marks.insert(Index::Queue, Mark { partition: waiting(&queue), sort });
    }
    Wanted { marks, ..plain(chunk) }
}

/// Where a job, and what is part of it, stand in their queue.
pub fn turn(priority: i16, job: JobKey) -> String {
    let urgency = 1_000 - i32::from(priority);
    format!("{urgency:04}#{}", job.job)
}

/// Whether an open job is to have its mark as such, whatever that costs.
fn is_old(job: &Job, now: Timestamp) -> bool {
    job.id.created_at() + MARKED_OPEN_AT <= now
}

/// Whether what is in the row is still to be marked as open.
pub fn is_unlisted(row: &Row, job: &Job, now: Timestamp) -> bool {
    job.ending().is_none() && !row.marks.contains_key(&Index::Open) && is_old(job, now)
}

/// Since when jobs may be open and not marked so; `None` if none ever is.
pub fn unlisted_since(now: Timestamp, slack: SignedDuration) -> Option<Timestamp> {
    (!slack.is_zero()).then(|| now - SURELY_MARKED_AT)
}

/// The first id that a job of that moment, or a later one, may have.
pub fn first_job(at: Timestamp) -> String {
    JobId::new(at, [0; 10]).to_string()
}

fn unlisted(wanted: Wanted) -> Wanted {
    let marks = wanted.marks.into_iter().filter(|(index, _)| *index != Index::Open).collect();
    Wanted { marks, ..wanted }
}

fn job_row_due(job: &Job, due: Option<Timestamp>) -> Wanted {
    let mut marks = BTreeMap::new();
    if let Some(at) = due {
        let kind = if job.tellings().next().is_some() { TELL } else { DUE };
        marks.insert(Index::Due, due_mark_in(kind, job.id.bits(), at));
    }
    if !job.claims().is_empty() {
        let partition = waiting(&QueueKey::of(job));
        marks.insert(Index::Queue, Mark { partition, sort: turn(job.priority, job.key()) });
    }
    if job.ending().is_none() {
        marks.insert(
            Index::Open,
            Mark { partition: job.project.to_string(), sort: job.id.to_string() },
        );
    }
    Wanted { marks, ..plain(job) }
}

/// The part of such a place that is the job's, also where it is of a chunk.
pub fn job_in_turn(sort: &str) -> &str {
    let end = sort.match_indices('#').nth(1).map_or(sort.len(), |(at, _)| at);
    &sort[..end]
}

/// A value as a row without marks.
pub fn plain(value: &impl Serialize) -> Wanted {
    let json = serde_json::to_vec(value).expect("stored shapes serialise: their keys are text");
    Wanted { body: Bytes::from(json), marks: BTreeMap::new(), expires_at: None }
}

/// A row's value.
pub fn read<T: DeserializeOwned>(row: &Row) -> Result<T, Problem> {
    serde_json::from_slice(&row.body)
        .map_err(|error| Problem::internal(format!("the row {} cannot be read: {error}", row.key)))
}

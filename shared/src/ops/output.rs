//! What a job brought home: the archive of one of its attempts.

use bytes::Bytes;

use super::{attempts, chunks, objects::Stretch, recall, rows::ChunkKey, turns};
use crate::{
    archive::{Found, Step, Walker},
    job::{AttemptId, AttemptKey, Job, JobKey},
    platform::{Key, ObjectKey, collect},
    service::Service,
    wire::Problem,
};

/// How much of an archive is read at once while a member is looked for.
const WINDOW: u64 = 64 << 10;

/// How often at most: a made-up archive must not keep the service busy.
const WINDOWS: u32 = 20_000;

/// Which of a job's archives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// The task's name; the only one without.
    pub task: Option<String>,
    /// The instance; the only one without.
    pub instance: Option<u32>,
    /// The attempt; the latest without.
    pub attempt: Option<u32>,
}

/// The attempt that a selector names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// Which; its number is 0 before the first.
    pub attempt: AttemptId,
    /// Whether it is live.
    pub is_live: bool,
    /// The row that changes with it, where that is not its job's, and its
    /// version.
    pub chunk: Option<(Key, u64)>,
}

/// The attempt that the selector names.
pub async fn select(
    service: &Service,
    job: &Job,
    selector: &Selector,
) -> Result<Selected, Problem> {
    let (task, instance) = place(job, selector)?;
    let none = AttemptId { number: 0, ..job.attempt_id(task, instance as usize, 0) };
    let key = ChunkKey::of(AttemptKey { project: job.project, attempt: none });
    let chunk = match job.chunk_of(none) {
        Some(_) => turns::load(service, key).await?,
        None => None,
    };
    let latest = if let Some((_, chunk)) = &chunk {
        chunk.latest_attempt(instance).unwrap_or(none)
    } else {
        let number = job.instance(none).map_or(0, |instance| instance.attempts);
        AttemptId { number, ..none }
    };
    let attempt = match selector.attempt {
        Some(number) if number == 0 || number > latest.number => {
            return Err(Problem::not_found("attempt", number));
        }
        Some(number) => AttemptId { number, ..latest },
        None => latest,
    };
    let is_live = chunk.as_ref().map_or(job.is_live(attempt), |(_, c)| c.is_live(attempt));
    let chunk = chunk.map(|(row, _)| (row.key, row.version));
    Ok(Selected { attempt, is_live, chunk })
}

/// The task and the instance that the selector names.
fn place(job: &Job, selector: &Selector) -> Result<(usize, u32), Problem> {
    let task = match &selector.task {
        None if job.tasks.len() == 1 => 0,
        None => return Err(Problem::invalid("task", "the job has several; name one")),
        Some(name) => job
            .tasks
            .iter()
            .position(|task| task.name.as_str() == name)
            .ok_or_else(|| Problem::not_found("task", name))?,
    };
    let instances = job.tasks[task].members.counts().total();
    match selector.instance {
        None if instances == 1 => Ok((task, 0)),
        None => Err(Problem::invalid("instance", "the task has several; name one")),
        Some(index) if index < instances => Ok((task, index)),
        Some(index) => Err(Problem::not_found("instance", index)),
    }
}

/// The attempt's archive.
pub async fn archive(
    service: &Service,
    key: JobKey,
    attempt: AttemptId,
) -> Result<Stretch, Problem> {
    match stored(service, key, attempt).await? {
        Some(archive) => Ok(archive),
        None => Err(missing(service, key, attempt).await?),
    }
}

/// The attempt's archive, if there is one.
pub async fn stored(
    service: &Service,
    key: JobKey,
    attempt: AttemptId,
) -> Result<Option<Stretch>, Problem> {
    let own = AttemptKey { project: key.project, attempt };
    if let Some(archive) = Stretch::whole(service, &ObjectKey::archive(own)).await? {
        return Ok(Some(archive));
    }
    match attempts::load(service, attempt).await?.and_then(|left| left.cached_from) {
        Some(from) => Stretch::whole(service, &recall::object(own, Some(from))).await,
        None => Ok(None),
    }
}

/// Why there is no archive.
async fn missing(service: &Service, key: JobKey, attempt: AttemptId) -> Result<Problem, Problem> {
    let held = chunks::held(service, AttemptKey { project: key.project, attempt }).await?;
    let held = held.ok_or_else(|| Problem::not_found("job", key.job))?;
    if held.job.ending().is_none() && (attempt.number == 0 || held.is_live(attempt)) {
        let detail = "there is no output yet: the job has not finished";
        return Ok(Problem::conflict("not_finished", detail));
    }
    let left = attempts::load(service, attempt).await?;
    let why = left.and_then(|left| left.message).unwrap_or_else(|| "nothing was run".into());
    Ok(Problem::not_found("output", format!("{}: {why}", attempt.job)))
}

/// One file of an archive, found by walking from header to header.
///
/// The agent wrote the archive next to the user's process: what it says is
/// believed no further than it can be checked.
pub async fn member(service: &Service, archive: &Stretch, name: &str) -> Result<Stretch, Problem> {
    member_within(service, archive, name, WINDOWS).await
}

/// The same of a file that is where so many reads come to it.
pub async fn member_within(
    service: &Service,
    archive: &Stretch,
    name: &str,
    most: u32,
) -> Result<Stretch, Problem> {
    let wanted = name.trim_start_matches('/');
    let mut walker = Walker::new();
    let (mut at, mut window) = (0, Bytes::new());
    let mut windows = 0;
    loop {
        match walker.step(at, &window).map_err(|error| malformed(&error.to_string()))? {
            Step::Need { offset, at_least } => {
                windows += 1;
                if windows > most {
                    return Err(malformed("it has more members than are looked through"));
                }
                let part = offset..offset.saturating_add(at_least.max(WINDOW));
                at = offset;
                window = collect(archive.read(service, part).await?.into_stream())
                    .await
                    .map_err(|error| Problem::Unavailable(error.into()))?;
                if (window.len() as u64) < at_least {
                    return Err(malformed("it is cut short"));
                }
            }
            // Some layouts have outputs under their absolute paths.
            Step::Member(found)
                if found.name.strip_prefix(b"/").unwrap_or(&found.name) == wanted.as_bytes() =>
            {
                return stretch(archive, name, &found);
            }
            Step::Member(_) => {}
            Step::End => return Err(Problem::not_found("member", name)),
        }
    }
}

fn stretch(archive: &Stretch, name: &str, found: &Found) -> Result<Stretch, Problem> {
    if !found.kind.is_file() {
        let detail = format!("`{name}` is in the archive, but is not a file");
        return Err(Problem::conflict("not_a_file", detail));
    }
    if found.data.end > archive.size() {
        return Err(malformed("it is cut short"));
    }
    let start = archive.within.start;
    let within = start + found.data.start..start + found.data.end;
    Ok(Stretch { within, content_type: None, is_whole: false, ..archive.clone() })
}

pub(super) fn malformed(why: &str) -> Problem {
    Problem::conflict("malformed_archive", format!("the archive cannot be read: {why}"))
}

//! Several archives as one: a folder for each task and instance.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::StreamExt;

use super::{chunks, output, rows::ChunkKey};
use crate::{
    archive::Unbundled,
    job::{AttemptId, Job, JobKey, Members, Name},
    platform::ByteStream,
    service::Service,
    wire::{Body, Problem},
};

/// The latest archive of every instance of the job, or of one of its tasks.
/// Instances that have none are not there.
pub async fn read(service: &Service, job: &Job, task: Option<&str>) -> Result<Body, Problem> {
    if job.ending().is_none() {
        let detail = "there is no output yet: the job has not finished";
        return Err(Problem::conflict("not_finished", detail));
    }
    let mut bundling = Bundling {
        service: service.clone(),
        key: job.key(),
        parts: parts(job, task),
        waiting: VecDeque::new(),
        open: None,
        ended: false,
    };
    if !bundling.is_any().await? {
        return Err(Problem::not_found("output", format!("{}: nothing was run", job.id)));
    }
    let pieces = futures::stream::try_unfold(bundling, |mut bundling| async move {
        let next = bundling.next().await.map_err(std::io::Error::other)?;
        Ok(next.map(|piece| (piece, bundling)))
    });
    Ok(Body::Stream { stream: pieces.boxed(), length: None, stored: None })
}

/// Instances that are looked up at once.
enum Part {
    /// Those of the job's record: the latest attempt of each, and its folder.
    Inline(VecDeque<(String, AttemptId)>),
    /// Those of a chunk of the task of this name.
    Chunk(Name, ChunkKey),
}

/// Every instance of the job, or of one of its tasks; those of a wide task are
/// looked up when their turn comes.
fn parts(job: &Job, wanted: Option<&str>) -> VecDeque<Part> {
    let mut parts = VecDeque::new();
    for (place, task) in job.tasks.iter().enumerate() {
        if wanted.is_some_and(|name| task.name.as_str() != name) {
            continue;
        }
        let mut inline = VecDeque::new();
        for (index, instance) in task.instances().iter().enumerate() {
            if instance.attempts > 0 {
                let id = job.attempt_id(place, index, instance.attempts);
                inline.push_back((folder(&task.name, id), id));
            }
        }
        parts.push_back(Part::Inline(inline));
        if let (Members::Chunked(chunks), Ok(place)) = (&task.members, u32::try_from(place)) {
            let key = |chunk| ChunkKey { job: job.key(), task: place, chunk };
            let spread = (0..).zip(chunks).map(|(chunk, _)| key(chunk));
            parts.extend(spread.map(|key| Part::Chunk(task.name.clone(), key)));
        }
    }
    parts
}

fn folder(task: &Name, attempt: AttemptId) -> String {
    format!("{task}/{}/", attempt.instance)
}

struct Bundling {
    service: Service,
    key: JobKey,
    parts: VecDeque<Part>,
    waiting: VecDeque<(String, AttemptId)>,
    open: Option<(Unbundled, ByteStream)>,
    ended: bool,
}

impl Bundling {
    /// Looks up instances until there is one that was run; whether there is.
    async fn is_any(&mut self) -> Result<bool, Problem> {
        while self.waiting.is_empty() {
            match self.parts.pop_front() {
                Some(Part::Inline(inline)) => self.waiting = inline,
                Some(Part::Chunk(task, key)) => {
                    let Some(chunk) = chunks::load(&self.service, key).await? else { continue };
                    let attempts = chunk.latest_attempts();
                    self.waiting.extend(attempts.map(|id| (folder(&task, id), id)));
                }
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let Some((mut unbundled, mut body)) = self.open.take() else {
                if self.is_any().await?
                    && let Some((folder, attempt)) = self.waiting.pop_front()
                {
                    self.open(&folder, attempt).await?;
                    continue;
                }
                if self.ended {
                    return Ok(None);
                }
                self.ended = true;
                return Ok(Some(Unbundled::end().into()));
            };
            if unbundled.is_over() {
                continue;
            }
            let piece = body.next().await.ok_or_else(|| output::malformed("it is cut short"))?;
            let piece = piece.map_err(|error| Problem::Unavailable(error.into()))?;
            let out = unbundled.push(&piece).map_err(|bad| output::malformed(&bad.to_string()))?;
            self.open = Some((unbundled, body));
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
        }
    }

    async fn open(&mut self, folder: &str, attempt: AttemptId) -> Result<(), Problem> {
        if let Some(archive) = output::stored(&self.service, self.key, attempt).await? {
            let body = archive.read(&self.service, 0..archive.size()).await?.into_stream();
            self.open = Some((Unbundled::into_folder(folder), body));
        }
        Ok(())
    }
}

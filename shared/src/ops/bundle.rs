//! Archives written anew while they are read: several as one, a folder for each
//! task and instance; or in another layout.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::StreamExt;

use super::{chunks, objects::Stretch, output, rows::ChunkKey};
use crate::{
    archive::Rewritten,
    job::{AttemptId, Job, JobKey, Layout, Members, Name},
    platform::ByteStream,
    service::Service,
    wire::{Body, Problem},
};

/// The latest archive of every instance of the job, or of one of its tasks.
/// Instances that have none are not there.
pub async fn read(
    service: &Service,
    job: &Job,
    task: Option<&str>,
    layout: Layout,
) -> Result<Body, Problem> {
    if job.ending().is_none() {
        let detail = "there is no output yet: the job has not finished";
        return Err(Problem::conflict("not_finished", detail));
    }
    let mut bundling = Bundling {
        service: service.clone(),
        key: job.key(),
        layout,
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

/// An archive in this layout, whatever it was written in.
pub async fn relaid(service: &Service, archive: &Stretch, layout: Layout) -> Result<Body, Problem> {
    let rewriting = Rewriting::of(service, archive, "", layout).await?;
    let pieces = futures::stream::try_unfold(Some(rewriting), |rewriting| async move {
        let Some(mut rewriting) = rewriting else { return Ok(None) };
        let next = rewriting.next().await.map_err(std::io::Error::other)?;
        Ok(Some(match next {
            Some(piece) => (piece, Some(rewriting)),
            None => (Rewritten::end().into(), None),
        }))
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
    layout: Layout,
    parts: VecDeque<Part>,
    waiting: VecDeque<(String, AttemptId)>,
    open: Option<Rewriting>,
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
            if let Some(open) = &mut self.open {
                match open.next().await? {
                    None => self.open = None,
                    piece => return Ok(piece),
                }
            }
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
            return Ok(Some(Rewritten::end().into()));
        }
    }

    async fn open(&mut self, folder: &str, attempt: AttemptId) -> Result<(), Problem> {
        if let Some(archive) = output::stored(&self.service, self.key, attempt).await? {
            let rewriting = Rewriting::of(&self.service, &archive, folder, self.layout);
            self.open = Some(rewriting.await?);
        }
        Ok(())
    }
}

/// An archive that is being read, and written anew.
struct Rewriting {
    rewritten: Rewritten,
    body: ByteStream,
}

impl Rewriting {
    async fn of(
        service: &Service,
        archive: &Stretch,
        folder: &str,
        layout: Layout,
    ) -> Result<Self, Problem> {
        let body = archive.read(service, 0..archive.size()).await?.into_stream();
        Ok(Rewriting { rewritten: Rewritten::new(folder, layout), body })
    }

    /// The next piece of what comes of it; `None` at its end.
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        while !self.rewritten.is_over() {
            let piece = self.body.next().await;
            let piece = piece.ok_or_else(|| output::malformed("it is cut short"))?;
            let piece = piece.map_err(|error| Problem::Unavailable(error.into()))?;
            let out = self.rewritten.push(&piece);
            let out = out.map_err(|bad| output::malformed(&bad.to_string()))?;
            if !out.is_empty() {
                return Ok(Some(out.into()));
            }
        }
        Ok(None)
    }
}

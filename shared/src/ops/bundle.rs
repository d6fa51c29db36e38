//! Several archives as one: a folder for each task and instance.

use std::collections::VecDeque;

use bytes::Bytes;
use futures::StreamExt;

use super::output;
use crate::{
    archive::Unbundled,
    job::{AttemptId, Job, JobKey},
    platform::ByteStream,
    service::Service,
    wire::{Body, Problem},
};

/// The latest archive of every instance of the job, or of one of its tasks.
/// Instances that have none are not there.
pub fn read(service: &Service, job: &Job, task: Option<&str>) -> Result<Body, Problem> {
    if job.ending().is_none() {
        let detail = "there is no output yet: the job has not finished";
        return Err(Problem::conflict("not_finished", detail));
    }
    let waiting = latest(job, task);
    if waiting.is_empty() {
        return Err(Problem::not_found("output", format!("{}: nothing was run", job.id)));
    }
    let bundling =
        Bundling { service: service.clone(), key: job.key(), waiting, open: None, ended: false };
    let pieces = futures::stream::try_unfold(bundling, |mut bundling| async move {
        let next = bundling.next().await.map_err(std::io::Error::other)?;
        Ok(next.map(|piece| (piece, bundling)))
    });
    Ok(Body::Stream { stream: pieces.boxed(), length: None, stored: None })
}

/// The latest attempt of every instance that had any, each with its folder.
fn latest(job: &Job, wanted: Option<&str>) -> VecDeque<(String, AttemptId)> {
    let mut all = VecDeque::new();
    for (place, task) in job.tasks.iter().enumerate() {
        if wanted.is_some_and(|name| task.name.as_str() != name) {
            continue;
        }
        for (index, instance) in task.instances().iter().enumerate() {
            if instance.attempts > 0 {
                let id = job.attempt_id(place, index, instance.attempts);
                all.push_back((format!("{}/{index}/", task.name), id));
            }
        }
    }
    all
}

struct Bundling {
    service: Service,
    key: JobKey,
    waiting: VecDeque<(String, AttemptId)>,
    open: Option<(Unbundled, ByteStream)>,
    ended: bool,
}

impl Bundling {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        loop {
            let Some((mut unbundled, mut body)) = self.open.take() else {
                if let Some((folder, attempt)) = self.waiting.pop_front() {
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

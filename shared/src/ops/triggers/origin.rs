//! Which job wrote an object, so that triggers do not go round in a circle
//! unseen.
//!
//! Noted when a job is let write it, and matched with what is told of the object
//! later: its length, and when that was. What is written otherwise has no
//! origin, and starts anew.

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::ObjectCreated;
use crate::{
    job::{Job, Name},
    ops::rows,
    platform::{Expect, Op},
    service::Service,
    wire::Problem,
};

/// How long what a job was let write may take to be written, and to be told of.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// A job that was let write an object.
#[derive(Serialize, Deserialize)]
struct Origin {
    v: u8,
    /// How many triggers led to the job.
    depth: u32,
    /// How long the object is.
    bytes: u64,
}

/// The job is about to write the object. That is of interest to triggers alone,
/// and only if the job was made by one: what others write is a beginning.
pub async fn note(
    service: &Service,
    job: &Job,
    (bucket, key): (&Name, &str),
    bytes: u64,
) -> Result<(), Problem> {
    if job.made_by.trigger.is_none() {
        return Ok(());
    }
    let origin = Origin { v: 1, depth: job.made_by.depth, bytes };
    let mut wanted = rows::plain(&origin);
    wanted.expires_at = service.platform.clock.now().checked_add(KEPT).ok();
    let put = Op::Put(rows::origin(job.project, bucket, key), Expect::Anything, wanted);
    Ok(service.platform.table.commit(vec![put]).await?)
}

/// How many triggers led to the job that wrote the object; `None` if it was
/// written otherwise.
pub(super) async fn depth_of(
    service: &Service,
    created: &ObjectCreated,
) -> Result<Option<u32>, Problem> {
    let key = rows::origin(created.project, &created.bucket, &created.key);
    let row = service.platform.table.get(&key).await?;
    let origin = row.as_ref().map(rows::read::<Origin>).transpose()?;
    Ok(origin.filter(|origin| origin.bytes == created.size).map(|origin| origin.depth))
}

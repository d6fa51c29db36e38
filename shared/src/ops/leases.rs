//! Stored objects that nothing may yet refer to.
//!
//! Objects and the table cannot be written in one step. So a lease is written
//! before the objects are, and given up in the same commit as what refers to
//! them is written; if that never comes, because the caller or we have died,
//! the sweep finds a lease that has run out and removes the objects.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::{duties, objects, rows};
use crate::{
    job::{JobKey, ProjectId},
    platform::{Expect, Index, Key, ObjectKey, Op, Row, TableError, Wanted},
    service::Service,
    wire::Problem,
};

/// How long a submit may take to bring its inputs.
const SUBMIT: SignedDuration = SignedDuration::from_hours(1);

/// How long an upload is kept for jobs to name it.
const UPLOAD: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long after a job was removed something may come for it: as long as an
/// agent's URL is good, and the time it takes to end a container that nobody
/// waits for.
const LATE: SignedDuration = SignedDuration::from_hours(13);

/// How long removing objects may take before it is begun again.
const REMOVAL: SignedDuration = SignedDuration::from_hours(1);

/// What is removed when the lease runs out.
#[derive(Debug, Serialize, Deserialize)]
struct Lease {
    v: u8,
    /// The start of the objects' names.
    prefix: String,
    /// The partition of rows that go with them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rows: Option<String>,
    /// For spreading over the index of due rows.
    spread: u32,
}

/// What a submit stores for its job is the job's, or nobody's.
pub(super) async fn for_submit(service: &Service, job: JobKey) -> Result<Key, Problem> {
    let key = rows::lease(job.project, &job.job.to_string());
    take(service, key, ObjectKey::job_prefix(job), SUBMIT).await
}

/// An upload is kept for a while, whether it is used or not.
pub(super) async fn for_upload(
    service: &Service,
    project: ProjectId,
    id: &str,
) -> Result<Key, Problem> {
    let prefix = ObjectKey::upload(project, id).as_str().to_owned();
    take(service, rows::lease(project, id), prefix, UPLOAD).await
}

/// What comes for a job that has been removed is nobody's: taken in the same
/// commit as its record is removed.
pub(super) fn for_late(service: &Service, job: JobKey) -> Op {
    let clock = &service.platform.clock;
    let lease = Lease {
        v: 1,
        prefix: ObjectKey::job_prefix(job),
        rows: Some(rows::parts(job)),
        spread: u32::from_le_bytes(clock.random()),
    };
    let key = rows::lease(job.project, &job.job.to_string());
    Op::Put(key, Expect::Anything, row(&lease, clock.now() + LATE))
}

async fn take(
    service: &Service,
    key: Key,
    prefix: String,
    lasting: SignedDuration,
) -> Result<Key, Problem> {
    let clock = &service.platform.clock;
    let spread = u32::from_le_bytes(clock.random());
    let lease = Lease { v: 1, prefix, rows: None, spread };
    let wanted = row(&lease, clock.now() + lasting);
    service.platform.table.commit(vec![Op::Put(key.clone(), Expect::Absent, wanted)]).await?;
    Ok(key)
}

/// What refers to the objects is written in the same commit. Fails as stale
/// once the lease has run out.
pub(super) fn give_up(key: Key) -> Op {
    Op::Delete(key, Expect::Version(1))
}

/// Removes what a lease that has run out stands for.
///
/// The lease is marked first: a submit that is still under way can then no
/// longer commit, and loses nothing that it is told it has.
pub(super) async fn end(service: &Service, found: &Row) -> Result<(), Problem> {
    let lease: Lease = rows::read(found)?;
    if found.version == 1 {
        let marked = row(&lease, service.platform.clock.now() + REMOVAL);
        let mark = Op::Put(found.key.clone(), Expect::Version(1), marked);
        match service.platform.table.commit(vec![mark]).await {
            // Given up meanwhile, or being ended by another.
            Err(TableError::Stale(_)) => return Ok(()),
            marked => marked?,
        }
    }
    objects::delete_all(service, &lease.prefix).await?;
    if let Some(partition) = &lease.rows {
        duties::delete_partition(service, partition).await?;
    }
    let delete = Op::Delete(found.key.clone(), Expect::Anything);
    service.platform.table.commit(vec![delete]).await?;
    info!(lease = %found.key, "objects that nothing refers to were removed");
    Ok(())
}

fn row(lease: &Lease, until: Timestamp) -> Wanted {
    let mark = rows::due_mark(lease.spread.into(), until);
    Wanted { marks: BTreeMap::from([(Index::Due, mark)]), ..rows::plain(lease) }
}

//! A result, copied to who is given it.

use crate::{
    agent::ArchiveInfo,
    job::{AttemptEvent, AttemptId, AttemptKey, CachedFrom, Recalled},
    ops::{
        attempts::{self, AttemptRecord},
        chunks, rows,
    },
    platform::{Expect, ObjectKey, ObjectsError, Op, Put, TableError},
    service::Service,
    wire::Problem,
};

use super::lead;

/// How often a writer that keeps being overtaken tries again.
const TRIES: u32 = 100;

/// A result whose archive is copied, and that is yet to be brought in.
pub(super) struct Taken {
    /// What its attempt left behind.
    left: AttemptRecord,
    /// The copy.
    archive: ArchiveInfo,
    from: CachedFrom,
    key: String,
}

impl Taken {
    /// Whose result it is.
    pub(super) fn from(&self) -> CachedFrom {
        self.from
    }
}

/// The archive of an attempt: its own, or what it was given of another.
pub(in crate::ops) fn object(attempt: AttemptKey, from: Option<CachedFrom>) -> ObjectKey {
    match from {
        Some(from) if from.attempt != attempt.attempt => ObjectKey::given(attempt, from.attempt),
        Some(_) | None => ObjectKey::archive(attempt),
    }
}

/// Copies the result that `holder` has, its own or one that it was given;
/// `None` if it has it no longer.
pub(super) async fn take(
    service: &Service,
    attempt: AttemptKey,
    holder: AttemptId,
    from: CachedFrom,
    key: String,
) -> Result<Option<Taken>, Problem> {
    let Some(left) = attempts::load(service, holder).await? else { return Ok(None) };
    let Some(archive) = left.archive.clone() else { return Ok(None) };
    let objects = &service.platform.objects;
    let holder = AttemptKey { attempt: holder, ..attempt };
    let Some(stored) = objects.get(&object(holder, Some(from)), None).await? else {
        return Ok(None);
    };
    let copy = object(attempt, Some(from));
    let content_type = stored.info.content_type.clone();
    let put = Put { if_absent: true, length: Some(stored.info.size), content_type };
    let info = match objects.put(&copy, stored.body, put).await {
        // Copied before, by somebody who died over it, or does the same now.
        Err(ObjectsError::Exists(_)) => match objects.info(&copy).await? {
            Some(info) => info,
            None => return Ok(None),
        },
        copied => copied?,
    };
    let archive = ArchiveInfo { bytes: info.size, etag: info.etag, ..archive };
    Ok(Some(Taken { left, archive, from, key }))
}

/// Ends the attempt with the result, in one write with what it leaves behind:
/// neither is there without the other, since the attempt may yet be claimed.
pub(super) async fn bring_in(
    service: &Service,
    attempt: AttemptKey,
    taken: Taken,
) -> Result<(), Problem> {
    let Taken { left, archive, from, key } = taken;
    let archive_bytes = archive.bytes;
    let recalled = Recalled { from, key: key.clone(), exit: left.exit, archive_bytes };
    let event = AttemptEvent::Recalled(recalled);
    let record = AttemptRecord {
        id: attempt.attempt,
        message: None,
        claimed_at: None,
        started_at: None,
        ended_at: service.platform.clock.now(),
        usage: None,
        archive: Some(archive),
        cached_from: Some(from),
        key: Some(key.clone()),
        ..left
    };
    let row = Op::Put(rows::attempt(attempt.attempt), Expect::Absent, rows::plain(&record));
    for _ in 0..TRIES {
        let Some(held) = chunks::held(service, attempt).await? else { return Ok(()) };
        let Some(change) = held.change(service, attempt.attempt, &event)? else { return Ok(()) };
        match service.platform.table.commit(vec![row.clone(), change]).await {
            Ok(()) => return lead::renew(service, attempt, &key).await,
            Err(TableError::Stale(_) | TableError::Exists(_)) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(Problem::Unavailable(
        format!("{} is written to by too many at once", attempt.job().job).into(),
    ))
}

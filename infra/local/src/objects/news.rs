//! News of users' objects: that one was written is noted in the commit that
//! makes it an object, and kept until somebody has seen to it. So whoever dies
//! between the two finds it here.

use redb::{Error, ReadTransaction, TableDefinition, WriteTransaction};
use serde::{Deserialize, Serialize};
use shared::{
    ops::triggers::ObjectCreated,
    platform::{ObjectInfo, ObjectKey},
};

/// What has been written, in the order of the times.
const NEWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("objects.news");

/// Where a piece of news is: its time, and what tells it from others.
pub type NewsId = [u8; 24];

/// A piece of news as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    name: String,
    size: u64,
    etag: String,
    at: jiff::Timestamp,
}

/// Opens the table, so that readers find it.
pub(super) fn create(transaction: &WriteTransaction) -> Result<(), Error> {
    transaction.open_table(NEWS)?;
    Ok(())
}

/// Notes that an object was written, if it is a user's: what is ours calls for
/// nothing.
pub(super) fn note(
    transaction: &WriteTransaction,
    etag: [u8; 16],
    info: &ObjectInfo,
) -> Result<(), Error> {
    if info.key.as_user().is_none() {
        return Ok(());
    }
    let kept = Kept {
        name: info.key.as_str().to_owned(),
        size: info.size,
        etag: info.etag.clone(),
        at: info.modified_at,
    };
    let nanos = u64::try_from(info.modified_at.as_nanosecond()).unwrap_or(0);
    let mut id = [0; 24];
    id[..8].copy_from_slice(&nanos.to_be_bytes());
    id[8..].copy_from_slice(&etag);
    let json = serde_json::to_vec(&kept).map_err(|error| Error::Corrupted(error.to_string()))?;
    transaction.open_table(NEWS)?.insert(&id[..], &json[..])?;
    Ok(())
}

/// Up to `limit` pieces of news after `after`.
pub(super) fn read(
    read: &ReadTransaction,
    after: Option<NewsId>,
    limit: usize,
) -> Result<Vec<(NewsId, ObjectCreated)>, Error> {
    let start = after.map_or(Vec::new(), |after| [&after[..], b"\0"].concat());
    let mut all = Vec::new();
    for piece in read.open_table(NEWS)?.range(&start[..]..)?.take(limit) {
        let (id, kept) = piece?;
        let damaged = || Error::Corrupted("news of an object are damaged".to_owned());
        let id = NewsId::try_from(id.value()).map_err(|_| damaged())?;
        let kept: Kept = serde_json::from_slice(kept.value()).map_err(|_| damaged())?;
        let key = ObjectKey::stored(kept.name);
        let (project, bucket, name) = key.as_user().ok_or_else(damaged)?;
        let created = ObjectCreated {
            project,
            bucket,
            key: name.to_owned(),
            size: kept.size,
            id: kept.etag.clone(),
            etag: kept.etag,
            at: kept.at,
        };
        all.push((id, created));
    }
    Ok(all)
}

/// Drops what has been seen to.
pub(super) fn forget(transaction: &WriteTransaction, seen: &[NewsId]) -> Result<(), Error> {
    let mut news = transaction.open_table(NEWS)?;
    for id in seen {
        news.remove(&id[..])?;
    }
    Ok(())
}

//! Users' objects: uploads, reading, listing, deleting.

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};

use crate::{
    job::{Name, ProjectId},
    platform::{Grant, GrantMethod, ObjectInfo, ObjectKey, Range, SignedUrl, StoredObject},
    service::Service,
    wire::Problem,
};

/// How long an upload's URL is good, in hours.
const UPLOAD_HOURS: i64 = 12;

/// A place to upload to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewUpload {
    /// The upload's id; `None` when it goes straight to a named object.
    pub id: Option<String>,
    /// Where one PUT may go.
    pub url: SignedUrl,
    /// Until when.
    pub expires_at: Timestamp,
}

/// Makes a place to upload to: a named object, or one that a job can name by
/// the upload's id.
pub async fn create_upload(
    service: &Service,
    project: ProjectId,
    target: Option<(Name, String)>,
    length: Option<u64>,
) -> Result<NewUpload, Problem> {
    let clock = &service.platform.clock;
    let (id, key) = if let Some((bucket, key)) = target {
        (None, ObjectKey::user(project, &bucket, &key))
    } else {
        let id = HEXLOWER.encode(&clock.random::<16>());
        let key = ObjectKey::upload(project, &id);
        (Some(id), key)
    };
    let expires_at = clock.now() + SignedDuration::from_hours(UPLOAD_HOURS);
    let method = GrantMethod::Put { if_absent: false, length };
    let url = service.platform.objects.sign(&Grant { method, key, expires_at }).await?;
    Ok(NewUpload { id, url, expires_at })
}

/// A user's object, or a part of it.
pub async fn get(
    service: &Service,
    project: ProjectId,
    bucket: &Name,
    key: &str,
    range: Option<Range>,
) -> Result<StoredObject, Problem> {
    let name = ObjectKey::user(project, bucket, key);
    let found = service.platform.objects.get(&name, range).await?;
    found.ok_or_else(|| Problem::not_found("object", format!("{bucket}/{key}")))
}

/// Removes a user's object; one that is not there is fine.
pub async fn delete(
    service: &Service,
    project: ProjectId,
    bucket: &Name,
    key: &str,
) -> Result<(), Problem> {
    Ok(service.platform.objects.delete(&ObjectKey::user(project, bucket, key)).await?)
}

/// Objects of a bucket whose keys start with `prefix`, each with its key there.
pub async fn list(
    service: &Service,
    project: ProjectId,
    bucket: &Name,
    prefix: &str,
    cursor: Option<&str>,
    limit: usize,
) -> Result<(Vec<(String, ObjectInfo)>, Option<String>), Problem> {
    let start = ObjectKey::user_prefix(project, bucket);
    let page = service.platform.objects.list(&format!("{start}{prefix}"), cursor, limit).await?;
    let named = |info: ObjectInfo| {
        (info.key.as_str().strip_prefix(&start).unwrap_or_default().to_owned(), info)
    };
    Ok((page.objects.into_iter().map(named).collect(), page.cursor))
}

/// Removes every object whose name starts with `prefix`.
pub(super) async fn delete_all(service: &Service, prefix: &str) -> Result<(), Problem> {
    loop {
        let page = service.platform.objects.list(prefix, None, 100).await?;
        if page.objects.is_empty() {
            return Ok(());
        }
        for object in page.objects {
            service.platform.objects.delete(&object.key).await?;
        }
    }
}

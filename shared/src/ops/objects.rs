//! Users' objects: uploads, reading, listing, deleting.

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};

use super::leases;
use crate::{
    job::{Name, ProjectId},
    platform::{Grant, GrantMethod, ObjectInfo, ObjectKey, ObjectsError, Range, SignedUrl},
    service::Service,
    wire::{Body, Problem, Stored},
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
        leases::for_upload(service, project, &id).await?;
        let key = ObjectKey::upload(project, &id);
        (Some(id), key)
    };
    let expires_at = clock.now() + SignedDuration::from_hours(UPLOAD_HOURS);
    let method = GrantMethod::Put { if_absent: false, length };
    let url = service.platform.objects.sign(&Grant { method, key, expires_at }).await?;
    Ok(NewUpload { id, url, expires_at })
}

/// A stored object, or a stretch of one that is read as if it were all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// The object.
    pub key: ObjectKey,
    /// Its tag, by which a change is noticed.
    pub etag: String,
    /// Its media type, if it has one.
    pub content_type: Option<String>,
    /// Where in the object it is.
    pub within: std::ops::Range<u64>,
    /// Whether that is all of the object.
    pub is_whole: bool,
}

impl Stretch {
    /// The whole of an object, or `None` where there is none.
    pub async fn whole(service: &Service, key: &ObjectKey) -> Result<Option<Self>, Problem> {
        let info = service.platform.objects.info(key).await?;
        Ok(info.map(|ObjectInfo { key, size, etag, content_type, .. }| Stretch {
            key,
            etag,
            content_type,
            within: 0..size,
            is_whole: true,
        }))
    }

    /// How long it is.
    pub fn size(&self) -> u64 {
        self.within.end - self.within.start
    }

    /// A part of it; what lies beyond its end is not there.
    pub async fn read(
        &self,
        service: &Service,
        part: std::ops::Range<u64>,
    ) -> Result<Body, Problem> {
        let start = self.within.start.saturating_add(part.start);
        let end = self.within.start.saturating_add(part.end).min(self.within.end);
        if start >= end {
            return Ok(Body::Empty);
        }
        let range = Range { start, end: Some(end) };
        let found = service.platform.objects.get(&self.key, Some(range)).await;
        let found = match found {
            // Replaced by something shorter since it was looked at.
            Err(ObjectsError::OutOfRange { .. }) => None,
            found => found?,
        };
        match found {
            Some(object) if object.info.etag == self.etag => {
                let stored = Stored { whole: self.clone(), part };
                let length = Some(end - start);
                Ok(Body::Stream { stream: object.body, length, stored: Some(stored) })
            }
            _ => Err(Problem::Unavailable("the object was replaced while it was read".into())),
        }
    }
}

/// A user's object.
pub async fn find(
    service: &Service,
    project: ProjectId,
    bucket: &Name,
    key: &str,
) -> Result<Stretch, Problem> {
    let found = Stretch::whole(service, &ObjectKey::user(project, bucket, key)).await?;
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

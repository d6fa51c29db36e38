//! Objects: bytes under a name, written whole or not at all.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use jiff::Timestamp;

use super::Source;
use crate::job::{AttemptId, AttemptKey, JobKey, Name, ProjectId};

/// Bytes as they come. An error ends the stream.
pub type ByteStream = BoxStream<'static, Result<Bytes, std::io::Error>>;

/// A stream of these bytes.
pub fn one_chunk(bytes: impl Into<Bytes>) -> ByteStream {
    let bytes = bytes.into();
    futures::stream::once(async move { Ok(bytes) }).boxed()
}

/// All of the stream's bytes, for what is known to be small.
pub async fn collect(stream: ByteStream) -> Result<Bytes, std::io::Error> {
    let joined = |mut all: Vec<u8>, bytes: Bytes| async move {
        all.extend_from_slice(&bytes);
        Ok(all)
    };
    stream.try_fold(Vec::new(), joined).await.map(Bytes::from)
}

/// An object's name: `project/kind/…`, so that no project reaches another's.
///
/// Up to 1,024 bytes. The tail may hold any characters, `/` and `..` included:
/// an adapter that maps names to paths must encode them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(String);

impl ObjectKey {
    /// A user's object.
    pub fn user(project: ProjectId, bucket: &Name, key: &str) -> Self {
        ObjectKey(format!("{project}/user/{bucket}/{key}"))
    }

    /// Whose object it is, in which bucket and under which key, if it is a
    /// user's.
    pub fn as_user(&self) -> Option<(ProjectId, Name, &str)> {
        let (project, rest) = self.0.split_once("/user/")?;
        let (bucket, key) = rest.split_once('/')?;
        Some((project.parse().ok()?, bucket.parse().ok()?, key))
    }

    /// The start of every name in a user's bucket.
    pub fn user_prefix(project: ProjectId, bucket: &Name) -> String {
        format!("{project}/user/{bucket}/")
    }

    /// The archive of an attempt.
    pub fn archive(attempt: AttemptKey) -> Self {
        let AttemptKey { project, attempt } = attempt;
        ObjectKey(format!("{project}/job/{}/{attempt}.tar", attempt.job))
    }

    /// What an attempt was given in place of running: a copy of what another
    /// brought home.
    pub fn given(attempt: AttemptKey, from: AttemptId) -> Self {
        let AttemptKey { project, attempt } = attempt;
        ObjectKey(format!("{project}/job/{}/{attempt}={from}.tar", attempt.job))
    }

    /// What a caller sent along with a job, by its name there.
    pub fn attached(job: JobKey, name: &str) -> Self {
        ObjectKey(format!("{}{name}", ObjectKey::job_prefix(job)))
    }

    /// The start of every name that belongs to a job.
    pub fn job_prefix(job: JobKey) -> String {
        format!("{}/job/{}/", job.project, job.job)
    }

    /// An upload, by its id.
    pub fn upload(project: ProjectId, id: &str) -> Self {
        ObjectKey(format!("{project}/upload/{id}"))
    }

    /// A name read back from a listing or a signed URL.
    pub fn stored(text: impl Into<String>) -> Self {
        ObjectKey(text.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How an object is to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Put {
    /// Fail with [`ObjectsError::Exists`] if the name is taken.
    pub if_absent: bool,
    /// The media type to answer with.
    pub content_type: Option<String>,
    /// The length, where it is known; a body of another length is refused.
    pub length: Option<u64>,
}

/// What is known of a stored object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its name.
    pub key: ObjectKey,
    /// Bytes.
    pub size: u64,
    /// Changes whenever the bytes may have; opaque, without quotes.
    pub etag: String,
    /// The media type, if one was given.
    pub content_type: Option<String>,
    /// When it was written.
    pub modified_at: Timestamp,
}

/// A part of an object, by offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first byte.
    pub start: u64,
    /// One past the last byte; the object's end when `None` or beyond it.
    pub end: Option<u64>,
}

/// An object being read.
pub struct StoredObject {
    /// What is known of the whole.
    pub info: ObjectInfo,
    /// The part that is being read: `start..end`.
    pub part: std::ops::Range<u64>,
    /// Its bytes.
    pub body: ByteStream,
}

/// Names, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectPage {
    /// In order of their names.
    pub objects: Vec<ObjectInfo>,
    /// Where the next page starts; `None` at the end.
    pub cursor: Option<String>,
}

/// What a signed URL permits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Reading or writing.
    pub method: GrantMethod,
    /// Which object.
    pub key: ObjectKey,
    /// Until when.
    pub expires_at: Timestamp,
}

/// What may be done with a signed URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantMethod {
    /// GET and HEAD, ranges included.
    Get,
    /// One PUT; its headers are those of [`SignedUrl::headers`].
    Put {
        /// Fail if the name is taken.
        if_absent: bool,
        /// The exact length; any when `None`.
        length: Option<u64>,
    },
}

/// A URL that needs no further credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedUrl {
    /// Absolute, or a path on the gateway that the asker already talks to.
    pub url: String,
    /// Headers that the request must carry.
    pub headers: Vec<(String, String)>,
}

/// Why an object call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ObjectsError {
    /// The name is taken.
    #[error("object {0} already exists")]
    Exists(ObjectKey),
    /// The body was not as long as was said.
    #[error("the body ended after {found} of {wanted} bytes")]
    WrongLength {
        /// As announced.
        wanted: u64,
        /// As received; more than `wanted` when cut off.
        found: u64,
    },
    /// The body broke off.
    #[error("the body could not be read")]
    Body(#[source] std::io::Error),
    /// The range starts beyond the object's end.
    #[error("the object has {size} bytes")]
    OutOfRange {
        /// The object's size.
        size: u64,
    },
    /// The store did not answer.
    #[error("the object store did not answer")]
    Unavailable(#[source] Source),
}

/// Where bytes are stored.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Stores the body under `key`: when it returns, whole and durable; if it
    /// fails, not at all, and what was there before still is.
    async fn put(
        &self,
        key: &ObjectKey,
        body: ByteStream,
        put: Put,
    ) -> Result<ObjectInfo, ObjectsError>;

    /// The object, or `None`.
    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<Range>,
    ) -> Result<Option<StoredObject>, ObjectsError>;

    /// What is known of the object, or `None`.
    async fn info(&self, key: &ObjectKey) -> Result<Option<ObjectInfo>, ObjectsError>;

    /// Removes the object; one that is not there is fine.
    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectsError>;

    /// Names that start with `prefix`, in bytewise order, 1 to 1,000 a page.
    async fn list(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ObjectPage, ObjectsError>;

    /// A URL that permits what `grant` says to whoever has it.
    async fn sign(&self, grant: &Grant) -> Result<SignedUrl, ObjectsError>;
}

/// A store that is not there, and why: for who never asks for an object.
#[derive(Clone, Copy, Debug)]
pub struct NoObjects(pub &'static str);

impl NoObjects {
    fn absent<T>(self) -> Result<T, ObjectsError> {
        Err(ObjectsError::Unavailable(self.0.into()))
    }
}

#[async_trait]
impl Objects for NoObjects {
    async fn put(&self, _: &ObjectKey, _: ByteStream, _: Put) -> Result<ObjectInfo, ObjectsError> {
        self.absent()
    }

    async fn get(
        &self,
        _: &ObjectKey,
        _: Option<Range>,
    ) -> Result<Option<StoredObject>, ObjectsError> {
        self.absent()
    }

    async fn info(&self, _: &ObjectKey) -> Result<Option<ObjectInfo>, ObjectsError> {
        self.absent()
    }

    async fn delete(&self, _: &ObjectKey) -> Result<(), ObjectsError> {
        self.absent()
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<ObjectPage, ObjectsError> {
        self.absent()
    }

    async fn sign(&self, _: &Grant) -> Result<SignedUrl, ObjectsError> {
        self.absent()
    }
}

//! Writing an object: at once if it is short, in parts if it is not.

use aws_sdk_s3::primitives;
use bytes::Bytes;
use data_encoding::HEXLOWER;

use super::{
    body::Body,
    outcome::{Refused, Unwritten, etag, media_type, unavailable},
    parts, read,
    s3::S3Objects,
};
use crate::{
    aws::{doubt::Doubt, pace::Pace},
    platform::{ByteStream, ObjectInfo, ObjectKey, ObjectsError, Put},
};

/// Bytes of a part, and of the longest object that is written at once. Two
/// parts are in memory at a time.
const PART: u64 = 8 << 20;

/// Parts of an object.
pub(super) const MOST_PARTS: u64 = 10_000;

/// The note on an object by which its writer knows it.
const WRITER: &str = "writer";

/// One attempt to put an object under a name.
pub(super) struct Writing<'a> {
    pub(super) s3: &'a S3Objects,
    pub(super) key: &'a ObjectKey,
    pub(super) put: &'a Put,
    /// Random.
    writer: String,
}

pub(super) async fn put(
    s3: &S3Objects,
    key: &ObjectKey,
    body: ByteStream,
    put: Put,
) -> Result<ObjectInfo, ObjectsError> {
    let put = Put { content_type: media_type(put.content_type.as_deref()), ..put };
    let size = part_size(put.length)?;
    let mut body = Body::new(body, put.length);
    let start = body.part(size).await?;
    let writer = HEXLOWER.encode(&s3.clock.random::<8>());
    let writing = Writing { s3, key, put: &put, writer };
    let etag = if body.is_over() {
        writing.at_once(start).await?
    } else {
        parts::put(&writing, start, &mut body, size).await?
    };
    Ok(ObjectInfo {
        key: key.clone(),
        size: body.found(),
        etag,
        content_type: put.content_type.clone(),
        modified_at: s3.clock.now(),
    })
}

pub(super) async fn delete(s3: &S3Objects, key: &ObjectKey) -> Result<(), ObjectsError> {
    let call = s3.client.delete_object().bucket(&s3.bucket).key(key.as_str());
    call.send().await.map(drop).map_err(unavailable)
}

/// Larger parts for what would need too many.
fn part_size(length: Option<u64>) -> Result<usize, Refused> {
    let least = length.unwrap_or(0).div_ceil(MOST_PARTS);
    usize::try_from(PART.max(least)).map_err(|_| Refused::Length)
}

impl Writing<'_> {
    async fn at_once(&self, body: Bytes) -> Result<String, ObjectsError> {
        let S3Objects { client, bucket, clock } = self.s3;
        let doubt = Doubt::default();
        let mut pace = Pace::new(&**clock);
        loop {
            let call = client
                .put_object()
                .bucket(bucket)
                .key(self.key.as_str())
                .metadata(WRITER, &self.writer)
                .set_content_type(self.put.content_type.clone())
                .set_if_none_match(self.condition())
                .body(primitives::ByteStream::from(body.clone()));
            let error = match call.customize().interceptor(doubt.clone()).send().await {
                Ok(stored) => return Ok(etag(stored.e_tag())),
                Err(error) => error,
            };
            match Unwritten::of(&error) {
                Unwritten::Taken => return self.taken(&doubt).await,
                Unwritten::Conflict if pace.wait().await => {}
                Unwritten::Conflict | Unwritten::NoParts | Unwritten::Other => {
                    return Err(unavailable(error));
                }
            }
        }
    }

    /// The headers that make an object of it, for when it comes in parts.
    pub(super) async fn begin(&self) -> Result<String, ObjectsError> {
        let S3Objects { client, bucket, .. } = self.s3;
        let call = client
            .create_multipart_upload()
            .bucket(bucket)
            .key(self.key.as_str())
            .metadata(WRITER, &self.writer)
            .set_content_type(self.put.content_type.clone());
        let begun = call.send().await.map_err(unavailable)?;
        begun.upload_id.ok_or_else(|| unavailable("an upload without an id"))
    }

    /// What `If-None-Match` is to say.
    pub(super) fn condition(&self) -> Option<String> {
        self.put.if_absent.then(|| "*".to_owned())
    }

    /// What a name that is taken means: by whom, if an answer was lost?
    pub(super) async fn taken(&self, doubt: &Doubt) -> Result<String, ObjectsError> {
        let mine = if doubt.is_justified() { self.mine().await? } else { None };
        mine.ok_or_else(|| ObjectsError::Exists(self.key.clone()))
    }

    /// The etag of what is there, if it is of this very writing.
    pub(super) async fn mine(&self) -> Result<Option<String>, ObjectsError> {
        let Some(found) = read::head(self.s3, self.key).await? else { return Ok(None) };
        let writer = found.metadata().and_then(|notes| notes.get(WRITER));
        Ok((writer == Some(&self.writer)).then(|| etag(found.e_tag())))
    }
}

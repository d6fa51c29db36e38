//! Reading an object, or what is known of it.

use std::{io, ops};

use aws_sdk_s3::{
    error::ProvideErrorMetadata,
    operation::{get_object::GetObjectOutput, head_object::HeadObjectOutput},
    primitives,
};
use futures::{StreamExt, stream};

use super::{
    outcome::{etag, media_type, size, timestamp, unavailable},
    s3::S3Objects,
};
use crate::platform::{ByteStream, ObjectInfo, ObjectKey, ObjectsError, Range, StoredObject};

pub(super) async fn info(
    s3: &S3Objects,
    key: &ObjectKey,
) -> Result<Option<ObjectInfo>, ObjectsError> {
    Ok(head(s3, key).await?.map(|found| info_of(key, &found)))
}

pub(super) async fn head(
    s3: &S3Objects,
    key: &ObjectKey,
) -> Result<Option<HeadObjectOutput>, ObjectsError> {
    let error = match s3.client.head_object().bucket(&s3.bucket).key(key.as_str()).send().await {
        Ok(found) => return Ok(Some(found)),
        Err(error) => error,
    };
    match error.as_service_error() {
        Some(refused) if refused.is_not_found() => Ok(None),
        Some(_) | None => Err(unavailable(error)),
    }
}

fn info_of(key: &ObjectKey, found: &HeadObjectOutput) -> ObjectInfo {
    ObjectInfo {
        key: key.clone(),
        size: size(found.content_length()),
        etag: etag(found.e_tag()),
        content_type: media_type(found.content_type()),
        modified_at: timestamp(found.last_modified()),
    }
}

pub(super) async fn get(
    s3: &S3Objects,
    key: &ObjectKey,
    range: Option<Range>,
) -> Result<Option<StoredObject>, ObjectsError> {
    if let Some(Range { start, end: Some(end) }) = range
        && end <= start
    {
        return nothing_of(s3, key, start).await;
    }
    let call = s3.client.get_object().bucket(&s3.bucket).key(key.as_str());
    let error = match call.set_range(range.map(header)).send().await {
        Ok(found) => return Ok(Some(stored(key, found)?)),
        Err(error) => error,
    };
    if error.code() == Some("InvalidRange") {
        let beyond = |info: ObjectInfo| ObjectsError::OutOfRange { size: info.size };
        return info(s3, key).await?.map_or(Ok(None), |info| Err(beyond(info)));
    }
    match error.as_service_error() {
        Some(refused) if refused.is_no_such_key() => Ok(None),
        Some(_) | None => Err(unavailable(error)),
    }
}

/// An empty part: HTTP has no words for it.
async fn nothing_of(
    s3: &S3Objects,
    key: &ObjectKey,
    start: u64,
) -> Result<Option<StoredObject>, ObjectsError> {
    let Some(info) = info(s3, key).await? else { return Ok(None) };
    if start >= info.size {
        return Err(ObjectsError::OutOfRange { size: info.size });
    }
    Ok(Some(StoredObject { info, part: start..start, body: stream::empty().boxed() }))
}

/// What the `Range` header says, which counts the last byte in.
fn header(Range { start, end }: Range) -> String {
    match end {
        Some(end) => format!("bytes={start}-{}", end - 1),
        None => format!("bytes={start}-"),
    }
}

fn stored(key: &ObjectKey, found: GetObjectOutput) -> Result<StoredObject, ObjectsError> {
    let (part, whole) = part_of(&found)?;
    let info = ObjectInfo {
        key: key.clone(),
        size: whole,
        etag: etag(found.e_tag()),
        content_type: media_type(found.content_type()),
        modified_at: timestamp(found.last_modified()),
    };
    Ok(StoredObject { info, part, body: bytes(found.body) })
}

/// The part that was found, and the size of the whole.
fn part_of(found: &GetObjectOutput) -> Result<(ops::Range<u64>, u64), ObjectsError> {
    let Some(header) = found.content_range() else {
        let whole = size(found.content_length());
        return Ok((0..whole, whole));
    };
    read_header(header).ok_or_else(|| unavailable(format!("the range {header} cannot be read")))
}

/// The part and the whole size that a `Content-Range` header tells.
fn read_header(header: &str) -> Option<(ops::Range<u64>, u64)> {
    let (part, whole) = header.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = part.split_once('-')?;
    let end = last.parse::<u64>().ok()?.checked_add(1)?;
    Some((first.parse().ok()?..end, whole.parse().ok()?))
}

fn bytes(body: primitives::ByteStream) -> ByteStream {
    stream::try_unfold(body, |mut body| async move {
        let bytes = body.next().await.transpose().map_err(io::Error::other)?;
        Ok(bytes.map(|bytes| (bytes, body)))
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_as_http_counts() {
        assert_eq!(header(Range { start: 0, end: Some(1) }), "bytes=0-0");
        assert_eq!(header(Range { start: 5, end: None }), "bytes=5-");
        assert_eq!(read_header("bytes 5-9/100"), Some((5..10, 100)));
        for odd in ["bytes */100", "bytes 5-9/*", "5-9/100", "bytes 5-/9", ""] {
            assert_eq!(read_header(odd), None, "{odd}");
        }
    }
}

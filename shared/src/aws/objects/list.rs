//! Listing names.

use std::borrow::Cow;

use aws_sdk_s3::types::{EncodingType, Object};
use percent_encoding::percent_decode_str;

use super::{
    outcome::{etag, size, timestamp, unavailable},
    s3::S3Objects,
};
use crate::platform::{ObjectInfo, ObjectKey, ObjectPage, ObjectsError};

/// Names of a page.
const MOST: usize = 1000;

/// A page goes on behind a name, which need not be there any more.
pub(super) async fn list(
    s3: &S3Objects,
    prefix: &str,
    cursor: Option<&str>,
    limit: usize,
) -> Result<ObjectPage, ObjectsError> {
    let call = s3
        .client
        .list_objects_v2()
        .bucket(&s3.bucket)
        .prefix(prefix)
        .set_start_after(cursor.map(str::to_owned))
        .max_keys(i32::try_from(limit.clamp(1, MOST)).unwrap_or(i32::MAX))
        // XML cannot hold all that a name may.
        .encoding_type(EncodingType::Url);
    let listed = call.send().await.map_err(unavailable)?;
    let objects: Vec<ObjectInfo> = listed.contents().iter().map(info).collect::<Result<_, _>>()?;
    let last = objects.last().map(|object| object.key.as_str().to_owned());
    let cursor = if listed.is_truncated() == Some(true) { last } else { None };
    Ok(ObjectPage { objects, cursor })
}

/// A listing does not tell media types.
fn info(object: &Object) -> Result<ObjectInfo, ObjectsError> {
    let name = name(object.key().unwrap_or_default());
    Ok(ObjectInfo {
        key: ObjectKey::stored(name.map_err(unavailable)?),
        size: size(object.size()),
        etag: etag(object.e_tag()),
        content_type: None,
        modified_at: timestamp(object.last_modified()),
    })
}

/// A name as a form would be encoded: a space is a plus.
fn name(encoded: &str) -> Result<String, std::str::Utf8Error> {
    let spaced = encoded.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_written() {
        for (encoded, expected) in
            [("a/b", "a/b"), ("a+b", "a b"), ("a%2Bb", "a+b"), ("%C3%A9%0A", "é\n"), ("a%25", "a%")]
        {
            assert_eq!(name(encoded).unwrap(), expected);
        }
        assert!(name("%ff").is_err());
    }
}

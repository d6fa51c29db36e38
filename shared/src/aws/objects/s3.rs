//! The objects port on a client of S3's.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::Client;

use super::{list, outcome::check_name, read, sign, write};
use crate::platform::{
    ByteStream, Clock, Grant, ObjectInfo, ObjectKey, ObjectPage, Objects, ObjectsError, Put, Range,
    SignedUrl, StoredObject,
};

/// A bucket of S3's.
pub struct S3Objects {
    pub(super) client: Client,
    pub(super) bucket: String,
    pub(super) clock: Arc<dyn Clock>,
}

impl S3Objects {
    /// The objects of this bucket, which nobody else writes to.
    pub fn new(client: Client, bucket: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        S3Objects { client, bucket: bucket.into(), clock }
    }
}

#[async_trait]
impl Objects for S3Objects {
    async fn put(
        &self,
        key: &ObjectKey,
        body: ByteStream,
        put: Put,
    ) -> Result<ObjectInfo, ObjectsError> {
        check_name(key)?;
        write::put(self, key, body, put).await
    }

    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<Range>,
    ) -> Result<Option<StoredObject>, ObjectsError> {
        check_name(key)?;
        read::get(self, key, range).await
    }

    async fn info(&self, key: &ObjectKey) -> Result<Option<ObjectInfo>, ObjectsError> {
        check_name(key)?;
        read::info(self, key).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectsError> {
        check_name(key)?;
        write::delete(self, key).await
    }

    async fn list(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ObjectPage, ObjectsError> {
        list::list(self, prefix, cursor, limit).await
    }

    async fn sign(&self, grant: &Grant) -> Result<SignedUrl, ObjectsError> {
        check_name(&grant.key)?;
        sign::sign(self, grant).await
    }
}

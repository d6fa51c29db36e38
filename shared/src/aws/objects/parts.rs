//! A long object, in parts: they become an object when all are there, and are
//! given up when anything goes wrong. What a process leaves behind that dies in
//! between is for the bucket's lifecycle to remove.

use aws_sdk_s3::{
    Client, primitives,
    types::{CompletedMultipartUpload, CompletedPart},
};
use bytes::Bytes;

use super::{
    body::Body,
    outcome::{Refused, Unwritten, etag, unavailable},
    s3::S3Objects,
    write::{MOST_PARTS, Writing},
};
use crate::{
    aws::{doubt::Doubt, pace::Pace},
    platform::ObjectsError,
};

/// Stores a body that starts with `start`, and tells its etag.
pub(super) async fn put(
    writing: &Writing<'_>,
    start: Bytes,
    body: &mut Body,
    size: usize,
) -> Result<String, ObjectsError> {
    let S3Objects { client, bucket, .. } = writing.s3;
    let upload = Upload {
        client: client.clone(),
        bucket: bucket.clone(),
        key: writing.key.as_str().to_owned(),
        id: writing.begin().await?,
    };
    let mut guard = Guard(Some(upload.clone()));
    let parts = upload.send_all(start, body, size).await;
    let stored = match parts {
        Ok(parts) => upload.complete(writing, parts).await,
        Err(error) => Err(error),
    };
    guard.0 = None;
    if stored.is_err() {
        upload.abort().await;
    }
    stored
}

/// Parts that are no object yet.
#[derive(Clone)]
struct Upload {
    client: Client,
    bucket: String,
    key: String,
    id: String,
}

impl Upload {
    /// While one part is being sent, the next is being read.
    async fn send_all(
        &self,
        start: Bytes,
        body: &mut Body,
        size: usize,
    ) -> Result<Vec<CompletedPart>, ObjectsError> {
        let mut parts = Vec::new();
        let mut part = start;
        loop {
            let sending = self.send(parts.len() + 1, part);
            if body.is_over() {
                parts.push(sending.await?);
                return Ok(parts);
            }
            let (sent, next) = futures::try_join!(sending, body.part(size))?;
            parts.push(sent);
            part = next;
        }
    }

    async fn send(&self, number: usize, bytes: Bytes) -> Result<CompletedPart, ObjectsError> {
        let number = i32::try_from(number).map_err(|_| Refused::Length)?;
        if u64::from(number.unsigned_abs()) > MOST_PARTS {
            return Err(Refused::Length.into());
        }
        let call = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(&self.key)
            .upload_id(&self.id)
            .part_number(number)
            .body(primitives::ByteStream::from(bytes));
        let sent = call.send().await.map_err(unavailable)?;
        Ok(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build())
    }

    async fn complete(
        &self,
        writing: &Writing<'_>,
        parts: Vec<CompletedPart>,
    ) -> Result<String, ObjectsError> {
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let doubt = Doubt::default();
        let mut pace = Pace::new(&*writing.s3.clock);
        loop {
            let call = self
                .client
                .complete_multipart_upload()
                .bucket(&self.bucket)
                .key(&self.key)
                .upload_id(&self.id)
                .set_if_none_match(writing.condition())
                .multipart_upload(parts.clone());
            let error = match call.customize().interceptor(doubt.clone()).send().await {
                Ok(stored) => return Ok(etag(stored.e_tag())),
                Err(error) => error,
            };
            match Unwritten::of(&error) {
                Unwritten::Taken => return writing.taken(&doubt).await,
                Unwritten::Conflict if pace.wait().await => {}
                // Put together by a try whose answer was lost.
                Unwritten::NoParts => {
                    return writing.mine().await?.ok_or_else(|| unavailable(error));
                }
                Unwritten::Conflict | Unwritten::Other => return Err(unavailable(error)),
            }
        }
    }

    async fn abort(&self) {
        let call = self.client.abort_multipart_upload().bucket(&self.bucket).key(&self.key);
        if let Err(error) = call.upload_id(&self.id).send().await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(object.key = self.key, error, "parts of an object are left behind");
        }
    }
}

/// Gives the parts up when whoever was sending them is cancelled.
struct Guard(Option<Upload>);

impl Drop for Guard {
    fn drop(&mut self) {
        if let (Some(upload), Ok(runtime)) = (self.0.take(), tokio::runtime::Handle::try_current())
        {
            runtime.spawn(async move { upload.abort().await });
        }
    }
}

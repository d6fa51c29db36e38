//! URLs that need no further credential: presigned ones. They are good no
//! longer than the credentials that they were signed with.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::presigning::{PresignedRequest, PresigningConfig};
use jiff::Timestamp;

use super::{
    outcome::{Refused, unavailable},
    s3::S3Objects,
};
use crate::platform::{Grant, GrantMethod, ObjectsError, SignedUrl};

/// The longest that a URL is good for.
const LONGEST: Duration = Duration::from_hours(7 * 24);

pub(super) async fn sign(s3: &S3Objects, grant: &Grant) -> Result<SignedUrl, ObjectsError> {
    let terms = terms(s3.clock.now(), grant.expires_at)?;
    let S3Objects { client, bucket, .. } = s3;
    let key = grant.key.as_str();
    let signed = match grant.method {
        GrantMethod::Get => {
            let call = client.get_object().bucket(bucket).key(key);
            call.presigned(terms).await.map_err(unavailable)?
        }
        GrantMethod::Put { if_absent, length } => {
            let length = length.map(i64::try_from).transpose().map_err(|_| Refused::Length)?;
            let call = client
                .put_object()
                .bucket(bucket)
                .key(key)
                .set_if_none_match(if_absent.then(|| "*".to_owned()))
                .set_content_length(length);
            call.presigned(terms).await.map_err(unavailable)?
        }
    };
    Ok(url(&signed))
}

fn terms(now: Timestamp, expires_at: Timestamp) -> Result<PresigningConfig, ObjectsError> {
    let left = Duration::try_from(expires_at.duration_since(now)).unwrap_or_default();
    // Whole seconds are all that a URL tells.
    if left < Duration::from_secs(1) {
        return Err(Refused::Past.into());
    }
    PresigningConfig::builder()
        .start_time(SystemTime::try_from(now).map_err(unavailable)?)
        .expires_in(left.min(LONGEST))
        .build()
        .map_err(unavailable)
}

fn url(signed: &PresignedRequest) -> SignedUrl {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    SignedUrl { url: signed.uri().to_owned(), headers: signed.headers().map(owned).collect() }
}

//! What S3 answers, in the port's words.

use aws_sdk_s3::{
    error::{ProvideErrorMetadata, SdkError},
    primitives::DateTime,
};
use jiff::Timestamp;

use crate::platform::{ObjectKey, ObjectsError, Source};

/// Bytes of a name.
const LONGEST_NAME: usize = 1024;

/// The media type that S3 gives to what came without one.
const NO_TYPE: &str = "binary/octet-stream";

/// Why a call was not even tried.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A name that S3 does not have.
    #[error("an object's name has 1 to 1,024 bytes")]
    Name,
    /// A body that does not fit the parts there may be.
    #[error("an object is not that long")]
    Length,
    /// A URL that would be good for nothing.
    #[error("the time until which a URL is to be good has passed")]
    Past,
}

impl From<Refused> for ObjectsError {
    fn from(refused: Refused) -> Self {
        unavailable(refused)
    }
}

pub(super) fn unavailable(source: impl Into<Source>) -> ObjectsError {
    ObjectsError::Unavailable(source.into())
}

pub(super) fn check_name(key: &ObjectKey) -> Result<(), Refused> {
    if (1..=LONGEST_NAME).contains(&key.as_str().len()) { Ok(()) } else { Err(Refused::Name) }
}

/// Why a conditional write did not take place.
pub(super) enum Unwritten {
    /// The name is taken.
    Taken,
    /// Somebody else is writing it, or is removing it.
    Conflict,
    /// The parts are gone: put together already, or given up.
    NoParts,
    /// None of these.
    Other,
}

impl Unwritten {
    pub(super) fn of<E: ProvideErrorMetadata>(error: &SdkError<E>) -> Self {
        match error.code() {
            Some("PreconditionFailed") => Unwritten::Taken,
            Some("ConditionalRequestConflict" | "OperationAborted") => Unwritten::Conflict,
            Some("NoSuchUpload") => Unwritten::NoParts,
            Some(_) | None => Unwritten::Other,
        }
    }
}

/// An etag without its quotes.
pub(super) fn etag(quoted: Option<&str>) -> String {
    quoted.unwrap_or_default().trim_matches('"').to_owned()
}

pub(super) fn media_type(stored: Option<&str>) -> Option<String> {
    stored.filter(|text| !text.is_empty() && *text != NO_TYPE).map(str::to_owned)
}

pub(super) fn timestamp(at: Option<&DateTime>) -> Timestamp {
    at.and_then(|at| Timestamp::from_second(at.secs()).ok()).unwrap_or_default()
}

/// A size, which S3 tells as a signed number.
pub(super) fn size(stored: Option<i64>) -> u64 {
    stored.and_then(|size| u64::try_from(size).ok()).unwrap_or(0)
}

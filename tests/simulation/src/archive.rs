//! What an attempt's archive has in it: enough to tell whether it is whole.

use bytes::Bytes;
use shared::job::AttemptId;

/// The archive of this attempt, about as long as is said.
pub fn of(attempt: AttemptId, bytes: usize) -> Bytes {
    let head = format!("{attempt} ");
    let filling = ".".repeat(bytes.saturating_sub(head.len()));
    format!("{head}{filling} whole").into()
}

/// Whether all of it is there.
pub fn is_whole(attempt: AttemptId, bytes: &[u8]) -> bool {
    bytes.starts_with(format!("{attempt} ").as_bytes()) && bytes.ends_with(b" whole")
}

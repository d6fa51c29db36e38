//! The ends of an instance's two streams, as this API shows them.

use data_encoding::BASE64;
use shared::{
    ops::{logs, members::Member},
    service::Service,
};

use crate::{faults::Fault, tasks};

/// How much of a stream is shown, in bytes.
const SHOWN: usize = 2_048;

/// What stands before it.
const PREFIX: &str = "data:text/plain;charset=utf-8;base64,";

/// The last of standard output and standard error; empty before the first
/// attempt.
pub(crate) async fn ends(service: &Service, member: &Member) -> Result<[String; 2], Fault> {
    let Some(attempt) = member.attempt else { return Ok([encoded(b""), encoded(b"")]) };
    if let Some(left) = tasks::left(service, member).await? {
        let end = |tail: &str| {
            let bytes = BASE64.decode(tail.as_bytes()).unwrap_or_default();
            encoded(&bytes[bytes.len().saturating_sub(SHOWN)..])
        };
        return Ok([end(&left.stdout_tail), end(&left.stderr_tail)]);
    }
    let live = logs::ends(service, attempt, SHOWN).await?;
    Ok(live.map(|end| encoded(&end)))
}

fn encoded(bytes: &[u8]) -> String {
    format!("{PREFIX}{}", BASE64.encode(bytes))
}

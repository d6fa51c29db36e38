//! The ends of an instance's two streams, as this API shows them.

use data_encoding::BASE64;
use futures::{StreamExt, TryStreamExt};
use shared::{
    agent::Stream,
    job::Job,
    ops::{
        members::Member,
        output::Selector,
        transcript::{self, Wanted},
    },
    service::Service,
};

use crate::{faults::Fault, tasks};

/// How much of a stream is shown, in bytes.
const SHOWN: usize = 2_048;

/// What stands before it.
const PREFIX: &str = "data:text/plain;charset=utf-8;base64,";

/// The last of standard output and standard error; empty before the first
/// attempt.
pub(crate) async fn ends(
    service: &Service,
    job: &Job,
    member: &Member,
) -> Result<[String; 2], Fault> {
    let Some(attempt) = member.attempt else { return Ok([encoded(b""), encoded(b"")]) };
    if let Some(left) = tasks::left(service, member).await? {
        let end = |tail: &str| {
            let bytes = BASE64.decode(tail.as_bytes()).unwrap_or_default();
            encoded(&bytes[bytes.len().saturating_sub(SHOWN)..])
        };
        return Ok([end(&left.stdout_tail), end(&left.stderr_tail)]);
    }
    let task = job.tasks.get(attempt.task as usize).map(|task| task.name.to_string());
    let instance = Some(member.index);
    let selector = Selector { task, instance, attempt: Some(attempt.number) };
    let streams = vec![(Stream::Stdout, 0), (Stream::Stderr, 0)];
    let wanted = Wanted { selector, streams, follow: false };
    let mut pieces = transcript::read(service, job.key(), wanted).await?.boxed();
    let mut ends = [Vec::new(), Vec::new()];
    while let Some(piece) = pieces.try_next().await? {
        let end = match piece.stream {
            Stream::Stdout => &mut ends[0],
            Stream::Stderr => &mut ends[1],
        };
        end.extend_from_slice(&piece.bytes);
        let surplus = end.len().saturating_sub(SHOWN);
        end.drain(..surplus);
    }
    Ok(ends.map(|end| encoded(&end)))
}

fn encoded(bytes: &[u8]) -> String {
    format!("{PREFIX}{}", BASE64.encode(bytes))
}

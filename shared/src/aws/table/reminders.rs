//! Being told of a row that comes due: the table's stream tells of changes, and
//! time is none. A message that is delayed until then goes the same way.

use std::error::Error;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tracing::warn;

use crate::{
    aws::signed::{SQS, SignedCalls},
    platform::{Clock, Key},
};

/// What comes due later than this, the minute's sweep finds as soon.
pub(super) const REACH: SignedDuration = SignedDuration::from_secs(50);

/// A row that has come due: what a message says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reminder {
    /// Its partition.
    pub due_partition: String,
    /// Where it is in that.
    pub due_sort: String,
}

/// The queue that messages wait in.
#[derive(Clone, Debug)]
pub struct Reminders {
    calls: SignedCalls,
    queue: String,
}

impl Reminders {
    /// The queue with this URL.
    pub fn new(calls: SignedCalls, queue: impl Into<String>) -> Self {
        Reminders { calls, queue: queue.into() }
    }

    /// Sends one, which is late by a second or two rather than early.
    pub(super) async fn send(&self, key: &Key, at: Timestamp, clock: &dyn Clock) {
        let reminder =
            Reminder { due_partition: key.partition.clone(), due_sort: key.sort.clone() };
        let left = at.duration_since(clock.now()).as_secs().max(0) + 1;
        let message = json!({
            "QueueUrl": self.queue,
            "MessageBody": json!(reminder).to_string(),
            "DelaySeconds": left,
        });
        let sent = self.calls.call(SQS, self.calls.region(), "SendMessage", &message).await;
        if let Err(error) = sent {
            let error = &error as &dyn Error;
            warn!(error, row = %key, "what comes due waits for the sweep");
        }
    }
}

//! The outbox: how a caller is told.
//!
//! A message goes to an address that a user named, or into a message queue that
//! the operator has allowed by name. Whether it is worth another try, and when,
//! is for the caller to decide: an adapter makes one.

use async_trait::async_trait;
use bytes::Bytes;

use super::Source;
use crate::job::Name;

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recipient {
    /// To this address, `http://…` or `https://…`, by POST.
    Url(String),
    /// Into the message queue that is allowed under this name.
    MessageQueue(Name),
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What its body is, as `content-type` says it.
    pub content_type: &'static str,
    /// Headers besides, names in lower case; attributes, in a message queue.
    pub headers: Vec<(&'static str, String)>,
    /// The body: text, at most 256 KiB with the headers.
    pub body: Bytes,
}

/// What a recipient said to a message that it has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The status, of a recipient that has one: 200 to 299.
    pub status: Option<u16>,
}

/// Why a message was not delivered, in words for its sender. Whether the
/// recipient has it all the same is not known of [`OutboxError::NoAnswer`].
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// The recipient said no; a redirect is such an answer, too.
    #[error("the receiver answered with status {status}")]
    Refused {
        /// With this status.
        status: u16,
        /// When it wants to be asked again, in seconds.
        again_seconds: Option<u32>,
    },
    /// The address must not be talked to.
    #[error("the receiver has an address that is not allowed")]
    Barred,
    /// No message queue is allowed under this name.
    #[error("no message queue `{0}` is allowed here")]
    NoSuchQueue(Name),
    /// No answer came in time.
    #[error("the receiver did not answer in time")]
    Late,
    /// There was no talking to the recipient.
    #[error("the receiver could not be reached")]
    NoAnswer(#[source] Source),
}

/// How callers are told.
#[async_trait]
pub trait Outbox: Send + Sync {
    /// Delivers one message, once; an answer is waited for for 15 seconds.
    async fn deliver(&self, to: &Recipient, message: &Message) -> Result<Receipt, OutboxError>;
}

/// Where nothing is delivered, for a reason.
#[derive(Clone, Copy, Debug)]
pub struct NoOutbox(pub &'static str);

#[async_trait]
impl Outbox for NoOutbox {
    async fn deliver(&self, _: &Recipient, _: &Message) -> Result<Receipt, OutboxError> {
        Err(OutboxError::NoAnswer(self.0.into()))
    }
}

//! What an outbox must do that delivers to addresses.
//!
//! An adapter brings a [`Stage`]: itself, and a receiver that answers as it is
//! told. `outbox_suite!` makes a test of each check.

#![expect(clippy::missing_panics_doc, reason = "a check panics with what is wrong")]

use async_trait::async_trait;
use bytes::Bytes;

use crate::platform::{Message, Outbox, OutboxError, Receipt, Recipient};

/// What the receiver answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// This status, and this header.
    Status(u16, Option<(&'static str, String)>),
    /// Nothing at all, for longer than anybody waits.
    Nothing,
    /// The status at once, and then a body without end.
    Endless(u16),
}

/// A message as it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Method and path.
    pub target: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// An adapter under test, and a receiver.
#[async_trait]
pub trait Stage: Send + Sync {
    /// The adapter; it waits for a second or so for an answer, not for 15.
    fn outbox(&self) -> &dyn Outbox;

    /// The receiver's address, with this path; from now on it answers so.
    async fn receiver(&self, path: &str, reply: Reply) -> String;

    /// What has come in.
    fn received(&self) -> Vec<Received>;
}

fn message() -> Message {
    Message {
        content_type: "application/json",
        headers: vec![
            ("webhook-id", "job-1".into()),
            ("webhook-signature", "v1,YQ== v1,Yg==".into()),
        ],
        body: Bytes::from_static(b"{\"a\": \"\xc3\xa4\"}"),
    }
}

async fn told(stage: &dyn Stage, path: &str, reply: Reply) -> Result<Receipt, OutboxError> {
    let url = stage.receiver(path, reply).await;
    stage.outbox().deliver(&Recipient::Url(url), &message()).await
}

/// What is sent arrives as it is, once.
pub async fn a_message_arrives_whole(stage: &dyn Stage) {
    let receipt = told(stage, "/hook?a=b%20c", Reply::Status(200, None)).await;
    assert_eq!(receipt.unwrap_or_else(|error| panic!("{error}")).status, Some(200));
    let received = stage.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].target, "POST /hook?a=b%20c");
    assert_eq!(received[0].body, message().body);
    let length = message().body.len().to_string();
    for (name, value) in [
        ("content-type", "application/json"),
        ("content-length", &length),
        ("webhook-id", "job-1"),
        ("webhook-signature", "v1,YQ== v1,Yg=="),
    ] {
        let found = received[0].headers.iter().find(|(known, _)| known == name);
        assert_eq!(found.map(|(_, value)| value.as_str()), Some(value), "{name}");
    }
}

/// Every status from 200 to 299 is a yes.
pub async fn any_yes_is_a_yes(stage: &dyn Stage) {
    for status in [200, 201, 202, 204, 299] {
        let receipt = told(stage, "/", Reply::Status(status, None)).await;
        assert!(
            matches!(receipt, Ok(Receipt { status: Some(said) }) if said == status),
            "{receipt:?}"
        );
    }
}

/// Every other status is a no.
pub async fn anything_else_is_a_no(stage: &dyn Stage) {
    for status in [400, 404, 410, 429, 500, 503] {
        match told(stage, "/", Reply::Status(status, None)).await {
            Err(OutboxError::Refused { status: said, again_seconds: None }) if said == status => {}
            other => panic!("{status}: {other:?}"),
        }
    }
}

/// A redirect is a no, wherever it leads.
pub async fn a_redirect_is_not_followed(stage: &dyn Stage) {
    let elsewhere = stage.receiver("/elsewhere", Reply::Status(200, None)).await;
    for status in [301, 302, 303, 307, 308] {
        let location = Some(("location", elsewhere.clone()));
        match told(stage, "/here", Reply::Status(status, location)).await {
            Err(OutboxError::Refused { status: said, .. }) if said == status => {}
            other => panic!("{status}: {other:?}"),
        }
    }
    assert!(stage.received().iter().all(|it| it.target == "POST /here"));
}

/// Who is busy may say for how long.
pub async fn a_pause_that_is_asked_for_is_told(stage: &dyn Stage) {
    for (status, text, seconds) in [(503, "120", Some(120)), (429, "soon", None), (404, "9", None)]
    {
        let header = Some(("retry-after", text.to_owned()));
        match told(stage, "/", Reply::Status(status, header)).await {
            Err(OutboxError::Refused { again_seconds, .. }) if again_seconds == seconds => {}
            other => panic!("{status}: {other:?}"),
        }
    }
}

/// Who does not answer is not waited for.
pub async fn silence_is_a_failure(stage: &dyn Stage) {
    let late = told(stage, "/", Reply::Nothing).await;
    assert!(matches!(late, Err(OutboxError::Late)), "{late:?}");
}

/// What an answer says is not read to its end.
pub async fn an_answer_without_end_is_a_yes_all_the_same(stage: &dyn Stage) {
    let receipt = told(stage, "/", Reply::Endless(200)).await;
    assert!(matches!(receipt, Ok(Receipt { status: Some(200) })), "{receipt:?}");
}

/// Where nobody listens, nobody is told.
pub async fn nobody_there_is_a_failure(stage: &dyn Stage) {
    // The port of a listener that is closed again.
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let url = format!("http://{}/", free.unwrap_or_else(|error| panic!("{error}")));
    let gone = stage.outbox().deliver(&Recipient::Url(url), &message()).await;
    assert!(matches!(gone, Err(OutboxError::NoAnswer(_))), "{gone:?}");
}

/// A message queue that is not allowed is none.
pub async fn an_unknown_message_queue_is_none(stage: &dyn Stage) {
    let name = "nobodys".parse().unwrap_or_else(|error| panic!("{error}"));
    let refused = stage.outbox().deliver(&Recipient::MessageQueue(name), &message()).await;
    assert!(matches!(refused, Err(OutboxError::NoSuchQueue(_))), "{refused:?}");
}

super::suite! {
    ($)
    /// A test of each check; `$make` is an `async fn` that makes a stage, and
    /// what has to be kept while it is in use.
    outbox_suite, &dyn Stage, outbox:
    a_message_arrives_whole,
    any_yes_is_a_yes,
    anything_else_is_a_no,
    a_redirect_is_not_followed,
    a_pause_that_is_asked_for_is_told,
    silence_is_a_failure,
    an_answer_without_end_is_a_yes_all_the_same,
    nobody_there_is_a_failure,
    an_unknown_message_queue_is_none,
}

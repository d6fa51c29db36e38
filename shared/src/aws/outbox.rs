//! Callbacks by HTTP, and into message queues of SQS that the operator allows.

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use super::signed::{CallError, SQS, SignedCalls};
use crate::{
    job::Name,
    outbox::HttpOutbox,
    platform::{Message, Outbox, OutboxError, Receipt, Recipient},
};

/// A message queue of SQS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageQueue {
    /// What callbacks call it: its own name.
    pub name: Name,
    region: String,
    account: String,
}

impl MessageQueue {
    /// The queue of `arn:…:sqs:REGION:ACCOUNT:NAME`.
    pub fn of_arn(arn: &str) -> Option<Self> {
        let parts: Vec<&str> = arn.split(':').collect();
        let ["arn", _, "sqs", region, account, name] = parts[..] else { return None };
        let (region, account) = (region.to_owned(), account.to_owned());
        Some(MessageQueue { name: name.parse().ok()?, region, account })
    }

    /// The queue as SQS finds it: of the URL, only the path counts.
    fn url(&self) -> String {
        format!("https://sqs.{}.amazonaws.com/{}/{}", self.region, self.account, self.name)
    }
}

/// How callers are told.
pub struct AwsOutbox {
    http: HttpOutbox,
    calls: SignedCalls,
    queues: Vec<MessageQueue>,
}

impl AwsOutbox {
    /// Tells by `http`, and into `queues` by `calls`.
    pub fn new(http: HttpOutbox, calls: SignedCalls, queues: Vec<MessageQueue>) -> Self {
        AwsOutbox { http, calls, queues }
    }

    async fn send(&self, to: &Name, message: &Message) -> Result<Receipt, OutboxError> {
        let queue = self.queues.iter().find(|queue| queue.name == *to);
        let queue = queue.ok_or_else(|| OutboxError::NoSuchQueue(to.clone()))?;
        let sent =
            self.calls.call(SQS, &queue.region, "SendMessage", &request(queue, message)).await;
        match sent {
            Ok(_) => Ok(Receipt { status: None }),
            Err(refused @ CallError::Refused { .. }) => Err(OutboxError::NoAnswer(refused.into())),
            Err(CallError::Away(source)) => Err(OutboxError::NoAnswer(source)),
        }
    }
}

#[async_trait]
impl Outbox for AwsOutbox {
    async fn deliver(&self, to: &Recipient, message: &Message) -> Result<Receipt, OutboxError> {
        match to {
            Recipient::Url(_) => self.http.deliver(to, message).await,
            Recipient::MessageQueue(name) => self.send(name, message).await,
        }
    }
}

/// `SendMessage`: headers become attributes.
fn request(queue: &MessageQueue, message: &Message) -> Value {
    let text = |value: &str| json!({ "DataType": "String", "StringValue": value });
    let content_type = ("content-type".to_owned(), text(message.content_type));
    let headers = message.headers.iter().map(|(name, value)| ((*name).to_owned(), text(value)));
    let attributes: Map<String, Value> = headers.chain([content_type]).collect();
    json!({
        "QueueUrl": queue.url(),
        "MessageBody": String::from_utf8_lossy(&message.body),
        "MessageAttributes": attributes,
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{aws::pretend::Pretend, guard::Guard};

    fn message() -> Message {
        Message {
            content_type: "application/json",
            headers: vec![("webhook-id", "job-1".into())],
            body: Bytes::from_static(b"{}"),
        }
    }

    fn outbox(calls: SignedCalls) -> AwsOutbox {
        let queue = MessageQueue::of_arn("arn:aws:sqs:eu-west-1:123456789012:told").unwrap();
        AwsOutbox::new(HttpOutbox::new(Guard::new(Vec::new())), calls, vec![queue])
    }

    async fn told(outbox: &AwsOutbox, name: &str) -> Result<Receipt, OutboxError> {
        outbox.deliver(&Recipient::MessageQueue(name.parse().unwrap()), &message()).await
    }

    #[tokio::test]
    async fn a_message_goes_into_the_queue_that_is_allowed_and_into_no_other() {
        let sqs = Pretend::open().await;
        let outbox = outbox(sqs.calls());
        sqs.answers(200, &json!({ "MessageId": "1" }));
        assert_eq!(told(&outbox, "told").await.unwrap(), Receipt { status: None });
        let request = sqs.requests().remove(0);
        for part in [
            "x-amz-target: AmazonSQS.SendMessage",
            "content-type: application/x-amz-json-1.0",
            "/eu-west-1/sqs/aws4_request",
            r#""QueueUrl":"https://sqs.eu-west-1.amazonaws.com/123456789012/told""#,
            r#""webhook-id":{"DataType":"String","StringValue":"job-1"}"#,
        ] {
            assert!(request.contains(part), "{part}: {request}");
        }
        let refused = told(&outbox, "other").await;
        assert!(matches!(refused, Err(OutboxError::NoSuchQueue(_))), "{refused:?}");
        assert_eq!(sqs.requests().len(), 1);
    }

    #[tokio::test]
    async fn what_the_queue_refuses_is_not_delivered() {
        let sqs = Pretend::open().await;
        let no = json!({ "__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "m" });
        sqs.answers(400, &no);
        let refused = told(&outbox(sqs.calls()), "told").await;
        assert!(matches!(refused, Err(OutboxError::NoAnswer(_))), "{refused:?}");
    }

    #[test]
    fn only_the_arn_of_a_queue_names_one() {
        for arn in ["", "told", "arn:aws:sns:eu-west-1:1:told", "arn:aws:sqs:eu-west-1:1:a b"] {
            assert_eq!(MessageQueue::of_arn(arn), None, "{arn}");
        }
    }
}

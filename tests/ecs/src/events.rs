//! Telling what happens, as ECS does: to an event bus.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::{
    endpoint::{guard, now},
    faults::{Faults, take},
    task::Task,
};

/// Whom to tell, and as whom.
#[derive(Clone, Debug)]
pub struct Events {
    url: String,
    source: String,
}

impl Events {
    /// To the `PutEvents` at this address; as `aws.ecs`, or as somebody else
    /// where the address keeps that name to itself.
    pub fn to(url: impl Into<String>, source: Option<&str>) -> Self {
        Events { url: url.into(), source: source.unwrap_or("aws.ecs").to_owned() }
    }
}

/// Who tells, one after the other.
#[derive(Debug)]
pub(crate) struct Teller {
    queue: Option<mpsc::UnboundedSender<Value>>,
}

/// How often an event is sent to an address that does not take it.
const TRIES: u32 = 20;

impl Teller {
    pub(crate) fn start(events: Option<Events>, faults: Arc<Mutex<Faults>>) -> Self {
        let queue = events.map(|events| {
            let (queue, told) = mpsc::unbounded_channel();
            tokio::spawn(tell_all(events, faults, told));
            queue
        });
        Teller { queue }
    }

    /// Tells the task's state of now.
    pub(crate) fn tell(&self, task: &Task) {
        if let Some(queue) = &self.queue {
            let _ = queue.send(task.detail());
        }
    }
}

async fn tell_all(
    events: Events,
    faults: Arc<Mutex<Faults>>,
    mut told: mpsc::UnboundedReceiver<Value>,
) {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build();
    let Ok(client) = client else { return };
    let mut held: Option<Value> = None;
    while let Some(detail) = told.recv().await {
        let (lost, swapped, repeated, late) = {
            let faults = &mut guard(&faults).events;
            let lost = take(&mut faults.lost);
            let swapped = !lost && held.is_none() && take(&mut faults.swapped);
            (lost, swapped, !lost && take(&mut faults.repeated), faults.late_millis)
        };
        if lost {
            continue;
        }
        if swapped {
            held = Some(detail);
            continue;
        }
        tokio::time::sleep(Duration::from_millis(late)).await;
        for _ in 0..=u8::from(repeated) {
            put(&client, &events, &detail).await;
        }
        if let Some(held) = held.take() {
            put(&client, &events, &held).await;
        }
    }
}

/// One event on the bus.
async fn put(client: &reqwest::Client, events: &Events, detail: &Value) {
    let entry = json!({
        "Source": events.source,
        "DetailType": "ECS Task State Change",
        "Detail": detail.to_string(),
        "Resources": [detail["taskArn"]],
        "Time": now().as_second(),
    });
    let body = json!({ "Entries": [entry] }).to_string();
    for tried in 1..=TRIES {
        // A bus that asks who we are believes the name alone.
        let request = client
            .post(&events.url)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", "AWSEvents.PutEvents")
            .header("authorization", AUTHORIZATION)
            .body(body.clone());
        match request.send().await {
            Ok(answer) if answer.status().is_success() => return,
            _ if tried == TRIES => eprintln!("an event was not taken by {}", events.url),
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/events/aws4_request, \
     SignedHeaders=host, Signature=0";

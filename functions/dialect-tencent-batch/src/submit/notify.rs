//! Who is told of a job: a topic is a message queue that the operator allows by
//! that name.

use serde_json::{Value, json};

use crate::{faults::Fault, fields::Fields};

/// The longest name of a topic, in characters.
const TOPIC_LENGTH: usize = 64;

/// What can happen to a job.
const OF_JOBS: [&str; 4] = ["JOB_RUNNING", "JOB_SUCCEED", "JOB_FAILED", "JOB_FAILED_INTERRUPTED"];

/// What else this API has events for.
const OTHERS: [&str; 15] = [
    "TASK_RUNNING",
    "TASK_SUCCEED",
    "TASK_FAILED",
    "TASK_FAILED_INTERRUPTED",
    "TASK_INSTANCE_RUNNING",
    "TASK_INSTANCE_SUCCEED",
    "TASK_INSTANCE_FAILED",
    "TASK_INSTANCE_FAILED_INTERRUPTED",
    "COMPUTE_ENV_CREATED",
    "COMPUTE_ENV_DELETED",
    "COMPUTE_NODE_CREATED",
    "COMPUTE_NODE_CREATION_FAILED",
    "COMPUTE_NODE_RUNNING",
    "COMPUTE_NODE_ABNORMAL",
    "COMPUTE_NODE_DELETING",
];

/// The callback that a job's notifications are; `None` if there are none.
pub(crate) fn callback(job: &mut Fields) -> Result<Option<Value>, Fault> {
    job.word("NotificationTarget", &["CMQ", "TDMQ_CMQ"])?;
    let (mut topic, mut events): (Option<String>, Vec<String>) = (None, Vec::new());
    for mut notification in job.objects("Notifications")? {
        let name = topic_name(&mut notification)?;
        if topic.as_ref().is_some_and(|known| *known != name) {
            return Err(Fault::combination("A job's notifications go to one topic."));
        }
        topic = Some(name);
        for config in notification.objects("EventConfigs")? {
            let event = event_name(config)?;
            if events.contains(&event) {
                let message = format!("The event `{event}` is configured twice.");
                return Err(Fault::new("InvalidParameter.NotificationEventNameDuplicate", message));
            }
            events.push(event);
        }
        notification.end()?;
    }
    let Some(topic) = topic.filter(|_| !events.is_empty()) else { return Ok(None) };
    let started = events.iter().any(|event| event == OF_JOBS[0]);
    let told = if started { vec!["started", "finished"] } else { vec!["finished"] };
    Ok(Some(json!({ "message_queue": topic, "events": told })))
}

fn topic_name(notification: &mut Fields) -> Result<String, Fault> {
    let path = notification.path("TopicName");
    let name = notification.said("TopicName")?;
    if name.chars().count() > TOPIC_LENGTH {
        let message = format!("`{path}` is longer than {TOPIC_LENGTH} characters.");
        return Err(Fault::new("InvalidParameter.NotificationTopicNameTooLong", message));
    }
    if name.parse::<shared::job::Name>().is_err() {
        let message = format!("`{path}`: `{name}` is not a topic's name.");
        return Err(Fault::new("InvalidParameter.NotificationTopicName", message));
    }
    Ok(name)
}

fn event_name(mut config: Fields) -> Result<String, Fault> {
    let path = config.path("EventName");
    let name = config.said("EventName")?;
    for mut variable in config.objects("EventVars")? {
        variable.said("Name")?;
        variable.text("Value")?;
        variable.end()?;
    }
    config.end()?;
    if OF_JOBS.contains(&name.as_str()) {
        return Ok(name);
    }
    let rule = if OTHERS.contains(&name.as_str()) {
        "here a job is told of as a whole: its events are those that start with JOB_"
    } else {
        "there is no such event"
    };
    Err(Fault::value(&path, rule))
}

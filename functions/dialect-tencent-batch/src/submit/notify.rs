//! Who is told of a job: a topic is a message queue that the operator allows by
//! that name.

use serde_json::{Value, json};

use crate::{faults::Fault, fields::Fields, submit::Task, told::About, words::State};

/// The longest name of a topic, in characters.
const TOPIC_LENGTH: usize = 64;

/// What this API has events for besides: what is always there has none.
const OF_MACHINES: [&str; 7] = [
    "COMPUTE_ENV_CREATED",
    "COMPUTE_ENV_DELETED",
    "COMPUTE_NODE_CREATED",
    "COMPUTE_NODE_CREATION_FAILED",
    "COMPUTE_NODE_RUNNING",
    "COMPUTE_NODE_ABNORMAL",
    "COMPUTE_NODE_DELETING",
];

/// The callback that a job's notifications are; `None` if there are none. Which
/// event is told with which variables, its message looks up when it is sent.
pub(crate) fn callback(job: &mut Fields, tasks: &[Task]) -> Result<Option<Value>, Fault> {
    job.word("NotificationTarget", &["CMQ", "TDMQ_CMQ"])?;
    let (mut topic, mut events): (Option<String>, Vec<(About, State)>) = (None, Vec::new());
    for mut notification in job.objects("Notifications")? {
        let name = topic_name(&mut notification)?;
        if topic.as_ref().is_some_and(|known| *known != name) {
            return Err(Fault::combination("A job's notifications go to one topic."));
        }
        topic = Some(name);
        for config in notification.objects("EventConfigs")? {
            let path = config.path("EventName");
            let event = event(config, tasks)?;
            if events.contains(&event) {
                let message = format!("`{path}`: the event is configured twice.");
                return Err(Fault::new("InvalidParameter.NotificationEventNameDuplicate", message));
            }
            events.push(event);
        }
        notification.end()?;
    }
    let Some(topic) = topic.filter(|_| !events.is_empty()) else { return Ok(None) };
    let started = events.iter().any(|(_, state)| *state == State::Running);
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

/// An event that there is a moment to tell of.
fn event(mut config: Fields, tasks: &[Task]) -> Result<(About, State), Fault> {
    let path = config.path("EventName");
    let name = config.said("EventName")?;
    for mut variable in config.objects("EventVars")? {
        variable.said("Name")?;
        variable.text("Value")?;
        variable.end()?;
    }
    config.end()?;
    let rule = match (About::of_event(&name), tasks) {
        (Some(event @ (About::Job, _)), _) | (Some(event @ (About::Task, _)), [_]) => {
            return Ok(event);
        }
        (Some(event @ (About::Instance, _)), [one]) if one.instances() == 1 => return Ok(event),
        (Some((About::Task | About::Instance, _)), _) => {
            "a job is told of when it starts and ends: of a task if it is the only one, of an \
             instance if that has no other"
        }
        (None, _) if OF_MACHINES.contains(&name.as_str()) => "nothing happens to machines here",
        (None, _) => "there is no such event",
    };
    Err(Fault::value(&path, rule))
}

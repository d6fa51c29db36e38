//! What `EventBridge` tells of tasks.

use serde::{Deserialize, Serialize};

use super::naming;
use crate::platform::Known;

/// The detail of an `ECS Task State Change`, as far as it is believed: events
/// come late, twice and out of order, so that whoever hears one looks for
/// himself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskStateChange {
    /// The task.
    pub task_arn: String,
    /// Its state then.
    pub last_status: String,
    /// Who had it started.
    #[serde(default)]
    pub started_by: Option<String>,
}

impl TaskStateChange {
    /// Whose end it tells, if it is the end of a task of `instance`.
    pub fn ended(self, instance: &str) -> Option<Known> {
        if self.last_status != "STOPPED" {
            return None;
        }
        let attempt = naming::attempt(instance, self.started_by.as_deref()?)?;
        Some(Known { attempt, handle: Some(self.task_arn) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// In the shape of the ECS developer guide, with our `startedBy`.
    const RECORDED: &str = include_str!("stopped_event.json");

    fn recorded() -> TaskStateChange {
        let event: Value = serde_json::from_str(RECORDED).unwrap();
        assert_eq!(event["detail-type"], "ECS Task State Change");
        assert_eq!(event["source"], "aws.ecs");
        serde_json::from_value(event["detail"].clone()).unwrap()
    }

    #[test]
    fn a_recorded_event_tells_whose_task_has_ended() {
        let known = recorded().ended("tarpon").unwrap();
        assert_eq!(
            known.attempt.attempt.to_string(),
            "att-0190b8a0a0a070008000000000000001-1-0-0-1"
        );
        assert_eq!(
            known.handle.as_deref(),
            Some(
                "arn:aws:ecs:us-west-2:111122223333:task/FargateCluster/c13b4cb40f1f4fe4a2971f76ae5a47ad"
            )
        );
    }

    #[test]
    fn other_states_and_other_peoples_tasks_are_no_news() {
        assert_eq!(recorded().ended("other"), None);
        let running = TaskStateChange { last_status: "RUNNING".into(), ..recorded() };
        assert_eq!(running.ended("tarpon"), None);
        let stranger = TaskStateChange { started_by: None, ..recorded() };
        assert_eq!(stranger.ended("tarpon"), None);
    }
}

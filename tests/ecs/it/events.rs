//! What is told of tasks, and what happens when it is not.

use shared::{
    aws::runtime::TaskStateChange,
    conformance::runtime::{Act, Stage, attempt, launch_of, soon, tidy},
    platform::{Known, Sighting},
};
use tests_ecs::{EventFaults, Faults};

use crate::stage::EcsStage;

fn ended(event: &serde_json::Value) -> Option<Known> {
    let change: TaskStateChange = serde_json::from_value(event["detail"].clone()).unwrap();
    change.ended("tests")
}

#[tokio::test]
async fn events_tell_each_state_with_a_version_that_grows() {
    let mut stage = EcsStage::new().await;
    let launch = launch_of(&stage, attempt(1), Act::Exit(7)).await;
    let known = stage.started(&launch).await;
    let mut told = Vec::new();
    soon("the end", async {
        loop {
            let event = stage.bus.event().await;
            assert_eq!(event["detail-type"], "ECS Task State Change");
            assert_eq!(event["source"], "tests.ecs");
            let end = ended(&event);
            told.push(event["detail"].clone());
            if end.is_some() {
                assert_eq!(end, Some(known.clone()));
                return;
            }
        }
    })
    .await;
    let status = |detail: &serde_json::Value| detail["lastStatus"].as_str().unwrap().to_owned();
    let mut states: Vec<_> = told.iter().map(status).collect();
    states.dedup();
    assert_eq!(states, ["PROVISIONING", "PENDING", "RUNNING", "DEACTIVATING", "STOPPED"]);
    assert!(told.is_sorted_by_key(|detail| detail["version"].as_u64()));
    let last = told.last().unwrap();
    assert_eq!(last["stopCode"], "EssentialContainerExited");
    assert_eq!(last["containers"][1]["exitCode"], 7);
    assert!(last["stoppedAt"].is_string(), "times are text: {last}");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn an_end_that_nobody_tells_is_seen_by_looking() {
    let mut stage = EcsStage::new().await;
    let events = EventFaults { lost: 100, ..EventFaults::default() };
    stage.endpoint.set_faults(Faults { events, ..Faults::default() });
    let launch = launch_of(&stage, attempt(1), Act::Exit(3)).await;
    let known = stage.started(&launch).await;
    let seen = stage.end(&known).await;
    assert_eq!(seen, Sighting::Exited { code: Some(3), out_of_memory: false, message: None });
    tidy(&mut stage).await;
}

#[tokio::test]
async fn events_that_come_twice_late_and_out_of_order_tell_the_same_end() {
    let mut stage = EcsStage::new().await;
    let events =
        EventFaults { repeated: 100, swapped: 2, late_millis: 20, ..EventFaults::default() };
    stage.endpoint.set_faults(Faults { events, ..Faults::default() });
    let launch = launch_of(&stage, attempt(1), Act::Exit(3)).await;
    let known = stage.started(&launch).await;
    let mut versions = Vec::new();
    soon("two ends", async {
        let mut ends = 0;
        while ends < 2 {
            let event = stage.bus.event().await;
            versions.push(event["detail"]["version"].as_u64().unwrap());
            ends += usize::from(ended(&event).is_some_and(|it| it == known));
        }
    })
    .await;
    assert!(!versions.is_sorted(), "{versions:?}");
    assert!(matches!(stage.seen(&known).await, Sighting::Exited { code: Some(3), .. }));
    stage.runtime().forget(launch.attempt).await.unwrap();
    tidy(&mut stage).await;
}

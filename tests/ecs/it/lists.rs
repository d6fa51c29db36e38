//! What is listed, however many there are and whoever else is there.

use shared::{
    conformance::runtime::{Act, Stage, attempt, launch_of, soon, tidy},
    platform::{Known, Launch, Runtime, Sighting},
};
use tests_ecs::Faults;

use crate::stage::EcsStage;

async fn running(stage: &mut EcsStage, number: u32) -> Launch {
    let launch = launch_of(stage, attempt(number), Act::UntilTerm).await;
    stage.says(&launch).await;
    launch
}

#[tokio::test]
async fn a_list_is_read_to_its_last_page() {
    let mut stage = EcsStage::new().await;
    for number in 1..=3 {
        running(&mut stage, number).await;
    }
    stage.endpoint.set_faults(Faults { page: 1, ..Faults::default() });
    let mut listed = stage.runtime().list().await.unwrap();
    listed.sort_unstable();
    assert_eq!(listed, [attempt(1), attempt(2), attempt(3)]);
    assert!(stage.endpoint.calls("ListTasks") >= 3);
    tidy(&mut stage).await;
}

#[tokio::test]
async fn deployments_on_one_cluster_do_not_see_each_other() {
    let mut stage = EcsStage::new().await;
    let launch = running(&mut stage, 1).await;
    let mut config = stage.config.clone();
    config.instance = "other".into();
    let other = stage.other(&config);
    assert_eq!(other.list().await.unwrap(), []);
    other.stop(launch.attempt, true).await.unwrap();
    other.forget(launch.attempt).await.unwrap();
    let alone = Known::from(launch.attempt);
    assert_eq!(stage.seen(&alone).await, Sighting::Running);
    tidy(&mut stage).await;
}

#[tokio::test]
async fn an_end_that_was_seen_leaves_nothing_to_ask_for() {
    let mut stage = EcsStage::new().await;
    let launch = launch_of(&stage, attempt(1), Act::Exit(0)).await;
    let known = stage.started(&launch).await;
    soon("an end", stage.end(&known)).await;
    let before = stage.endpoint.calls("ListTasks");
    stage.runtime().forget(launch.attempt).await.unwrap();
    assert_eq!(stage.endpoint.calls("ListTasks"), before);
    assert_eq!(stage.endpoint.calls("StopTask"), 0);
    tidy(&mut stage).await;
}

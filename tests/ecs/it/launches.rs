//! What starts a task, once; and what does not.

use futures::future::join_all;
use shared::{
    conformance::runtime::{Act, Stage, attempt, launch_of, soon, tidy},
    job::{Cause, Network, Resources},
    platform::{Admission, Launch, Launched, Runtime, RuntimeError, Sighting},
};
use tests_ecs::Faults;

use crate::stage::EcsStage;

const RUN: &str = "RunTask";

fn times(count: u32) -> std::collections::BTreeMap<String, u32> {
    [(RUN.to_owned(), count)].into()
}

#[tokio::test]
async fn a_launch_whose_answer_is_lost_starts_one_task_when_it_is_repeated() {
    let mut stage = EcsStage::new().await;
    let launch = stage.script(1, "trap 'exit 0' TERM; say up; forever").await;
    stage.endpoint.set_faults(Faults { unanswered: times(100), ..Faults::default() });
    let lost = stage.runtime().launch(&launch).await;
    assert!(matches!(lost, Err(RuntimeError::Unavailable(_))), "{lost:?}");
    assert!(stage.endpoint.calls(RUN) > 1, "it was tried more than once");
    assert_eq!(stage.hears(&launch).await, "up");

    stage.endpoint.set_faults(Faults::default());
    let known = stage.started(&launch).await;
    assert_eq!(stage.endpoint.tasks(), 1);
    assert_eq!(stage.seen(&known).await, Sighting::Running);
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_launch_in_other_words_is_the_same_launch() {
    let mut stage = EcsStage::new().await;
    let launch = stage.script(1, "trap 'exit 0' TERM; say up; forever").await;
    let first = stage.started(&launch).await;
    stage.hears(&launch).await;

    // As after an update between the launch and its repetition.
    let mut config = stage.config.clone();
    config.service = "http://127.0.0.1:9".into();
    let updated = stage.other(&config);
    let again = updated.launch(&launch).await.unwrap();
    assert_eq!(again, Launched { handle: first.handle });
    assert_eq!(stage.endpoint.tasks(), 1);
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_throttled_launch_is_tried_again_and_is_no_lack_of_room() {
    let mut stage = EcsStage::new().await;
    let launch = stage.script(1, "say up").await;
    stage.endpoint.set_faults(Faults { throttled: times(2), ..Faults::default() });
    assert_eq!(stage.says(&launch).await, "up");
    assert_eq!((stage.endpoint.calls(RUN), stage.endpoint.tasks()), (3, 1));

    let other = stage.script(2, "say up").await;
    stage.endpoint.set_faults(Faults { throttled: times(100), ..Faults::default() });
    let refused = stage.runtime().launch(&other).await;
    assert!(matches!(refused, Err(RuntimeError::Unavailable(_))), "{refused:?}");
    assert_eq!(stage.endpoint.calls(RUN), 7, "tries are bounded");

    stage.endpoint.set_faults(Faults::default());
    assert_eq!(stage.says(&other).await, "up");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_lack_of_room_passes_and_a_refusal_is_told() {
    let mut stage = EcsStage::new().await;
    let launch = stage.script(1, "say up").await;
    let full = "Capacity is unavailable at this time. Please try again later or in a different \
                availability zone";
    let unplaced = [full, "RESOURCE:CPU", "AGENT"].map(str::to_owned).to_vec();
    stage.endpoint.set_faults(Faults { unplaced, ..Faults::default() });
    for expected in [full, "RESOURCE:CPU"] {
        let refused = stage.runtime().launch(&launch).await;
        assert!(
            matches!(&refused, Err(RuntimeError::NoCapacity(why)) if why == expected),
            "{refused:?}"
        );
    }
    let refused = stage.runtime().launch(&launch).await;
    assert!(matches!(&refused, Err(RuntimeError::Refused(why)) if why == "AGENT"), "{refused:?}");
    assert_eq!(stage.says(&launch).await, "up");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_before_anything_is_asked() {
    let mut stage = EcsStage::new().await;
    let plain = launch_of(&stage, attempt(1), Act::Exit(0)).await;
    let lonely = Launch { network: Network::None, ..plain.clone() };
    let mut local = plain.clone();
    local.image.digest = format!("sha256:{}", "0".repeat(64));
    let mut huge = plain;
    huge.resources = Resources { cpu_millis: 17_000, memory_mib: 64 };
    for (launch, word) in [(&lonely, "network"), (&local, "registry"), (&huge, "CPUs")] {
        let refused = stage.runtime().launch(launch).await;
        let why = match refused {
            Err(RuntimeError::Refused(why)) => why,
            other => panic!("{other:?}"),
        };
        assert!(why.contains(word), "{why}");
    }
    let said = stage.runtime().admit(attempt(1), huge.resources).await;
    assert!(matches!(said, Admission::TooLarge(_)), "{said:?}");
    assert_eq!(stage.endpoint.calls(RUN), 0);
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_definition_is_registered_once_and_found_again() {
    const REGISTER: &str = "RegisterTaskDefinition";
    let mut stage = EcsStage::new().await;
    for number in 1..=2 {
        let launch = stage.script(number, "say up").await;
        stage.says(&launch).await;
    }
    stage.restart().await;
    let third = stage.script(3, "say up").await;
    stage.says(&third).await;
    assert_eq!(stage.endpoint.calls(REGISTER), 1);
    assert_eq!(stage.endpoint.calls("DescribeTaskDefinition"), 2, "once for each runtime");

    let other = Launch { user: Some("0".into()), ..stage.script(4, "say up").await };
    stage.says(&other).await;
    assert_eq!(stage.endpoint.calls(REGISTER), 2);

    // An operator tidies up.
    stage.endpoint.forget_definitions();
    let fifth = stage.script(5, "say up").await;
    assert_eq!(stage.says(&fifth).await, "up");
    assert_eq!(stage.endpoint.calls(REGISTER), 3);
    tidy(&mut stage).await;
}

#[tokio::test]
async fn attempts_that_start_at_once_register_their_definition_once() {
    const ATTEMPTS: u32 = 16;
    let mut stage = EcsStage::new().await;
    // None gets as far as to a container: what comes before is what counts.
    let unplaced = vec!["RESOURCE:CPU".to_owned(); ATTEMPTS as usize];
    stage.endpoint.set_faults(Faults { unplaced, crowded: 2, ..Faults::default() });
    let runtime = stage.runtime();
    let mut launches = Vec::new();
    for number in 1..=ATTEMPTS {
        launches.push(stage.script(number, "say up").await);
    }
    let launched = join_all(launches.iter().map(|launch| runtime.launch(launch))).await;
    for refused in launched {
        assert!(matches!(refused, Err(RuntimeError::NoCapacity(_))), "{refused:?}");
    }
    assert_eq!(stage.endpoint.calls(RUN), u64::from(ATTEMPTS));
    assert_eq!(stage.endpoint.calls("RegisterTaskDefinition"), 3, "two of them were refused");

    // One that is never let through is tried again later: it is nobody's fault.
    stage.endpoint.set_faults(Faults { crowded: 100, ..Faults::default() });
    let other = Launch { user: Some("0".into()), ..launches.remove(0) };
    let refused = runtime.launch(&other).await;
    assert!(matches!(refused, Err(RuntimeError::Unavailable(_))), "{refused:?}");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_task_that_cannot_start_says_whose_fault_it_is() {
    let mut stage = EcsStage::new().await;
    let plain = stage.script(1, "say up").await;
    let nobody = Launch { user: Some("nobody-here".into()), ..plain };
    let mut vanished = stage.script(2, "say up").await;
    let (name, _) = vanished.image.digest.split_once('@').unwrap();
    vanished.image.digest = format!("{name}@sha256:{}", "0".repeat(64));
    for (launch, expected) in [(&nobody, Cause::StartFailed), (&vanished, Cause::ImageNotFound)] {
        let known = stage.started(launch).await;
        match stage.end(&known).await {
            Sighting::NotStarted { cause, message } => assert_eq!(cause, expected, "{message}"),
            other => panic!("{other:?}"),
        }
    }

    // An image that has no agent to put in place.
    let mut config = stage.config.clone();
    config.agent_image.clone_from(&stage.image().await.digest);
    let broken = stage.other(&config);
    let launch = stage.script(3, "say up").await;
    let launched = broken.launch(&launch).await.unwrap();
    let known = shared::platform::Known { attempt: launch.attempt, handle: launched.handle };
    let seen = soon("an end", stage.end(&known)).await;
    assert!(matches!(seen, Sighting::NotStarted { cause: Cause::AgentLost, .. }), "{seen:?}");
    tidy(&mut stage).await;
}

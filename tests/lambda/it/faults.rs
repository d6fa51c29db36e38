//! What AWS does on a bad day, to all functions at once.

use futures::future::join_all;
use tests_ecs::{EventFaults, Faults};
use tests_lambda::{Installation, Setup, Weather};

const JOBS: usize = 4;

/// A few jobs from their submission to their end: each ends well, and has run
/// once.
async fn tell(setup: Setup) -> Installation {
    let installation = Installation::start(setup).await;
    let submit = |number: usize| {
        let steps = format!("say {number} then write /out/a {number}");
        installation.submit(installation.probe(&steps).keep("/out"))
    };
    let jobs = join_all((0..JOBS).map(submit)).await;
    for job in &jobs {
        let view = installation.finish(job).await;
        assert_eq!(view["state"], "succeeded", "{view:#}\n{}", installation.log());
    }
    assert_eq!(installation.ecs.tasks(), JOBS, "{}", installation.log());
    let listed = installation.get("/v1/jobs").await;
    assert_eq!(listed["jobs"].as_array().unwrap().len(), JOBS, "{listed:#}");
    let (refused, _) = installation.rights();
    assert_eq!(refused, Vec::<String>::new());
    installation
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_and_a_bucket_that_throttle_lose_nothing() {
    tell(Setup { weather: Weather { throttled: 3, cut: 0 }, ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_lose_nothing() {
    tell(Setup { weather: Weather { throttled: 0, cut: 4 }, ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_are_refused_a_place_are_placed_in_the_end() {
    let unplaced = ["RESOURCE:CPU", "RESOURCE:MEMORY"].map(str::to_owned).to_vec();
    let throttled = ["RunTask", "DescribeTasks", "ListTasks"].map(|name| (name.to_owned(), 3));
    let unanswered = [("RunTask".to_owned(), 2)].into();
    let faults = Faults { unplaced, throttled: throttled.into(), unanswered, ..Faults::default() };
    tell(Setup { faults, ..Setup::default() }).await;
}

fn events(events: EventFaults) -> Setup {
    Setup { faults: Faults { events, ..Faults::default() }, ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_come_twice_end_nothing_twice() {
    tell(events(EventFaults { repeated: u32::MAX, ..EventFaults::default() })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_in_the_wrong_order_end_nothing_too_soon() {
    tell(events(EventFaults { swapped: u32::MAX, ..EventFaults::default() })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_never_come_are_not_missed() {
    tell(events(EventFaults { lost: u32::MAX, ..EventFaults::default() })).await;
}

//! What AWS does on a bad day, to all functions at once.

use futures::future::join_all;
use serde_json::Value;
use tests::{kill_container, until};
use tests_ecs::{EventFaults, Faults};
use tests_lambda::{Installation, Setup, Weather};

const JOBS: usize = 4;

/// A few jobs from their submission to their end: each ends well, and has run
/// once.
async fn tell(setup: Setup) {
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

async fn replace(setup: Setup) {
    replaced(&Installation::start(setup).await).await;
}

/// A job whose container is gone before its agent could say a word: only the
/// runtime knows. One other runs in its place.
pub(crate) async fn replaced(installation: &Installation) {
    let job = installation.submit(installation.probe("say hi then sleep 6")).await;
    let attempt = |number: u32| format!("att-{}-1-0-0-{number}", &job["job-".len()..]);
    let logs = format!("/v1/jobs/{job}/logs");
    let said = async || {
        let answer = installation.client.get(&logs).await;
        (answer.status == 200 && answer.text() == "hi\n").then_some(())
    };
    until("the process runs", said).await;
    until("it is killed", async || kill_container(&attempt(1)).then_some(())).await;
    let view = installation.finish(&job).await;
    assert_eq!(view["state"], "succeeded", "{view:#}\n{}", installation.log());
    assert_eq!(installation.ecs.tasks(), 2, "{}", installation.log());
    let archive = installation.client.archive(&job).await;
    assert_eq!(
        (&archive.manifest["attempt"], archive.stdout()),
        (&Value::from(attempt(2)), "hi\n")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_come_twice_end_nothing_twice() {
    let repeated = || events(EventFaults { repeated: u32::MAX, ..EventFaults::default() });
    tell(repeated()).await;
    replace(repeated()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_in_the_wrong_order_end_nothing_too_soon() {
    let swapped = || events(EventFaults { swapped: u32::MAX, ..EventFaults::default() });
    tell(swapped()).await;
    replace(swapped()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_never_come_are_not_missed() {
    let lost = || events(EventFaults { lost: u32::MAX, ..EventFaults::default() });
    tell(lost()).await;
    replace(lost()).await;
}

//! A function that dies between two changes, wherever that is.
//!
//! For every function on a job's way, and every number of changes that it
//! makes: the function is killed when it has made so many, before it hears of
//! the last. Whoever called it calls again, as AWS's sources do, or does not,
//! and the sweep finds what was left.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use axum::{Router, http::HeaderMap, routing::post};
use futures::{StreamExt, stream};
use serde_json::json;
use tests::until;
use tests_ecs::{EventFaults, Faults};
use tests_lambda::{Installation, Setup};
use tokio::net::TcpListener;

use crate::faults::replaced;

/// How many installations there are at once: mostly they wait for containers.
const AT_ONCE: usize = 2;

/// The same where they wait for a minute each.
const WAITING_AT_ONCE: usize = 8;

/// More changes than any function makes for one small job.
const MOST: u32 = 24;

/// One job from its submission to its end, with a death on the way; whether
/// it came to that.
async fn told(setup: Setup, function: &str, changes: u32, steps: &str) -> bool {
    let installation = Installation::start(setup).await;
    installation.kill(function, changes);
    let job = installation.submit(installation.probe(steps).keep("/out")).await;
    let view = installation.finish(&job).await;
    let died = !installation.is_doomed(function);
    let at = format!("{function} died after {changes} changes: {died}\n{}", installation.log());
    assert_eq!(view["state"], "succeeded", "{view:#}\n{at}");
    assert_eq!(installation.ecs.tasks(), 1, "{at}");
    let listed = installation.get("/v1/jobs").await;
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 1, "{listed:#}\n{at}");
    let archive = installation.client.archive(&job).await;
    assert_eq!(archive.file("Stdout"), b"hi\n", "{at}");
    // Whatever comes late changes nothing.
    installation.sweep().await;
    assert_eq!(installation.get(&format!("/v1/jobs/{job}")).await, view, "{at}");
    let (refused, _) = installation.rights();
    assert_eq!(refused, Vec::<String>::new(), "{at}");
    died
}

/// Every death of the function, and how many there are.
async fn every_death(setup: Setup, function: &str, steps: &str, at_once: usize) -> u32 {
    let told = |changes| told(setup.clone(), function, changes, steps);
    counted(function, at_once, told).await
}

/// How many deaths of the function there are, where a story tells whether it
/// came to the one after so many changes.
async fn counted<S: Future<Output = bool>>(
    function: &str,
    at_once: usize,
    tell: impl FnMut(u32) -> S,
) -> u32 {
    let mut deaths = 0;
    let mut stories = stream::iter((0..MOST).map(tell)).buffered(at_once);
    while let Some(died) = stories.next().await {
        if !died {
            println!("{function}: {deaths} deaths");
            return deaths;
        }
        deaths += 1;
    }
    panic!("{function} makes {MOST} changes or more");
}

const SHORT: &str = "say hi then write /out/a x";

/// Its archive does not go where the plan says.
const LARGE: &str = "say hi then fill /out/a 2000000";

macro_rules! deaths {
    ($($name:ident: $function:literal, $steps:expr, $least:literal;)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let deaths = every_death(Setup::default(), $function, $steps, AT_ONCE).await;
                assert!(deaths >= $least, "{deaths}");
            }
        )+
    };
}

// The least is one death before any change, and one after each that there is
// for sure.
deaths! {
    a_job_outlives_who_takes_it_in: "submit-job", SHORT, 2;
    a_job_outlives_who_starts_it: "dispatch-jobs", SHORT, 4;
    a_job_outlives_who_reads_its_plan: "read-plan", SHORT, 2;
    a_job_outlives_who_keeps_its_log: "append-logs", "say hi then sleep 4", 2;
    a_job_outlives_who_grants_its_upload: "grant-upload", LARGE, 2;
    a_job_outlives_who_takes_its_report: "report-attempt", SHORT, 2;
}

/// Nothing tells of anything: it is all the sweep's, which leaves a new job to
/// the stream for a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_outlives_the_sweep() {
    let events = EventFaults { lost: u32::MAX, ..EventFaults::default() };
    let faults = Faults { events, ..Faults::default() };
    let setup = Setup { stream: false, faults, ..Setup::default() };
    let deaths = every_death(setup, "sweep-jobs", SHORT, WAITING_AT_ONCE).await;
    assert!(deaths >= 4, "{deaths}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_outlives_who_hears_of_its_container() {
    const FUNCTION: &str = "observe-attempt";
    let tell = async |changes| {
        let installation = Installation::start(Setup::default()).await;
        installation.kill(FUNCTION, changes);
        replaced(&installation).await;
        !installation.is_doomed(FUNCTION)
    };
    let deaths = counted(FUNCTION, WAITING_AT_ONCE, tell).await;
    assert!(deaths >= 2, "{deaths}");
}

/// It is told again where nobody knows that it was told, and always as the
/// same message; once that is known, no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_is_told_whoever_dies_over_it() {
    const FUNCTION: &str = "deliver-callback";
    let tell = async |changes| {
        let installation = Installation::start(Setup::default()).await;
        let (url, heard) = listener().await;
        let spec = installation.probe("say hi").with("callback", json!({ "url": url }));
        let job = installation.submit(spec).await;
        installation.finish(&job).await;
        installation.kill(FUNCTION, changes);
        let path = format!("/v1/jobs/{job}/callbacks");
        let told = async || {
            // Whoever dies over it says nothing.
            let _ = installation.invoke(FUNCTION, json!("due")).await;
            let callbacks = installation.get(&path).await;
            (callbacks["callbacks"][0]["state"] == "delivered").then_some(())
        };
        until("it is known that the caller was told", told).await;
        let before = heard.lock().unwrap().clone();
        let _ = installation.invoke(FUNCTION, json!("due")).await;
        let after = heard.lock().unwrap().clone();
        assert_eq!(before, after, "nobody is told what he knows");
        assert_eq!(after.iter().collect::<BTreeSet<_>>().len(), 1, "{after:?}");
        !installation.is_doomed(FUNCTION)
    };
    let deaths = counted(FUNCTION, AT_ONCE, tell).await;
    assert!(deaths >= 2, "{deaths}");
}

/// Somebody who takes every message, and the ids of those that came.
async fn listener() -> (String, Arc<Mutex<Vec<String>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let taken = heard.clone();
    let take = async move |headers: HeaderMap| {
        let id = headers["webhook-id"].to_str().unwrap().to_owned();
        taken.lock().unwrap().push(id);
    };
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", port.local_addr().unwrap());
    let routes = Router::new().route("/", post(take));
    tokio::spawn(async move { axum::serve(port, routes).await });
    (url, heard)
}

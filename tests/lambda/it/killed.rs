//! A function that dies between two changes, wherever that is.
//!
//! For every function on a job's way, and every number of changes that it
//! makes: the function is killed when it has made so many, before it hears of
//! the last. Whoever called it calls again, as AWS's sources do, or does not,
//! and the sweep finds what was left.

use futures::{StreamExt, stream};
use tests_ecs::{EventFaults, Faults};
use tests_lambda::{Installation, Setup};

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
    let mut deaths = 0;
    let stories = (0..MOST).map(|changes| told(setup.clone(), function, changes, steps));
    let mut stories = stream::iter(stories).buffered(at_once);
    while let Some(died) = stories.next().await {
        if !died {
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
                println!("{}: {deaths} deaths", $function);
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
    println!("sweep-jobs: {deaths} deaths");
    assert!(deaths >= 4, "{deaths}");
}

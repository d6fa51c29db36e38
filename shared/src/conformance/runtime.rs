//! What a runtime must do, whatever runs its containers.
//!
//! An adapter brings a [`Stage`]: itself, and a stand-in for the agent that
//! says when it is up and then acts as it is told. `runtime_suite!` makes one
//! test of each check, `machine_suite!` the further ones of runtimes that share
//! out one machine and are masters of what runs on it, `container_suite!` those
//! of runtimes that have images and hold containers to their limits.

#![expect(clippy::missing_panics_doc, reason = "a check panics with what is wrong")]

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::watch;

use crate::{
    job::{
        AttemptId, AttemptKey, ImageReference, JobId, Network, ProjectId, ResolvedImage, Resources,
    },
    platform::{Admission, Known, Launch, ResolveError, Runtime, Sighting},
};

/// What the stand-in does once it has said that it is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Exits with this code.
    Exit(u8),
    /// Runs until TERM, then exits with 0.
    UntilTerm,
    /// Runs on, TERM or not.
    Stubborn,
    /// Takes ever more memory.
    Greedy,
}

/// What there is to share out on a stage.
pub const TOTAL: Resources = Resources { cpu_millis: 2_000, memory_mib: 512 };

/// An adapter under test, and what happens around it. Nobody else uses its
/// state.
#[async_trait]
pub trait Stage: Send {
    /// The adapter, with [`TOTAL`] to share out.
    fn runtime(&self) -> Arc<dyn Runtime>;

    /// An image in which the stand-in can run.
    async fn image(&self) -> ResolvedImage;

    /// What the launches of the suite ask for: the least that there is.
    fn network(&self) -> Network {
        Network::None
    }

    /// The attempt's token, by which the stand-in knows what to do.
    fn token(&self, act: Act) -> String;

    /// Waits for the next stand-in that is up.
    async fn arrival(&mut self) -> AttemptId;

    /// Waits for the next death that the adapter tells.
    async fn death(&mut self) -> AttemptKey;

    /// Changes when the adapter says that room was freed.
    fn freed(&self) -> watch::Receiver<u64>;

    /// The adapter goes away, as at a crash, and another takes over its state.
    async fn restart(&mut self);
}

/// One attempt of the suite, told from the others by `number`.
pub fn attempt(number: u32) -> AttemptKey {
    let job = JobId::from_bits(0x0190_b8a0_a0a0_7000_8000_0000_0000_0001);
    AttemptKey {
        project: ProjectId::new([7; 16]),
        attempt: AttemptId { job, run: 1, task: 0, instance: 0, number },
    }
}

/// A launch of `attempt` in which the stand-in does `act`.
pub async fn launch_of(stage: &impl Stage, attempt: AttemptKey, act: Act) -> Launch {
    Launch {
        attempt,
        image: stage.image().await,
        token: stage.token(act),
        resources: Resources { cpu_millis: 500, memory_mib: 64 },
        network: stage.network(),
        read_only_root: false,
        user: None,
        grace_seconds: 10,
        labels: BTreeMap::new(),
    }
}

/// Waits, but not for ever.
pub async fn soon<T>(what: &str, waited: impl Future<Output = T>) -> T {
    let patience = Duration::from_mins(1);
    tokio::time::timeout(patience, waited).await.unwrap_or_else(|_| panic!("{what}: not in time"))
}

async fn launched(stage: &mut impl Stage, number: u32, act: Act) -> Known {
    let attempt = attempt(number);
    let launch = launch_of(stage, attempt, act).await;
    let launched = stage.runtime().launch(&launch).await.expect("launched");
    assert_eq!(arrives(stage).await, attempt.attempt);
    Known { attempt, handle: launched.handle }
}

async fn arrives(stage: &mut impl Stage) -> AttemptId {
    soon("an arrival", stage.arrival()).await
}

/// Waits until the death of `attempt` is told; others may be told before, and
/// any of them twice.
async fn dies(stage: &mut impl Stage, attempt: AttemptKey) {
    soon("a death", async { while stage.death().await != attempt {} }).await;
}

async fn seen(stage: &impl Stage, known: &Known) -> Sighting {
    let seen = stage.runtime().inspect(std::slice::from_ref(known)).await.expect("inspected");
    assert_eq!(seen.len(), 1);
    seen.into_iter().next().expect("counted")
}

async fn listed(stage: &impl Stage) -> Vec<AttemptKey> {
    let mut listed = stage.runtime().list().await.expect("listed");
    listed.sort_unstable();
    listed
}

async fn forget(stage: &impl Stage, attempt: AttemptKey) {
    stage.runtime().forget(attempt).await.expect("forgotten");
}

fn exit_code(sighting: &Sighting) -> Option<i32> {
    match sighting {
        Sighting::Exited { code, .. } => *code,
        other => panic!("not exited: {other:?}"),
    }
}

/// Forgets whatever a check has left, and sees that nothing is left then.
pub async fn tidy(stage: &mut impl Stage) {
    for attempt in listed(stage).await {
        forget(stage, attempt).await;
    }
    assert_eq!(listed(stage).await, []);
    assert_eq!(stage.runtime().admit(attempt(999), TOTAL).await, Admission::Admitted);
    forget(stage, attempt(999)).await;
}

/// A repeated launch of an attempt that runs is nothing new.
pub async fn launching_twice_runs_once(stage: &mut impl Stage) {
    let first = launched(stage, 1, Act::UntilTerm).await;
    let again = launch_of(stage, first.attempt, Act::UntilTerm).await;
    let repeated = stage.runtime().launch(&again).await.expect("launched again");
    assert_eq!(repeated.handle, first.handle);
    // Whatever the repetition has started would come up before this one.
    launched(stage, 2, Act::UntilTerm).await;
    assert_eq!(listed(stage).await, [attempt(1), attempt(2)]);
}

/// Launches at the same moment are one launch.
pub async fn launching_from_two_places_at_once_runs_once(stage: &mut impl Stage) {
    let launch = launch_of(stage, attempt(1), Act::Exit(0)).await;
    let (one, other) = (stage.runtime(), stage.runtime());
    let (one, other) = tokio::join!(one.launch(&launch), other.launch(&launch));
    assert_eq!(one.expect("launched"), other.expect("launched"));
    assert_eq!(arrives(stage).await, attempt(1).attempt);
    dies(stage, attempt(1)).await;
    launched(stage, 2, Act::UntilTerm).await;
}

/// A launch that is repeated after the end does not run again.
pub async fn an_ended_attempt_is_not_run_again(stage: &mut impl Stage) {
    let first = launched(stage, 1, Act::Exit(5)).await;
    dies(stage, first.attempt).await;
    for act in [Act::Exit(5), Act::Exit(6)] {
        let again = launch_of(stage, first.attempt, act).await;
        stage.runtime().launch(&again).await.expect("taken for done");
    }
    launched(stage, 2, Act::UntilTerm).await;
    assert_eq!(exit_code(&seen(stage, &first).await), Some(5));
}

/// A stop is TERM, which the first process may answer as it likes.
pub async fn a_stop_reaches_the_first_process_as_term(stage: &mut impl Stage) {
    let running = launched(stage, 1, Act::UntilTerm).await;
    assert_eq!(seen(stage, &running).await, Sighting::Running);
    stage.runtime().stop(running.attempt, false).await.expect("stopped");
    dies(stage, running.attempt).await;
    assert_eq!(exit_code(&seen(stage, &running).await), Some(0));
}

/// A stop that comes too late, or for nothing, is no error.
pub async fn stopping_what_is_gone_is_fine(stage: &mut impl Stage) {
    let ended = launched(stage, 1, Act::Exit(0)).await;
    dies(stage, ended.attempt).await;
    for kill in [false, true] {
        stage.runtime().stop(ended.attempt, kill).await.expect("ended before");
        stage.runtime().stop(attempt(2), kill).await.expect("never there");
    }
}

/// Many are looked at with one call, and answered in the order asked.
pub async fn sightings_come_in_the_order_asked(stage: &mut impl Stage) {
    let ended = launched(stage, 1, Act::Exit(7)).await;
    let running = launched(stage, 2, Act::UntilTerm).await;
    let never = Known::from(attempt(3));
    dies(stage, ended.attempt).await;

    let runtime = stage.runtime();
    let asked = [never.clone(), ended.clone(), running.clone(), ended];
    let seen = runtime.inspect(&asked).await.expect("inspected");
    assert_eq!(seen[0], Sighting::Gone);
    assert_eq!(exit_code(&seen[1]), Some(7));
    assert_eq!(seen[2], Sighting::Running);
    assert_eq!(seen[1], seen[3]);
    assert_eq!(runtime.inspect(&[]).await.expect("inspected"), []);
    assert_eq!(runtime.inspect(&[never]).await.expect("inspected"), [Sighting::Gone]);
}

/// What runs is found without its handle too: an answer to a launch may be lost.
pub async fn what_runs_is_found_by_its_attempt_alone(stage: &mut impl Stage) {
    let running = launched(stage, 1, Act::UntilTerm).await;
    let alone = Known::from(running.attempt);
    assert_eq!(seen(stage, &alone).await, Sighting::Running);
    assert_eq!(listed(stage).await, [running.attempt]);
}

/// Forgetting ends what still runs, and may be repeated.
pub async fn forgetting_ends_what_runs(stage: &mut impl Stage) {
    let running = launched(stage, 1, Act::UntilTerm).await.attempt;
    for forgotten in [running, running, attempt(2)] {
        forget(stage, forgotten).await;
        assert_eq!(listed(stage).await, []);
    }
}

/// Every death is told.
pub async fn every_death_is_told(stage: &mut impl Stage) {
    let mut expected = vec![attempt(1), attempt(2), attempt(3)];
    for attempt in expected.clone() {
        let launch = launch_of(stage, attempt, Act::Exit(0)).await;
        stage.runtime().launch(&launch).await.expect("launched");
    }
    soon("three deaths", async {
        while !expected.is_empty() {
            let dead = stage.death().await;
            expected.retain(|attempt| *attempt != dead);
        }
    })
    .await;
}

/// A server that starts anew finds what runs and what ended, and both are as
/// they were: seen, stopped, and not run again.
pub async fn a_new_server_takes_over_what_runs_and_what_ended(stage: &mut impl Stage) {
    let ended = launched(stage, 1, Act::Exit(3)).await;
    let running = launched(stage, 2, Act::UntilTerm).await;
    dies(stage, ended.attempt).await;
    stage.restart().await;

    assert!(listed(stage).await.contains(&running.attempt));
    assert_eq!(seen(stage, &running).await, Sighting::Running);
    assert!(matches!(seen(stage, &ended).await, Sighting::Exited { .. }));

    for attempt in [ended.attempt, running.attempt] {
        let again = launch_of(stage, attempt, Act::Exit(9)).await;
        stage.runtime().launch(&again).await.expect("taken for done");
    }
    stage.runtime().stop(running.attempt, false).await.expect("stopped");
    dies(stage, running.attempt).await;
    launched(stage, 4, Act::UntilTerm).await;
}

/// No timer of the runtime's turns a stop into a kill; a kill is one.
pub async fn only_a_kill_ends_what_does_not_stop(stage: &mut impl Stage) {
    let stubborn = launched(stage, 1, Act::Stubborn).await;
    stage.runtime().stop(stubborn.attempt, false).await.expect("stopped");
    stage.runtime().stop(stubborn.attempt, false).await.expect("stopped again");
    assert_eq!(seen(stage, &stubborn).await, Sighting::Running);
    stage.runtime().stop(stubborn.attempt, true).await.expect("killed");
    dies(stage, stubborn.attempt).await;
    assert_eq!(exit_code(&seen(stage, &stubborn).await), Some(137));
}

/// What has ended is there to be collected until it is forgotten.
pub async fn an_ended_attempt_is_listed_until_it_is_forgotten(stage: &mut impl Stage) {
    let ended = launched(stage, 1, Act::Exit(0)).await;
    dies(stage, ended.attempt).await;
    assert_eq!(listed(stage).await, [ended.attempt]);
    forget(stage, ended.attempt).await;
    assert_eq!(listed(stage).await, []);
    assert_eq!(seen(stage, &ended).await, Sighting::Gone);
}

/// What is forgotten is gone, however it clings to life.
pub async fn forgetting_leaves_no_trace_of_what_ran(stage: &mut impl Stage) {
    let running = launched(stage, 1, Act::Stubborn).await;
    forget(stage, running.attempt).await;
    assert_eq!(seen(stage, &running).await, Sighting::Gone);
}

/// Room is taken once per attempt, and comes back with forgetting.
pub async fn room_is_reserved_until_the_attempt_is_forgotten(stage: &mut impl Stage) {
    let runtime = stage.runtime();
    let most = Resources { cpu_millis: 1_500, memory_mib: 64 };
    let rest = Resources { cpu_millis: 500, memory_mib: 64 };
    for _ in 0..2 {
        assert_eq!(runtime.admit(attempt(1), most).await, Admission::Admitted);
    }
    assert_eq!(runtime.admit(attempt(2), most).await, Admission::Full);
    assert_eq!(runtime.admit(attempt(3), rest).await, Admission::Admitted);

    let mut freed = stage.freed();
    freed.mark_unchanged();
    forget(stage, attempt(1)).await;
    soon("the news of room", freed.changed()).await.expect("the adapter lives");
    assert_eq!(runtime.admit(attempt(2), most).await, Admission::Admitted);
    forget(stage, attempt(2)).await;
    forget(stage, attempt(3)).await;
}

/// What can never fit is told apart from what has to wait.
pub async fn asking_for_more_than_there_is_is_hopeless(stage: &mut impl Stage) {
    for asked in [
        Resources { cpu_millis: TOTAL.cpu_millis + 1, memory_mib: 1 },
        Resources { cpu_millis: 1, memory_mib: TOTAL.memory_mib + 1 },
    ] {
        let said = stage.runtime().admit(attempt(1), asked).await;
        assert!(matches!(&said, Admission::TooLarge(why) if !why.is_empty()), "{said:?}");
    }
}

/// What runs takes room, whoever let it in.
pub async fn a_launch_takes_room_even_where_nobody_asked(stage: &mut impl Stage) {
    let running = launched(stage, 1, Act::UntilTerm).await.attempt;
    assert_eq!(stage.runtime().admit(attempt(2), TOTAL).await, Admission::Full);
    forget(stage, running).await;
    assert_eq!(stage.runtime().admit(attempt(2), TOTAL).await, Admission::Admitted);
    forget(stage, attempt(2)).await;
}

/// A server that starts anew counts and tells what it finds.
pub async fn a_new_server_counts_what_runs_and_tells_what_ended(stage: &mut impl Stage) {
    let ended = launched(stage, 1, Act::Exit(3)).await.attempt;
    let running = launched(stage, 2, Act::UntilTerm).await.attempt;
    dies(stage, ended).await;
    stage.restart().await;
    assert_eq!(listed(stage).await, [ended, running]);
    assert_eq!(stage.runtime().admit(attempt(3), TOTAL).await, Admission::Full);
    dies(stage, ended).await;
}

/// An image that is nowhere is told from a registry that is away.
pub async fn a_missing_image_is_not_found(stage: &mut impl Stage) {
    let missing: ImageReference =
        format!("sha256:{}", "0".repeat(64)).parse().expect("well-formed");
    let asked = stage.runtime().resolve(attempt(1).project, &missing, None).await;
    assert!(matches!(&asked, Err(ResolveError::NotFound(image)) if *image == missing), "{asked:?}");
}

/// The memory limit is real, and running into it is seen.
pub async fn running_out_of_memory_is_seen(stage: &mut impl Stage) {
    let greedy = launched(stage, 1, Act::Greedy).await;
    dies(stage, greedy.attempt).await;
    let seen = seen(stage, &greedy).await;
    assert!(matches!(seen, Sighting::Exited { out_of_memory: true, .. }), "{seen:?}");
}

/// One test for each check that any runtime passes, on a stage of its own: the
/// argument is an expression for a future of one.
#[macro_export]
macro_rules! runtime_suite {
    ($stage:expr) => {
        $crate::runtime_checks! { $stage;
            launching_twice_runs_once
            launching_from_two_places_at_once_runs_once
            an_ended_attempt_is_not_run_again
            a_stop_reaches_the_first_process_as_term
            stopping_what_is_gone_is_fine
            sightings_come_in_the_order_asked
            what_runs_is_found_by_its_attempt_alone
            forgetting_ends_what_runs
            every_death_is_told
            a_new_server_takes_over_what_runs_and_what_ended
        }
    };
}

/// The further checks of runtimes that share out one machine and are masters
/// of what runs on it.
#[macro_export]
macro_rules! machine_suite {
    ($stage:expr) => {
        $crate::runtime_checks! { $stage;
            only_a_kill_ends_what_does_not_stop
            an_ended_attempt_is_listed_until_it_is_forgotten
            forgetting_leaves_no_trace_of_what_ran
            room_is_reserved_until_the_attempt_is_forgotten
            asking_for_more_than_there_is_is_hopeless
            a_launch_takes_room_even_where_nobody_asked
            a_new_server_counts_what_runs_and_tells_what_ended
        }
    };
}

/// The further checks of runtimes that have images and hold containers to
/// their limits.
#[macro_export]
macro_rules! container_suite {
    ($stage:expr) => {
        $crate::runtime_checks! { $stage;
            a_missing_image_is_not_found
            running_out_of_memory_is_seen
        }
    };
}

/// One test for each named check.
#[doc(hidden)]
#[macro_export]
macro_rules! runtime_checks {
    ($stage:expr; $($check:ident)*) => {
        $(
            #[tokio::test]
            async fn $check() {
                let mut stage = $stage.await;
                $crate::conformance::runtime::$check(&mut stage).await;
                $crate::conformance::runtime::tidy(&mut stage).await;
            }
        )*
    };
}

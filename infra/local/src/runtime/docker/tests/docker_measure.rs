//! How long containers take here, with the engine alone and through the
//! adapter. Run with `--ignored --nocapture`, on an otherwise idle machine.

use std::time::{Duration, Instant};

use bollard::query_parameters::{CreateContainerOptionsBuilder, WaitContainerOptions};
use futures::{StreamExt, stream};
use shared::{
    conformance::runtime::{attempt, launch_of},
    job::Network,
    platform::Launch,
};

use super::*;
use crate::runtime::docker::container::Surroundings;

const ROUNDS: u32 = 15;
const IN_FLIGHT: usize = 4;
const BATCHES: u32 = 5;
const BATCH: u32 = 16;

/// The engine's four calls, and how long each took.
async fn bare(stage: &DockerStage, launch: &Launch) -> [Duration; 4] {
    let engine = stage.client();
    let around =
        Surroundings { instance: "bare", home: &stage.config.home, service: &stage.config.service };
    let network = match launch.network {
        Network::None | Network::Least => "none".to_owned(),
        Network::Egress => format!("tarpon-{}-{}", stage.config.instance, launch.attempt.project),
    };
    let name = format!("bare-{}-{}", launch.attempt.attempt, stage.config.instance);
    let body = container::body(launch, network, &stage.config.scratch, &around);
    let mut times = [Duration::ZERO; 4];
    let begun = Instant::now();
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    engine.create_container(Some(options), body).await.unwrap();
    times[0] = begun.elapsed();
    let begun = Instant::now();
    engine.start_container(&name, None).await.unwrap();
    times[1] = begun.elapsed();
    let begun = Instant::now();
    engine.wait_container(&name, None::<WaitContainerOptions>).next().await.unwrap().unwrap();
    times[2] = begun.elapsed();
    let begun = Instant::now();
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    engine.remove_container(&name, Some(options)).await.unwrap();
    times[3] = begun.elapsed();
    times
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

async fn single(stage: &mut DockerStage, network: Network) {
    let (mut calls, mut alone, mut through) = (vec![Vec::new(); 4], Vec::new(), Vec::new());
    for number in 1..=ROUNDS {
        let launch = Launch { network, ..launch_of(stage, attempt(number), Act::Exit(0)).await };
        let begun = Instant::now();
        stage.runtime().launch(&launch).await.unwrap();
        while stage.death().await != launch.attempt {}
        stage.runtime().forget(launch.attempt).await.unwrap();
        through.push(begun.elapsed());

        let times = bare(stage, &launch).await;
        alone.push(times.iter().sum());
        for (call, time) in calls.iter_mut().zip(times) {
            call.push(time);
        }
    }
    let calls = calls.into_iter().map(median).collect::<Vec<_>>();
    let (alone, through) = (median(alone), median(through));
    println!(
        "{network:?}: create {:.0}, start {:.0}, wait {:.0}, remove {:.0}; alone {alone:.0} ms, \
         through the adapter {through:.0} ms ({:.2})",
        calls[0],
        calls[1],
        calls[2],
        calls[3],
        through / alone
    );
}

/// Batches by turns, so that what else the machine does is shared out evenly.
async fn many(stage: &mut DockerStage) {
    let (mut alone, mut through) = (Duration::ZERO, Duration::ZERO);
    let image = launch_of(stage, attempt(1), Act::Exit(0)).await;
    for batch in 1..=BATCHES {
        let numbers = batch * 100..batch * 100 + BATCH;
        let launches = numbers.map(|number| Launch { attempt: attempt(number), ..image.clone() });
        let launches = launches.collect::<Vec<_>>();
        let begun = Instant::now();
        let runs = launches.iter().map(|launch| bare(stage, launch)).collect::<Vec<_>>();
        stream::iter(runs).buffer_unordered(IN_FLIGHT).count().await;
        alone += begun.elapsed();
        let begun = Instant::now();
        through_adapter(stage, &launches).await;
        through += begun.elapsed();
    }
    let per_second = |time: Duration| f64::from(BATCHES * BATCH) / time.as_secs_f64();
    let (alone, through) = (per_second(alone), per_second(through));
    println!(
        "{IN_FLIGHT} in flight: alone {alone:.2}/s, through the adapter {through:.2}/s ({:.2})",
        through / alone
    );
}

async fn through_adapter(stage: &mut DockerStage, launches: &[Launch]) {
    let (mut tasks, mut waiting, mut live) = (tokio::task::JoinSet::new(), launches.iter(), 0);
    for _ in 0..launches.len() {
        while live < IN_FLIGHT
            && let Some(launch) = waiting.next().cloned()
        {
            let runtime = stage.runtime();
            tasks.spawn(async move { runtime.launch(&launch).await.map(|_| ()) });
            live += 1;
        }
        let (dead, runtime) = (stage.death().await, stage.runtime());
        tasks.spawn(async move { runtime.forget(dead).await });
        live -= 1;
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
}

#[tokio::test]
#[ignore = "measures"]
async fn containers_through_the_adapter_beside_the_engine_alone() {
    let mut stage = DockerStage::new().await;
    single(&mut stage, Network::None).await;
    single(&mut stage, Network::Egress).await;
    many(&mut stage).await;
}

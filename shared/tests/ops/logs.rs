//! The ends of live logs.

use shared::{
    agent::Stream::{Stderr, Stdout},
    conformance::memory::World,
    job::AttemptKey,
    ops::logs,
};

async fn ends(world: &World, attempt: AttemptKey, most: usize) -> [String; 2] {
    let ends = logs::ends(&world.service, attempt.attempt, most).await.unwrap();
    ends.map(|end| String::from_utf8(end).unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_ends_of_both_streams_are_their_last_bytes() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await;
    let (attempt, _) = world.start(job.id).await;
    assert_eq!(ends(&world, attempt, 8).await, ["", ""]);
    world.write(attempt, Stderr, 0, "first").await;
    for place in 0..20 {
        world.write(attempt, Stdout, 2 * place, "ab").await;
    }
    assert_eq!(ends(&world, attempt, 5).await, ["babab", "first"]);
    assert_eq!(ends(&world, attempt, 3).await, ["bab", "rst"]);
    assert_eq!(ends(&world, attempt, 100).await, ["ab".repeat(20).as_str(), "first"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_looked_through_than_the_last_pieces() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await;
    let (attempt, _) = world.start(job.id).await;
    world.write(attempt, Stderr, 0, "long ago").await;
    for place in 0..100 {
        world.write(attempt, Stdout, place, "x").await;
    }
    assert_eq!(ends(&world, attempt, 8).await, ["xxxxxxxx", ""]);
}

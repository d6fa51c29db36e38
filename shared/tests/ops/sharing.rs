//! Projects that share a runtime.

use shared::{
    conformance::memory::World,
    ops::{dispatch::BATCH, sweep},
};

#[tokio::test(start_paused = true)]
async fn a_long_queue_keeps_no_other_project_waiting_for_its_end() {
    let world = World::new().await;
    let other = world.neighbour().await;
    let wide = format!(r#"{{"image": "a", "instances": {}}}"#, 3 * BATCH);
    // In either order, whatever the projects' ids are.
    let (mine, theirs) = (world.submit(&wide).await, other.submit(&wide).await);
    let mut happenings = world.memory.runtime.happenings();
    sweep::sweep(&world.service).await.unwrap();
    let mut order = Vec::new();
    while let Ok(shared::conformance::memory::Happening::Launched(launch)) = happenings.try_recv() {
        order.push(launch.attempt.project == mine.project);
    }
    assert_eq!(order.len(), 6 * BATCH);
    for half in order.chunks(2 * BATCH) {
        let mine = half.iter().filter(|is_mine| **is_mine).count();
        // The first of each starts as soon as its image is known.
        assert!(mine.abs_diff(BATCH) <= 1, "{order:?}");
    }
    assert_ne!(mine.project, theirs.project);
}

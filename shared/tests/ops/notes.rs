//! What dialects keep beside what is known here, and instances one by one.

use std::collections::{BTreeMap, BTreeSet};

use shared::{
    conformance::memory::World,
    job::{Cause, InstanceState},
    ops::{jobs, members, notes::Shelf},
    wire::Problem,
};

#[tokio::test(start_paused = true)]
async fn a_note_is_kept_changed_and_thrown_away_by_its_kind_and_project() {
    let world = World::new().await;
    let neighbour = world.neighbour().await;
    let shelf = Shelf::of_project(world.project, "api", "kind");
    let service = &world.service;
    shelf.put(service, "a", &1_u32).await.unwrap();
    let add = |note: Option<u32>| Some(note.unwrap_or_default() + 1);
    let (one, two) = tokio::join!(shelf.change(service, "a", add), shelf.change(service, "b", add));
    assert_eq!((one.unwrap(), two.unwrap()), (Some(2), Some(1)));
    let stays = shelf.change(service, "c", |none: Option<u32>| none).await.unwrap();
    assert_eq!(stays, None);
    let all = shelf.all::<u32>(service).await.unwrap();
    assert_eq!(all, BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]));
    for other in [
        Shelf::of_project(neighbour.project, "api", "kind"),
        Shelf::of_project(world.project, "api", "other"),
        Shelf::of_project(world.project, "other", "kind"),
    ] {
        assert_eq!(other.load::<u32>(service, "a").await.unwrap(), None);
        let only = BTreeSet::from(["a"]);
        assert_eq!(other.remove(service, &only).await.unwrap(), Some("a"));
    }
}

#[tokio::test(start_paused = true)]
async fn notes_are_thrown_away_all_or_none() {
    let world = World::new().await;
    let (shelf, service) = (Shelf::of_project(world.project, "api", "kind"), &world.service);
    shelf.put(service, "a", &1_u32).await.unwrap();
    shelf.put(service, "c", &3_u32).await.unwrap();
    let all = BTreeSet::from(["a", "b", "c"]);
    assert_eq!(shelf.remove(service, &all).await.unwrap(), Some("b"));
    assert_eq!(shelf.all::<u32>(service).await.unwrap().len(), 2);
    assert!(shelf.add(service, "b", &2_u32).await.unwrap());
    assert_eq!(shelf.remove(service, &all).await.unwrap(), None);
    assert!(shelf.all::<u32>(service).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_note_is_added_once_in_its_project_alone() {
    let world = World::new().await;
    let shelf = Shelf::of_project(world.project, "api", "kind");
    for is_new in [true, false] {
        assert_eq!(shelf.add(&world.service, "tools", &"first").await.unwrap(), is_new);
    }
    let theirs = Shelf::of_project(world.neighbour().await.project, "api", "kind");
    assert!(theirs.all::<String>(&world.service).await.unwrap().is_empty());
    assert!(theirs.add(&world.service, "tools", &"theirs").await.unwrap());
    let first = shelf.load::<String>(&world.service, "tools").await.unwrap();
    assert_eq!(first.as_deref(), Some("first"));
}

#[tokio::test(start_paused = true)]
async fn a_note_of_a_job_goes_with_it() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await;
    let shelf = Shelf::of_job(job.key(), "api", "kind");
    shelf.put(&world.service, "a", &"kept").await.unwrap();
    world.run(job.id, 0, &[]).await;
    let kept = shelf.load::<String>(&world.service, "a").await.unwrap();
    assert_eq!(kept.as_deref(), Some("kept"));
    jobs::delete(&world.service, job.key()).await.unwrap();
    world.settle().await;
    assert_eq!(shelf.load::<String>(&world.service, "a").await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn one_instance_of_a_wide_task_is_stopped_in_its_chunk() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a", "instances": 200}"#).await;
    let stop = jobs::stop_instance(&world.service, job.key(), 0, 150).await;
    // Nothing is known of it by itself before it has begun.
    assert!(matches!(stop, Err(Problem::Conflict { code: "not_begun", .. })), "{stop:?}");
    world.settle().await;
    let before = world.live(job.id).await.len();
    jobs::stop_instance(&world.service, job.key(), 0, 150).await.unwrap();
    let job = world.job(job.id).await;
    let found = members::of_task(&world.service, &job, 0, 149..152).await.unwrap();
    assert_eq!(found.iter().map(|one| one.index).collect::<Vec<_>>(), [149, 150, 151]);
    let why = match &found[1].instance.state {
        InstanceState::Live(attempt) => attempt.stop.map(|stop| stop.why),
        InstanceState::Failed(outcome) => outcome.cause,
        other => panic!("{other:?}"),
    };
    assert_eq!(why, Some(Cause::InstanceStopped));
    world.settle().await;
    assert!(world.live(job.id).await.len() <= before);
    assert_eq!(members::of_task(&world.service, &job, 0, 198..300).await.unwrap().len(), 2);
}

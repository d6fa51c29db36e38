//! Shelves of registered images.

use shared::{conformance::memory::World, ops::shelves};

#[tokio::test(start_paused = true)]
async fn a_shelf_is_made_once_and_listed_in_its_project_alone() {
    let world = World::new().await;
    for (name, is_new) in [("tools", true), ("others", true), ("tools", false)] {
        let made = shelves::create(&world.service, world.project, name).await.unwrap();
        assert_eq!(made.is_some(), is_new, "{name}");
    }
    let listed = shelves::list(&world.service, world.project).await.unwrap();
    let names: Vec<_> = listed.iter().map(|shelf| shelf.name.as_str()).collect();
    assert_eq!(names, ["others", "tools"]);
    let theirs = world.neighbour().await.project;
    assert!(shelves::list(&world.service, theirs).await.unwrap().is_empty());
    assert!(shelves::create(&world.service, theirs, "tools").await.unwrap().is_some());
}

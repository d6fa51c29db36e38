//! Files of stored archives, and how often the archives are read for them.

use std::fs;

use shared::{
    agent::{ArchiveInfo, PlanInput, PlanSource},
    archive::{Facts, Gathering, Threads},
    conformance::memory::World,
    job::{AttemptKey, JobId, Layout},
    ops::{attempts, contents::Contents, objects::Stretch},
    platform::{ObjectInfo, ObjectKey, Objects, Put, collect, one_chunk},
    wire::Problem,
};
use tempfile::TempDir;

/// Files of this length, each of its own letter, as an agent keeps them: the
/// names that they have in the archive, and the archive.
fn kept(count: u8, length: usize) -> (Vec<String>, Vec<u8>) {
    let folder = TempDir::new().unwrap();
    let path = |place: u8| folder.path().join(format!("{place:0200}"));
    let paths: Vec<_> = (0..count).map(path).collect();
    for (letter, path) in (0..).zip(&paths) {
        fs::write(path, vec![letter; length]).unwrap();
    }
    let names = paths.iter().map(|path| path.to_str().unwrap()[1..].to_owned()).collect();
    let mut gathering = Gathering::new(Vec::new());
    gathering.outputs(paths);
    let facts = Facts {
        attempt: "att-1".to_owned(),
        image: String::new(),
        exit: None,
        started_at: None,
        ended_at: None,
    };
    let mut tar = Vec::new();
    let packed = gathering.finish(facts, Layout::Native).write(Threads::One, &mut |chunk| {
        tar.extend_from_slice(chunk.as_ref());
        Ok(())
    });
    packed.unwrap();
    (names, tar)
}

async fn put(world: &World, key: &ObjectKey, tar: Vec<u8>) -> ObjectInfo {
    world.memory.objects.put(key, one_chunk(tar), Put::default()).await.unwrap()
}

/// The archive, stored, and nothing of it read.
async fn stored(world: &World, tar: Vec<u8>) -> Contents {
    let key = ObjectKey::upload(world.project, "archive");
    put(world, &key, tar).await;
    Contents::of(Stretch::whole(&world.service, &key).await.unwrap().unwrap())
}

async fn read(world: &World, file: &Stretch) -> Vec<u8> {
    let body = file.read(&world.service, 0..file.size()).await.unwrap();
    collect(body.into_stream()).await.unwrap().into()
}

#[tokio::test(start_paused = true)]
async fn the_manifest_tells_where_every_file_is() {
    let world = World::new().await;
    let (names, tar) = kept(20, 100_000);
    let mut contents = stored(&world, tar).await;
    for (letter, name) in (0..).zip(&names) {
        for name in [name, &format!("/{name}")] {
            let file = contents.member(&world.service, name).await.unwrap();
            assert_eq!(read(&world, &file).await, vec![letter; 100_000]);
        }
    }
    let manifest = contents.member(&world.service, "manifest.json").await.unwrap();
    assert!(read(&world, &manifest).await.starts_with(b"{\n\"version\":1"));
    let none = contents.member(&world.service, "none").await;
    assert!(matches!(none, Err(Problem::NotFound { .. })));
    assert_eq!(contents.reads(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_is_long_is_read_whole() {
    let world = World::new().await;
    // Some 400 bytes of it for each.
    let (names, tar) = kept(250, 0);
    let mut contents = stored(&world, tar).await;
    contents.member(&world.service, &names[0]).await.unwrap();
    assert_eq!(contents.reads(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_manifest_that_lies_makes_nothing_of_what_is_not_there() {
    let world = World::new().await;
    let (names, tar) = kept(2, 1_000);
    let text = String::from_utf8(tar).unwrap();
    let lie = text.replace("\"size\":1000", "\"size\":9999");
    let mut contents = stored(&world, lie.into()).await;
    let refused = contents.member(&world.service, &names[1]).await;
    assert!(matches!(refused, Err(Problem::Conflict { code: "malformed_archive", .. })));
    // What is no manifest is passed over: the headers tell as well.
    let mut contents = stored(&world, text.replace("\"version\":1", "\"version\":x").into()).await;
    let file = contents.member(&world.service, &names[1]).await.unwrap();
    assert_eq!(read(&world, &file).await, vec![1; 1_000]);
}

/// A job whose second task has inputs, each of an instance of the first and of
/// a member of what that has left.
async fn submitted(world: &World, instances: u32, inputs: &[(usize, &str)]) -> JobId {
    let input = |(instance, member): &(usize, &str)| {
        let of = format!(r#"{{"name": "a", "instance": {instance}, "member": "{member}"}}"#);
        format!(r#"{{"path": "/in/{instance}/{member}", "source": {{"task": {of}}}}}"#)
    };
    let inputs: Vec<_> = inputs.iter().map(input).collect();
    let json = format!(
        r#"{{"tasks": [{{"name": "a", "image": "i", "instances": {instances}}},
            {{"name": "b", "image": "i", "after": [{{"task": "a"}}], "inputs": [{}]}}]}}"#,
        inputs.join(",")
    );
    let job = world.submit(&json).await.id;
    world.settle().await;
    for attempt in world.live(job).await {
        attempts::read_plan(&world.service, attempt).await.unwrap();
    }
    job
}

/// The inputs of the job's second task, page by page, and how often objects
/// were looked at for each.
async fn pages(world: &World, job: JobId) -> Vec<(Vec<PlanInput>, u32)> {
    world.settle().await;
    let attempt: AttemptKey = world.live(job).await[0];
    let looks = || world.memory.objects.looks();
    let before = looks();
    let plan = attempts::read_plan(&world.service, attempt).await.unwrap();
    let (mut pages, mut more) = (vec![(plan.inputs, looks() - before)], plan.more);
    while let Some(after) = more {
        let before = looks();
        let next = attempts::read_inputs(&world.service, attempt, &after).await.unwrap();
        pages.push((next.inputs, looks() - before));
        more = next.more;
    }
    pages
}

#[tokio::test(start_paused = true)]
async fn a_hundred_inputs_of_one_archive_take_one_read_of_it() {
    let world = World::new().await;
    let (names, tar) = kept(100, 3_000);
    let inputs: Vec<_> = names.iter().map(|name| (0, name.as_str())).collect();
    let job = submitted(&world, 1, &inputs).await;
    let attempt = world.live(job).await[0];
    let info = put(&world, &ObjectKey::archive(attempt), tar).await;
    let archive = ArchiveInfo {
        bytes: info.size,
        sha256: None,
        manifest_sha256: String::new(),
        etag: info.etag,
        members: 101,
    };
    world.report(attempt, 0, None, Some(archive)).await;
    let [(page, looks)] = &pages(&world, job).await[..] else { panic!("one page") };
    assert!(page.iter().all(|input| matches!(input.source, PlanSource::Part { .. })));
    assert_eq!((page.len(), *looks), (100, 1));
}

#[tokio::test(start_paused = true)]
async fn a_page_looks_into_no_more_archives_than_it_may() {
    let world = World::new().await;
    let inputs: Vec<_> = (0..40).map(|instance| (instance, "made")).collect();
    let job = submitted(&world, 40, &inputs).await;
    for attempt in world.live(job).await {
        world.finish(attempt, 0, &[("made", "up")]).await;
    }
    let pages = pages(&world, job).await;
    // Two for each: there is no manifest, and the headers tell.
    assert_eq!(pages.iter().map(|(_, looks)| *looks).collect::<Vec<_>>(), [64, 16]);
    let paths: Vec<_> = pages.iter().flat_map(|(page, _)| page).map(|input| &input.path).collect();
    let wanted: Vec<_> = (0..40).map(|instance| format!("/in/{instance}/made")).collect();
    assert!(paths.into_iter().eq(&wanted));
}

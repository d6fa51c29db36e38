//! Archives in other layouts than the native one.

use shared::{
    conformance::memory::World,
    job::{Job, JobKey, Layout},
    ops::{
        bundle, jobs,
        objects::Stretch,
        output::{self, Selector},
        submit,
    },
    platform::collect,
    wire::{Body, submit::JobRequest},
};

const MEMBERS: [(&str, &str); 4] =
    [("Stdout", "hello\n"), ("Stderr", ""), ("tmp/result", "a result"), ("manifest.json", "{}")];

/// A job whose archives are laid out like this.
async fn submitted(world: &World, json: &str, layout: Layout) -> Job {
    let (job, tasks) = JobRequest::parse(json.as_bytes()).unwrap();
    let mut submission = job.check(tasks, &world.service.limits).unwrap();
    submission.spec.layout = layout;
    let submitted = submit::submit(&world.service, world.project, submission, b"", None).await;
    submitted.unwrap().job
}

async fn archive(world: &World, key: JobKey) -> Stretch {
    let job = jobs::load(&world.service, key).await.unwrap();
    let selected = output::select(&world.service, &job, &Selector::default()).await.unwrap();
    output::archive(&world.service, key, selected.attempt).await.unwrap()
}

async fn bytes(body: Body) -> Vec<u8> {
    collect(body.into_stream()).await.unwrap().into()
}

async fn whole(world: &World, archive: &Stretch) -> Vec<u8> {
    bytes(archive.read(&world.service, 0..archive.size()).await.unwrap()).await
}

fn names(tar: &[u8]) -> Vec<String> {
    let mut tar = tar::Archive::new(tar);
    let name = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap()
    };
    tar.entries().unwrap().map(name).collect()
}

#[tokio::test(start_paused = true)]
async fn the_agent_is_told_the_layout_and_readers_find_what_is_in_it() {
    let world = World::new().await;
    let job = submitted(&world, r#"{"image": "a", "outputs": ["/tmp/result"]}"#, Layout::Ugc).await;
    let (attempt, plan) = world.start(job.id).await;
    assert_eq!(plan.layout, Layout::Ugc);
    world.finish(attempt, 0, &MEMBERS).await;

    let archive = archive(&world, job.key()).await;
    assert_eq!(names(&whole(&world, &archive).await), ["Stdout", "/tmp/result"]);
    for name in ["tmp/result", "/tmp/result"] {
        let member = output::member(&world.service, &archive, name).await.unwrap();
        assert_eq!(whole(&world, &member).await, b"a result");
    }
    output::member(&world.service, &archive, "manifest.json").await.unwrap_err();
    let relaid = bundle::relaid(&world.service, &archive, Layout::Ugc).await.unwrap();
    assert_eq!(bytes(relaid).await, whole(&world, &archive).await, "it is in it already");
}

#[tokio::test(start_paused = true)]
async fn another_layout_is_made_while_an_archive_is_read() {
    let world = World::new().await;
    let native = submitted(&world, r#"{"image": "a"}"#, Layout::Native).await;
    let ugc = submitted(&world, r#"{"image": "a"}"#, Layout::Ugc).await;
    for job in [&native, &ugc] {
        world.run(job.id, 0, &MEMBERS).await;
    }
    let (native, ugc) = (archive(&world, native.key()).await, archive(&world, ugc.key()).await);
    assert_ne!(whole(&world, &native).await, whole(&world, &ugc).await);
    let relaid = bundle::relaid(&world.service, &native, Layout::Ugc).await.unwrap();
    assert_eq!(bytes(relaid).await, whole(&world, &ugc).await);
}

#[tokio::test(start_paused = true)]
async fn several_archives_are_one_in_either_layout() {
    let world = World::new().await;
    let json = r#"{"tasks": [{"name": "one", "image": "a"}, {"name": "two", "image": "a"}]}"#;
    let expected = ["one/0/Stdout", "one/0/tmp/result", "two/0/Stdout", "two/0/tmp/result"];
    for stored in [Layout::Native, Layout::Ugc] {
        let job = submitted(&world, json, stored).await.id;
        world.run(job, 0, &MEMBERS).await;
        let job = world.run(job, 0, &MEMBERS).await;
        let read = async |layout| {
            let body = bundle::read(&world.service, &job, None, layout).await.unwrap();
            let files = names(&bytes(body).await).into_iter();
            files.filter(|name| name.contains("Stdout") || name.contains("result")).collect()
        };
        let native: Vec<String> = read(Layout::Native).await;
        assert_eq!(native, expected);
        let ugc: Vec<String> = read(Layout::Ugc).await;
        assert_eq!(ugc, expected.map(|name| format!("/{name}")));
    }
}

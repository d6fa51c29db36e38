//! What a process reads: folders of objects, and what earlier tasks have left.

use shared::{
    agent::{PlanInput, PlanSource},
    conformance::memory::World,
    job::{AttemptKey, JobId},
    ops::{attempts, retry},
    platform::{GrantMethod, ObjectKey, Objects, Put, Range, collect, one_chunk},
    wire::Problem,
};

use super::staged::succeeded;

async fn put(world: &World, key: &str) {
    let key = ObjectKey::user(world.project, &"b".parse().unwrap(), key);
    let text = one_chunk(key.as_str().to_owned());
    world.memory.objects.put(&key, text, Put::default()).await.unwrap();
}

/// The attempt of the task at this place, as it starts, once it can.
async fn of_task(world: &World, job: JobId, task: u32) -> AttemptKey {
    world.settle().await;
    let live = world.live(job).await;
    *live.iter().find(|live| live.attempt.task == task).expect("the task has a live attempt")
}

/// What is at the URL of an input.
async fn fetched(world: &World, source: &PlanSource) -> String {
    let (url, range) = match source {
        PlanSource::Url(url) => (url, None),
        PlanSource::Part { url, start, end } => {
            (url, Some(Range { start: *start, end: Some(*end) }))
        }
        other => panic!("{other:?} has no URL"),
    };
    let grant = world.memory.objects.granted(url).expect("a URL that is good");
    assert_eq!(grant.method, GrantMethod::Get);
    let found = world.memory.objects.get(&grant.key, range).await.unwrap().unwrap();
    String::from_utf8(collect(found.body).await.unwrap().to_vec()).unwrap()
}

/// The inputs of a job of this folder, page by page.
async fn pages(world: &World, folder: &str) -> Vec<Vec<PlanInput>> {
    let json = format!(
        r#"{{"image": "a", "inputs": [
            {{"path": "/first", "source": {{"inline": "x"}}}},
            {{"path": "/in/", "source": {{"folder": "{folder}"}}, "mode": "0600"}},
            {{"path": "/last", "source": {{"inline": "x"}}}}]}}"#
    );
    let job = world.submit(&json).await.id;
    let (attempt, plan) = world.start(job).await;
    let (mut pages, mut more) = (vec![plan.inputs], plan.more);
    while let Some(after) = more {
        let next = attempts::read_inputs(&world.service, attempt, &after).await.unwrap();
        pages.push(next.inputs);
        more = next.more;
    }
    world.finish(attempt, 0, &[]).await;
    pages
}

#[tokio::test(start_paused = true)]
async fn a_folder_is_every_object_below_it_when_the_plan_is_read() {
    let world = World::new().await;
    for key in ["in/a", "in/x/", "in/x/y", "in/", "inside", "other/z"] {
        put(&world, key).await;
    }
    let [page] = &pages(&world, "b/in/").await[..] else { panic!("one page") };
    let paths: Vec<_> = page.iter().map(|input| input.path.as_str()).collect();
    assert_eq!(paths, ["/first", "/in/", "/in/a", "/in/x/", "/in/x/y", "/last"]);
    assert_eq!([&page[1].source, &page[3].source], [&PlanSource::Folder; 2]);
    assert!(fetched(&world, &page[2].source).await.ends_with("/user/b/in/a"));
    assert_eq!([page[2].mode, page[5].mode], [0o600, 0o644]);

    for nothing in ["b/none/", "empty/"] {
        let [page] = &pages(&world, nothing).await[..] else { panic!("one page") };
        let paths: Vec<_> = page.iter().map(|input| input.path.as_str()).collect();
        assert_eq!(paths, ["/first", "/in/", "/last"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_folder_comes_page_by_page_and_one_that_is_too_large_not_at_all() {
    let world = World::new().await;
    for number in 0..10_000 {
        put(&world, &format!("in/{number:05}")).await;
    }
    let all = pages(&world, "b/in/").await;
    // What comes after the folder has no room in its last page.
    assert_eq!(all.len(), 11);
    let files: Vec<_> = all.concat();
    let names = files.iter().filter(|input| matches!(input.source, PlanSource::Url(_)));
    let wanted = (0..10_000).map(|number| format!("/in/{number:05}"));
    assert!(names.map(|input| input.path.clone()).eq(wanted));
    assert_eq!(files.last().map(|input| input.path.as_str()), Some("/last"));

    put(&world, "in/one more").await;
    let [page] = &pages(&world, "b/in/").await[..] else { panic!("one page") };
    let why = "b/in/ has more than 10000 objects";
    assert_eq!(page[2].source, PlanSource::Missing(why.to_owned()));
    assert_eq!(page.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_grows_while_it_is_read_has_no_more_objects_than_one_may_have() {
    let world = World::new().await;
    for number in 0..9_999 {
        put(&world, &format!("in/{number:05}")).await;
    }
    let json = r#"{"image": "a", "inputs": [{"path": "/in", "source": {"folder": "b/in/"}}]}"#;
    let job = world.submit(json).await.id;
    let (attempt, plan) = world.start(job).await;
    let (mut inputs, mut more) = (plan.inputs, plan.more);
    for number in 0..3_000 {
        put(&world, &format!("in/x/{number:05}")).await;
    }
    while let Some(after) = more {
        let looks = world.memory.objects.looks();
        let next = attempts::read_inputs(&world.service, attempt, &after).await.unwrap();
        assert_eq!(world.memory.objects.looks() - looks, 1, "it is counted once");
        inputs.extend(next.inputs);
        more = next.more;
    }
    let last = inputs.last().map(|input| &input.source);
    assert!(matches!(last, Some(PlanSource::Missing(why)) if why.ends_with("10000 objects")));
    assert_eq!(inputs.len(), 1 + 10_000 + 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_whose_key_is_no_path_is_not_put_somewhere_else() {
    let world = World::new().await;
    for key in ["in/../../etc/passwd", "in//x", "in/./y"] {
        put(&world, key).await;
    }
    let [page] = &pages(&world, "b/in/").await[..] else { panic!("one page") };
    for input in &page[2..5] {
        assert!(matches!(&input.source, PlanSource::Missing(why) if why.contains("no name")));
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_page_ended_is_not_made_up() {
    let world = World::new().await;
    put(&world, "secret").await;
    let json = r#"{"image": "a", "inputs": [{"path": "/in", "source": {"folder": "b/in/"}}]}"#;
    let job = world.submit(json).await.id;
    let (attempt, _) = world.start(job).await;
    let read = async |after: &str| attempts::read_inputs(&world.service, attempt, after).await;
    for after in ["x", "0:", "0:x:", "x:0:", "0:-1:"] {
        let refused = read(after).await;
        assert!(matches!(refused, Err(Problem::Invalid { field, .. }) if field == "after"));
    }
    assert_eq!(read("7:0:").await.unwrap().inputs, []);
    // A name before the folder leads to nothing that is not in it.
    let name = format!("0:0:{}/user/b/", world.project);
    assert_eq!(read(&name).await.unwrap().inputs, []);
}

const CHAIN: &str = r#"{"tasks": [
    {"name": "first", "image": "a"},
    {"name": "then", "image": "a", "after": [{"task": "first", "when": "finished"}],
     "stdin": {"task": {"name": "first"}},
     "inputs": [
        {"path": "/x", "source": {"task": {"name": "first", "member": "/tmp/result"}}},
        {"path": "/none", "source": {"task": {"name": "first", "member": "tmp/none"}}},
        {"path": "/empty", "source": {"task": {"name": "first", "member": "tmp/empty"}}},
        {"path": "/link", "source": {"task": {"name": "first", "member": "a-link"}}}]}
]}"#;

#[tokio::test(start_paused = true)]
async fn a_task_reads_what_an_earlier_one_has_left() {
    let world = World::new().await;
    let job = world.submit(CHAIN).await.id;
    let first = of_task(&world, job, 0).await;
    attempts::read_plan(&world.service, first).await.unwrap();
    let members = [("Stdout", "said"), ("tmp/result", "made"), ("tmp/empty", "")];
    world.finish(first, 0, &members).await;

    let then = of_task(&world, job, 1).await;
    let plan = attempts::read_plan(&world.service, then).await.unwrap();
    let archive = fetched(&world, plan.stdin.as_ref().unwrap()).await;
    assert!(archive.starts_with("Stdout\0") && archive.contains("made"));
    assert_eq!(fetched(&world, &plan.inputs[0].source).await, "made");
    let missing = |place: usize| match &plan.inputs[place].source {
        PlanSource::Missing(why) => why.as_str(),
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(1), "task `first` has left no `tmp/none`");
    assert_eq!(plan.inputs[2].source, PlanSource::Inline(String::new()));
    assert_eq!(missing(3), "of task `first`: `a-link` is in the archive, but is not a file");

    // A retry keeps what has succeeded, and reads it again.
    world.finish(then, 1, &[]).await;
    retry::retry(&world.service, world.of(job), retry::Again::default()).await.unwrap();
    let again = of_task(&world, job, 1).await;
    assert_eq!(again.attempt.run, 2);
    let plan = attempts::read_plan(&world.service, again).await.unwrap();
    assert_eq!(fetched(&world, &plan.inputs[0].source).await, "made");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_has_left_nothing_is_said_to() {
    let world = World::new().await;
    let job = world.submit(CHAIN).await.id;
    let first = of_task(&world, job, 0).await;
    attempts::read_plan(&world.service, first).await.unwrap();
    world.report(first, 1, Some(shared::job::Cause::OutputFailed), None).await;
    let then = of_task(&world, job, 1).await;
    let plan = attempts::read_plan(&world.service, then).await.unwrap();
    let why = PlanSource::Missing("task `first` has left nothing".to_owned());
    assert_eq!(plan.stdin, Some(why.clone()));
    assert!(plan.inputs.iter().all(|input| input.source == why));
}

#[tokio::test(start_paused = true)]
async fn an_instance_of_a_wide_task_is_read_as_well() {
    let world = World::new().await;
    let json = r#"{"tasks": [
        {"name": "wide", "image": "a", "instances": 140},
        {"name": "then", "image": "a", "after": [{"task": "wide"}],
         "stdin": {"task": {"name": "wide", "instance": 135, "member": "Stdout"}}}]}"#;
    let job = world.submit(json).await.id;
    let is_of = |task: u32| move |live: &AttemptKey| live.attempt.task == task;
    let then = loop {
        world.settle().await;
        let live = world.live(job).await;
        if let Some(then) = live.iter().copied().find(is_of(1)) {
            break then;
        }
        for attempt in live.into_iter().filter(is_of(0)) {
            attempts::read_plan(&world.service, attempt).await.unwrap();
            if attempt.attempt.instance == 135 {
                world.finish(attempt, 0, &[("Stdout", "of the 135th")]).await;
            } else {
                attempts::report(&world.service, attempt, succeeded("by the agent")).await.unwrap();
                world.memory.runtime.exit(attempt, 0, false);
            }
        }
    };
    let plan = attempts::read_plan(&world.service, then).await.unwrap();
    assert_eq!(fetched(&world, plan.stdin.as_ref().unwrap()).await, "of the 135th");
}

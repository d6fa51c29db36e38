//! Tasks are accepted, and run as the API promises.

use shared::{
    agent::{Layout, PlanSource},
    job::Network,
    ops::attempts,
    platform::{Objects, collect},
};

use super::*;

#[tokio::test(start_paused = true)]
async fn what_is_posted_is_the_tasks_input() {
    let world = World::new().await;
    let pairs = [
        ("ImageName", "registry.example/library/helloworld:first"),
        ("Cmd", "this 'is one' cmd"),
        ("OutputDir", "/tmp/"),
        ("OutputFileName", "result"),
        ("OutputFileName", "other"),
        ("TaskType", "Async"),
        ("TaskName", "named"),
        ("TimeOut", "90"),
    ];
    let ask = tasking(&world, "SubmitTask", &pairs).await;
    let answer = ask.stream(OCTETS, &["posted ", "data"], None).speak(&UcloudUgc).await;
    let answer = said(&answer, 0);
    assert_eq!((&answer["Action"], &answer["Message"]), (&"SubmitTaskResponse".into(), &"".into()));

    let job = only_job(&world).await;
    assert_eq!(job.name.as_deref(), Some("named"));
    let (_, plan) = world.start(job.id).await;
    assert_eq!(plan.argv[1..], ["this", "is one", "cmd"]);
    assert_eq!((plan.timeout_seconds, plan.layout), (90, Layout::Ugc));
    assert_eq!(plan.outputs.len(), 2);
    let Some(PlanSource::Url(url)) = plan.stdin else { panic!("there is no input") };
    let grant = world.memory.objects.granted(&url).expect("a URL that is good");
    let object = world.memory.objects.get(&grant.key, None).await.expect("an answer");
    let bytes = collect(object.expect("an object").body).await.expect("its bytes");
    assert_eq!(bytes, "posted data");
    let spec = attempts::load_spec(&world.service, &job).await.expect("a spec");
    assert_eq!(spec.tasks[0].network, Network::Least);
    let paths: Vec<_> = spec.tasks[0].outputs.iter().map(|output| output.path.as_str()).collect();
    assert_eq!(paths, ["/tmp/result", "/tmp/other"]);
}

#[tokio::test(start_paused = true)]
async fn parameters_in_a_form_or_in_json_leave_no_input() {
    let world = World::new().await;
    let token = token(&world).await;
    let form = format!(
        "Action=SubmitTask&Region=cn-bj2&ImageName=a%3A1&TaskType=Async&AccessToken={token}\
         &Cmd=x+y&OutputDir=%2Fout&OutputFileName.0=a&OutputFileName.1=b"
    );
    let json = format!(
        r#"{{"Action": "SubmitTask", "Region": "cn-bj2", "ImageName": "a:1", "TaskType": "Async",
            "AccessToken": "{token}", "Cmd": "x y", "OutputDir": "/out", "TimeOut": 7.0,
            "OutputFileName": ["a", "b"]}}"#
    );
    for (media_type, body, seconds) in [
        ("application/x-www-form-urlencoded", form, 24 * 3600),
        ("application/json; charset=utf-8", json, 7),
    ] {
        let ask = world.ask("/").nameless().body(media_type, body);
        let answer = said(&ask.speak(&UcloudUgc).await, 0);
        let job = job_id(answer["TaskId"].as_str().expect("an id")).expect("a task's id");
        let (_, plan) = world.start(job).await;
        assert_eq!(plan.argv[1..], ["x", "y"]);
        assert_eq!((plan.stdin, plan.timeout_seconds), (None, seconds));
        assert_eq!(plan.outputs.len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_may_run_for_as_long_as_it_is_said_and_the_kind_allows() {
    let world = World::new().await;
    for (pairs, seconds) in [
        (&[("TaskType", "Async")][..], 24 * 3600),
        (&[("TaskType", "Async"), ("TimeOut", "0")], 24 * 3600),
        (&[("TaskType", "Async"), ("Timeout", "5")], 5),
        (&[("TaskType", "Async"), ("TimeOut", "999999")], 24 * 3600),
    ] {
        let id = submitted(&world, &pairs[1..]).await;
        let (_, plan) = world.start(id).await;
        assert_eq!(plan.timeout_seconds, seconds, "{pairs:?}");
    }
    for (pairs, seconds) in [
        (&[("TaskType", "Sync")][..], 10),
        (&[], 10),
        (&[("TimeOut", "0")], 300),
        (&[("TimeOut", "299")], 299),
        (&[("TaskType", "Sync"), ("TimeOut", "301")], 300),
    ] {
        let world = World::new().await;
        let pairs = [&[("ImageName", "a:1")][..], pairs].concat();
        let asking = task(&world, "SubmitTask", &pairs);
        let running = async {
            let (attempt, plan) = world.start(only_job(&world).await.id).await;
            world.finish(attempt, 0, &MEMBERS).await;
            plan.timeout_seconds
        };
        let (answer, found) = tokio::join!(asking, running);
        assert_eq!(found, seconds, "{pairs:?}");
        assert_eq!(answer.header("content-type"), Some(OCTETS));
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_answered_with_the_tar() {
    let world = World::new().await;
    let pairs = [("ImageName", "a:1"), ("OutputDir", "/tmp"), ("OutputFileName", "result")];
    let running = async { world.run(only_job(&world).await.id, 0, &MEMBERS).await };
    let (answer, _) = tokio::join!(task(&world, "SubmitTask", &pairs), running);
    assert_eq!(answer.header("content-type"), Some(OCTETS));
    assert_eq!(members(&answer.body), expected());
    assert_eq!(answer.body[154..157], *b"\0 \0", "the layout is the API's");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_what_fails_or_takes_too_long_is_told_so() {
    let world = World::new().await;
    let pairs = [("ImageName", "a:1")];
    let running = async { world.run(only_job(&world).await.id, 3, &MEMBERS).await };
    let (answer, _) = tokio::join!(task(&world, "SubmitTask", &pairs), running);
    let failed = said(&answer, 43048);
    assert_eq!((&failed["State"], &failed["TaskId"]), (&"Fail".into(), &Value::Null));
    assert!(failed["Message"].as_str().is_some_and(|text| text.ends_with("exited, exit code 3")));

    let world = World::new().await;
    let late = said(&task(&world, "SubmitTask", &pairs).await, 110);
    assert!(late["Message"].as_str().is_some_and(|text| text.contains("is not over yet")));
    world.run(only_job(&world).await.id, 0, &[]).await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_task_is_refused_and_nothing_is_left_of_it() {
    let world = World::new().await;
    for (code, pairs) in [
        (43006, NONE),
        (43024, &[("ImageName", "Not/An/Image")]),
        (43033, &[("ImageName", "a"), ("TaskType", "sync")]),
        (43033, &[("ImageName", "a"), ("Cmd", "an 'open quote")]),
        (43033, &[("ImageName", "a"), ("OutputDir", "tmp"), ("OutputFileName", "x")]),
        (43033, &[("ImageName", "a"), ("OutputDir", "/"), ("OutputFileName", "../x")]),
        (43033, &[("ImageName", "a"), ("OutputDir", "/"), ("OutputFileName", "Stdout")]),
        (43006, &[("ImageName", "a"), ("OutputFileName", "x")]),
        (43028, &[("ImageName", "a"), ("TimeOut", "-1")]),
        (43028, &[("ImageName", "a"), ("TimeOut", "1.5")]),
        (43028, &[("ImageName", "a"), ("TimeOut", "99999999999")]),
    ] {
        let answer = said(&task(&world, "SubmitTask", pairs).await, code);
        assert_eq!(answer["State"], "", "{answer}");
    }
    let jobs = jobs::newest(&world.service, world.project, &Filter::default()).await;
    assert!(jobs.expect("an answer").is_empty());
    assert!(world.memory.objects.names().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_input_that_is_too_large_is_refused() {
    let mut world = World::new().await;
    world.service.limits.body_bytes = 10;
    let pairs = [("ImageName", "a:1"), ("TaskType", "Async")];
    for length in [None, Some(12)] {
        let ask = tasking(&world, "SubmitTask", &pairs).await;
        let answer = ask.stream(OCTETS, &["posted", "data.."], length).speak(&UcloudUgc).await;
        said(&answer, 43033);
    }
}

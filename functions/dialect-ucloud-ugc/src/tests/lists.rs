//! Tasks are described and listed.

use super::*;
use crate::words::task_id;

#[tokio::test(start_paused = true)]
async fn a_task_is_described_as_it_was_asked_for() {
    let world = World::new().await;
    let pairs = [
        ("Cmd", "this  'is' cmd"),
        ("OutputDir", "/tmp"),
        ("OutputFileName", "result"),
        ("TaskName", "named"),
        ("TimeOut", "99"),
    ];
    let job = submitted(&world, &pairs).await;
    let id = task_id(job);
    let asked = [("TaskId", id.as_str())];
    let running = said(&control(&world, "GetTaskDetail", &asked).await, 0);
    assert_eq!((&running["State"], &running["EndTime"]), (&"Running".into(), &0.into()));
    assert_eq!((&running["StartTime"], &running["StdoutBrief"]), (&0.into(), &"".into()));

    world.run(job, 0, &MEMBERS).await;
    let detail = said(&control(&world, "GetTaskDetail", &asked).await, 0);
    for (name, value) in [
        ("Action", "GetTaskDetailResponse"),
        ("ImageName", "a:1"),
        ("Cmd", "this  'is' cmd"),
        ("OutputDir", "/tmp"),
        ("OutputFileName", "result"),
        ("TaskId", &id),
        ("TaskName", "named"),
        ("TaskType", "Async"),
        ("Owner", &world.project.to_string()),
        ("State", "Success"),
        ("StdoutBrief", "the end of stdout\n"),
        ("StderrBrief", ""),
    ] {
        assert_eq!(detail[name], value, "{name}");
    }
    let noon = world.job(job).await.id.created_at().as_second();
    for name in ["CreateTime", "StartTime", "EndTime"] {
        assert!((noon..noon + 60).contains(&detail[name].as_i64().expect("seconds")), "{name}");
    }
    assert_eq!((&detail["Timeout"], &detail["CPUUsage"]), (&99.into(), &0.into()));
}

#[tokio::test(start_paused = true)]
async fn a_job_of_another_api_is_described_too() {
    let world = World::new().await;
    let json = r#"{"image": "img:2", "command": ["sh", "-c", "it's"], "timeout_seconds": 77,
                   "outputs": ["/out/a", "/out/b"]}"#;
    let job = world.submit(json).await.id;
    let detail = said(&control(&world, "GetTaskDetail", &[("TaskId", &task_id(job))]).await, 0);
    for (name, value) in [
        ("ImageName", "img:2"),
        ("Cmd", r"sh -c 'it'\''s'"),
        ("OutputDir", "/out"),
        ("OutputFileName", "a,b"),
        ("TaskName", ""),
        ("TaskType", "Async"),
        ("State", "Running"),
    ] {
        assert_eq!(detail[name], value, "{name}");
    }
    assert_eq!(detail["Timeout"], 77);
    let wide = world.submit(r#"{"image": "a", "instances": 300}"#).await.id;
    let detail = control(&world, "GetTaskDetail", &[("TaskId", &task_id(wide))]).await;
    assert_eq!(said(&detail, 0)["State"], "Running");
}

async fn listed(world: &World, pairs: &[(&str, &str)]) -> (u64, Vec<String>) {
    let answer = said(&control(world, "GetTaskList", pairs).await, 0);
    let tasks = answer["TaskSet"].as_array().expect("a list").iter();
    let ids = tasks.map(|task| task["TaskId"].as_str().expect("an id").to_owned()).collect();
    (answer["TotalCount"].as_u64().expect("a number"), ids)
}

#[tokio::test(start_paused = true)]
async fn tasks_are_listed_newest_first_and_narrowed() {
    let world = World::new().await;
    let mut ids = Vec::new();
    for (name, code) in [("one", Some(0)), ("two", Some(1)), ("one", None)] {
        let job = submitted(&world, &[("TaskName", name)]).await;
        if let Some(code) = code {
            world.run(job, code, &MEMBERS).await;
        }
        ids.push(task_id(job));
        tokio::time::advance(std::time::Duration::from_secs(10)).await;
    }
    let native = world.submit(r#"{"image": "img:2"}"#).await.id;
    ids.push(task_id(native));
    let at = |place: usize| {
        let job = job_id(&ids[place]).expect("an id");
        job.created_at().as_second().to_string()
    };
    for (pairs, expected) in [
        (NONE, &[3, 2, 1, 0][..]),
        (&[("State", "All"), ("TaskType", "All"), ("OrderBy", "Default")], &[3, 2, 1, 0]),
        (&[("State", "None"), ("TaskName", "None")], &[3, 2, 1, 0]),
        (&[("State", "Success")], &[0]),
        (&[("State", "Fail")], &[1]),
        (&[("State", "Running")], &[3, 2]),
        (&[("TaskName", "one")], &[2, 0]),
        (&[("TaskType", "Sync")], &[]),
        (&[("ImageName", "img:2")], &[3]),
        (&[("TaskId", ids[1].as_str())], &[1]),
        (&[("TaskId", ids[1].as_str()), ("State", "Success")], &[]),
        (&[("TaskId", "x")], &[]),
        (&[("StartTime", at(1).as_str())], &[3, 2, 1]),
        (&[("StartTime", at(1).as_str()), ("EndTime", at(2).as_str())], &[2, 1]),
        (&[("EndTime", "1")], &[]),
        (&[("Date", "2026-03-01")], &[3, 2, 1, 0]),
        (&[("Date", "2026-03-02")], &[]),
    ] {
        let expected: Vec<_> = expected.iter().map(|place: &usize| ids[*place].clone()).collect();
        let total = expected.len() as u64;
        assert_eq!(listed(&world, pairs).await, (total, expected), "{pairs:?}");
    }
    let page = [("Limit", "2"), ("Offset", "1")];
    assert_eq!(listed(&world, &page).await, (4, vec![ids[2].clone(), ids[1].clone()]));
    assert_eq!(listed(&world, &[("Limit", "0")]).await, (4, Vec::new()));
    assert_eq!(listed(&world, &[("Offset", "9")]).await, (4, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn twenty_are_listed_unless_more_are_asked_for() {
    let world = World::new().await;
    for _ in 0..25 {
        world.submit(r#"{"image": "a"}"#).await;
    }
    let (total, ids) = listed(&world, &[]).await;
    assert_eq!((total, ids.len()), (25, 20));
    assert_eq!(listed(&world, &[("Limit", "100")]).await.1.len(), 25);
}

#[tokio::test(start_paused = true)]
async fn a_filter_that_makes_no_sense_is_refused() {
    let world = World::new().await;
    for (code, name, value) in [
        (43033, "State", "Done"),
        (43033, "TaskType", "sync"),
        (43033, "OrderBy", "Name"),
        (43033, "Limit", "-1"),
        (43033, "Limit", "x"),
        (43033, "Offset", "10001"),
        (43028, "StartTime", "noon"),
        (43028, "EndTime", "1.5"),
        (43028, "Date", "2026-02-30"),
    ] {
        said(&control(&world, "GetTaskList", &[(name, value)]).await, code);
    }
}

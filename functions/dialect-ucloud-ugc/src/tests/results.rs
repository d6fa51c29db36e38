//! Results are fetched, tasks are stopped.

use shared::{job::JobKey, ops::jobs};

use super::*;
use crate::words::task_id;

#[tokio::test(start_paused = true)]
async fn a_result_is_a_tar_once_there_is_one() {
    let world = World::new().await;
    let job = submitted(&world, &[("OutputDir", "/tmp"), ("OutputFileName", "result")]).await;
    let id = task_id(job);
    let asked = [("TaskId", id.as_str())];
    let running = said(&task(&world, "GetTaskResult", &asked).await, -1);
    assert_eq!((&running["Message"], &running["State"]), (&"Not Finish".into(), &"Running".into()));
    assert_eq!(running["Action"], "GetTaskResultResponse");

    world.run(job, 0, &MEMBERS).await;
    let answer = task(&world, "GetTaskResult", &asked).await;
    assert_eq!(answer.header("content-type"), Some(OCTETS));
    assert_eq!(members(&answer.body), expected());
    let again = task(&world, "GetTaskResult", &asked).await;
    assert_eq!(again.body, answer.body, "it may be asked for again");
}

#[tokio::test(start_paused = true)]
async fn a_result_needs_no_region() {
    let world = World::new().await;
    let job = submitted(&world, &[]).await;
    let (token, id) = (token(&world).await, task_id(job));
    let asked = [("Action", "GetTaskResult"), ("AccessToken", &token), ("TaskId", &id)];
    said(&asking(&world, &asked).speak(&UcloudUgc).await, -1);
}

#[tokio::test(start_paused = true)]
async fn what_another_api_submitted_is_put_into_the_layout() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a", "outputs": ["/tmp/result"]}"#).await.id;
    world.run(job, 0, &MEMBERS).await;
    let answer = task(&world, "GetTaskResult", &[("TaskId", &task_id(job))]).await;
    assert_eq!(answer.header("content-type"), Some(OCTETS));
    assert_eq!(members(&answer.body), expected());
    assert_eq!(answer.body[154..157], *b"\0 \0");

    let json = r#"{"tasks": [{"name": "one", "image": "a"}, {"name": "two", "image": "a"}]}"#;
    let job = world.submit(json).await.id;
    world.run(job, 0, &MEMBERS).await;
    world.run(job, 0, &MEMBERS).await;
    let answer = task(&world, "GetTaskResult", &[("TaskId", &task_id(job))]).await;
    let names: Vec<_> = members(&answer.body).into_iter().map(|(name, _)| name).collect();
    let expected = ["/one/0/Stdout", "/one/0/tmp/result", "/two/0/Stdout", "/two/0/tmp/result"];
    assert_eq!(names, expected);
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_says_why() {
    let world = World::new().await;
    let exited = submitted(&world, &[]).await;
    world.run(exited, 7, &MEMBERS).await;
    let answer = said(&task(&world, "GetTaskResult", &[("TaskId", &task_id(exited))]).await, 43048);
    assert_eq!(answer["State"], "Fail");
    assert!(answer["Message"].as_str().is_some_and(|text| text.contains("exit code 7")));
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_missing_fails_the_task() {
    let world = World::new().await;
    let pairs = [("ImageName", "missing/a:1"), ("TaskType", "Async")];
    let answer = said(&task(&world, "SubmitTask", &pairs).await, 0);
    world.settle().await;
    let id = answer["TaskId"].as_str().expect("an id");
    let answer = said(&task(&world, "GetTaskResult", &[("TaskId", id)]).await, 43024);
    assert_eq!(answer["State"], "Fail");
}

#[tokio::test(start_paused = true)]
async fn a_task_is_stopped_and_has_failed_then() {
    let world = World::new().await;
    let job = submitted(&world, &[]).await;
    let (attempt, _) = world.start(job).await;
    let id = task_id(job);
    let asked = [("TaskId", id.as_str())];
    assert_eq!(said(&task(&world, "StopTask", &asked).await, 0)["TaskId"], id);
    let stopping = said(&task(&world, "GetTaskResult", &asked).await, -1);
    assert_eq!(stopping["State"], "Running");
    // Asked once more while it stops, it is on its way.
    said(&task(&world, "StopTask", &asked).await, 0);
    world.interrupt(attempt, &MEMBERS).await;
    let stopped = said(&task(&world, "GetTaskResult", &asked).await, 43048);
    assert_eq!(stopped["State"], "Fail");
    said(&task(&world, "StopTask", &asked).await, 43039);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_or_not_ours_is_not_found() {
    let world = World::new().await;
    let job = submitted(&world, &[]).await;
    let id = task_id(job);
    let theirs = world.neighbour().await;
    let unknown = "0b560b1d-f3b1-43de-a492-08875d79211b";
    for action in ["GetTaskResult", "StopTask"] {
        for id in [unknown, "x", &job.to_string()] {
            let answer = said(&task(&world, action, &[("TaskId", id)]).await, 43016);
            assert_eq!(
                (&answer["Message"], &answer["State"]),
                (&"TaskNotFound".into(), &"Fail".into())
            );
        }
        said(&task(&world, action, &[]).await, 43006);
        said(&task(&theirs, action, &[("TaskId", &id)]).await, 43016);
    }
    said(&control(&theirs, "GetTaskDetail", &[("TaskId", &id)]).await, 43016);
    let key = JobKey { project: world.project, job };
    assert!(jobs::load(&world.service, key).await.expect("it is there").ending().is_none());
}

//! Notifications: which events there are, and what is told of them.

use super::*;
use shared::{
    conformance::memory::Told,
    ops::{
        callbacks,
        queues::{self, QueueChange},
        retry::{self, Again},
        rows::QueueKey,
    },
    platform::Recipient,
    wire::callback::CallbackChoice,
};

/// A client of a project whose operator allows the topic `done`.
async fn client() -> Client {
    let mut client = Client::new().await;
    client.world.service.config.message_queues = vec!["done".parse().unwrap()];
    client
}

/// A job of these tasks that tells the topic of these events, each with a
/// variable that is called as the event.
fn telling(tasks: &Value, topic: &str, events: &[&str]) -> Value {
    let config =
        |name: &&str| json!({ "EventName": name, "EventVars": [{ "Name": name, "Value": "v" }] });
    json!({
        "JobName": "n",
        "Tasks": tasks,
        "Notifications": [{
            "TopicName": topic, "EventConfigs": events.iter().map(config).collect::<Vec<_>>(),
        }],
        "NotificationTarget": "TDMQ_CMQ",
    })
}

/// Delivers what is due. All that was told so far.
async fn told(client: &Client) -> Vec<Told> {
    callbacks::sweep(&client.world.service, &[&crate::Told]).await.unwrap();
    client.world.memory.outbox.told()
}

fn events(told: &Told) -> Vec<Value> {
    let said: Value = serde_json::from_slice(&told.message.body).unwrap();
    said["Events"].as_array().unwrap().clone()
}

/// The names of all events that were told so far, message by message.
async fn names(client: &Client) -> Vec<Vec<String>> {
    let name = |event: &Value| event["EventName"].as_str().unwrap().to_owned();
    let of = |told: &Told| events(told).iter().map(name).collect();
    told(client).await.iter().map(of).collect()
}

const ALL: [&str; 4] = ["JOB_RUNNING", "JOB_SUCCEED", "JOB_FAILED", "JOB_FAILED_INTERRUPTED"];

#[tokio::test(start_paused = true)]
async fn a_message_has_the_event_as_it_is_published() {
    let client = client().await;
    let job = telling(&json!([task("a", "true")]), "done", &["JOB_SUCCEED"]);
    let id = client.submit_job(job).await;
    client.world.run(parsed(&id), 0, &[]).await;
    let told = told(&client).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].to, Recipient::MessageQueue("done".parse().unwrap()));
    assert_eq!(told[0].message.content_type, "application/json");
    assert_eq!(told[0].message.headers, [], "this API signs nothing");
    let at = crate::words::time(client.world.job(parsed(&id)).await.ending().unwrap().1);
    let event = json!({
        "EventVersion": "1.0",
        "EventTime": at,
        "Region": REGION,
        "Batch": { "JobId": id, "JobName": "n", "JobState": "SUCCEED" },
        "EventName": "JOB_SUCCEED",
        "EventVars": [{ "Name": "JOB_SUCCEED", "Value": "v" }],
    });
    assert_eq!(events(&told[0]), [event]);
}

#[tokio::test(start_paused = true)]
async fn each_state_that_a_job_comes_to_is_an_event_of_its_own() {
    for (action, code, name) in [
        ("TERMINATE", 0, "JOB_SUCCEED"),
        ("TERMINATE", 1, "JOB_FAILED"),
        ("INTERRUPT", 1, "JOB_FAILED_INTERRUPTED"),
    ] {
        let client = client().await;
        let one = with(task("a", "x"), "FailedAction", json!(action));
        let id = client.submit_job(telling(&json!([one]), "done", &ALL)).await;
        client.world.run(parsed(&id), code, &[]).await;
        assert_eq!(names(&client).await, [["JOB_RUNNING"], [name]]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_configured_is_not_told() {
    let client = client().await;
    for (name, code, is_told) in [
        ("JOB_FAILED", 0, false),
        ("JOB_FAILED", 1, true),
        ("JOB_SUCCEED", 1, false),
        ("JOB_RUNNING", 0, true),
    ] {
        let before = told(&client).await.len();
        let job = telling(&json!([task("a", "x")]), "done", &[name]);
        let id = client.submit_job(job).await;
        client.world.run(parsed(&id), code, &[]).await;
        let told = names(&client).await.split_off(before);
        let expected = if is_told { vec![vec![name.to_owned()]] } else { Vec::new() };
        assert_eq!(told, expected, "{name} {code}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_was_held_whatever_becomes_of_it_before_that_is_told() {
    let client = client().await;
    let one = with(task("a", "false"), "FailedAction", json!("INTERRUPT"));
    let id = client.submit_job(telling(&json!([one]), "done", &ALL[1..])).await;
    client.world.run(parsed(&id), 1, &[]).await;
    client.got("TerminateJob", json!({ "JobId": id })).await;
    assert_eq!(names(&client).await, [["JOB_FAILED_INTERRUPTED"]]);
}

#[tokio::test(start_paused = true)]
async fn the_only_task_is_told_of_with_its_job_and_so_is_its_only_instance() {
    let client = client().await;
    let configured =
        ["JOB_SUCCEED", "TASK_RUNNING", "TASK_SUCCEED", "TASK_FAILED", "TASK_INSTANCE_SUCCEED"];
    let id = client.submit_job(telling(&json!([task("a", "true")]), "done", &configured)).await;
    client.world.run(parsed(&id), 0, &[]).await;
    let told = told(&client).await;
    let [started, ended] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(events(started)[0]["EventName"], "TASK_RUNNING");
    let of_task = json!({ "JobId": id, "JobName": "n", "TaskName": "a", "TaskState": "RUNNING" });
    assert_eq!(events(started)[0]["Batch"], of_task);
    let ended = events(ended);
    assert_eq!(ended.len(), 3);
    let of_instance = json!({
        "JobId": id, "JobName": "n", "TaskName": "a", "TaskInstanceIndex": 0,
        "TaskInstanceState": "SUCCEED",
    });
    assert_eq!(ended[2]["Batch"], of_instance);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_was_followed_by_another_is_told_of_as_it_ended() {
    let client = client().await;
    let id = client.submit_job(telling(&json!([task("a", "x")]), "done", &ALL[1..])).await;
    client.world.run(parsed(&id), 1, &[]).await;
    let again = Again { all: false, run: None };
    retry::retry(&client.world.service, key(&client, &id), again).await.unwrap();
    assert_eq!(names(&client).await, [["JOB_FAILED"]]);
    client.world.run(parsed(&id), 0, &[]).await;
    assert_eq!(names(&client).await, [["JOB_FAILED"], ["JOB_SUCCEED"]]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_configured_nothing_is_told_of_where_its_queue_says() {
    let client = client().await;
    let queue = QueueKey { project: client.world.project, name: "default".parse().unwrap() };
    let callback = json!({ "url": "http://queue.example/", "events": ["started", "finished"] });
    let callback = CallbackChoice::parse(Some(callback)).unwrap();
    let change = QueueChange { callback, ..QueueChange::default() };
    queues::put(&client.world.service, &queue, change).await.unwrap();
    let id = client.submit(json!([task("a", "false")])).await;
    client.world.run(parsed(&id), 1, &[]).await;
    assert_eq!(names(&client).await, [["JOB_RUNNING"], ["JOB_FAILED"]]);
    let native = client.world.submit(r#"{"image": "a"}"#).await;
    client.world.run(native.id, 0, &[]).await;
    let told = told(&client).await.pop().unwrap();
    assert!(told.body().contains("job.finished"), "{}", told.body());
}

#[tokio::test(start_paused = true)]
async fn events_and_topics_that_there_are_not_are_refused() {
    let client = client().await;
    let (one, two) = (task("a", "true"), task("b", "true"));
    let several = with(one.clone(), "TaskInstanceNum", json!(2));
    let long = "t".repeat(65);
    let duplicate = "InvalidParameter.NotificationEventNameDuplicate";
    for (tasks, topic, events, code) in [
        (json!([one]), "other", &ALL[1..2], "InvalidParameter.NotificationTopicName"),
        (json!([one]), "a topic", &ALL[1..2], "InvalidParameter.NotificationTopicName"),
        (json!([one]), &long, &ALL[1..2], "InvalidParameter.NotificationTopicNameTooLong"),
        (json!([one]), "done", &["JOB_FAILED", "JOB_FAILED"][..], duplicate),
        (json!([one, two]), "done", &["TASK_FAILED"][..], "InvalidParameterValue"),
        (json!([several]), "done", &["TASK_INSTANCE_FAILED"][..], "InvalidParameterValue"),
        (json!([one]), "done", &["COMPUTE_NODE_CREATED"][..], "InvalidParameterValue"),
        (json!([one]), "done", &["JOB_DREAMT"][..], "InvalidParameterValue"),
    ] {
        let job = telling(&tasks, topic, events);
        let refused = client.code("SubmitJob", submission(job)).await;
        assert_eq!(refused, code, "{topic} {events:?}");
    }
    let mut both = telling(&json!([one]), "done", &["JOB_FAILED"]);
    both["Notifications"].as_array_mut().unwrap().push(json!({ "TopicName": "other" }));
    let refused = client.code("SubmitJob", submission(both)).await;
    assert_eq!(refused, "InvalidParameter.InvalidParameterCombination");
    client.submit_job(telling(&json!([several]), "done", &["TASK_FAILED"])).await;
}

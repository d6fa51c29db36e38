//! Tasks and instances: described, read, terminated, measured.

use super::*;
use data_encoding::BASE64;
use shared::agent::Stream;

fn decoded(log: &Value) -> String {
    let text = log.as_str().unwrap().strip_prefix("data:text/plain;charset=utf-8;base64,").unwrap();
    String::from_utf8(BASE64.decode(text.as_bytes()).unwrap()).unwrap()
}

/// A job of one task of so many instances.
async fn array(client: &Client, instances: u32) -> String {
    client.submit(json!([with(task("a", "true"), "TaskInstanceNum", json!(instances))])).await
}

async fn states(client: &Client, id: &str) -> Vec<String> {
    let view = client.instances(id, "a").await;
    let set = view["TaskInstanceSet"].as_array().unwrap();
    set.iter().map(|one| one["TaskInstanceState"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(start_paused = true)]
async fn an_instance_tells_its_times_and_its_exit_code() {
    let client = Client::new().await;
    let id = client.submit(json!([task("a", "exit 3")])).await;
    let view = client.instances(&id, "a").await;
    let one = &view["TaskInstanceSet"][0];
    assert_eq!((&one["LaunchTime"], &one["ExitCode"]), (&Value::Null, &Value::Null));
    client.world.run(parsed(&id), 3, &[]).await;
    let view = client.instances(&id, "a").await;
    let one = &view["TaskInstanceSet"][0];
    assert_eq!((&one["TaskInstanceState"], &one["ExitCode"]), (&json!("FAILED"), &json!(3)));
    assert_eq!(one["StateReason"], "The application exited with a code other than 0.");
    for time in ["CreateTime", "LaunchTime", "RunningTime", "EndTime"] {
        assert!(one[time].as_str().unwrap().ends_with('Z'), "{time} of {one}");
    }
    assert_eq!(view["TaskInstanceMetrics"]["FailedCount"], 1);
    assert_eq!(view["TaskState"], "FAILED");
}

#[tokio::test(start_paused = true)]
async fn instances_come_by_page_and_by_state() {
    let client = Client::new().await;
    let id = array(&client, 5).await;
    client.world.settle().await;
    let (attempt, _) = client.world.start(parsed(&id)).await;
    client.world.finish(attempt, 0, &[]).await;
    let asked = |more: Value| {
        let mut said = json!({ "JobId": id, "TaskName": "a" });
        said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        said
    };
    let page = client.got("DescribeTask", asked(json!({ "Offset": 3, "Limit": 1 }))).await;
    assert_eq!(page["TaskInstanceTotalCount"], 5);
    assert_eq!(page["TaskInstanceSet"][0]["TaskInstanceIndex"], 3);
    assert_eq!(page["TaskInstanceSet"].as_array().unwrap().len(), 1);
    for name in ["task-instance-state", "task-instance-type"] {
        let filter = json!({ "Filters": [{ "Name": name, "Values": ["SUCCEED"] }] });
        let found = client.got("DescribeTask", asked(filter)).await;
        assert_eq!(found["TaskInstanceSet"].as_array().unwrap().len(), 1);
    }
    let code = client.code("DescribeTask", asked(json!({ "Limit": 1_001 }))).await;
    assert_eq!(code, "InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn one_instance_is_terminated_and_the_others_go_on() {
    let client = Client::new().await;
    let id = array(&client, 3).await;
    let stop = |index: u32| json!({ "JobId": id, "TaskName": "a", "TaskInstanceIndex": index });
    client.got("TerminateTaskInstance", stop(2)).await;
    assert_eq!(states(&client, &id).await, ["RUNNABLE", "RUNNABLE", "FAILED"]);
    client.world.settle().await;
    let (first, _) = client.world.start(parsed(&id)).await;
    client.got("TerminateTaskInstance", stop(0)).await;
    client.world.interrupt(first, &[]).await;
    assert_eq!(states(&client, &id).await[0], "FAILED");
    let (second, _) = client.world.start(parsed(&id)).await;
    client.world.finish(second, 0, &[]).await;
    assert_eq!(states(&client, &id).await, ["FAILED", "SUCCEED", "FAILED"]);
    let view = client.instances(&id, "a").await;
    let reason = &view["TaskInstanceSet"][0]["StateReason"];
    assert_eq!(reason, "The task instance was terminated.");
    client.got("TerminateTaskInstance", stop(1)).await;
    assert_eq!(states(&client, &id).await[1], "SUCCEED");
    assert_eq!(client.job(&id).await["JobState"], "FAILED");
    for said in [
        stop(3),
        json!({ "JobId": id, "TaskName": "b", "TaskInstanceIndex": 0 }),
        json!({ "JobId": UNKNOWN, "TaskName": "a", "TaskInstanceIndex": 0 }),
    ] {
        let code = client.code("TerminateTaskInstance", said).await;
        assert_eq!(code, "ResourceNotFound.TaskInstance");
    }
    let missing = json!({ "JobId": id, "TaskName": "a" });
    assert_eq!(client.code("TerminateTaskInstance", missing).await, "MissingParameter");
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_is_held_is_let_go_alone() {
    let client = Client::new().await;
    let mut one = with(task("a", "false"), "TaskInstanceNum", json!(2));
    one["FailedAction"] = "INTERRUPT".into();
    let id = client.submit(json!([one])).await;
    for _ in 0..2 {
        let (attempt, _) = client.world.start(parsed(&id)).await;
        client.world.finish(attempt, 1, &[]).await;
    }
    assert_eq!(states(&client, &id).await, ["FAILED_INTERRUPTED"; 2]);
    let stop = |index: u32| json!({ "JobId": id, "TaskName": "a", "TaskInstanceIndex": index });
    client.got("TerminateTaskInstance", stop(0)).await;
    assert_eq!(states(&client, &id).await, ["FAILED", "FAILED_INTERRUPTED"]);
    assert_eq!(client.job(&id).await["JobState"], "FAILED_INTERRUPTED");
    client.got("TerminateTaskInstance", stop(1)).await;
    assert_eq!(client.job(&id).await["JobState"], "FAILED");
}

#[tokio::test(start_paused = true)]
async fn an_instance_of_a_wide_task_is_found_and_terminated_in_its_part() {
    let client = Client::new().await;
    let id = array(&client, 200).await;
    client.world.settle().await;
    let stop = json!({ "JobId": id, "TaskName": "a", "TaskInstanceIndex": 199 });
    client.got("TerminateTaskInstance", stop).await;
    let asked = json!({ "JobId": id, "TaskName": "a", "Offset": 199 });
    let view = client.got("DescribeTask", asked).await;
    let one = &view["TaskInstanceSet"][0];
    assert_eq!(one["TaskInstanceIndex"], 199);
    assert!(["FAILED", "STARTING"].contains(&one["TaskInstanceState"].as_str().unwrap()), "{one}");
}

#[tokio::test(start_paused = true)]
async fn of_a_wide_task_only_that_is_held_which_failed_by_itself() {
    let client = Client::new().await;
    let mut one = with(task("a", "false"), "TaskInstanceNum", json!(200));
    one["FailedAction"] = "INTERRUPT".into();
    one["MaxConcurrentNum"] = 4.into();
    let id = client.submit(json!([one])).await;
    let stop = |index: u32| json!({ "JobId": id, "TaskName": "a", "TaskInstanceIndex": index });
    let early = client.code("TerminateTaskInstance", stop(199)).await;
    assert_eq!(early, "UnsupportedOperation", "its part has not begun");
    let (attempt, _) = client.world.start(parsed(&id)).await;
    client.world.finish(attempt, 1, &[]).await;
    let waits = async |state: &str| {
        let by = json!([{ "Name": "task-instance-state", "Values": [state] }]);
        let asked = json!({ "JobId": id, "TaskName": "a", "Filters": by });
        let found = client.got("DescribeTask", asked).await;
        found["TaskInstanceSet"][0]["TaskInstanceIndex"].as_u64()
    };
    let waiting = u32::try_from(waits("RUNNABLE").await.unwrap()).unwrap();
    client.got("TerminateTaskInstance", stop(waiting)).await;
    client.world.settle().await;
    let counts = async || {
        let view = client.instances(&id, "a").await;
        let metrics = &view["TaskInstanceMetrics"];
        (metrics["FailedInterruptedCount"].as_u64(), metrics["FailedCount"].as_u64())
    };
    assert_eq!(counts().await, (Some(1), Some(1)));
    let held = u32::try_from(waits("FAILED_INTERRUPTED").await.unwrap()).unwrap();
    client.got("TerminateTaskInstance", stop(held)).await;
    assert_eq!(counts().await, (Some(0), Some(2)));
}

#[tokio::test(start_paused = true)]
async fn the_ends_of_both_streams_are_shown_while_it_runs_and_after() {
    let client = Client::new().await;
    let id = client.submit(json!([task("a", "true")])).await;
    let asked = json!({ "JobId": id, "TaskName": "a" });
    let before = client.got("DescribeTaskLogs", asked.clone()).await;
    assert_eq!(decoded(&before["TaskInstanceLogSet"][0]["StdoutLog"]), "");
    let (attempt, _) = client.world.start(parsed(&id)).await;
    let long = format!("{}end", "x".repeat(3_000));
    client.world.write(attempt, Stream::Stdout, 0, &long).await;
    client.world.write(attempt, Stream::Stderr, 0, "trouble\n").await;
    let running = client.got("DescribeTaskLogs", asked.clone()).await;
    let log = &running["TaskInstanceLogSet"][0];
    assert_eq!(decoded(&log["StdoutLog"]), long[long.len() - 2_048..]);
    assert_eq!(decoded(&log["StderrLog"]), "trouble\n");
    client.world.finish(attempt, 0, &[]).await;
    let ended = client.got("DescribeTaskLogs", asked).await;
    assert_eq!(decoded(&ended["TaskInstanceLogSet"][0]["StdoutLog"]), "the end of stdout\n");
    assert_eq!(ended["TotalCount"], 1);
}

#[tokio::test(start_paused = true)]
async fn logs_are_of_instances_that_there_are() {
    let client = Client::new().await;
    let id = array(&client, 8).await;
    let asked = |more: Value| {
        let mut said = json!({ "JobId": id, "TaskName": "a" });
        said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        said
    };
    let indexes = async |more: Value| {
        let answer = client.got("DescribeTaskLogs", asked(more)).await;
        let set = answer["TaskInstanceLogSet"].as_array().unwrap();
        set.iter().map(|one| one["TaskInstanceIndex"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(indexes(json!({})).await, [0, 1, 2, 3, 4]);
    assert_eq!(indexes(json!({ "Offset": 6 })).await, [6, 7]);
    assert_eq!(indexes(json!({ "TaskInstanceIndexes": [7, 1] })).await, [7, 1]);
    for (more, code) in [
        (json!({ "TaskInstanceIndexes": [8] }), "ResourceNotFound.TaskInstance"),
        (json!({ "TaskInstanceIndexes": [-1] }), "InvalidParameterValue.Negative"),
        (json!({ "Offset": -1 }), "InvalidParameterValue.Negative"),
        (json!({ "Limit": 11 }), "InvalidParameterValue"),
        (json!({ "Depth": 11 }), "UnknownParameter"),
        (
            json!({ "TaskInstanceIndexes": [1], "Offset": 1 }),
            "InvalidParameter.InvalidParameterCombination",
        ),
    ] {
        assert_eq!(client.code("DescribeTaskLogs", asked(more.clone())).await, code, "{more}");
    }
    for (job, name, code) in [
        (id.as_str(), "b", "ResourceNotFound.Task"),
        (UNKNOWN, "a", "ResourceNotFound.Job"),
        ("job-1", "a", "InvalidParameter.JobIdMalformed"),
        (id.as_str(), "a b", "InvalidParameter.TaskName"),
        (id.as_str(), &"x".repeat(61), "InvalidParameter.TaskNameTooLong"),
    ] {
        let said = json!({ "JobId": job, "TaskName": name });
        assert_eq!(client.code("DescribeTaskLogs", said).await, code, "{job} {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_not_there_is_said_by_its_own_code() {
    let client = Client::new().await;
    let id = client.submit(json!([task("a", "true")])).await;
    for (job, name, code) in [
        (id.as_str(), "b", "ResourceNotFound.Task"),
        (UNKNOWN, "a", "ResourceNotFound.Task"),
        ("job-1", "a", "InvalidParameter.JobIdMalformed"),
    ] {
        let said = json!({ "JobId": job, "TaskName": name });
        assert_eq!(client.code("DescribeTask", said).await, code, "{job} {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_an_instance_used_is_told_by_metric() {
    let client = Client::new().await;
    let id = client.submit(json!([task("a", "true")])).await;
    let asked = |metric: &str| json!({ "JobId": id, "TaskName": "a", "TaskInstanceIndex": 0, "MetricName": metric });
    let before = client.got("DescribeJobMonitorData", asked("CpuUsage")).await;
    assert_eq!(before["DataPoints"]["Values"], json!([]));
    client.world.run(parsed(&id), 0, &[]).await;
    let after = client.got("DescribeJobMonitorData", asked("CpuUsage")).await;
    assert_eq!(after["Period"], 2);
    assert_eq!(after["DataPoints"]["Timestamps"], json!([client.now().as_second()]));
    assert_eq!(after["DataPoints"]["Values"], json!([0.0]));
    let disk = client.got("DescribeJobMonitorData", asked("MaxDiskUsage")).await;
    assert_eq!(disk["DataPoints"]["Values"], json!([]));
    let mut late = asked("MemUsage");
    late["StartTime"] = "2100-01-01T00:00:00Z".into();
    let none = client.got("DescribeJobMonitorData", late).await;
    assert_eq!(none["DataPoints"]["Timestamps"], json!([]));
    let unknown = client.code("DescribeJobMonitorData", asked("Mood")).await;
    assert_eq!(unknown, "InvalidParameterValue");
    let mut other = asked("CpuUsage");
    other["TaskInstanceIndex"] = 4.into();
    let missing = client.code("DescribeJobMonitorData", other).await;
    assert_eq!(missing, "ResourceNotFound.TaskInstance");
}

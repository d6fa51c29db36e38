//! Jobs: how they stand, and what becomes of them when asked.

use super::*;

/// A job of one task that says what becomes of its failures.
async fn holding(client: &Client, action: &str) -> String {
    let one = with(task("a", "exit 1"), "FailedAction", json!(action));
    client.submit(json!([one])).await
}

#[tokio::test(start_paused = true)]
async fn a_job_goes_from_runnable_to_succeed() {
    let client = Client::new().await;
    let id = client.submit(json!([task("a", "true")])).await;
    let view = client.job(&id).await;
    assert_eq!((&view["JobState"], &view["EndTime"]), (&json!("RUNNABLE"), &Value::Null));
    assert_eq!(view["Zone"], "ap-guangzhou-2");
    assert_eq!(view["TaskInstanceMetrics"]["RunnableCount"], 1);
    client.world.settle().await;
    assert_eq!(client.job(&id).await["JobState"], "STARTING");
    let (attempt, _) = client.world.start(parsed(&id)).await;
    let view = client.job(&id).await;
    assert_eq!(
        (&view["JobState"], &view["TaskSet"][0]["TaskState"]),
        (&json!("RUNNING"), &json!("RUNNING"))
    );
    client.world.finish(attempt, 0, &[]).await;
    let view = client.job(&id).await;
    assert_eq!(view["JobState"], "SUCCEED");
    assert_eq!(view["TaskMetrics"]["SucceedCount"], 1);
    assert_eq!(view["EndTime"].as_str().unwrap().len(), "2026-11-22T03:10:20Z".len());
    assert_eq!(view["StateReason"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn what_comes_after_a_task_waits_for_it_and_fails_with_it() {
    let client = Client::new().await;
    let job = json!({
        "Tasks": [task("a", "false"), task("b", "true")],
        "Dependences": [{ "StartTask": "a", "EndTask": "b" }],
    });
    let id = client.submit_job(job).await;
    let (attempt, _) = client.world.start(parsed(&id)).await;
    let view = client.job(&id).await;
    assert_eq!(view["TaskSet"][1]["TaskState"], "PENDING");
    assert_eq!(view["TaskMetrics"]["PendingCount"], 1);
    assert_eq!(view["TaskInstanceMetrics"]["PendingCount"], 1);
    client.world.finish(attempt, 1, &[]).await;
    let view = client.job(&id).await;
    assert_eq!(view["JobState"], "FAILED");
    assert_eq!(view["TaskSet"][1]["TaskState"], "FAILED");
    assert!(view["StateReason"].as_str().unwrap().starts_with("Task `a`: "), "{view}");
    let instance = client.instances(&id, "b").await["TaskInstanceSet"][0].take();
    assert_eq!(instance["TaskInstanceState"], "FAILED");
    assert_eq!(instance["StateReason"], "A preceding task did not end as this one needs.");
}

#[tokio::test(start_paused = true)]
async fn what_fails_is_held_if_its_task_says_so_until_it_is_terminated() {
    let client = Client::new().await;
    for action in ["INTERRUPT", "FAST_INTERRUPT"] {
        let id = holding(&client, action).await;
        client.world.run(parsed(&id), 1, &[]).await;
        let view = client.job(&id).await;
        assert_eq!(view["JobState"], "FAILED_INTERRUPTED");
        assert_eq!(view["TaskSet"][0]["TaskState"], "FAILED_INTERRUPTED");
        assert_eq!(view["TaskInstanceMetrics"]["FailedInterruptedCount"], 1);
        let only = json!({ "JobId": id });
        assert_eq!(client.code("DeleteJob", only.clone()).await, "ResourceInUse.Job");
        let retried = client.code("RetryJobs", json!({ "JobIds": [id] })).await;
        assert_eq!(retried, "UnsupportedOperation");
        let held =
            json!({ "Filters": [{ "Name": "job-state", "Values": ["FAILED_INTERRUPTED"] }] });
        assert_eq!(client.got("DescribeJobs", held).await["TotalCount"], 1);
        client.got("TerminateJob", only.clone()).await;
        assert_eq!(client.job(&id).await["JobState"], "FAILED");
        client.got("DeleteJob", only).await;
    }
    let id = holding(&client, "TERMINATE").await;
    client.world.run(parsed(&id), 1, &[]).await;
    assert_eq!(client.job(&id).await["JobState"], "FAILED");
}

#[tokio::test(start_paused = true)]
async fn a_further_run_holds_its_own_failures() {
    let client = Client::new().await;
    let id = holding(&client, "INTERRUPT").await;
    client.world.run(parsed(&id), 1, &[]).await;
    client.got("TerminateJob", json!({ "JobId": id })).await;
    client.got("RetryJobs", json!({ "JobIds": [id] })).await;
    assert_eq!(client.job(&id).await["JobState"], "RUNNABLE");
    client.world.run(parsed(&id), 1, &[]).await;
    assert_eq!(client.job(&id).await["JobState"], "FAILED_INTERRUPTED");
}

#[tokio::test(start_paused = true)]
async fn terminating_stops_what_runs_and_leaves_what_has_ended() {
    let client = Client::new().await;
    let id = client.submit(json!([task("a", "sleep 9")])).await;
    let (attempt, _) = client.world.start(parsed(&id)).await;
    client.got("TerminateJob", json!({ "JobId": id })).await;
    assert_eq!(client.job(&id).await["JobState"], "RUNNING");
    client.world.interrupt(attempt, &[]).await;
    let view = client.job(&id).await;
    assert_eq!(
        (&view["JobState"], &view["StateReason"]),
        (&json!("FAILED"), &json!("The job was terminated."))
    );
    let id = client.submit(json!([task("a", "true")])).await;
    client.world.run(parsed(&id), 0, &[]).await;
    client.got("TerminateJob", json!({ "JobId": id })).await;
    assert_eq!(client.job(&id).await["JobState"], "SUCCEED");
}

#[tokio::test(start_paused = true)]
async fn only_what_has_failed_is_retried_and_all_of_it_or_none() {
    let client = Client::new().await;
    let failed = client.submit(json!([task("a", "false")])).await;
    client.world.run(parsed(&failed), 1, &[]).await;
    let done = client.submit(json!([task("a", "true")])).await;
    client.world.run(parsed(&done), 0, &[]).await;
    let both = json!({ "JobIds": [failed, done] });
    assert_eq!(client.code("RetryJobs", both).await, "UnsupportedOperation");
    assert_eq!(client.job(&failed).await["JobState"], "FAILED");
    client.got("RetryJobs", json!({ "JobIds": [failed] })).await;
    client.world.run(parsed(&failed), 0, &[]).await;
    assert_eq!(client.job(&failed).await["JobState"], "SUCCEED");
    assert_eq!(client.code("RetryJobs", json!({})).await, "MissingParameter");
}

#[tokio::test(start_paused = true)]
async fn none_is_retried_if_the_environment_of_one_is_gone() {
    let client = Client::new().await;
    let data = json!({ "InstanceType": "S1.SMALL1", "ImageId": "busybox" });
    let draft = json!({
        "Placement": { "Zone": "ap-guangzhou-2" },
        "ComputeEnv": { "EnvName": "e", "DesiredComputeNodeCount": 1, "EnvData": data },
    });
    let env = client.got("CreateComputeEnv", draft).await["EnvId"].take();
    let mut there = with(task("a", "false"), "EnvId", env.clone());
    there.as_object_mut().unwrap().remove("ComputeEnv");
    let ids =
        [client.submit(json!([task("a", "false")])).await, client.submit(json!([there])).await];
    for id in &ids {
        client.world.run(parsed(id), 1, &[]).await;
    }
    client.got("DeleteComputeEnv", json!({ "EnvId": env })).await;
    assert_eq!(client.code("RetryJobs", json!({ "JobIds": ids })).await, "UnsupportedOperation");
    for id in &ids {
        assert_eq!(client.job(id).await["JobState"], "FAILED");
    }
}

#[tokio::test(start_paused = true)]
async fn none_is_retried_if_there_is_no_room_for_all() {
    let mut client = Client::new().await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = client.submit(json!([task("a", "false")])).await;
        client.world.run(parsed(&id), 1, &[]).await;
        ids.push(id);
    }
    client.world.service.limits.open_jobs = 1;
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    assert_eq!(client.code("RetryJobs", json!({ "JobIds": ids })).await, "LimitExceeded.JobQuota");
    assert_eq!(client.job(&ids[0]).await["JobState"], "FAILED");
    client.got("RetryJobs", json!({ "JobIds": [ids[0], ids[0]] })).await;
    assert_eq!(client.job(&ids[0]).await["JobState"], "RUNNABLE");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_job_is_not_found_and_one_that_runs_is_not_deleted() {
    let client = Client::new().await;
    let id = client.submit(json!([task("a", "true")])).await;
    let only = json!({ "JobId": id });
    assert_eq!(client.code("DeleteJob", only.clone()).await, "ResourceInUse.Job");
    client.world.run(parsed(&id), 0, &[]).await;
    client.got("DeleteJob", only.clone()).await;
    assert_eq!(client.code("DescribeJob", only).await, "ResourceNotFound.Job");
}

#[tokio::test(start_paused = true)]
async fn unknown_and_foreign_jobs_are_not_found_and_malformed_ids_are_none() {
    let client = Client::new().await;
    let neighbour = Client::of(client.world.neighbour().await);
    let theirs = neighbour.submit(json!([task("a", "true")])).await;
    let one = |id: &str| json!({ "JobId": id });
    let all = |id: &str| json!({ "JobIds": [id] });
    for (action, asked) in [
        ("DescribeJob", &one as &dyn Fn(&str) -> Value),
        ("DescribeJobSubmitInfo", &one),
        ("TerminateJob", &one),
        ("DeleteJob", &one),
        ("RetryJobs", &all),
    ] {
        for id in [UNKNOWN, &theirs] {
            assert_eq!(client.code(action, asked(id)).await, "ResourceNotFound.Job", "{action}");
        }
        for id in ["job-4yn0we13", "", "0123"] {
            let code = client.code(action, asked(id)).await;
            assert_eq!(code, "InvalidParameter.JobIdMalformed", "{action} {id}");
        }
    }
    let listed = client.got("DescribeJobs", all(&theirs)).await;
    assert_eq!(listed["TotalCount"], 0);
    assert_eq!(client.code("DescribeJobs", all("job-1")).await, "InvalidParameter.JobIdMalformed");
}

#[tokio::test(start_paused = true)]
async fn a_job_that_came_another_way_is_told_of_as_well() {
    let client = Client::new().await;
    let job = client
        .world
        .submit(
            r#"{"name": "native", "priority": 500, "tasks": [
                {"name": "a", "image": "tool:1", "command": ["say", "it's"], "env": {"A": "b"}},
                {"name": "b", "image": "tool:1", "instances": 200, "after": [{"task": "a"}]}]}"#,
        )
        .await;
    let id = job.id.to_string();
    let view = client.job(&id).await;
    assert_eq!((&view["JobName"], &view["Priority"]), (&json!("native"), &json!(100)));
    assert_eq!(view["Zone"], Value::Null);
    assert_eq!(view["TaskInstanceMetrics"]["PendingCount"], 200);
    let info = client.got("DescribeJobSubmitInfo", json!({ "JobId": id })).await;
    let first = &info["Tasks"][0];
    assert_eq!(first["Application"]["Docker"]["Image"], "tool:1");
    assert_eq!(first["Application"]["Command"], r"say 'it'\''s'");
    assert_eq!(first["EnvVars"], json!([{ "Name": "A", "Value": "b" }]));
    assert_eq!(info["Dependences"], json!([{ "StartTask": "a", "EndTask": "b" }]));
    let listed = client.got("DescribeJobs", json!({})).await;
    assert_eq!(listed["JobSet"][0]["JobId"], id);
    assert_eq!(listed["JobSet"][0]["Placement"]["ProjectId"], 0);
    let wide =
        client.got("DescribeTask", json!({ "JobId": id, "TaskName": "b", "Offset": 190 })).await;
    assert_eq!(wide["TaskInstanceTotalCount"], 200);
    assert_eq!(wide["TaskInstanceSet"].as_array().unwrap().len(), 10);
    assert_eq!(wide["TaskInstanceSet"][9]["TaskInstanceState"], "PENDING");
}

//! `SubmitJob`: what is accepted, and what becomes of it.

use super::*;
use shared::{job::When, ops::images};

#[tokio::test(start_paused = true)]
async fn the_first_documented_example_becomes_a_job() {
    let client = Client::new().await;
    let (service, project) = (&client.world.service, client.world.project);
    let name = "img-bd78fy2t".parse().unwrap();
    images::put(service, project, name, "python:3".parse().unwrap(), None).await.unwrap();
    let logs = "cos://dondonbatch-1251783334.cosgz.myqcloud.com/hello2/logs/";
    let command = "python -c \"fib=lambda n:1 if n<=2 else fib(n-1)+fib(n-2); print(fib(20))\"";
    let said = json!({
        "Placement": { "Zone": "ap-guangzhou-2" },
        "Job": {
            "Tasks": [{
                "Application": { "DeliveryForm": "LOCAL", "Command": command },
                "TaskName": "hello2",
                "TaskInstanceNum": 1,
                "ComputeEnv": {
                    "EnvType": "MANAGED",
                    "EnvData": { "InstanceType": "S1.SMALL1", "ImageId": "img-bd78fy2t" },
                },
                "RedirectInfo": { "StdoutRedirectPath": logs, "StderrRedirectPath": logs },
            }],
            "JobName": "test", "JobDescription": "test", "Priority": "1",
        },
    });
    let answer = client.got("SubmitJob", said).await;
    let id = answer["JobId"].as_str().unwrap();
    let (_, plan) = client.world.start(parsed(id)).await;
    assert_eq!(plan.argv[..2], ["/bin/sh", "-c"]);
    assert!(plan.argv[2].contains("BATCH_JOB_ID=\"$TARPON_JOB_ID\""), "{}", plan.argv[2]);
    assert_eq!(plan.argv[3..], ["sh", command]);
    let job = client.world.job(parsed(id)).await;
    assert_eq!((job.name.as_deref(), job.priority), (Some("test"), 1));
    assert_eq!(job.tasks[0].resources.cpu_millis, 1_000);
    let info = client.got("DescribeJobSubmitInfo", json!({ "JobId": id })).await;
    assert_eq!(info["JobDescription"], "test");
    assert_eq!(info["Tasks"][0]["RedirectInfo"]["StdoutRedirectPath"], logs);
    assert_eq!(info["Priority"], 1);
}

#[tokio::test(start_paused = true)]
async fn the_second_documented_example_is_a_graph_and_may_be_flattened() {
    let client = Client::new().await;
    let own = [
        ("Placement.Zone", "ap-guangzhou-2"),
        ("Job.Tasks.0.Application.DeliveryForm", "LOCAL"),
        ("Job.Tasks.0.Application.Command", "echo pre_task"),
        ("Job.Tasks.0.TaskName", "pre_task"),
        ("Job.Tasks.0.TaskInstanceNum", "1"),
        ("Job.Tasks.0.ComputeEnv.EnvData.InstanceType", "S1.SMALL1"),
        ("Job.Tasks.0.ComputeEnv.EnvData.ImageId", "busybox"),
        ("Job.Tasks.0.RestartComputeNode", "False"),
        ("Job.Tasks.1.Application.DeliveryForm", "LOCAL"),
        ("Job.Tasks.1.Application.Command", "echo post_task"),
        ("Job.Tasks.1.TaskName", "post_task"),
        ("Job.Tasks.1.ComputeEnv.EnvData.InstanceType", "S1.SMALL1"),
        ("Job.Tasks.1.ComputeEnv.EnvData.ImageId", "busybox"),
        ("Job.Dependences.0.StartTask", "pre_task"),
        ("Job.Dependences.0.EndTask", "post_task"),
        ("Job.Priority", "1"),
    ];
    for (method, hash) in [(Method::GET, Hash::Sha1), (Method::POST, Hash::Sha256)] {
        let pairs = client.signed(method.as_str(), hash, "SubmitJob", &own);
        let answer = said(&client.older(method, &pairs).await).unwrap();
        let id = answer["JobId"].as_str().unwrap();
        let job = client.world.job(parsed(id)).await;
        assert_eq!(job.tasks[1].after[0].task, 0);
        let view = client.job(id).await;
        let edge = json!([{ "StartTask": "pre_task", "EndTask": "post_task" }]);
        assert_eq!(view["DependenceSet"], edge);
        // Kept as what it is, though it came as text.
        let info = client.got("DescribeJobSubmitInfo", json!({ "JobId": id })).await;
        assert_eq!(info["Tasks"][0]["TaskInstanceNum"], 1);
        assert_eq!(info["Tasks"][0]["RestartComputeNode"], false);
    }
}

#[tokio::test(start_paused = true)]
async fn a_repeated_token_is_answered_with_the_first_id_whatever_comes_with_it() {
    let client = Client::new().await;
    let asked = |command: &str| {
        let mut said = submission(json!({ "Tasks": [task("a", command)] }));
        said["ClientToken"] = "once".into();
        said
    };
    let first = client.got("SubmitJob", asked("one")).await;
    assert_eq!(client.got("SubmitJob", asked("one")).await, first);
    assert_eq!(client.got("SubmitJob", asked("other")).await, first);
    assert_eq!(client.got("DescribeJobs", json!({})).await["TotalCount"], 1);
    let neighbour = Client::of(client.world.neighbour().await);
    assert_ne!(neighbour.got("SubmitJob", asked("one")).await, first);
    let mut long = submission(json!({ "Tasks": [task("a", "true")] }));
    long["ClientToken"] = "x".repeat(65).into();
    assert_eq!(client.code("SubmitJob", long).await, "InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn the_rules_of_a_task_become_ours() {
    let client = Client::new().await;
    let mut one = task("a", "true");
    for (name, value) in [
        ("TaskInstanceNum", json!(3)),
        ("MaxRetryCount", json!(2)),
        ("Timeout", json!("60")),
        ("MaxConcurrentNum", json!(2)),
        ("EnvVars", json!([{ "Name": "COLOUR", "Value": "red" }])),
        ("FailedAction", json!("TERMINATE")),
        ("ResourceMaxRetryCount", json!(8)),
    ] {
        one[name] = value;
    }
    let fast = with(
        with(task("b", "true"), "MaxRetryCount", json!(3)),
        "FailedAction",
        json!("FAST_INTERRUPT"),
    );
    let id = client.submit(json!([one, fast])).await;
    let job = client.world.job(parsed(&id)).await;
    let first = &job.tasks[0];
    assert_eq!((first.retry.max_attempts, first.deadlines.running), (3, 60));
    assert_eq!((first.max_concurrent, first.members.counts().total()), (Some(2), 3));
    assert_eq!(job.tasks[1].retry.max_attempts, 1);
    let (_, plan) = client.world.start(parsed(&id)).await;
    assert_eq!(plan.env["COLOUR"], "red");
    assert_eq!(plan.env["TARPON_INSTANCE_COUNT"], "3");
}

#[tokio::test(start_paused = true)]
async fn folders_and_streams_go_to_and_from_buckets() {
    let client = Client::new().await;
    let bucket = "cos://data-1.cos.ap-guangzhou.myqcloud.com";
    let mut one = task("a", "true");
    one["TaskInstanceNum"] = 2.into();
    one["InputMappings"] = json!([
        { "SourcePath": format!("{bucket}/in/"), "DestinationPath": "/data/in/" },
        { "SourcePath": format!("{bucket}/one.csv"), "DestinationPath": "/data/" },
    ]);
    one["OutputMappings"] = json!([{
        "SourcePath": "/data/out/", "DestinationPath": format!("{bucket}/out/"),
        "OutputMappingOption": { "Workspace": "GLOBAL_WORKSPACE" },
    }]);
    one["OutputMappingConfigs"] = json!([{ "Scene": "COS", "WorkerNum": 4 }]);
    one["RedirectInfo"] = json!({
        "StdoutRedirectPath": format!("{bucket}/logs"),
        "StdoutRedirectFileName": "${BATCH_JOB_ID}-${BATCH_TASK_INSTANCE_INDEX}.out",
    });
    let id = client.submit(json!([one])).await;
    let key = key(&client, &id);
    let job = client.world.job(key.job).await;
    let service = &client.world.service;
    let spec = shared::ops::attempts::load_spec(service, &job).await.unwrap().into_owned();
    let spec = &spec.tasks[0];
    assert_eq!(spec.inputs[1].path, "/data/one.csv");
    assert_eq!(spec.outputs[0].path, "/data/out/");
    let to = spec.outputs[0].to.as_ref().unwrap();
    assert_eq!((to.bucket.as_str(), to.key.as_str()), ("data-1", "out/"));
    let to = spec.stdout_to.as_ref().unwrap();
    assert_eq!(to.key_of(job.attempt_id(0, 1, 1), ""), format!("logs/{id}-1.out"));
    let view = client.instances(&id, "a").await;
    let redirect = &view["TaskInstanceSet"][1]["RedirectInfo"];
    assert_eq!(redirect["StdoutRedirectFileName"], format!("{id}-1.out"));
    assert_eq!(redirect["StderrRedirectPath"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_registrys_user_is_kept_with_a_registered_image() {
    let client = Client::new().await;
    let mut one = task("a", "true");
    one["Application"]["Docker"] = json!({
        "Image": "team/tool:1", "Server": "registry.example.com",
        "User": "u", "Password": "very secret", "MaxRetryCount": 1, "DelayOnRetry": 5,
    });
    let id = client.submit(json!([one])).await;
    let job = client.world.job(parsed(&id)).await;
    let image = &job.images[0];
    assert_eq!(image.reference.as_str(), "registry.example.com/team/tool:1");
    let (service, project) = (&client.world.service, client.world.project);
    let registered = image.registered.as_ref().unwrap();
    let registered = images::load(service, project, registered).await.unwrap().unwrap();
    let login = images::credentials(service, project, &registered).unwrap();
    assert_eq!((login.username.as_str(), login.password.as_str()), ("u", "very secret"));
    let info = client.got("DescribeJobSubmitInfo", json!({ "JobId": id })).await;
    assert!(!info.to_string().contains("very secret"), "{info}");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_job_that_is_not_made() {
    let mut client = Client::new().await;
    let of = |user: &str| {
        let mut one = task("a", "true");
        one["Application"]["Docker"] =
            json!({ "Image": "team/tool:1", "User": user, "Password": "p" });
        let mut said = submission(json!({ "Tasks": [one] }));
        said["ClientToken"] = "once".into();
        said
    };
    let kept = async |client: &Client| {
        let (service, project) = (&client.world.service, client.world.project);
        images::list(service, project).await.unwrap().len()
    };
    client.world.service.limits.open_jobs = 0;
    assert_eq!(client.code("SubmitJob", of("u")).await, "LimitExceeded.JobQuota");
    assert_eq!(kept(&client).await, 0);
    client.world.service.limits.open_jobs = 1;
    client.got("SubmitJob", of("u")).await;
    assert_eq!(kept(&client).await, 1);
    // The job is there already.
    client.got("SubmitJob", of("another")).await;
    assert_eq!(kept(&client).await, 1);
}

#[tokio::test(start_paused = true)]
async fn each_dependency_mode_is_a_condition() {
    let client = Client::new().await;
    for (word, when) in [
        ("PRE_TASK_SUCCEED", When::Succeeded),
        ("PRE_TASK_AT_LEAST_PARTLY_SUCCEED", When::Partly),
        ("PRE_TASK_FINISHED", When::Finished),
    ] {
        let job = json!({
            "Tasks": [task("a", "true"), task("b", "true")],
            "Dependences": [{ "StartTask": "a", "EndTask": "b" }],
            "TaskExecutionDependOn": word,
        });
        let id = client.submit_job(job).await;
        assert_eq!(client.world.job(parsed(&id)).await.tasks[1].after[0].when, when);
    }
}

//! `SubmitJob`: what is accepted, and by which code the rest is refused.

use super::*;
use shared::{job::When, ops::images};

async fn refused(client: &Client, job: Value) -> String {
    client.code("SubmitJob", submission(job)).await
}

/// The code for a job of this task.
async fn refused_task(client: &Client, task: Value) -> String {
    refused(client, json!({ "Tasks": [task] })).await
}

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

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_said() {
    let client = Client::new().await;
    let whole = submission(json!({ "Tasks": [task("a", "true")] }));
    for name in ["Placement", "Job"] {
        let mut part = whole.clone();
        part.as_object_mut().unwrap().remove(name);
        assert_eq!(client.code("SubmitJob", part).await, "MissingParameter", "{name}");
    }
    assert_eq!(refused(&client, json!({})).await, "MissingParameter");
    for name in ["TaskName", "Application"] {
        let mut part = task("a", "true");
        part.as_object_mut().unwrap().remove(name);
        assert_eq!(refused_task(&client, part).await, "MissingParameter", "{name}");
    }
    let mut imageless = task("a", "true");
    imageless["ComputeEnv"]["EnvData"] = json!({});
    assert_eq!(refused_task(&client, imageless).await, "MissingParameter");
    let text = whole.to_string();
    let nowhere = client.sent("SubmitJob", &text, |tc3| Tc3 { region: None, ..tc3 }).await;
    assert_eq!(code(&nowhere), "MissingParameter");
}

#[tokio::test(start_paused = true)]
async fn a_zone_is_of_the_region_and_open() {
    let client = Client::new().await;
    for (zone, code) in [
        ("ap-beijing-2", "InvalidParameterValue.InvalidZoneMismatchRegion"),
        ("ap-nowhere-2", "InvalidZone.MismatchRegion"),
        ("ap-guangzhou-1", "InvalidParameterValue.UnavailableZone"),
    ] {
        let mut said = submission(json!({ "Tasks": [task("a", "true")] }));
        said["Placement"]["Zone"] = zone.into();
        assert_eq!(client.code("SubmitJob", said).await, code, "{zone}");
    }
}

#[tokio::test(start_paused = true)]
async fn names_and_descriptions_have_an_end() {
    let client = Client::new().await;
    let of = |name: &str, text: String| json!({ "Tasks": [task("a", "true")], name: text });
    let name = refused(&client, of("JobName", "x".repeat(61))).await;
    assert_eq!(name, "InvalidParameter.JobNameTooLong");
    let text = refused(&client, of("JobDescription", "x".repeat(201))).await;
    assert_eq!(text, "InvalidParameter.JobDescriptionTooLong");
    // Counted in characters, not in bytes.
    client.submit_job(of("JobName", "名".repeat(60))).await;
    let long = refused_task(&client, task(&"x".repeat(61), "true")).await;
    assert_eq!(long, "InvalidParameter.TaskNameTooLong");
    for name in ["a b", "", "-a", "a/b"] {
        let refused = refused_task(&client, task(name, "true")).await;
        assert_eq!(refused, "InvalidParameter.TaskName", "{name}");
    }
    let twice = json!({ "Tasks": [task("a", "true"), task("a", "true")] });
    assert_eq!(refused(&client, twice).await, "InvalidParameter.TaskName");
}

#[tokio::test(start_paused = true)]
async fn a_task_runs_in_one_kind_of_environment() {
    let client = Client::new().await;
    let both = with(task("a", "true"), "EnvId", json!("env-abcd1234"));
    let code = "AllowedOneAttributeInEnvIdAndComputeEnv";
    assert_eq!(refused_task(&client, both).await, code);
    let mut neither = task("a", "true");
    neither.as_object_mut().unwrap().remove("ComputeEnv");
    assert_eq!(refused_task(&client, neither.clone()).await, code);
    let malformed = with(neither.clone(), "EnvId", json!("queue"));
    assert_eq!(refused_task(&client, malformed).await, "InvalidParameter.EnvIdMalformed");
    let unknown = with(neither, "EnvId", json!("env-abcd1234"));
    assert_eq!(refused_task(&client, unknown).await, "ResourceNotFound.ComputeEnv");
    let mut thpc = task("a", "true");
    thpc["ComputeEnv"]["EnvType"] = "THPC_QUEUE".into();
    assert_eq!(refused_task(&client, thpc).await, "InvalidParameterValue.ComputeEnv");
}

#[tokio::test(start_paused = true)]
async fn a_machine_has_to_be_one() {
    let client = Client::new().await;
    let of = |data: Value| {
        let mut one = task("a", "true");
        one["ComputeEnv"]["EnvData"] = data;
        one
    };
    for (data, code) in [
        (
            json!({ "ImageId": "busybox", "InstanceType": "S1.NONE" }),
            "InvalidParameter.CvmParameters",
        ),
        (
            json!({ "ImageId": "busybox", "InstanceTypes": ["S1.SMALL1", "S1.SMALL1"] }),
            "InvalidParameterValue.InstanceTypeDuplicate",
        ),
        (
            json!({ "InstanceType": "S1.SMALL1", "InstanceTypes": ["S1.SMALL1"] }),
            "InvalidParameter.InvalidParameterCombination",
        ),
        (
            json!({ "InstanceMarketOptions": { "SpotOptions": { "MaxPrice": "dear" } } }),
            "InvalidParameterValue.NotFloat",
        ),
        (json!({ "ImageId": "NOT an image" }), "InvalidParameter.ImageIdMalformed"),
        (json!({ "ImageId": "img-bd78fy2t" }), "InvalidParameter.ImageIdMalformed"),
    ] {
        assert_eq!(refused_task(&client, of(data.clone())).await, code, "{data}");
    }
}

#[tokio::test(start_paused = true)]
async fn numbers_are_numbers_within_bounds() {
    let client = Client::new().await;
    for (name, value, code) in [
        ("MaxRetryCount", json!(-1), "InvalidParameterValue.Negative"),
        ("MaxRetryCount", json!(20), "InvalidParameterValue.MaxRetryCount"),
        ("ResourceMaxRetryCount", json!(101), "InvalidParameterValue.MaxRetryCount"),
        ("Timeout", json!("soon"), "InvalidParameterValue.InvalidDataTypeAny"),
        ("Timeout", json!(-5), "InvalidParameterValue.Negative"),
        ("TaskInstanceNum", json!(0), "InvalidParameterValue.TaskInstanceNum"),
        ("TaskInstanceNum", json!(10_001), "InvalidParameterValue.LimitExceeded"),
        ("TaskInstanceNum", json!({}), "InvalidParameterValue.InvalidDataTypeAny"),
        ("FailedAction", json!("SHRUG"), "InvalidParameterValue"),
        ("Colour", json!("red"), "UnknownParameter"),
    ] {
        let one = with(task("a", "true"), name, value.clone());
        assert_eq!(refused_task(&client, one).await, code, "{name} {value}");
    }
    let job = |priority: Value| json!({ "Tasks": [task("a", "true")], "Priority": priority });
    assert_eq!(refused(&client, job(json!(-1))).await, "InvalidParameterValue.Negative");
    assert_eq!(refused(&client, job(json!(101))).await, "InvalidParameterValue.LimitExceeded");
    let tags: Vec<Value> = (0..11).map(|n| json!({ "Key": n.to_string(), "Value": "v" })).collect();
    let tagged = json!({ "Tasks": [task("a", "true")], "Tags": tags });
    assert_eq!(refused(&client, tagged).await, "InvalidParameterValue.LimitExceeded");
}

#[tokio::test(start_paused = true)]
async fn a_command_is_said_in_one_way() {
    let client = Client::new().await;
    let combination = "InvalidParameter.InvalidParameterCombination";
    let mut both = task("a", "true");
    both["Application"]["Commands"] = json!([{ "Command": "false" }]);
    assert_eq!(refused_task(&client, both).await, combination);
    let mut neither = task("a", "true");
    neither["Application"].as_object_mut().unwrap().remove("Command");
    assert_eq!(refused_task(&client, neither.clone()).await, combination);
    neither["Application"]["Commands"] = json!([{ "Command": "a" }, { "Command": "b" }]);
    let three = with(neither.clone(), "TaskInstanceNum", json!(3));
    assert_eq!(refused_task(&client, three).await, "InvalidParameterValue.TaskInstanceNum");
    let id = client.submit(json!([neither])).await;
    assert_eq!(client.world.job(parsed(&id)).await.tasks[0].members.counts().total(), 2);
    let mut options = task("a", "true");
    options["Application"]["Docker"] = json!({ "Image": "a", "DockerRunOption": "--privileged" });
    assert_eq!(refused_task(&client, options).await, "InvalidParameterValue");
}

#[tokio::test(start_paused = true)]
async fn paths_are_of_a_bucket_or_absolute() {
    let client = Client::new().await;
    let good = "cos://b-1.cosgz.myqcloud.com/d/";
    for (from, to, code) in [
        ("cfs://10.0.0.1/d", "/d", "InvalidParameterValue.RemoteStorageSchemeType"),
        ("cos://b/d", "/d", "InvalidParameterValue.RemoteStoragePath"),
        (good, "d", "InvalidParameterValue.LocalPath"),
    ] {
        let mapping = json!([{ "SourcePath": from, "DestinationPath": to }]);
        let one = with(task("a", "true"), "InputMappings", mapping);
        assert_eq!(refused_task(&client, one).await, code, "{from} {to}");
        let mapping = json!([{ "SourcePath": to, "DestinationPath": from }]);
        let one = with(task("a", "true"), "OutputMappings", mapping);
        assert_eq!(refused_task(&client, one).await, code, "{to} {from}");
    }
    let redirect = json!({ "StderrRedirectPath": "s3://b/d" });
    let one = with(task("a", "true"), "RedirectInfo", redirect);
    let code = "InvalidParameterValue.RemoteStorageSchemeType";
    assert_eq!(refused_task(&client, one).await, code);
    let redirect = json!({ "StdoutLocalPath": "logs" });
    let one = with(task("a", "true"), "RedirectLocalInfo", redirect);
    assert_eq!(refused_task(&client, one).await, "InvalidParameterValue.LocalPath");
}

#[tokio::test(start_paused = true)]
async fn dependences_lead_from_task_to_task_and_never_back() {
    let client = Client::new().await;
    let job = |edges: Value| json!({ "Tasks": [task("a", "true"), task("b", "true")], "Dependences": edges });
    let unknown = json!([{ "StartTask": "a", "EndTask": "c" }]);
    let code = refused(&client, job(unknown)).await;
    assert_eq!(code, "InvalidParameterValue.DependenceNotFoundTaskName");
    let circle = json!([
        { "StartTask": "a", "EndTask": "b" }, { "StartTask": "b", "EndTask": "a" },
    ]);
    let code = refused(&client, job(circle)).await;
    assert_eq!(code, "InvalidParameterValue.DependenceUnfeasible");
}

#[tokio::test(start_paused = true)]
async fn a_project_has_so_many_open_jobs_and_no_more() {
    let mut client = Client::new().await;
    client.world.service.limits.open_jobs = 1;
    client.submit(json!([task("a", "true")])).await;
    let more = json!({ "Tasks": [task("a", "true")] });
    assert_eq!(refused(&client, more).await, "LimitExceeded.JobQuota");
}

//! `SubmitJob`: what is refused, each by its own code.

use super::*;

async fn refused(client: &Client, job: Value) -> String {
    client.code("SubmitJob", submission(job)).await
}

/// The code for a job of this task.
async fn refused_task(client: &Client, task: Value) -> String {
    refused(client, json!({ "Tasks": [task] })).await
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
    // What we would fill in, a user means as it is.
    for name in ["{job}", "{instance}"] {
        let to = format!("{good}{name}/");
        let mapping = json!([{ "SourcePath": "/d/", "DestinationPath": to }]);
        let one = with(task("a", "true"), "OutputMappings", mapping);
        let code = refused_task(&client, one).await;
        assert_eq!(code, "InvalidParameterValue.RemoteStoragePath", "{name}");
        let mapping = json!([{ "SourcePath": to, "DestinationPath": "/d/" }]);
        client.submit(json!([with(task("a", "true"), "InputMappings", mapping)])).await;
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
    for edges in [circle, json!([{ "StartTask": "a", "EndTask": "a" }])] {
        let code = refused(&client, job(edges)).await;
        assert_eq!(code, "InvalidParameterValue.DependenceUnfeasible");
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_has_so_many_open_jobs_and_no_more() {
    let mut client = Client::new().await;
    client.world.service.limits.open_jobs = 1;
    client.submit(json!([task("a", "true")])).await;
    let more = json!({ "Tasks": [task("a", "true")] });
    assert_eq!(refused(&client, more).await, "LimitExceeded.JobQuota");
}

#[tokio::test(start_paused = true)]
async fn a_job_brings_users_of_so_many_images() {
    let client = Client::new().await;
    let tasks = |users: u32| {
        let one = |n: u32| {
            let mut one = task(&format!("t{n}"), "true");
            one["Application"]["Docker"] =
                json!({ "Image": "team/tool:1", "User": n.to_string(), "Password": "p" });
            one
        };
        json!({ "Tasks": (0..users).map(one).collect::<Vec<_>>() })
    };
    client.submit_job(tasks(50)).await;
    assert_eq!(refused(&client, tasks(51)).await, "InvalidParameterValue.LimitExceeded");
}

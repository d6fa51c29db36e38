//! Compute environments, and the queues that they are.

use super::*;

fn draft(nodes: u32) -> Value {
    json!({
        "Placement": { "Zone": "ap-guangzhou-2" },
        "ComputeEnv": {
            "EnvName": "render", "EnvDescription": "for pictures",
            "DesiredComputeNodeCount": nodes,
            "EnvType": "MANAGED",
            "EnvData": {
                "InstanceType": "S1.MEDIUM4", "ImageId": "busybox",
                "LoginSettings": { "Password": "very secret" },
            },
            "MountDataDisks": [{ "LocalPath": "/data" }],
            "Tags": [{ "Key": "team", "Value": "x" }],
        },
    })
}

async fn created(client: &Client, nodes: u32) -> String {
    let answer = client.got("CreateComputeEnv", draft(nodes)).await;
    answer["EnvId"].as_str().unwrap().to_owned()
}

/// A task that runs in an environment and says nothing of machines.
fn in_env(id: &str) -> Value {
    json!({
        "TaskName": "a",
        "Application": { "DeliveryForm": "LOCAL", "Command": "true" },
        "EnvId": id,
    })
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_in_an_environment_as_that_is_made() {
    let client = Client::new().await;
    let id = created(&client, 2).await;
    assert!(id.len() == 12 && id.starts_with("env-"), "{id}");
    let mut one = in_env(&id);
    one["TaskInstanceNum"] = 3.into();
    let job = client.submit(json!([one])).await;
    client.world.settle().await;
    let record = client.world.job(parsed(&job)).await;
    assert_eq!(record.queue.as_str(), id);
    assert_eq!(record.images[0].reference.as_str(), "busybox");
    let resources = record.tasks[0].resources;
    assert_eq!((resources.cpu_millis, resources.memory_mib), (2_000, 4_096));
    // Two nodes, two at once.
    assert_eq!(client.world.live(parsed(&job)).await.len(), 2);
    let view = client.got("DescribeComputeEnv", json!({ "EnvId": id })).await;
    assert_eq!(view["EnvName"], "render");
    assert_eq!(view["ComputeNodeMetrics"]["RunningCount"], 2);
    let nodes = view["ComputeNodeSet"].as_array().unwrap();
    assert_eq!(nodes.len(), 2);
    assert_eq!((&nodes[1]["Cpu"], &nodes[1]["Mem"]), (&json!(2), &json!(4)));
    assert_eq!(nodes[1]["TaskInstanceNumAvailable"], 0);
    let (_, plan) = client.world.start(parsed(&job)).await;
    assert!(plan.argv[2].contains("mkdir -p '/data'"), "{}", plan.argv[2]);
}

#[tokio::test(start_paused = true)]
async fn what_an_environment_maps_is_there_in_every_task() {
    let client = Client::new().await;
    let bucket = "cos://data-1.cos.ap-guangzhou.myqcloud.com";
    let mapping = |from: &str, to: &str| {
        let from = format!("{bucket}/{from}");
        json!({ "SourcePath": from, "DestinationPath": to })
    };
    let mut said = draft(1);
    let mappings = json!([mapping("in/", "/data/in/"), mapping("one.csv", "/data/")]);
    said["ComputeEnv"]["InputMappings"] = mappings.clone();
    let id = client.got("CreateComputeEnv", said).await["EnvId"].as_str().unwrap().to_owned();
    let info = client.got("DescribeComputeEnvCreateInfo", json!({ "EnvId": id })).await;
    assert_eq!(info["InputMappings"], mappings);
    // What a task maps to the same place hides what the environment has there.
    let own = json!([mapping("own/", "/data/in"), mapping("two.csv", "/data/")]);
    let other = with(with(in_env(&id), "TaskName", json!("b")), "InputMappings", own);
    let job = client.submit(json!([in_env(&id), other])).await;
    let job = client.world.job(parsed(&job)).await;
    let spec = shared::ops::attempts::load_spec(&client.world.service, &job).await.unwrap();
    let paths = |task: usize| {
        let inputs = spec.tasks[task].inputs.iter();
        inputs.map(|input| input.path.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(paths(0), ["/data/in/", "/data/one.csv"]);
    assert_eq!(paths(1), ["/data/one.csv", "/data/in", "/data/two.csv"]);
}

#[tokio::test(start_paused = true)]
async fn an_environment_is_described_changed_and_deleted() {
    let client = Client::new().await;
    let id = created(&client, 2).await;
    let only = json!({ "EnvId": id });
    let info = client.got("DescribeComputeEnvCreateInfo", only.clone()).await;
    assert_eq!(info["EnvDescription"], "for pictures");
    assert!(!info.to_string().contains("very secret"), "{info}");
    let change = json!({
        "EnvId": id, "DesiredComputeNodeCount": 0, "EnvName": "rest",
        "EnvData": { "InstanceTypes": ["S1.SMALL1"] },
    });
    client.got("ModifyComputeEnv", change).await;
    let view = client.got("DescribeComputeEnv", only.clone()).await;
    assert_eq!((&view["EnvName"], &view["DesiredComputeNodeCount"]), (&json!("rest"), &json!(0)));
    let job = client.submit(json!([in_env(&id)])).await;
    client.world.settle().await;
    // Without a node nothing starts.
    assert_eq!(client.job(&job).await["JobState"], "RUNNABLE");
    let refused = client.code("DeleteComputeEnv", only.clone()).await;
    assert_eq!(refused, "UnsupportedOperation.ComputeEnvOperation");
    client.got("TerminateJob", json!({ "JobId": job })).await;
    client.got("DeleteComputeEnv", only.clone()).await;
    for action in ["DescribeComputeEnv", "DeleteComputeEnv", "DescribeComputeEnvCreateInfo"] {
        let code = client.code(action, only.clone()).await;
        assert_eq!(code, "ResourceNotFound.ComputeEnv", "{action}");
    }
}

#[tokio::test(start_paused = true)]
async fn changes_of_one_moment_are_all_kept() {
    let client = Client::new().await;
    let id = created(&client, 2).await;
    let change = |name: &str, value: Value| {
        client.got(
            "ModifyComputeEnv",
            [("EnvId".to_owned(), json!(id)), (name.to_owned(), value)].into_iter().collect(),
        )
    };
    let types = json!({ "InstanceTypes": ["S1.SMALL1"] });
    tokio::join!(
        change("EnvName", json!("other")),
        change("EnvDescription", json!("for films")),
        change("DesiredComputeNodeCount", json!(1)),
        change("EnvData", types.clone()),
    );
    let info = client.got("DescribeComputeEnvCreateInfo", json!({ "EnvId": id })).await;
    assert_eq!((&info["EnvName"], &info["EnvDescription"]), (&json!("other"), &json!("for films")));
    assert_eq!(info["DesiredComputeNodeCount"], 1);
    assert_eq!(info["EnvData"]["InstanceTypes"], types["InstanceTypes"]);
}

#[tokio::test(start_paused = true)]
async fn a_change_makes_no_environment() {
    let client = Client::new().await;
    let change = json!({ "EnvId": "env-abcd1234", "EnvName": "none" });
    assert_eq!(client.code("ModifyComputeEnv", change).await, "ResourceNotFound.ComputeEnv");
    assert_eq!(client.got("DescribeComputeEnvs", json!({})).await["TotalCount"], 0);
    let id = created(&client, 1).await;
    let change = json!({ "EnvId": id, "EnvData": { "InstanceTypes": [] } });
    let code = client.code("ModifyComputeEnv", change).await;
    assert_eq!(code, "InvalidParameterValue.InstanceTypesEmpty");
}

#[tokio::test(start_paused = true)]
async fn environments_are_listed_by_page_and_by_filter() {
    let client = Client::new().await;
    let (first, second) = (created(&client, 1).await, created(&client, 1).await);
    let total = async |said: Value| {
        client.got("DescribeComputeEnvs", said).await["TotalCount"].as_u64().unwrap()
    };
    assert_eq!(total(json!({})).await, 2);
    assert_eq!(total(json!({ "EnvIds": [first] })).await, 1);
    let by = |name: &str, value: &str| json!({ "Filters": [{ "Name": name, "Values": [value] }] });
    assert_eq!(total(by("env-id", &second)).await, 1);
    assert_eq!(total(by("env-name", "render")).await, 2);
    assert_eq!(total(by("zone", "ap-guangzhou-2")).await, 2);
    assert_eq!(total(by("resource-type", "CPM")).await, 0);
    assert_eq!(total(by("tag:team", "x")).await, 2);
    let infos = client.got("DescribeComputeEnvCreateInfos", json!({ "Limit": 1 })).await;
    assert_eq!(infos["ComputeEnvCreateInfoSet"].as_array().unwrap().len(), 1);
    let both = json!({ "EnvIds": [first], "Filters": [{ "Name": "zone", "Values": ["z"] }] });
    let code = client.code("DescribeComputeEnvs", both).await;
    assert_eq!(code, "InvalidParameter.InvalidParameterCombination");
    let neighbour = Client::of(client.world.neighbour().await);
    assert_eq!(neighbour.got("DescribeComputeEnvs", json!({})).await["TotalCount"], 0);
    let theirs = neighbour.code("DescribeComputeEnv", json!({ "EnvId": first })).await;
    assert_eq!(theirs, "ResourceNotFound.ComputeEnv");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_token_makes_one_environment() {
    let client = Client::new().await;
    let mut said = draft(1);
    said["ClientToken"] = "once".into();
    let first = client.got("CreateComputeEnv", said.clone()).await;
    assert_eq!(client.got("CreateComputeEnv", said).await, first);
    assert_eq!(client.got("DescribeComputeEnvs", json!({})).await["TotalCount"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_in_one_environment_whole() {
    let client = Client::new().await;
    let (first, second) = (created(&client, 1).await, created(&client, 1).await);
    let other = with(in_env(&second), "TaskName", json!("b"));
    for pair in [json!([in_env(&first), other]), json!([in_env(&first), task("c", "true")])] {
        let code = client.code("SubmitJob", submission(json!({ "Tasks": pair }))).await;
        assert_eq!(code, "InvalidParameter.InvalidParameterCombination");
    }
}

#[tokio::test(start_paused = true)]
async fn an_environment_keeps_its_rules() {
    let client = Client::new().await;
    for (name, value, code) in [
        ("EnvName", json!("x".repeat(61)), "InvalidParameter.EnvNameTooLong"),
        ("EnvName", Value::Null, "MissingParameter"),
        ("EnvDescription", json!("x".repeat(201)), "InvalidParameter.EnvDescriptionTooLong"),
        ("DesiredComputeNodeCount", json!(-1), "InvalidParameterValue.Negative"),
        ("DesiredComputeNodeCount", json!(2_001), "InvalidParameterValue.LimitExceeded"),
        ("EnvType", json!("WILD"), "InvalidParameterValue"),
        ("EnvData", json!({ "InstanceType": "X" }), "InvalidParameter.CvmParameters"),
        ("Notifications", json!([{ "TopicName": "t" }]), "InvalidParameterValue"),
        (
            "InputMappings",
            json!([{ "SourcePath": "cfs://10.0.0.1/d", "DestinationPath": "/d" }]),
            "InvalidParameterValue.RemoteStorageSchemeType",
        ),
        (
            "InputMappings",
            json!([{ "SourcePath": "cos://b-1.cosgz.myqcloud.com/d/", "DestinationPath": "d" }]),
            "InvalidParameterValue.LocalPath",
        ),
    ] {
        let mut said = draft(1);
        said["ComputeEnv"][name] = value.clone();
        assert_eq!(client.code("CreateComputeEnv", said).await, code, "{name} {value}");
    }
    let malformed = client.code("DescribeComputeEnv", json!({ "EnvId": "default" })).await;
    assert_eq!(malformed, "InvalidParameter.EnvIdMalformed");
}

#[tokio::test(start_paused = true)]
async fn nodes_are_not_taken_away_by_name() {
    let client = Client::new().await;
    let id = created(&client, 1).await;
    for action in ["TerminateComputeNodes", "AttachInstances", "DetachInstances"] {
        let code = client.code(action, json!({ "EnvId": id })).await;
        assert_eq!(code, "UnsupportedOperation", "{action}");
    }
    let none = client.got("DescribeComputeEnvActivities", json!({ "EnvId": id })).await;
    assert_eq!(none, json!({ "ActivitySet": [], "TotalCount": 0 }));
}

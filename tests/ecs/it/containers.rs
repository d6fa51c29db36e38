//! What a container is given.

use serde_json::json;
use shared::{
    conformance::runtime::{soon, tidy},
    job::Resources,
    platform::Launch,
};

use crate::stage::EcsStage;

#[tokio::test]
async fn the_agent_gets_its_own_variables_and_starts_at_the_root() {
    let mut stage = EcsStage::new().await;
    let launch = stage.script(1, r#"say "$TARPON_SERVICE $TARPON_SCRATCH $PWD""#).await;
    let said = stage.says(&launch).await;
    assert_eq!(said, format!("{} /.tarpon-scratch /", stage.config.service));
    tidy(&mut stage).await;
}

#[tokio::test]
async fn any_user_writes_to_the_scratch_and_none_to_the_agents_place() {
    let mut stage = EcsStage::new().await;
    let code = r#"w() { (echo x >$1/x) 2>/dev/null && echo -n "$1 "; }; u() { $home/busybox id -$1; }; say "$(u u):$(u g) $(w /.tarpon; w /tmp; w /.tarpon-scratch)""#;
    let plain = stage.script(1, code).await;
    assert_eq!(stage.says(&plain).await.trim(), "7:8 /.tarpon-scratch");
    let root = Launch { user: Some("0:5".into()), ..stage.script(2, code).await };
    assert_eq!(stage.says(&root).await.trim(), "0:5 /.tarpon-scratch");
    let locked = Launch { read_only_root: true, ..stage.script(3, code).await };
    assert_eq!(stage.says(&locked).await.trim(), "7:8 /tmp /.tarpon-scratch");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_task_shares_its_volumes_with_no_other() {
    let mut stage = EcsStage::new().await;
    let code = "echo x >/.tarpon-scratch/mine; say up; trap 'exit 0' TERM; forever";
    let first = stage.script(1, code).await;
    stage.says(&first).await;
    let second = stage.script(2, r#"say "found $(echo /.tarpon-scratch/*)""#).await;
    assert_eq!(stage.says(&second).await, "found /.tarpon-scratch/*");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_task_is_held_to_the_size_that_was_sold() {
    let mut stage = EcsStage::new().await;
    let limit = "/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max";
    let code = format!(r#"say "$($home/busybox cat {limit} 2>/dev/null)""#);
    let mut launch = stage.script(1, &code).await;
    launch.resources = Resources { cpu_millis: 100, memory_mib: 600 };
    assert_eq!(stage.says(&launch).await, (1_024_u64 << 20).to_string());
    tidy(&mut stage).await;
}

#[tokio::test]
async fn what_does_not_stop_is_killed_when_its_time_is_over() {
    let stage = EcsStage::new().await;
    let call = async |operation: &str, body: serde_json::Value| {
        let target = format!("AmazonEC2ContainerServiceV20141113.{operation}");
        let request = reqwest::Client::new().post(stage.endpoint.url());
        let answer = request.header("x-amz-target", target).body(body.to_string()).send().await;
        answer.unwrap().json::<serde_json::Value>().await.unwrap()
    };
    let stubborn = "trap '' TERM; while :; do /busybox sleep 3600; done";
    let main = json!({
        "name": "main", "image": crate::agent::IMAGE, "stopTimeout": 1,
        "entryPoint": ["/busybox", "sh", "-c", stubborn],
    });
    let definition = json!({
        "family": "stubborn", "cpu": "256", "memory": "512", "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"], "executionRoleArn": "arn:aws:iam::0:role/x",
        "containerDefinitions": [main],
    });
    call("RegisterTaskDefinition", definition).await;
    let subnets = json!({ "awsvpcConfiguration": { "subnets": ["subnet-1"] } });
    let run = json!({
        "cluster": "tests", "taskDefinition": "stubborn", "launchType": "FARGATE",
        "networkConfiguration": subnets,
    });
    let arn = call("RunTask", run).await["tasks"][0]["taskArn"].clone();
    let until = async |status: &str| {
        soon(status, async {
            loop {
                let told = call("DescribeTasks", json!({ "tasks": [arn] })).await;
                if told["tasks"][0]["lastStatus"] == status {
                    return told["tasks"][0].clone();
                }
            }
        })
        .await
    };
    until("RUNNING").await;
    call("StopTask", json!({ "task": arn, "reason": "enough" })).await;
    let stopped = until("STOPPED").await;
    assert_eq!(stopped["containers"][0]["exitCode"], 137);
    assert_eq!(
        (&stopped["stopCode"], &stopped["stoppedReason"]),
        (&json!("UserInitiated"), &json!("enough"))
    );
}

//! The operations, by name.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    answer::{Answer, Refusal},
    endpoint::Ecs,
    task::Task,
};

/// The most that one call lists or describes.
const PAGE: usize = 100;

/// What filters a list; one of them excludes the others.
const FILTERS: [&str; 5] =
    ["desiredStatus", "family", "serviceName", "containerInstance", "launchType"];

pub(crate) async fn perform(ecs: &Arc<Ecs>, operation: &str, request: Value) -> Answer {
    match operation {
        "RegisterTaskDefinition" if ecs.faults().crowds() => Err(Refusal::crowded()),
        "RegisterTaskDefinition" => ecs.definitions.register(request),
        "DescribeTaskDefinition" => ecs.definitions.describe(&request),
        "RunTask" => ecs.launches.run(ecs, request),
        "DescribeTasks" => describe(ecs, &request).await,
        "ListTasks" => list(ecs, &request),
        "StopTask" => stop(ecs, &request),
        other => Err(Refusal::client(format!("there is no {other} here"))),
    }
}

async fn describe(ecs: &Ecs, request: &Value) -> Answer {
    let names: Vec<&str> =
        request["tasks"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !(1..=PAGE).contains(&names.len()) {
        return Err(Refusal::parameter("Tasks can have at most 100 items, and at least one."));
    }
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match ecs.launches.find(name) {
            Some(task) => {
                task.settled().await;
                tasks.push(task.described());
            }
            None => failures.push(json!({ "arn": name, "reason": "MISSING" })),
        }
    }
    Ok(json!({ "tasks": tasks, "failures": failures }))
}

fn list(ecs: &Ecs, request: &Value) -> Answer {
    let text = |name: &str| request[name].as_str();
    // As strict as ECS may be: it says that this must be the only filter.
    if text("startedBy").is_some() && FILTERS.iter().any(|name| text(name).is_some()) {
        return Err(Refusal::parameter("cannot specify startedBy with other arguments"));
    }
    let status = text("desiredStatus").unwrap_or("RUNNING");
    let fits = |task: &Arc<Task>| {
        task.desired_status() == status
            && text("startedBy").is_none_or(|by| task.started_by() == Some(by))
            && text("family").is_none_or(|family| task.definition.family == family)
    };
    let all: Vec<_> =
        ecs.launches.all().into_iter().filter(fits).map(|it| it.arn.clone()).collect();
    let most = request["maxResults"].as_u64().and_then(|most| usize::try_from(most).ok());
    let most = most.unwrap_or(PAGE);
    if !(1..=PAGE).contains(&most) {
        return Err(Refusal::parameter("maxResults is 1 to 100"));
    }
    let most = Some(ecs.faults().page).filter(|page| *page > 0).unwrap_or(most);
    // Where the last page ended, which stays a place when tasks come and go.
    let after = text("nextToken").unwrap_or_default();
    let page: Vec<_> = all.iter().filter(|arn| arn.as_str() > after).take(most).collect();
    let more = page.last().filter(|last| Some(**last) != all.last());
    Ok(json!({ "taskArns": page, "nextToken": more }))
}

fn stop(ecs: &Ecs, request: &Value) -> Answer {
    let name = request["task"].as_str().unwrap_or_default();
    let task = ecs.launches.find(name);
    let task = task.ok_or_else(|| Refusal::parameter("The referenced task was not found."))?;
    task.stop(request["reason"].as_str().unwrap_or("Task stopped by user"));
    Ok(json!({ "task": task.described() }))
}

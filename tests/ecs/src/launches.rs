//! Every task there ever was, and which request started it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::{
    answer::{Answer, Refusal},
    definitions::HERE,
    endpoint::{Ecs, guard},
    life,
    task::Task,
};

/// Tasks by ARN, and requests by token.
#[derive(Debug, Default)]
pub(crate) struct Launches {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    tasks: BTreeMap<String, Arc<Task>>,
    requests: HashMap<String, (Value, Vec<Arc<Task>>)>,
}

impl Launches {
    /// By ARN, or the end of one.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<Task>> {
        let kept = guard(&self.kept);
        let by_id = || kept.tasks.values().find(|it| it.arn.ends_with(&format!("/{name}")));
        kept.tasks.get(name).or_else(by_id).cloned()
    }

    /// All, in the order of their ARNs.
    pub(crate) fn all(&self) -> Vec<Arc<Task>> {
        guard(&self.kept).tasks.values().cloned().collect()
    }

    /// How many there were.
    pub(crate) fn count(&self) -> usize {
        guard(&self.kept).tasks.len()
    }

    /// Nobody sees to them any more.
    pub(crate) fn abandon(&self) {
        guard(&self.kept).tasks.values().for_each(|task| task.abandon());
    }

    /// `RunTask`: nothing new if the same was asked for before.
    pub(crate) fn run(&self, ecs: &Arc<Ecs>, request: Value) -> Answer {
        check(&request)?;
        let mut kept = guard(&self.kept);
        let token = request["clientToken"].as_str().map(str::to_owned);
        if let Some((before, tasks)) = token.as_ref().and_then(|token| kept.requests.get(token)) {
            if *before != request {
                return Err(Refusal::conflict());
            }
            let tasks: Vec<_> = tasks.iter().map(|task| task.described()).collect();
            return Ok(json!({ "tasks": tasks, "failures": [] }));
        }
        if let Some(reason) = ecs.faults().next_unplaced() {
            return Ok(json!({ "tasks": [], "failures": [{ "reason": reason }] }));
        }
        let name = request["taskDefinition"].as_str().unwrap_or_default();
        let definition = ecs.definitions.to_run(name)?;
        let count = request["count"].as_u64().unwrap_or(1);
        let cluster = cluster(&request);
        let mut tasks = Vec::new();
        for _ in 0..count {
            let id = ecs.fresh();
            let arn = format!("{HERE}:task/{cluster}/{id}");
            let task = Arc::new(Task::new(id, arn, cluster, &definition, &request));
            kept.tasks.insert(task.arn.clone(), Arc::clone(&task));
            let alive = tokio::spawn(life::live(Arc::clone(ecs), Arc::clone(&task)));
            task.seen_to_by(alive.abort_handle());
            tasks.push(task);
        }
        let described: Vec<_> = tasks.iter().map(|task| task.described()).collect();
        if let Some(token) = token {
            kept.requests.insert(token, (request, tasks));
        }
        Ok(json!({ "tasks": described, "failures": [] }))
    }
}

fn cluster(request: &Value) -> &str {
    let name = request["cluster"].as_str().unwrap_or("default");
    name.rsplit('/').next().unwrap_or(name)
}

/// What ECS would not start.
fn check(request: &Value) -> Result<(), Refusal> {
    let text = |name: &str| request[name].as_str().unwrap_or_default();
    let subnets = &request["networkConfiguration"]["awsvpcConfiguration"]["subnets"];
    if subnets.as_array().is_none_or(Vec::is_empty) {
        let message = "Network Configuration must be provided when networkMode 'awsvpc' is \
                       specified.";
        return Err(Refusal::parameter(message));
    }
    if !(1..=10).contains(&request["count"].as_u64().unwrap_or(1)) {
        return Err(Refusal::parameter("count is 1 to 10"));
    }
    let visible = |b: u8| (33..=126).contains(&b);
    if text("clientToken").len() > 64 || !text("clientToken").bytes().all(visible) {
        return Err(Refusal::parameter("clientToken is up to 64 visible characters"));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_/".contains(&b);
    if text("startedBy").len() > 128 || !text("startedBy").bytes().all(plain) {
        return Err(Refusal::parameter("startedBy is up to 128 letters, digits, `-`, `_`, `/`"));
    }
    if request["overrides"].to_string().len() > 8_192 {
        return Err(Refusal::parameter("Container Overrides length must be at most 8192"));
    }
    let strategy = request["capacityProviderStrategy"].as_array().is_some_and(|it| !it.is_empty());
    if strategy == (text("launchType") == "FARGATE") {
        return Err(Refusal::parameter("either launchType FARGATE or a strategy is needed"));
    }
    Ok(())
}

//! What the deployed template says: which path leads to which function, what
//! each function may do, and which events are told to whom.
//!
//! Read line by line: `infra/aws/functions.py` writes each route and each
//! statement as one.

use serde_json::Value;

const TEMPLATE: &str = include_str!("../../../infra/aws/template.yaml");

/// Where an action is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET /v1/jobs/{job}`, as the API names it.
    pub key: String,
    /// The function's name.
    pub function: String,
}

/// What a role may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// `dynamodb:GetItem`, …
    pub actions: Vec<String>,
    /// As it is written.
    pub resource: String,
    /// Whether it holds in the deployment's own cluster alone.
    pub in_cluster: bool,
}

/// Every function, by its id in the template and its name.
pub fn functions() -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    let mut id = "";
    for line in TEMPLATE.lines() {
        if let Some(block) = block(line) {
            id = block;
        } else if let Some(zip) = line.trim().strip_prefix("CodeUri: ../../target/lambda/") {
            found.push((id, zip.trim_end_matches(".zip")));
        }
    }
    found
}

/// Every route of the API, but the one for all that has none.
pub fn routes() -> Vec<Route> {
    let functions = functions();
    let named = |id: &str| {
        let found = functions.iter().find(|(known, _)| *known == id);
        found.map_or_else(|| panic!("a route leads to {id}"), |(_, name)| (*name).to_owned())
    };
    let route = |line: &str| {
        let key = between(line, "RouteKey: \"", "\"")?;
        let id = between(line, "integrations/${", "Integration}")?;
        Some(Route { key: key.to_owned(), function: named(id) })
    };
    TEMPLATE.lines().filter_map(route).collect()
}

/// What the role of the function of this id may do.
pub fn statements(id: &str) -> Vec<Statement> {
    let role = format!("{id}Role");
    let mut inside = false;
    let mut found = Vec::new();
    for line in TEMPLATE.lines() {
        if let Some(block) = block(line) {
            inside = block == role;
        }
        let text = line.trim();
        if inside && text.starts_with("- { Effect: Allow, Action: [") {
            found.push(statement(text));
        }
    }
    assert!(!found.is_empty(), "{role} has statements, a line each");
    found
}

fn statement(text: &str) -> Statement {
    let actions = between(text, "Action: [", "]").unwrap_or_default();
    let rest = text.split("Resource: ").nth(1).unwrap_or_default();
    let resource = rest.split(", Condition:").next().unwrap_or_default();
    Statement {
        actions: actions.split(", ").map(str::to_owned).collect(),
        resource: resource.trim_end_matches(" }").to_owned(),
        in_cluster: text.contains("ArnEquals: { ecs:cluster: !GetAtt Cluster.Arn }"),
    }
}

/// Whether the rule for tasks that have stopped hands this event on, where the
/// cluster has this ARN and all parameters have their defaults.
pub fn tells_of_stopped(event: &Value, cluster: &str) -> bool {
    let rule = TEMPLATE.split("\n  TaskStopped:\n").nth(1).unwrap_or_default();
    let pattern = between(rule, "      EventPattern:\n", "      Targets:").unwrap_or_default();
    assert!(!pattern.is_empty(), "the rule has a pattern");
    let mut within = String::new();
    let mut alternatives = Vec::new();
    for line in pattern.lines() {
        let depth = line.len() - line.trim_start().len();
        if let Some(alternative) = line.trim().strip_prefix("- ") {
            alternatives.push(is_alternative(alternative, event));
            continue;
        }
        let (name, said) = line.trim().split_once(':').expect("a pattern has names");
        if name == "$or" {
            continue;
        }
        if depth == 8 {
            within.clear();
        }
        let said = said.trim();
        if said.is_empty() {
            within = format!("/{name}");
            continue;
        }
        let wanted = match said.trim_matches(['[', ']']) {
            "!Ref TaskEventSource" => default("TaskEventSource"),
            "!GetAtt Cluster.Arn" => cluster,
            text => text,
        };
        if event.pointer(&format!("{within}/{name}")).and_then(Value::as_str) != Some(wanted) {
            return false;
        }
    }
    alternatives.is_empty() || alternatives.contains(&true)
}

/// Whether one of a rule's alternatives is true of an event's detail.
fn is_alternative(written: &str, event: &Value) -> bool {
    let detail = &event["detail"];
    match written {
        "stopCode: [{ anything-but: [EssentialContainerExited] }]" => {
            detail["stopCode"].as_str().is_some_and(|code| code != "EssentialContainerExited")
        }
        "stopCode: [{ exists: false }]" => detail.get("stopCode").is_none(),
        "containers: { exitCode: [{ anything-but: [0] }] }" => {
            let mut containers = detail["containers"].as_array().into_iter().flatten();
            containers.any(|container| container["exitCode"].as_i64().is_some_and(|code| code != 0))
        }
        other => panic!("the rule has an alternative that is not known here: {other}"),
    }
}

/// A parameter's default.
fn default(parameter: &str) -> &'static str {
    let said = TEMPLATE.split(&format!("\n  {parameter}:\n")).nth(1).unwrap_or_default();
    between(said, "    Default: ", "\n").unwrap_or_else(|| panic!("{parameter} has a default"))
}

/// The name that a line opens a block of, at the second level.
fn block(line: &str) -> Option<&str> {
    let name = line.strip_prefix("  ")?.strip_suffix(':')?;
    name.chars().all(char::is_alphanumeric).then_some(name)
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    text.split_once(before)?.1.split_once(after).map(|(found, _)| found)
}

#[cfg(test)]
mod platform;

#[cfg(test)]
mod tests {
    use super::*;

    /// In the shape of the ECS developer guide.
    const STOPPED: &str = include_str!("../../../shared/src/aws/runtime/stopped_event.json");

    const CLUSTER: &str = "arn:aws:ecs:us-west-2:111122223333:cluster/FargateCluster";

    #[test]
    fn a_task_that_has_stopped_in_the_cluster_is_told_of_and_nothing_else() {
        let mut stopped: Value = serde_json::from_str(STOPPED).unwrap();
        assert!(!tells_of_stopped(&stopped, CLUSTER), "its agent has reported");
        stopped["detail"]["containers"][0]["exitCode"] = 137.into();
        assert_eq!(stopped["source"], "aws.ecs");
        assert!(tells_of_stopped(&stopped, CLUSTER));
        assert!(!tells_of_stopped(&stopped, "arn:aws:ecs:us-west-2:111122223333:cluster/other"));
        for (pointer, other) in [
            ("/source", "tests.ecs"),
            ("/detail-type", "ECS Container Instance State Change"),
            ("/detail/lastStatus", "RUNNING"),
        ] {
            let mut event = stopped.clone();
            *event.pointer_mut(pointer).unwrap() = other.into();
            assert!(!tells_of_stopped(&event, CLUSTER), "{pointer}");
        }
    }

    #[test]
    fn every_function_has_a_role_and_routes_lead_to_functions() {
        let functions = functions();
        assert!(functions.contains(&("SubmitJob", "submit-job")));
        for (id, _) in &functions {
            let all = statements(id);
            assert!(all.iter().all(|it| !it.actions.is_empty() && !it.resource.is_empty()));
        }
        let submit = Route { key: "POST /v1/jobs".into(), function: "submit-job".into() };
        assert!(routes().contains(&submit));
    }
}

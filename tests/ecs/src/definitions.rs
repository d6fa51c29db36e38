//! Task definitions: families and their revisions.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, Refusal},
    endpoint::guard,
};

/// Where everything here is.
pub(crate) const HERE: &str = "arn:aws:ecs:us-east-1:000000000000";

/// What Fargate sells: CPU units, and the memory that goes with them in MiB.
const SOLD: [(u32, u32, u32, u32); 7] = [
    (256, 512, 2_048, 0),
    (512, 1_024, 4_096, 1_024),
    (1_024, 2_048, 8_192, 1_024),
    (2_048, 4_096, 16_384, 1_024),
    (4_096, 8_192, 30_720, 1_024),
    (8_192, 16_384, 61_440, 4_096),
    (16_384, 32_768, 122_880, 8_192),
];

/// Every revision of every family, the first at 0.
#[derive(Debug, Default)]
pub(crate) struct Definitions {
    families: Mutex<BTreeMap<String, Vec<Revision>>>,
}

#[derive(Clone, Debug)]
struct Revision {
    active: bool,
    definition: Arc<Definition>,
}

/// A task definition, as far as it is acted on.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Definition {
    #[serde(skip)]
    pub(crate) arn: String,
    #[serde(skip)]
    described: Value,
    pub(crate) family: String,
    pub(crate) cpu: String,
    pub(crate) memory: String,
    network_mode: String,
    requires_compatibilities: Vec<String>,
    execution_role_arn: String,
    pub(crate) container_definitions: Vec<Container>,
    #[serde(default)]
    pub(crate) volumes: Vec<Volume>,
}

/// A container of a task definition.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Container {
    pub(crate) name: String,
    pub(crate) image: String,
    #[serde(default = "yes")]
    pub(crate) essential: bool,
    #[serde(default)]
    pub(crate) entry_point: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) command: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) environment: Vec<Pair>,
    #[serde(default)]
    pub(crate) user: Option<String>,
    #[serde(default)]
    pub(crate) working_directory: Option<String>,
    #[serde(default)]
    pub(crate) readonly_root_filesystem: bool,
    #[serde(default)]
    pub(crate) memory: Option<i64>,
    #[serde(default)]
    pub(crate) stop_timeout: Option<u32>,
    #[serde(default)]
    pub(crate) mount_points: Vec<Mount>,
    #[serde(default)]
    pub(crate) depends_on: Vec<Dependency>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Pair {
    pub(crate) name: String,
    pub(crate) value: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Mount {
    pub(crate) source_volume: String,
    pub(crate) container_path: String,
    #[serde(default)]
    pub(crate) read_only: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Dependency {
    pub(crate) container_name: String,
    pub(crate) condition: Condition,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Condition {
    Start,
    Complete,
    Success,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Volume {
    pub(crate) name: String,
}

fn yes() -> bool {
    true
}

impl Definitions {
    pub(crate) fn register(&self, mut request: Value) -> Answer {
        let mut definition: Definition = serde_json::from_value(request.clone())
            .map_err(|error| Refusal::client(error.to_string()))?;
        check(&definition)?;
        let mut families = guard(&self.families);
        let revisions = families.entry(definition.family.clone()).or_default();
        let number = revisions.len() + 1;
        let arn = format!("{HERE}:task-definition/{}:{number}", definition.family);
        request["taskDefinitionArn"] = json!(arn);
        request["revision"] = json!(number);
        request["status"] = json!("ACTIVE");
        definition.arn = arn;
        definition.described = request.clone();
        revisions.push(Revision { active: true, definition: Arc::new(definition) });
        Ok(json!({ "taskDefinition": request }))
    }

    pub(crate) fn describe(&self, request: &Value) -> Answer {
        let name = request["taskDefinition"].as_str().unwrap_or_default();
        match self.find(name) {
            Some(found) => Ok(json!({ "taskDefinition": found.definition.described })),
            None => Err(Refusal::client("Unable to describe task definition.")),
        }
    }

    /// What a task is started from.
    pub(crate) fn to_run(&self, name: &str) -> Result<Arc<Definition>, Refusal> {
        let found = self.find(name).ok_or_else(|| Refusal::client("TaskDefinition not found."))?;
        if !found.active {
            return Err(Refusal::client("TaskDefinition is inactive"));
        }
        Ok(found.definition)
    }

    /// Deregisters every revision.
    pub(crate) fn forget(&self) {
        guard(&self.families).values_mut().flatten().for_each(|revision| revision.active = false);
    }

    /// By ARN, `family:revision`, or `family` for the newest active one.
    fn find(&self, name: &str) -> Option<Revision> {
        let name = name.rsplit('/').next()?;
        let families = guard(&self.families);
        match name.split_once(':') {
            Some((family, number)) => {
                let place = number.parse::<usize>().ok()?.checked_sub(1)?;
                families.get(family)?.get(place).cloned()
            }
            None => families.get(name)?.iter().rev().find(|it| it.active).cloned(),
        }
    }
}

/// What ECS would not register.
fn check(definition: &Definition) -> Result<(), Refusal> {
    let is_name = |text: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        (1..=255).contains(&text.len()) && text.bytes().all(plain)
    };
    if !is_name(&definition.family) {
        return Err(Refusal::client("Family contains invalid characters."));
    }
    let fargate = definition.requires_compatibilities == ["FARGATE"];
    if !fargate || definition.network_mode != "awsvpc" {
        return Err(Refusal::client("Fargate only supports network mode 'awsvpc'."));
    }
    if !definition.execution_role_arn.starts_with("arn:") {
        return Err(Refusal::client("Role is not valid"));
    }
    if !definition.container_definitions.iter().any(|container| container.essential) {
        return Err(Refusal::client("Task definition does not have any essential containers."));
    }
    if !is_sold(&definition.cpu, &definition.memory) {
        return Err(Refusal::client("No Fargate configuration exists for given values."));
    }
    definition.container_definitions.iter().try_for_each(|it| check_container(definition, it))
}

fn is_sold(cpu: &str, memory: &str) -> bool {
    let (Ok(cpu), Ok(memory)) = (cpu.parse::<u32>(), memory.parse::<u32>()) else { return false };
    SOLD.iter().any(|&(units, least, most, step)| {
        let fits = match step {
            0 => memory.is_power_of_two(),
            step => memory.is_multiple_of(step),
        };
        units == cpu && (least..=most).contains(&memory) && fits
    })
}

fn check_container(definition: &Definition, container: &Container) -> Result<(), Refusal> {
    let volume = |name: &String| definition.volumes.iter().any(|volume| volume.name == *name);
    let sibling =
        |name: &String| definition.container_definitions.iter().any(|it| it.name == *name);
    if container.mount_points.iter().any(|mount| !volume(&mount.source_volume)) {
        return Err(Refusal::client(format!("Unknown volume in container {}", container.name)));
    }
    if container.depends_on.iter().any(|it| !sibling(&it.container_name)) {
        return Err(Refusal::client(format!("Unknown dependency of {}", container.name)));
    }
    if container.stop_timeout.is_some_and(|seconds| seconds > 120) {
        return Err(Refusal::client("Invalid stopTimeout: the maximum on Fargate is 120."));
    }
    Ok(())
}

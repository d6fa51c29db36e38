//! Environments, made, changed and deleted.

use serde_json::{Value, json};
use shared::{
    auth::{Identity, signing::sha256_hex},
    job::ProjectId,
    ops::queues::{self, Queue, QueueChange, Setting},
    service::Service,
    wire::{
        Problem,
        submit::{ResourcesRequest, STANDARD_RESOURCES},
    },
};

use super::known::{Known, MOST_NODES, Note, key, known, only_id};
use crate::{
    call::Call,
    faults::Fault,
    fields::Fields,
    ids::eight,
    kept::silenced,
    submit::{
        check_placement, client_token,
        env::{self, Env},
        inputs, limited, needed_region, tags,
    },
};

/// `CreateComputeEnv`.
pub(crate) async fn create(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let region = needed_region(&call)?;
    let own = |name: &str| silenced(call.parameters.get(name));
    let note = Note { env: own("ComputeEnv"), placement: own("Placement") };
    let mut fields = Fields::new(call.parameters);
    let (placement, env) = (fields.object("Placement")?, fields.object("ComputeEnv")?);
    let placement = fields.needed("Placement", placement)?;
    let env = fields.needed("ComputeEnv", env)?;
    let token = client_token(&mut fields)?;
    fields.end()?;
    check_placement(placement, &region)?;
    let (nodes, machine) = read(env, &region, most_nodes(service))?;
    let id = format!("env-{}", eight(entropy(service, who.project, token.as_deref())));
    let queue = key(who.project, &id)?;
    if queues::load(service, &queue).await?.is_none() {
        let change = sized(service, Some(nodes), Some(machine.resources))?;
        queues::put(service, &queue, note.kept_with(change)?).await?;
    }
    Ok(json!({ "EnvId": id }))
}

/// What an id is made of: the token, so that the same gives the same.
fn entropy(service: &Service, project: ProjectId, token: Option<&str>) -> [u8; 16] {
    let Some(token) = token else { return service.platform.clock.random() };
    let digest = sha256_hex(format!("{project}/{token}").as_bytes());
    u128::from_str_radix(&digest[..32], 16).expect("it is hex").to_be_bytes()
}

/// How many nodes, and what one is.
fn read(mut env: Fields, region: &str, most: u32) -> Result<(u32, Env), Fault> {
    let name = limited(&mut env, "EnvName", 60, "InvalidParameter.EnvNameTooLong")?;
    env.needed("EnvName", name)?;
    limited(&mut env, "EnvDescription", 200, "InvalidParameter.EnvDescriptionTooLong")?;
    let nodes = env.count("DesiredComputeNodeCount", most)?;
    let nodes = env.needed("DesiredComputeNodeCount", nodes)?;
    env.word("EnvType", &["MANAGED", "THPC_QUEUE"])?;
    let data = env.object("EnvData")?;
    let machine = data.map(|data| env::data_of(data, Some(region))).transpose()?;
    tags(&mut env)?;
    env.word("ActionIfComputeNodeInactive", &["RECREATE", "KEEP", "TERMINATE"])?;
    env.count("ResourceMaxRetryCount", 100)?;
    env.word("NotificationTarget", &["CMQ", "TDMQ_CMQ"])?;
    if !env.objects("Notifications")?.is_empty() {
        let rule = "nothing happens to nodes that could be told: a job has its own notifications";
        return Err(Fault::value(&env.path("Notifications"), rule));
    }
    // They are read again for each job: nothing is kept on nodes.
    inputs::read(&mut env)?;
    env.ignore(&["Authentications"]);
    let machine = env::with_rest(env, machine.unwrap_or_default())?;
    Ok((nodes, machine))
}

/// The most nodes that an environment may have here.
fn most_nodes(service: &Service) -> u32 {
    MOST_NODES.min(service.limits.queue_live)
}

/// A queue of so many slots, for containers like this unless they say; what is
/// not said stays.
fn sized(
    service: &Service,
    nodes: Option<u32>,
    resources: Option<ResourcesRequest>,
) -> Result<QueueChange, Fault> {
    let standard = |asked: ResourcesRequest| {
        asked.or(STANDARD_RESOURCES, "EnvData", &service.limits).map(Setting::To)
    };
    let resources = resources.map(standard).transpose().map_err(Fault::from)?;
    // Without a node nothing starts; what waits does so.
    let (paused, limit) = (nodes.map(|nodes| nodes == 0), nodes.map(|nodes| nodes.max(1)));
    Ok(QueueChange { paused, limit, resources, ..QueueChange::default() })
}

/// `ModifyComputeEnv`.
pub(crate) async fn modify(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let id = fields.said("EnvId")?;
    let key = key(who.project, &id)?;
    let nodes = fields.count("DesiredComputeNodeCount", most_nodes(service))?;
    let mut texts = Vec::new();
    for (name, most, code) in [
        ("EnvName", 60, "InvalidParameter.EnvNameTooLong"),
        ("EnvDescription", 200, "InvalidParameter.EnvDescriptionTooLong"),
    ] {
        texts.extend(limited(&mut fields, name, most, code)?.map(|text| (name, text)));
    }
    let types = match fields.object("EnvData")? {
        Some(mut data) => {
            let types = data.texts("InstanceTypes")?;
            data.end()?;
            Some(types)
        }
        None => None,
    };
    fields.end()?;
    let machine = types.as_deref().map(machine_of).transpose()?;
    let change = sized(service, nodes, machine.map(|machine| machine.resources))?;
    let changed = |queue: &Queue| {
        let Known { mut note, .. } = Known::of(queue.clone());
        for (name, text) in &texts {
            note.env.insert((*name).to_owned(), text.clone().into());
        }
        if let Some(types) = &types {
            note.retype(types);
        }
        note.kept_with(change.clone())
    };
    let changed = queues::change(service, &key, changed).await?;
    changed.map(|_| json!({})).ok_or_else(|| Fault::no_env(&id))
}

/// The machine that is asked for by these types.
fn machine_of(types: &[String]) -> Result<Env, Fault> {
    if types.is_empty() {
        let message = "`EnvData.InstanceTypes` is empty.";
        return Err(Fault::new("InvalidParameterValue.InstanceTypesEmpty", message));
    }
    let wanted = [("InstanceTypes".to_owned(), json!(types))].into_iter().collect();
    env::data_of(Fields::new(wanted), None)
}

impl Note {
    /// Other machines, in place of those that there were.
    fn retype(&mut self, types: &[String]) {
        let data = self.env.entry("EnvData").or_insert_with(|| json!({}));
        if let Some(data) = data.as_object_mut() {
            data.remove("InstanceType");
            data.remove("InstanceTypeOptions");
            data.insert("InstanceTypes".into(), json!(types));
        }
    }
}

/// `DeleteComputeEnv`.
pub(crate) async fn delete(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let id = only_id(call)?;
    let key = key(who.project, &id)?;
    match queues::delete(service, &key).await {
        Err(Problem::Conflict { detail, .. }) => {
            let code = "UnsupportedOperation.ComputeEnvOperation";
            return Err(Fault::new(code, format!("{detail}.")));
        }
        Err(Problem::NotFound { .. }) => return Err(Fault::no_env(&id)),
        deleted => deleted?,
    }
    Ok(json!({}))
}

/// What is done to nodes by name: there are none that could be taken away.
pub(crate) async fn no_nodes(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let id = fields.said("EnvId")?;
    known(service, who.project, &id).await?;
    let message = "A node is a slot of the environment: change how many there are by \
                   ModifyComputeEnv.";
    Err(Fault::new("UnsupportedOperation", message))
}

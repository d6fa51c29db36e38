//! Compute environments: queues whose names are `env-` and eight characters. A
//! node is a slot of the queue, and always there.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::{
    auth::{Identity, signing::sha256_hex},
    job::{Name, ProjectId, Resources},
    ops::{
        queues::{self, Queue, QueueChange, Setting},
        rows::QueueKey,
    },
    service::Service,
    wire::{
        Problem,
        submit::{ResourcesRequest, STANDARD_RESOURCES},
    },
};

use crate::{
    call::Call,
    faults::Fault,
    fields::Fields,
    filters::{Filters, page},
    kept::{self, silenced},
    submit::{
        check_placement, client_token,
        env::{self, Env},
        limited, needed_region, tags,
    },
    words::time,
};

/// The most nodes of an environment.
const MOST_NODES: u32 = 2_000;

/// The most bytes of what is kept of an environment: its queue is read often.
const KEPT_BYTES: usize = 32 << 10;

/// What is kept of an environment, with its queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Note {
    /// The `ComputeEnv` that it was made with, or as it was changed.
    env: Map<String, Value>,
    placement: Map<String, Value>,
}

/// Digits and small letters.
const ALPHABET: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// Eight characters out of sixteen bytes.
pub(crate) fn eight(bytes: [u8; 16]) -> String {
    let mut rest = u128::from_be_bytes(bytes);
    let mut letters = String::new();
    for _ in 0..8 {
        let place = usize::try_from(rest % 36).unwrap_or(0);
        letters.push(char::from(ALPHABET[place]));
        rest /= 36;
    }
    letters
}

/// Whether it is eight such characters after the prefix.
pub(crate) fn is_made(prefix: &str, text: &str) -> bool {
    let letters = text.strip_prefix(prefix);
    letters.is_some_and(|rest| rest.len() == 8 && rest.bytes().all(|b| ALPHABET.contains(&b)))
}

/// Whether it is the id of an environment.
fn is_id(text: &str) -> bool {
    is_made("env-", text)
}

pub(crate) fn check_id(path: &str, text: &str) -> Result<(), Fault> {
    if is_id(text) {
        return Ok(());
    }
    let message = format!("`{path}`: `{text}` is not the id of a compute environment.");
    Err(Fault::new("InvalidParameter.EnvIdMalformed", message))
}

fn key(project: ProjectId, id: &str) -> Result<QueueKey, Fault> {
    check_id("EnvId", id)?;
    let name: Name = id.parse().map_err(|_| Fault::no_env(id))?;
    Ok(QueueKey { project, name })
}

/// An environment: its queue, and what is kept with it.
struct Known {
    queue: Queue,
    note: Note,
}

async fn known(service: &Service, project: ProjectId, id: &str) -> Result<Known, Fault> {
    let found = queues::load(service, &key(project, id)?).await?;
    let (_, queue) = found.ok_or_else(|| Fault::no_env(id))?;
    Ok(Known::of(queue))
}

/// What tasks that run there have in common.
pub(crate) async fn machine(service: &Service, project: ProjectId, id: &str) -> Result<Env, Fault> {
    let Known { note, .. } = known(service, project, id).await?;
    let mut env = Fields::new(note.env);
    let data = env.object("EnvData")?;
    let machine = data.map(|data| env::data_of(data, None)).transpose()?.unwrap_or_default();
    let disks = "MountDataDisks";
    let rest: Map<_, _> =
        env.raw(disks).map(|value| (disks.to_owned(), value)).into_iter().collect();
    env::with_rest(Fields::new(rest), machine)
}

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
        let change = sized(service, nodes, Some(machine.resources))?;
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
    if !env.objects("InputMappings")?.is_empty() {
        let rule = "nothing is kept on nodes: a task has its own input mappings";
        return Err(Fault::value(&env.path("InputMappings"), rule));
    }
    env.ignore(&["Authentications"]);
    let machine = env::with_rest(env, machine.unwrap_or_default())?;
    Ok((nodes, machine))
}

/// The most nodes that an environment may have here.
fn most_nodes(service: &Service) -> u32 {
    MOST_NODES.min(service.limits.queue_live)
}

/// A queue of so many slots, for containers like this unless they say.
fn sized(
    service: &Service,
    nodes: u32,
    resources: Option<ResourcesRequest>,
) -> Result<QueueChange, Fault> {
    let standard = |asked: ResourcesRequest| {
        asked.or(STANDARD_RESOURCES, "EnvData", &service.limits).map(Setting::To)
    };
    let resources = resources.map(standard).transpose().map_err(Fault::from)?;
    // Without a node nothing starts; what waits does so.
    let (paused, limit) = (Some(nodes == 0), Some(nodes.max(1)));
    Ok(QueueChange { paused, limit, resources, ..QueueChange::default() })
}

/// `ModifyComputeEnv`.
pub(crate) async fn modify(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let id = fields.said("EnvId")?;
    let Known { mut note, .. } = known(service, who.project, &id).await?;
    let nodes = fields.count("DesiredComputeNodeCount", most_nodes(service))?;
    for (name, most, code) in [
        ("EnvName", 60, "InvalidParameter.EnvNameTooLong"),
        ("EnvDescription", 200, "InvalidParameter.EnvDescriptionTooLong"),
    ] {
        if let Some(text) = limited(&mut fields, name, most, code)? {
            note.env.insert(name.into(), text.into());
        }
    }
    let mut resources = None;
    if let Some(mut data) = fields.object("EnvData")? {
        let types = data.texts("InstanceTypes")?;
        data.end()?;
        resources = Some(retyped(&mut note, &types)?);
    }
    fields.end()?;
    let mut change = sized(service, nodes.unwrap_or(0), resources)?;
    if nodes.is_none() {
        (change.paused, change.limit) = (None, None);
    }
    queues::put(service, &key(who.project, &id)?, note.kept_with(change)?).await?;
    Ok(json!({}))
}

/// Other machines, in place of those that there were.
fn retyped(note: &mut Note, types: &[String]) -> Result<ResourcesRequest, Fault> {
    if types.is_empty() {
        let message = "`EnvData.InstanceTypes` is empty.";
        return Err(Fault::new("InvalidParameterValue.InstanceTypesEmpty", message));
    }
    let wanted = [("InstanceTypes".to_owned(), json!(types))].into_iter().collect();
    let machine = env::data_of(Fields::new(wanted), None)?;
    let data = note.env.entry("EnvData").or_insert_with(|| json!({}));
    if let Some(data) = data.as_object_mut() {
        data.remove("InstanceType");
        data.remove("InstanceTypeOptions");
        data.insert("InstanceTypes".into(), json!(types));
    }
    Ok(machine.resources)
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

fn only_id(call: Call) -> Result<String, Fault> {
    let mut fields = Fields::new(call.parameters);
    let id = fields.said("EnvId")?;
    fields.end()?;
    Ok(id)
}

/// `DescribeComputeEnv`.
pub(crate) async fn describe(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let id = only_id(call)?;
    let known = known(service, who.project, &id).await?;
    let live = queues::live(service, &key(who.project, &id)?).await?.len();
    let mut view = known.view();
    view["ComputeNodeSet"] = known.nodes(live);
    Ok(view)
}

/// `DescribeComputeEnvs`, and what each was made with.
pub(crate) async fn list(
    service: &Service,
    who: Identity,
    call: Call,
    created: bool,
) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let ids = fields.texts("EnvIds")?;
    let filters = Filters::read(
        &mut fields,
        &["zone", "env-id", "env-name", "resource-type", "tag-key", "tag-value"],
    )?;
    let page = page(&mut fields, 20, 100)?;
    fields.end()?;
    if !ids.is_empty() && !filters.is_empty() {
        return Err(Fault::combination("`EnvIds` and `Filters` do not go together."));
    }
    if ids.len() > 100 {
        return Err(Fault::limit("EnvIds", "100 ids"));
    }
    let mut found = Vec::new();
    if ids.is_empty() {
        let all = queues::list(service, who.project).await?;
        found.extend(all.into_iter().filter(|queue| is_id(queue.name.as_str())).map(Known::of));
    }
    for id in &ids {
        found.push(known(service, who.project, id).await?);
    }
    found.retain(|known| known.is_of(&filters));
    found.sort_by_key(|known| std::cmp::Reverse(known.queue.created_at));
    let total = found.len();
    let view = |known: &Known| if created { known.created() } else { known.view() };
    let set: Vec<Value> = page.of(&found).iter().map(view).collect();
    let name = if created { "ComputeEnvCreateInfoSet" } else { "ComputeEnvSet" };
    Ok(json!({ name: set, "TotalCount": total }))
}

/// `DescribeComputeEnvCreateInfo`.
pub(crate) async fn create_info(
    service: &Service,
    who: Identity,
    call: Call,
) -> Result<Value, Fault> {
    let id = only_id(call)?;
    Ok(known(service, who.project, &id).await?.created())
}

/// `DescribeComputeEnvActivities`: nodes are always there, so nothing was done
/// to any.
pub(crate) async fn activities(
    service: &Service,
    who: Identity,
    call: Call,
) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let id = fields.said("EnvId")?;
    page(&mut fields, 20, 100)?;
    fields.ignore(&["Filters"]);
    fields.end()?;
    known(service, who.project, &id).await?;
    Ok(json!({ "ActivitySet": [], "TotalCount": 0 }))
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

impl Note {
    /// The change of a queue, with which this is kept.
    fn kept_with(&self, change: QueueChange) -> Result<QueueChange, Fault> {
        kept::check_size(self, KEPT_BYTES)?;
        Ok(QueueChange { origin: Some(kept::origin(self)?), ..change })
    }
}

impl Known {
    fn of(queue: Queue) -> Self {
        let note = kept::said(queue.origin.as_ref()).unwrap_or_default();
        Known { queue, note }
    }

    fn said(&self, name: &str) -> Option<&str> {
        self.note.env.get(name)?.as_str()
    }

    fn id(&self) -> &str {
        self.queue.name.as_str()
    }

    fn name(&self) -> &str {
        self.said("EnvName").unwrap_or(self.id())
    }

    fn count(&self) -> u32 {
        if self.queue.paused { 0 } else { self.queue.limit.min(MOST_NODES) }
    }

    fn is_of(&self, filters: &Filters) -> bool {
        let zone = self.note.placement.get("Zone").and_then(Value::as_str).unwrap_or_default();
        filters.admits(|name| match name {
            "zone" => zone.to_owned(),
            "env-id" => self.id().to_owned(),
            "env-name" => self.name().to_owned(),
            _ => "CVM".to_owned(),
        }) && filters.admits_tags(&self.tags())
    }

    fn tags(&self) -> std::collections::BTreeMap<String, String> {
        let all = self.note.env.get("Tags").and_then(Value::as_array);
        let text = |tag: &Value, name: &str| tag[name].as_str().unwrap_or_default().to_owned();
        let pair = |tag: &Value| (text(tag, "Key"), text(tag, "Value"));
        all.into_iter().flatten().map(pair).collect()
    }

    fn kept(&self, name: &str) -> Value {
        self.note.env.get(name).cloned().unwrap_or(Value::Null)
    }

    fn list(&self, name: &str) -> Value {
        self.note.env.get(name).cloned().unwrap_or_else(|| json!([]))
    }

    fn view(&self) -> Value {
        json!({
            "EnvId": self.id(),
            "EnvName": self.name(),
            "Placement": self.note.placement,
            "CreateTime": time(self.queue.created_at),
            "ComputeNodeMetrics": {
                "SubmittedCount": 0, "CreatingCount": 0, "CreationFailedCount": 0,
                "CreatedCount": 0, "RunningCount": self.count(), "DeletingCount": 0,
                "AbnormalCount": 0,
            },
            "EnvType": self.said("EnvType").unwrap_or("MANAGED"),
            "DesiredComputeNodeCount": self.count(),
            "ResourceType": "CVM",
            "NextAction": "",
            "AttachedComputeNodeCount": 0,
            "Tags": self.list("Tags"),
        })
    }

    /// Its nodes, the first of them busy.
    fn nodes(&self, busy: usize) -> Value {
        let Resources { cpu_millis, memory_mib } =
            self.queue.resources.unwrap_or(STANDARD_RESOURCES);
        let node = |place: u32| {
            let is_busy = usize::try_from(place).is_ok_and(|place| place < busy);
            json!({
                "ComputeNodeId": format!("node-{place:08}"),
                "ComputeNodeInstanceId": null,
                "ComputeNodeState": "RUNNING",
                "Cpu": cpu_millis.div_ceil(1_000),
                "Mem": memory_mib.div_ceil(1_024),
                "ResourceCreatedTime": time(self.queue.created_at),
                "TaskInstanceNumAvailable": u32::from(!is_busy),
                "AgentVersion": "",
                "PrivateIpAddresses": [],
                "PublicIpAddresses": [],
                "ResourceType": "CVM",
                "ResourceOrigin": "BATCH_CREATED",
            })
        };
        (0..self.count()).map(node).collect()
    }

    fn created(&self) -> Value {
        json!({
            "EnvId": self.id(),
            "EnvName": self.name(),
            "EnvDescription": self.kept("EnvDescription"),
            "EnvType": self.said("EnvType").unwrap_or("MANAGED"),
            "EnvData": self.kept("EnvData"),
            "MountDataDisks": self.list("MountDataDisks"),
            "InputMappings": [],
            "Authentications": [],
            "Notifications": [],
            "DesiredComputeNodeCount": self.count(),
            "Tags": self.list("Tags"),
        })
    }
}

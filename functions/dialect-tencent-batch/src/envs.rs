//! Compute environments: queues whose names are `env-` and eight characters. A
//! node is a slot of the queue, and always there.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use shared::{
    auth::{Identity, signing::sha256_hex},
    job::{Name, ProjectId, Resources},
    ops::{
        notes::Shelf,
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
    API,
    call::Call,
    faults::Fault,
    fields::Fields,
    filters::{Filters, page},
    kept::silence,
    submit::{
        check_placement, client_token,
        env::{self, Env},
        limited, needed_region, tags,
    },
    words::time,
};

/// The most nodes of an environment.
const MOST_NODES: u32 = 2_000;

/// What is kept of an environment beside its queue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Note {
    /// The `ComputeEnv` that it was made with, or as it was changed.
    env: Map<String, Value>,
    placement: Map<String, Value>,
}

fn shelf(project: ProjectId) -> Shelf {
    Shelf::of_project(project, API, "env")
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

/// Whether it is the id of an environment.
fn is_id(text: &str) -> bool {
    let letters = text.strip_prefix("env-");
    letters.is_some_and(|rest| rest.len() == 8 && rest.bytes().all(|b| ALPHABET.contains(&b)))
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

/// An environment: its queue, and what is kept beside.
struct Known {
    queue: Queue,
    note: Note,
}

async fn known(service: &Service, project: ProjectId, id: &str) -> Result<Known, Fault> {
    let found = queues::load(service, &key(project, id)?).await?;
    let (_, queue) = found.ok_or_else(|| Fault::no_env(id))?;
    let note = shelf(project).load(service, id).await?.unwrap_or_default();
    Ok(Known { queue, note })
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
    let own = |name: &str| {
        let mut own = call.parameters.get(name).and_then(Value::as_object).cloned();
        own.iter_mut().for_each(silence);
        own.unwrap_or_default()
    };
    let note = Note { env: own("ComputeEnv"), placement: own("Placement") };
    let mut fields = Fields::new(call.parameters.clone());
    let (placement, env) = (fields.object("Placement")?, fields.object("ComputeEnv")?);
    let placement = fields.needed("Placement", placement)?;
    let env = fields.needed("ComputeEnv", env)?;
    let token = client_token(&mut fields)?;
    fields.end()?;
    check_placement(placement, &region)?;
    let (nodes, machine) = read(env, &region)?;
    let id = format!("env-{}", eight(entropy(service, who.project, token.as_deref())));
    let queue = key(who.project, &id)?;
    if queues::load(service, &queue).await?.is_none() {
        let change = sized(service, nodes, Some(machine.resources))?;
        shelf(who.project).put(service, &id, &note).await?;
        queues::put(service, &queue, change).await?;
    }
    Ok(json!({ "EnvId": id }))
}

/// What an id is made of: the token, so that the same gives the same.
fn entropy(service: &Service, project: ProjectId, token: Option<&str>) -> [u8; 16] {
    let Some(token) = token else { return service.platform.clock.random() };
    let digest = HEXLOWER.decode(sha256_hex(format!("{project}/{token}").as_bytes()).as_bytes());
    let digest = digest.unwrap_or_default();
    digest.get(..16).and_then(|some| some.try_into().ok()).unwrap_or_default()
}

/// How many nodes, and what one is.
fn read(mut env: Fields, region: &str) -> Result<(u32, Env), Fault> {
    let name = limited(&mut env, "EnvName", 60, "InvalidParameter.EnvNameTooLong")?;
    env.needed("EnvName", name)?;
    limited(&mut env, "EnvDescription", 200, "InvalidParameter.EnvDescriptionTooLong")?;
    let nodes = env.count("DesiredComputeNodeCount", MOST_NODES)?;
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
    let nodes = fields.count("DesiredComputeNodeCount", MOST_NODES)?;
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
    shelf(who.project).put(service, &id, &note).await?;
    queues::put(service, &key(who.project, &id)?, change).await?;
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
    shelf(who.project).remove(service, &id).await?;
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
        let notes = shelf(who.project).all::<Note>(service).await?;
        let all = queues::list(service, who.project).await?;
        for queue in all.into_iter().filter(|queue| is_id(queue.name.as_str())) {
            let note = notes.get(queue.name.as_str()).cloned().unwrap_or_default();
            found.push(Known { queue, note });
        }
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

impl Known {
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

//! Environments, described and listed.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shared::{
    auth::Identity, job::Resources, ops::queues, service::Service, wire::submit::STANDARD_RESOURCES,
};

use super::known::{Known, is_id, key, known, only_id};
use crate::{
    call::Call,
    faults::Fault,
    fields::Fields,
    filters::{Filters, page},
    words::time,
};

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

impl Known {
    fn is_of(&self, filters: &Filters) -> bool {
        let zone = self.note.placement.get("Zone").and_then(Value::as_str).unwrap_or_default();
        filters.admits(|name| match name {
            "zone" => zone.to_owned(),
            "env-id" => self.id().to_owned(),
            "env-name" => self.name().to_owned(),
            _ => "CVM".to_owned(),
        }) && filters.admits_tags(&self.tags())
    }

    fn tags(&self) -> BTreeMap<String, String> {
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
            "InputMappings": self.list("InputMappings"),
            "Authentications": [],
            "Notifications": [],
            "DesiredComputeNodeCount": self.count(),
            "Tags": self.list("Tags"),
        })
    }
}

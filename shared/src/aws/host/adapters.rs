//! The adapters, as the host uses them: the one file here that names them.

use std::sync::Arc;

use lambda_runtime::Error;
use serde_json::{Value, json};

use super::settings::{OutboxSettings, StoresSettings, TasksSettings};
use crate::{
    auth::Keyring,
    aws::{
        objects::S3Objects,
        outbox::{AwsOutbox, MessageQueue},
        registry::{PullSecrets, Registry, RegistryConfig},
        runtime::{Architecture, Capacity, EcsConfig, EcsRuntime, Logs, TaskStateChange},
        signed::SignedCalls,
        table::{DynamoTable, IndexLayout, Reminders},
    },
    guard::{Cidr, Guard},
    job::Name,
    outbox::HttpOutbox,
    platform::{Clock, Index, Objects, Outbox, Runtime, Table},
};

pub(super) use crate::aws::{
    config::Aws,
    table::{CALLS, KEY, Place, REFUSED, Reminder},
};

/// Tells this installation's tasks from others'; the cluster is its own.
const INSTANCE: &str = "tarpon";

/// Where state is kept.
pub(super) fn table(
    aws: &Aws,
    settings: &StoresSettings,
    clock: &Arc<dyn Clock>,
) -> Arc<dyn Table> {
    let queue = settings.reminders.as_ref();
    let calls = || SignedCalls::new(aws, Arc::clone(clock));
    let reminders = queue.map(|queue| Reminders::new(calls(), queue));
    let table = DynamoTable::new(aws.dynamodb(), &settings.table, Arc::clone(clock));
    Arc::new(table.reminding(reminders))
}

/// Where bytes are stored.
pub(super) fn objects(
    aws: &Aws,
    settings: &StoresSettings,
    clock: &Arc<dyn Clock>,
) -> Arc<dyn Objects> {
    Arc::new(S3Objects::new(aws.s3(), &settings.bucket, Arc::clone(clock)))
}

/// What makes the runtime, once the installation's keys are known.
pub(super) type Containers = Box<dyn Fn(&Keyring) -> Arc<dyn Runtime> + Send + Sync>;

/// Where containers run.
pub(super) fn containers(
    aws: &Aws,
    settings: TasksSettings,
    clock: &Arc<dyn Clock>,
) -> Result<Containers, Error> {
    let architecture = if settings.is_arm { Architecture::Arm64 } else { Architecture::Amd64 };
    let ranges: Result<Vec<Cidr>, _> = settings.registries.iter().map(|it| it.parse()).collect();
    let ranges = ranges.map_err(|error| format!("TARPON_ALLOW_REGISTRY_AT: {error}"))?;
    let guard = Guard::new(ranges);
    let calls = SignedCalls::new(aws, Arc::clone(clock));
    let prefix = settings.pull_secrets;
    let config = EcsConfig {
        instance: INSTANCE.into(),
        cluster: settings.cluster,
        agent_image: settings.agent_image,
        execution_role: settings.execution_role,
        service: settings.service,
        subnets: settings.subnets,
        security_groups: vec![settings.security_group],
        public_ip: settings.public_ip,
        architecture,
        capacity: if settings.spot { Capacity::Spot } else { Capacity::OnDemand },
        logs: Some(Logs { group: settings.logs, region: settings.region }),
        disk_gib: None,
    };
    let ecs = aws_sdk_ecs::Client::new(aws.sdk());
    let clock = Arc::clone(clock);
    Ok(Box::new(move |keyring| {
        let registry = RegistryConfig {
            guard: guard.clone(),
            architecture: architecture.as_str(),
            calls: Some(calls.clone()),
            secrets: Some(PullSecrets::new(prefix.clone(), keyring.clone())),
        };
        let registry = Registry::new(registry, Arc::clone(&clock));
        let runtime = EcsRuntime::new(ecs.clone(), config.clone(), registry, Arc::clone(&clock));
        Arc::new(runtime.expect("`INSTANCE` names a deployment"))
    }))
}

/// How callers are told.
pub(super) fn outbox(
    aws: &Aws,
    settings: &OutboxSettings,
    queues: &[String],
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Outbox>, Error> {
    let ranges: Result<Vec<Cidr>, _> = settings.allowed.iter().map(|it| it.parse()).collect();
    let ranges = ranges.map_err(|error| format!("TARPON_ALLOW_CALLBACK_TO: {error}"))?;
    let queues: Option<Vec<MessageQueue>> =
        queues.iter().map(|arn| MessageQueue::of_arn(arn)).collect();
    let queues = queues.ok_or("TARPON_CALLBACK_QUEUES: it is not the ARNs of SQS queues")?;
    let calls = SignedCalls::new(aws, Arc::clone(clock));
    Ok(Arc::new(AwsOutbox::new(HttpOutbox::new(Guard::new(ranges)), calls, queues)))
}

/// The names by which callbacks go into these message queues.
pub(super) fn queue_names(arns: &[String]) -> Vec<Name> {
    arns.iter().filter_map(|arn| MessageQueue::of_arn(arn)).map(|queue| queue.name).collect()
}

/// The attributes of a row's place in an index.
pub(super) const fn place_in(index: Index) -> [&'static str; 2] {
    IndexLayout::of(index).key
}

/// What `observe-attempt` takes, of the detail of a task's change of state;
/// `None` if it is not the end of one of ours.
pub(super) fn ended(detail: &Value) -> Option<Value> {
    let change: TaskStateChange = serde_json::from_value(detail.clone()).ok()?;
    change.ended(INSTANCE).map(|known| json!(known))
}

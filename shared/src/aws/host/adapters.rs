//! The adapters, as the host uses them: the one file here that names them.

use std::sync::Arc;

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use lambda_runtime::Error;
use serde_json::{Value, json};

use super::settings::{StoresSettings, TasksSettings};
use crate::{
    job::AttemptKey,
    platform::{Clock, Index, Key, Objects, Runtime, Table},
    wire::Problem,
};

/// Tells this installation's tasks from others'; the cluster is its own.
pub(super) const INSTANCE: &str = "tarpon";

/// The ways to AWS's APIs.
pub(super) struct Aws(SdkConfig);

impl Aws {
    /// As the environment says.
    pub async fn from_env() -> Self {
        let https = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        Aws(aws_config::defaults(BehaviorVersion::latest()).http_client(https).load().await)
    }

    /// What a client of any API is made from.
    pub fn sdk(&self) -> &SdkConfig {
        &self.0
    }
}

/// Where state is kept, and where bytes are stored.
pub(super) type Stores = (Arc<dyn Table>, Arc<dyn Objects>);

/// The stores of these names.
pub(super) fn stores(_: &Aws, _: &StoresSettings, _: &Arc<dyn Clock>) -> Result<Stores, Problem> {
    Err(Problem::internal("the adapters of the stores are not here yet"))
}

/// Where containers run.
pub(super) fn containers(
    _: &Aws,
    _: TasksSettings,
    _: &Arc<dyn Clock>,
) -> Result<Arc<dyn Runtime>, Error> {
    Err("the adapter of the runtime is not here yet".into())
}

/// The attributes of an item's key.
pub(super) const KEY: [&str; 2] = ["p", "s"];

/// The attributes of its place in an index.
pub(super) const fn place_in(index: Index) -> [&'static str; 2] {
    match index {
        Index::Due => ["dp", "ds"],
        Index::Queue => ["qp", "qs"],
        Index::Open => ["op", "os"],
    }
}

/// The attribute of a set that says how many members it has.
pub(super) const SET_COUNT: &str = "n";

/// What is at a key of the table.
pub(super) enum Place {
    /// A row.
    Row(Key),
    /// A set.
    Set(Key),
}

impl Place {
    /// What is at the key of these two parts, as they are stored.
    pub fn of(partition: &str, sort: &str) -> Self {
        match partition.strip_suffix('\0').and_then(|set| set.split_once('\0')) {
            Some((partition, sort)) => Place::Set(Key::new(partition, sort)),
            None => Place::Row(Key::new(partition, sort)),
        }
    }
}

/// What `observe-attempt` takes, of the detail of a task's change of state;
/// `None` if it is not the end of one of ours.
pub(super) fn ended(detail: &Value) -> Option<Value> {
    if detail["lastStatus"] != "STOPPED" {
        return None;
    }
    let of_ours = detail["startedBy"].as_str()?.strip_prefix(INSTANCE)?.strip_prefix('/')?;
    let (project, attempt) = of_ours.split_once('/')?;
    let key = AttemptKey { project: project.parse().ok()?, attempt: attempt.parse().ok()? };
    Some(json!(key))
}

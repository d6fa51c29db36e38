//! Access keys: made, listed, disabled. Secrets are derived, never stored.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rows;
use crate::{
    auth::Secret,
    job::{AccessKeyId, ProjectId},
    platform::{Expect, Op, Query, TableError},
    service::Service,
    wire::Problem,
};

/// A stored access key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// The stored shape's version.
    pub v: u8,
    /// The public half.
    pub id: AccessKeyId,
    /// What its owner calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The APIs that it is limited to, by their names; all when empty.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub apis: BTreeSet<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// Since when it is no longer good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled_at: Option<Timestamp>,
}

impl KeyRecord {
    /// Whether the API of this name takes it.
    pub fn is_good_for(&self, api: &str) -> bool {
        self.apis.is_empty() || self.apis.contains(api)
    }
}

/// Makes a key; its secret can be told again at any time, by us alone.
pub async fn create(
    service: &Service,
    project: ProjectId,
    note: Option<String>,
    apis: BTreeSet<String>,
) -> Result<(KeyRecord, Secret), Problem> {
    let record = KeyRecord { apis, ..new(service, project, note) };
    let put = Op::Put(rows::access_key(record.id), Expect::Absent, rows::plain(&record));
    service.platform.table.commit(vec![put]).await?;
    let secret = service.keyring.secret_of(record.id);
    Ok((record, secret))
}

/// A key that is not stored yet.
pub(super) fn new(service: &Service, project: ProjectId, note: Option<String>) -> KeyRecord {
    let clock = &service.platform.clock;
    KeyRecord {
        v: 1,
        id: AccessKeyId::new(project, clock.random()),
        note,
        apis: BTreeSet::new(),
        created_at: clock.now(),
        disabled_at: None,
    }
}

/// The key, or `None`. One that was disabled a moment ago may be found as it was
/// before, as if it had been used that moment earlier.
pub async fn load(service: &Service, id: AccessKeyId) -> Result<Option<KeyRecord>, Problem> {
    let row = service.platform.table.find(&rows::access_key(id)).await?;
    row.as_ref().map(rows::read).transpose()
}

/// Every key of a project.
pub async fn list(service: &Service, project: ProjectId) -> Result<Vec<KeyRecord>, Problem> {
    let mut query = Query::partition(project.to_string()).prefix("key#");
    let mut keys = Vec::new();
    loop {
        let page = service.platform.table.query(&query).await?;
        for row in &page.rows {
            keys.push(rows::read(row)?);
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return Ok(keys);
        }
    }
}

/// Ends a key, and with it every token that was made with it.
pub async fn disable(
    service: &Service,
    project: ProjectId,
    id: AccessKeyId,
) -> Result<KeyRecord, Problem> {
    loop {
        let unknown = || Problem::not_found("access key", id);
        if id.project() != project {
            return Err(unknown());
        }
        let row = service.platform.table.get(&rows::access_key(id)).await?.ok_or_else(unknown)?;
        let mut record: KeyRecord = rows::read(&row)?;
        if record.disabled_at.is_some() {
            return Ok(record);
        }
        record.disabled_at = Some(service.platform.clock.now());
        let put = Op::Put(row.key, Expect::Version(row.version), rows::plain(&record));
        match service.platform.table.commit(vec![put]).await {
            Err(TableError::Stale(_)) => {}
            settled => return Ok(settled.map(|()| record)?),
        }
    }
}

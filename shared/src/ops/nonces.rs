//! Numbers that a signed request may carry once.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rows;
use crate::{
    auth::signing::sha256_hex,
    job::AccessKeyId,
    platform::{Expect, Op, TableError},
    service::Service,
    wire::Problem,
};

/// That a nonce was used.
#[derive(Serialize, Deserialize)]
struct Spent {
    v: u8,
}

/// What something was first used for.
#[derive(Serialize, Deserialize)]
struct Bound {
    v: u8,
    to: String,
}

/// Remembers until then what the key has first used this with this API for:
/// whether it is that.
pub async fn bind(
    service: &Service,
    key: AccessKeyId,
    api: &str,
    used: &str,
    to: &str,
    until: Timestamp,
) -> Result<bool, Problem> {
    let row = rows::nonce(key, api, &sha256_hex(used.as_bytes()));
    let mut wanted = rows::plain(&Bound { v: 1, to: to.to_owned() });
    wanted.expires_at = Some(until);
    let put = Op::Put(row.clone(), Expect::Absent, wanted);
    match service.platform.table.commit(vec![put]).await {
        Ok(()) => return Ok(true),
        Err(TableError::Exists(_)) => {}
        Err(other) => return Err(other.into()),
    }
    let found = service.platform.table.get(&row).await?;
    // It has expired in between.
    let Some(found) = found else { return Ok(false) };
    Ok(rows::read::<Bound>(&found)?.to == to)
}

/// Remembers until then that the key has used this nonce with this API: whether
/// it is the first time.
pub async fn spend(
    service: &Service,
    key: AccessKeyId,
    api: &str,
    nonce: &str,
    until: Timestamp,
) -> Result<bool, Problem> {
    // A hash of it: it is of any length.
    let row = rows::nonce(key, api, &sha256_hex(nonce.as_bytes()));
    let mut wanted = rows::plain(&Spent { v: 1 });
    wanted.expires_at = Some(until);
    match service.platform.table.commit(vec![Op::Put(row, Expect::Absent, wanted)]).await {
        Ok(()) => Ok(true),
        Err(TableError::Exists(_)) => Ok(false),
        Err(other) => Err(other.into()),
    }
}

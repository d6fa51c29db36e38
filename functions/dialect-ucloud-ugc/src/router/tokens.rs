//! `GetAccessToken`.

use jiff::SignedDuration;
use serde_json::json;
use shared::{auth::AccessToken, job::AccessKeyId, service::Service};

use super::answer::{Answer, fields};
use crate::{
    asked::Parameters,
    faults::{Code, Fault},
};

/// How long a token is good, in seconds, where the caller does not say.
const STANDARD_SECONDS: i64 = 7_200;

/// The longest, in seconds.
const MOST_SECONDS: i64 = 30 * 24 * 3600;

/// The one kind of token that there is.
const GRANT: &str = "Task";

/// A token for the task plane. Those that were made before stay good.
pub fn issue(service: &Service, key: AccessKeyId, asked: &Parameters) -> Result<Answer, Fault> {
    let seconds = asked.number("ExpireIn", Code::BadParameter)?.unwrap_or(STANDARD_SECONDS);
    if !(1..=MOST_SECONDS).contains(&seconds) {
        let rule = format!("ExpireIn: {seconds} is not within 1 to {MOST_SECONDS}");
        return Err(Fault::new(Code::BadParameter, rule));
    }
    if let Some(other) = asked.text("GrantType").filter(|kind| *kind != GRANT) {
        let rule = format!("GrantType: `{other}` is not `{GRANT}`");
        return Err(Fault::new(Code::BadParameter, rule));
    }
    let expires_at = service.platform.clock.now() + SignedDuration::from_secs(seconds);
    let token = AccessToken { key, expires_at }.seal(&service.keyring);
    Ok(fields(json!({ "AccessToken": token, "ExpireIn": seconds })))
}

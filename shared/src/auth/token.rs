//! Access tokens: signed, self-contained, expiring.

use jiff::Timestamp;

use super::Keyring;
use crate::job::AccessKeyId;

/// How long a token is good for unless less is asked, in seconds.
pub const TOKEN_SECONDS: u32 = 12 * 3600;

const SCOPE: &str = "access token";

/// What an access token says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// The key that asked for it; disabling the key ends its tokens.
    pub key: AccessKeyId,
    /// Until when it is good.
    pub expires_at: Timestamp,
}

impl AccessToken {
    /// As it is handed out.
    pub fn seal(&self, keyring: &Keyring) -> String {
        keyring.sign_text(SCOPE, &format!("{} {}", self.key, self.expires_at.as_second()))
    }

    /// Read back; `None` if we did not make it. May have expired.
    pub fn open(text: &str, keyring: &Keyring) -> Option<Self> {
        let said = keyring.verify_text(SCOPE, text)?;
        let (key, expires) = said.split_once(' ')?;
        let expires_at = Timestamp::from_second(expires.parse().ok()?).ok()?;
        Some(AccessToken { key: key.parse().ok()?, expires_at })
    }
}

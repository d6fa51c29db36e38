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
        self.seal_with(keyring, "")
    }

    /// The same, with more that the API which hands it out wants to know of it
    /// again.
    pub fn seal_with(&self, keyring: &Keyring, more: &str) -> String {
        let said = format!("{} {} {more}", self.key, self.expires_at.as_second());
        keyring.sign_text(SCOPE, said.trim_end())
    }

    /// Read back; `None` if we did not make it. May have expired.
    pub fn open(text: &str, keyring: &Keyring) -> Option<Self> {
        AccessToken::open_with(text, keyring).map(|(token, _)| token)
    }

    /// Whether the text is a token of this key, and still good.
    pub fn is_of(text: &str, key: AccessKeyId, keyring: &Keyring, now: Timestamp) -> bool {
        let opened = AccessToken::open(text, keyring);
        opened.is_some_and(|token| token.key == key && now < token.expires_at)
    }

    /// The same as [`AccessToken::open`], and what more is said of it.
    pub fn open_with(text: &str, keyring: &Keyring) -> Option<(Self, String)> {
        let said = keyring.verify_text(SCOPE, text)?;
        let (key, rest) = said.split_once(' ')?;
        let (expires, more) = rest.split_once(' ').unwrap_or((rest, ""));
        let expires_at = Timestamp::from_second(expires.parse().ok()?).ok()?;
        Some((AccessToken { key: key.parse().ok()?, expires_at }, more.to_owned()))
    }
}

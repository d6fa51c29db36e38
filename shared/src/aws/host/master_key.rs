//! The master key, read once, at the cold start.
//!
//! Not from an environment variable: even an encrypted one shows the key to
//! whoever may read the function's configuration; and the Lambda extension for
//! secrets is a second process in every function.

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::{
    auth::Keyring,
    aws::signed::{CallError, SECRETS, SignedCalls},
};

/// The fewest characters that a secret may have: 43 random letters and digits
/// are worth 256 bits.
const FEWEST: usize = 43;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoKeys {
    /// The secret could not be read.
    #[error("the master key's secret `{secret}` could not be read")]
    Unavailable {
        /// Which secret.
        secret: String,
        #[source]
        source: CallError,
    },
    /// It is no text, or a short one.
    #[error("the master key's secret `{secret}` is not a text of {FEWEST} characters or more")]
    Weak {
        /// Which secret.
        secret: String,
    },
}

/// The keys that follow from the secret of this name.
pub(super) async fn keyring(calls: &SignedCalls, secret: &str) -> Result<Keyring, NoKeys> {
    let body = json!({ "SecretId": secret });
    let asked = calls.call(SECRETS, calls.region(), "GetSecretValue", &body).await;
    let found = asked.map_err(|source| NoKeys::Unavailable { secret: secret.into(), source })?;
    let text = found["SecretString"].as_str().filter(|text| text.chars().count() >= FEWEST);
    let text = text.ok_or_else(|| NoKeys::Weak { secret: secret.into() })?;
    Ok(Keyring::new(&master(text)))
}

/// Whatever characters it is made of, all of the secret counts.
fn master(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::pretend::Pretend;

    #[tokio::test]
    async fn a_secret_that_is_no_long_text_makes_no_keys() {
        let pretend = Pretend::open().await;
        let short = "a".repeat(FEWEST - 1);
        for answer in [json!({ "SecretString": short }), json!({ "SecretBinary": "YQ==" })] {
            pretend.answers(200, &answer);
            let keys = keyring(&pretend.calls(), "tarpon/master-key").await;
            assert!(matches!(keys, Err(NoKeys::Weak { .. })));
        }
        pretend.answers(200, &json!({ "SecretString": "a".repeat(FEWEST) }));
        assert!(keyring(&pretend.calls(), "tarpon/master-key").await.is_ok());
    }

    #[tokio::test]
    async fn a_service_in_trouble_is_asked_again() {
        let pretend = Pretend::open().await;
        pretend.answers(500, &json!({}));
        pretend.answers(200, &json!({ "SecretString": "a".repeat(FEWEST) }));
        assert!(keyring(&pretend.calls(), "tarpon/master-key").await.is_ok());
        let asked = pretend.requests();
        assert_eq!(asked.len(), 2);
        assert!(asked[0].contains(r#"{"SecretId":"tarpon/master-key"}"#), "{asked:?}");
    }

    #[test]
    fn every_character_of_the_secret_counts() {
        let long = "a".repeat(64);
        let other = format!("{}b", "a".repeat(63));
        assert_ne!(master(&long), master(&other));
        assert_eq!(master(&long), master(&long));
    }
}

//! The master key, read once, at the cold start.
//!
//! By the SDK's own client: an environment variable, even an encrypted one,
//! shows the key to whoever may read the function's configuration; the
//! Lambda extension for secrets is a second process in every function; a
//! signed call of our own would need its retries and time limits written again.

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::{
    Client, error::SdkError, operation::get_secret_value::GetSecretValueError,
};
use sha2::{Digest, Sha256};

use crate::auth::Keyring;

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
        source: Box<SdkError<GetSecretValueError>>,
    },
    /// It is no text, or a short one.
    #[error("the master key's secret `{secret}` is not a text of {FEWEST} characters or more")]
    Weak {
        /// Which secret.
        secret: String,
    },
}

/// The keys that follow from the secret of this name.
pub(super) async fn keyring(config: &SdkConfig, secret: &str) -> Result<Keyring, NoKeys> {
    let asked = Client::new(config).get_secret_value().secret_id(secret).send().await;
    let unavailable = |source| NoKeys::Unavailable { secret: secret.into(), source };
    let found = asked.map_err(|error| unavailable(Box::new(error)))?;
    let text = found.secret_string().filter(|text| text.chars().count() >= FEWEST);
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

    #[test]
    fn every_character_of_the_secret_counts() {
        let long = "a".repeat(64);
        let other = format!("{}b", "a".repeat(63));
        assert_ne!(master(&long), master(&other));
        assert_eq!(master(&long), master(&long));
    }
}

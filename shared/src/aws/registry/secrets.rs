//! Credentials of private registries, kept where ECS can read them when it
//! pulls: in Secrets Manager, one secret for each user of each registry of each
//! project.

use std::collections::HashMap;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::{
    access::Refusal,
    signed::{CallError, Service, SignedCalls},
};
use crate::{job::ProjectId, platform::RegistryCredentials};

const SECRETS: Service = Service {
    name: "secretsmanager",
    host: "secretsmanager",
    target: "secretsmanager",
    json: "1.1",
};

/// How many secrets' places are remembered.
const KEPT: usize = 1_000;

/// Where pull secrets are kept.
#[derive(Debug)]
pub struct PullSecrets {
    /// What their names start with, such as `tarpon/pull`: what the execution
    /// role may read.
    prefix: String,
    known: Mutex<HashMap<String, Kept>>,
}

/// A secret that is there.
#[derive(Clone, Debug)]
struct Kept {
    arn: String,
    /// Of what it says.
    digest: [u8; 32],
}

impl PullSecrets {
    /// Secrets whose names start with `prefix`.
    pub fn new(prefix: impl Into<String>) -> Self {
        PullSecrets { prefix: prefix.into(), known: Mutex::default() }
    }

    /// The ARN of a secret that says these credentials.
    pub(super) async fn keep(
        &self,
        calls: &SignedCalls,
        project: ProjectId,
        host: &str,
        credentials: &RegistryCredentials,
    ) -> Result<String, Refusal> {
        let name = self.name(project, host, &credentials.username);
        let RegistryCredentials { username, password } = credentials;
        let says = json!({ "username": username, "password": password }).to_string();
        let digest = Sha256::digest(&says).into();
        // Held while asking: those who wait find what the first has made.
        let mut known = self.known.lock().await;
        if let Some(kept) = known.get(&name).filter(|kept| kept.digest == digest) {
            return Ok(kept.arn.clone());
        }
        let arn = ensure(calls, &name, &says).await.map_err(|error| match error {
            // The operator's to mend.
            CallError::Refused { .. } => Refusal::Away(Box::new(error)),
            CallError::Away(source) => Refusal::Away(source),
        })?;
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(name, Kept { arn: arn.clone(), digest });
        Ok(arn)
    }

    /// Both are of any characters, names of few.
    fn name(&self, project: ProjectId, host: &str, username: &str) -> String {
        let digest = Sha256::new().chain_update(host).chain_update([0]).chain_update(username);
        let digest = data_encoding::HEXLOWER.encode(&digest.finalize());
        format!("{}/{project}/{}", self.prefix, &digest[..32])
    }
}

/// Makes the secret say `says`: it may be there, or somebody may be making it.
async fn ensure(calls: &SignedCalls, name: &str, says: &str) -> Result<String, CallError> {
    let call = |operation: &'static str, body: Value| async move {
        calls.call(SECRETS, calls.region(), operation, &body).await
    };
    // Whoever makes the same request again is not refused for it.
    let token = token(name, says);
    let found = call("GetSecretValue", json!({ "SecretId": name })).await;
    let said = match found {
        Ok(found) if found["SecretString"] == says => found,
        Ok(_) => {
            let put =
                json!({ "SecretId": name, "SecretString": says, "ClientRequestToken": token });
            call("PutSecretValue", put).await?
        }
        Err(CallError::Refused { code, .. }) if code == "ResourceNotFoundException" => {
            let create = json!({ "Name": name, "SecretString": says, "ClientRequestToken": token });
            call("CreateSecret", create).await?
        }
        Err(error) => return Err(error),
    };
    let arn = said["ARN"].as_str().map(str::to_owned);
    arn.ok_or_else(|| CallError::Away("the secret has no ARN".into()))
}

/// 32 to 64 characters that tell one request from another.
fn token(name: &str, says: &str) -> String {
    let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(says);
    data_encoding::HEXLOWER.encode(&digest.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::registry::pretend::Pretend;

    fn alice(password: &str) -> RegistryCredentials {
        RegistryCredentials { username: "alice".into(), password: password.into() }
    }

    fn says(password: &str) -> String {
        json!({ "username": "alice", "password": password }).to_string()
    }

    async fn keep(secrets: &PullSecrets, pretend: &Pretend, password: &str) -> String {
        let project = ProjectId::new([7; 16]);
        let kept = secrets.keep(&pretend.calls(), project, "host.example", &alice(password)).await;
        kept.unwrap()
    }

    #[tokio::test]
    async fn a_secret_is_made_once_and_changed_when_the_password_is() {
        let pretend = Pretend::open().await;
        let secrets = PullSecrets::new("tarpon/pull");
        pretend.answers(400, &json!({ "__type": "ResourceNotFoundException" }));
        pretend.answers(200, &json!({ "ARN": "arn:1" }));
        assert_eq!(keep(&secrets, &pretend, "one").await, "arn:1");
        assert_eq!(keep(&secrets, &pretend, "one").await, "arn:1");
        pretend.answers(200, &json!({ "ARN": "arn:1", "SecretString": says("one") }));
        pretend.answers(200, &json!({ "ARN": "arn:1" }));
        assert_eq!(keep(&secrets, &pretend, "two").await, "arn:1");

        // Another function finds what is there.
        let fresh = PullSecrets::new("tarpon/pull");
        pretend.answers(200, &json!({ "ARN": "arn:1", "SecretString": says("two") }));
        assert_eq!(keep(&fresh, &pretend, "two").await, "arn:1");
        let asked = pretend.requests();
        let operations: Vec<_> = asked
            .iter()
            .filter_map(|request| request.split("x-amz-target: secretsmanager.").nth(1))
            .filter_map(|rest| rest.lines().next())
            .collect();
        let expected = [
            "GetSecretValue",
            "CreateSecret",
            "GetSecretValue",
            "PutSecretValue",
            "GetSecretValue",
        ];
        assert_eq!(operations, expected);
    }

    #[tokio::test]
    async fn a_lack_of_rights_is_no_fault_of_the_users() {
        let pretend = Pretend::open().await;
        let secrets = PullSecrets::new("tarpon/pull");
        pretend.answers(400, &json!({ "__type": "AccessDeniedException" }));
        let project = ProjectId::new([7; 16]);
        let kept = secrets.keep(&pretend.calls(), project, "host.example", &alice("one")).await;
        assert!(matches!(kept, Err(Refusal::Away(_))), "{kept:?}");
    }

    #[test]
    fn names_tell_users_registries_and_projects_apart() {
        let secrets = PullSecrets::new("tarpon/pull");
        let name = |project: u8, host: &str, user: &str| {
            secrets.name(ProjectId::new([project; 16]), host, user)
        };
        let names = [name(1, "a", "b"), name(2, "a", "b"), name(1, "ab", ""), name(1, "a", "c")];
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), 4);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b);
        assert!(names.iter().all(|name| name.bytes().all(plain)), "{names:?}");
    }
}

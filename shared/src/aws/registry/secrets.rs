//! Credentials of private registries, kept where ECS can read them when it
//! pulls: in Secrets Manager, one secret for each password of each user of each
//! registry of each project.
//!
//! A secret is written once and never changed: what was launched with one
//! password is not to find another there, whichever is the later one.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::access::Refusal;
use crate::{
    auth::Keyring,
    aws::signed::{CallError, SECRETS, SignedCalls},
    job::ProjectId,
    platform::{RegistryCredentials, Source},
};

/// How many secrets' places are remembered.
const KEPT: usize = 1_000;

/// Where pull secrets are kept.
pub struct PullSecrets {
    /// What their names start with, such as `tarpon/pull`: what the execution
    /// role may read.
    prefix: String,
    keyring: Keyring,
    /// The ARNs of those that are there, by their names.
    known: Mutex<HashMap<String, String>>,
}

impl PullSecrets {
    /// Secrets whose names start with `prefix`, and are made with these keys.
    pub fn new(prefix: impl Into<String>, keyring: Keyring) -> Self {
        PullSecrets { prefix: prefix.into(), keyring, known: Mutex::default() }
    }

    /// The ARN of a secret that says these credentials.
    pub(super) async fn keep(
        &self,
        calls: &SignedCalls,
        project: ProjectId,
        host: &str,
        credentials: &RegistryCredentials,
    ) -> Result<String, Refusal> {
        let RegistryCredentials { username, password } = credentials;
        let says = json!({ "username": username, "password": password }).to_string();
        let fingerprint = self.fingerprint(project, host, &says);
        let name = format!("{}/{project}/{fingerprint}", self.prefix);
        // Held while asking: those who wait find what the first has made.
        let mut known = self.known.lock().await;
        if let Some(arn) = known.get(&name) {
            return Ok(arn.clone());
        }
        let secret = Secret { name: &name, token: &fingerprint, says: &says };
        // Whatever goes wrong is the operator's to mend.
        let arn = secret.ensure(calls).await.map_err(Refusal::Away)?;
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(name, arn.clone());
        Ok(arn)
    }

    /// What tells these credentials from all others. It is there for many to
    /// see, who without the key cannot try out what passwords it fits.
    fn fingerprint(&self, project: ProjectId, host: &str, says: &str) -> String {
        self.keyring.fingerprint("pull secret", &format!("{project}\0{host}\0{says}"))
    }
}

/// A secret that is to be there.
struct Secret<'a> {
    name: &'a str,
    /// By which the same request is known again: 32 to 64 characters.
    token: &'a str,
    says: &'a str,
}

impl Secret<'_> {
    /// Its ARN: it may be there, or somebody may be making it.
    async fn ensure(&self, calls: &SignedCalls) -> Result<String, Source> {
        if let Some(arn) = self.find(calls).await? {
            return Ok(arn);
        }
        let Secret { name, token, says } = self;
        let create = json!({ "Name": name, "SecretString": says, "ClientRequestToken": token });
        match calls.call(SECRETS, calls.region(), "CreateSecret", &create).await {
            Ok(made) => arn(&made),
            Err(CallError::Refused { code, .. }) if code == "ResourceExistsException" => {
                let found = self.find(calls).await?;
                found.ok_or_else(|| "a secret came and went".into())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn find(&self, calls: &SignedCalls) -> Result<Option<String>, Source> {
        let asked = json!({ "SecretId": self.name });
        match calls.call(SECRETS, calls.region(), "GetSecretValue", &asked).await {
            Ok(found) if found["SecretString"] == self.says => arn(&found).map(Some),
            Ok(_) => Err(format!("somebody has changed the secret `{}`", self.name).into()),
            Err(CallError::Refused { code, .. }) if code == "ResourceNotFoundException" => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn arn(said: &Value) -> Result<String, Source> {
    let arn = said["ARN"].as_str().map(str::to_owned);
    arn.ok_or_else(|| "the secret has no ARN".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::pretend::Pretend;

    const HOST: &str = "host.example";

    fn alice(password: &str) -> RegistryCredentials {
        RegistryCredentials { username: "alice".into(), password: password.into() }
    }

    fn says(password: &str) -> String {
        json!({ "username": "alice", "password": password }).to_string()
    }

    fn project() -> ProjectId {
        ProjectId::new([7; 16])
    }

    fn secrets() -> PullSecrets {
        PullSecrets::new("tarpon/pull", Keyring::new(&[7; 32]))
    }

    async fn keep(secrets: &PullSecrets, pretend: &Pretend, password: &str) -> String {
        let kept = secrets.keep(&pretend.calls(), project(), HOST, &alice(password)).await;
        kept.unwrap()
    }

    fn missing(pretend: &Pretend) {
        pretend.answers(400, &json!({ "__type": "ResourceNotFoundException" }));
    }

    fn operations(pretend: &Pretend) -> Vec<String> {
        pretend.operations("secretsmanager")
    }

    #[tokio::test]
    async fn every_password_has_a_secret_of_its_own_however_often_they_change() {
        let pretend = Pretend::open().await;
        let secrets = secrets();
        for (password, arn) in [("one", "arn:1"), ("two", "arn:2")] {
            missing(&pretend);
            pretend.answers(200, &json!({ "ARN": arn }));
            assert_eq!(keep(&secrets, &pretend, password).await, arn);
        }
        assert_eq!(keep(&secrets, &pretend, "one").await, "arn:1", "and is not written again");
        assert_eq!(keep(&secrets, &pretend, "two").await, "arn:2");
        let made = ["GetSecretValue", "CreateSecret", "GetSecretValue", "CreateSecret"];
        assert_eq!(operations(&pretend), made);

        // Another function finds what is there.
        let fresh = self::secrets();
        for (password, arn) in [("one", "arn:1"), ("two", "arn:2"), ("one", "arn:1")] {
            pretend.answers(200, &json!({ "ARN": arn, "SecretString": says(password) }));
            assert_eq!(keep(&fresh, &pretend, password).await, arn);
        }
        assert_eq!(operations(&pretend)[4..], ["GetSecretValue"; 2]);
    }

    #[tokio::test]
    async fn a_secret_that_somebody_else_is_making_is_waited_for() {
        let pretend = Pretend::open().await;
        missing(&pretend);
        pretend.answers(400, &json!({ "__type": "ResourceExistsException" }));
        pretend.answers(200, &json!({ "ARN": "arn:1", "SecretString": says("one") }));
        assert_eq!(keep(&secrets(), &pretend, "one").await, "arn:1");
    }

    #[tokio::test]
    async fn a_secret_that_says_something_else_is_not_used() {
        let pretend = Pretend::open().await;
        pretend.answers(200, &json!({ "ARN": "arn:1", "SecretString": says("two") }));
        let kept = secrets().keep(&pretend.calls(), project(), HOST, &alice("one")).await;
        assert!(matches!(kept, Err(Refusal::Away(_))), "{kept:?}");
        assert_eq!(operations(&pretend), ["GetSecretValue"], "it is left as it is");
    }

    #[tokio::test]
    async fn a_lack_of_rights_is_no_fault_of_the_users() {
        let pretend = Pretend::open().await;
        pretend.answers(400, &json!({ "__type": "AccessDeniedException" }));
        let kept = secrets().keep(&pretend.calls(), project(), HOST, &alice("one")).await;
        assert!(matches!(kept, Err(Refusal::Away(_))), "{kept:?}");
    }

    #[tokio::test]
    async fn a_name_tells_credentials_apart_and_nothing_of_them() {
        let (id, host) = (ProjectId::new, "a");
        let told = [
            (id([1; 16]), host, says("one")),
            (id([2; 16]), host, says("one")),
            (id([1; 16]), "b", says("one")),
            (id([1; 16]), host, says("two")),
        ];
        let fingerprint = |keys: u8| {
            let secrets = PullSecrets::new("tarpon/pull", Keyring::new(&[keys; 32]));
            let of = move |(project, host, says): &(ProjectId, &str, String)| {
                secrets.fingerprint(*project, host, says)
            };
            told.iter().map(of).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(fingerprint(1).len(), 4);
        assert!(fingerprint(1).is_disjoint(&fingerprint(2)), "it takes the key to make one");
        // As the token of a request has to be; names may be longer.
        assert!(fingerprint(1).iter().all(|it| (32..=64).contains(&it.len())));

        let pretend = Pretend::open().await;
        missing(&pretend);
        pretend.answers(200, &json!({ "ARN": "arn:1" }));
        keep(&secrets(), &pretend, "one").await;
        let asked = pretend.requests();
        let asked = asked[0].rsplit("\r\n").next().unwrap();
        let asked: Value = serde_json::from_str(asked).unwrap();
        let name = asked["SecretId"].as_str().unwrap();
        assert!(name.starts_with(&format!("tarpon/pull/{}/", project())), "{name}");
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/_+=.@-".contains(&b);
        assert!(name.bytes().all(plain) && name.len() <= 512, "{name}");
    }
}

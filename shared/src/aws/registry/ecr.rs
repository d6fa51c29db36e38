//! Signing in to Amazon ECR, as whoever this function is.

use data_encoding::BASE64;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::sync::Mutex;

use super::access::Refusal;
use crate::aws::signed::{CallError, Service, SignedCalls};
use crate::platform::RegistryCredentials;

const ECR: Service = Service {
    name: "ecr",
    host: "api.ecr",
    target: "AmazonEC2ContainerRegistry_V20150921",
    json: "1.1",
};

/// How long before its end a sign-in is not used any more. It is good for
/// twelve hours.
const MARGIN: SignedDuration = SignedDuration::from_mins(10);

/// Sign-ins, each region's until it ends.
#[derive(Debug, Default)]
pub(super) struct Ecr {
    known: Mutex<Vec<SignIn>>,
}

#[derive(Clone, Debug)]
struct SignIn {
    region: String,
    credentials: RegistryCredentials,
    until: Timestamp,
}

/// The region of a private ECR registry, if `host` is one:
/// `123456789012.dkr.ecr.eu-west-1.amazonaws.com`.
pub(super) fn region(host: &str) -> Option<&str> {
    let name = host.strip_suffix(".amazonaws.com").or(host.strip_suffix(".amazonaws.com.cn"))?;
    let (account, rest) = name.split_once('.')?;
    let region = rest.strip_prefix("dkr.ecr.").or(rest.strip_prefix("dkr.ecr-fips."))?;
    let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (digits && !region.is_empty() && region.bytes().all(plain)).then_some(region)
}

impl Ecr {
    /// What the registries of `region` want to be shown.
    pub(super) async fn sign_in(
        &self,
        calls: &SignedCalls,
        region: &str,
        now: Timestamp,
    ) -> Result<RegistryCredentials, Refusal> {
        // Held while asking: those who wait find the answer of the first.
        let mut known = self.known.lock().await;
        known.retain(|it| it.until > now);
        if let Some(found) = known.iter().find(|it| it.region == region) {
            return Ok(found.credentials.clone());
        }
        let said = calls.call(ECR, region, "GetAuthorizationToken", &json!({})).await;
        let said = said.map_err(refusal)?;
        let data = &said["authorizationData"][0];
        let pair = data["authorizationToken"].as_str().and_then(pair_of);
        let credentials = pair.ok_or_else(|| Refusal::Away("ECR gave no token".into()))?;
        let ends = data["expiresAt"].as_f64().and_then(|seconds| {
            Timestamp::UNIX_EPOCH.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
        });
        let until = ends.and_then(|ends| ends.checked_sub(MARGIN).ok()).unwrap_or(now);
        let credentials_kept = credentials.clone();
        known.push(SignIn { region: region.to_owned(), credentials: credentials_kept, until });
        Ok(credentials)
    }
}

fn refusal(error: CallError) -> Refusal {
    match error {
        CallError::Refused { .. } => Refusal::Denied,
        CallError::Away(source) => Refusal::Away(source),
    }
}

fn pair_of(token: &str) -> Option<RegistryCredentials> {
    let pair = String::from_utf8(BASE64.decode(token.as_bytes()).ok()?).ok()?;
    let (username, password) = pair.split_once(':')?;
    Some(RegistryCredentials { username: username.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::pretend::Pretend;

    #[tokio::test]
    async fn a_sign_in_is_signed_for_and_kept_until_it_ends() {
        let pretend = Pretend::open().await;
        let token = BASE64.encode(b"AWS:pa:ss");
        let data = json!({ "authorizationToken": token, "expiresAt": 43_200.5 });
        let said = json!({ "authorizationData": [data] });
        let (calls, ecr) = (pretend.calls(), Ecr::default());
        let at = |hours| Timestamp::UNIX_EPOCH + SignedDuration::from_hours(hours);
        for (hours, asked) in [(0, true), (11, false), (12, true)] {
            if asked {
                pretend.answers(200, &said);
            }
            let credentials = ecr.sign_in(&calls, "eu-west-1", at(hours)).await.unwrap();
            assert_eq!((&*credentials.username, &*credentials.password), ("AWS", "pa:ss"));
        }
        let requests = pretend.requests();
        assert_eq!(requests.len(), 2);
        let target = "x-amz-target: AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken";
        for said in [target, "/eu-west-1/ecr/aws4_request", "Signature="] {
            assert!(requests[0].contains(said), "{}", requests[0]);
        }
    }

    #[tokio::test]
    async fn a_refusal_is_told_from_trouble_which_is_tried_again() {
        let pretend = Pretend::open().await;
        let (calls, ecr) = (pretend.calls(), Ecr::default());
        let now = Timestamp::UNIX_EPOCH;
        pretend.answers(400, &json!({ "__type": "AccessDeniedException", "message": "no" }));
        let refused = ecr.sign_in(&calls, "eu-west-1", now).await;
        assert!(matches!(refused, Err(Refusal::Denied)), "{refused:?}");
        for _ in 0..3 {
            pretend.answers(503, &json!({}));
        }
        let away = ecr.sign_in(&calls, "eu-west-1", now).await;
        assert!(matches!(away, Err(Refusal::Away(_))), "{away:?}");
        assert_eq!(pretend.requests().len(), 4);
    }

    #[test]
    fn only_what_is_ecr_is_signed_in_to() {
        for (host, found) in [
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("123456789012.dkr.ecr.evil.example.amazonaws.com", None),
            ("123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example", None),
            ("12345.dkr.ecr.eu-west-1.amazonaws.com", None),
            ("public.ecr.aws", None),
            ("registry-1.docker.io", None),
        ] {
            assert_eq!(region(host), found, "{host}");
        }
    }
}

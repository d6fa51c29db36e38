//! Asking one registry for one repository, as somebody or as nobody.

use ::http::{Method, StatusCode};
use data_encoding::BASE64;
use serde::Deserialize;

use super::{
    challenge::Challenge,
    http::{Answer, Http, NoAnswer},
    name::Name,
};
use crate::platform::{RegistryCredentials, Source};

/// Why a registry did not give what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It does not have it.
    #[error("not found")]
    Missing,
    /// Not to us.
    #[error("denied")]
    Denied,
    /// It may not be asked.
    #[error("{0}")]
    Unfit(String),
    /// It is in trouble, or slowed us down.
    #[error("the registry did not answer as agreed")]
    Away(#[source] Source),
}

impl From<NoAnswer> for Refusal {
    fn from(error: NoAnswer) -> Self {
        match error {
            NoAnswer::Barred(barred) => {
                Refusal::Unfit(format!("its registry's address, {}, is not allowed", barred.0))
            }
            NoAnswer::Unfit(_) => Refusal::Unfit(error.to_string()),
            NoAnswer::Away(source) => Refusal::Away(source),
        }
    }
}

/// What a token service gives.
#[derive(Deserialize)]
struct Token {
    #[serde(default, alias = "access_token")]
    token: String,
}

/// One visitor of one repository.
pub(super) struct Access<'a> {
    http: &'a Http,
    name: &'a Name,
    credentials: Option<&'a RegistryCredentials>,
    authorization: Option<String>,
}

impl<'a> Access<'a> {
    pub(super) fn new(
        http: &'a Http,
        name: &'a Name,
        credentials: Option<&'a RegistryCredentials>,
    ) -> Self {
        Access { http, name, credentials, authorization: None }
    }

    /// The answer to a request below the repository.
    pub(super) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        accept: &str,
    ) -> Result<Answer, Refusal> {
        let base = Http::base(&self.name.host);
        let url = format!("{base}/v2/{}/{path}", self.name.repository);
        let ask = |authorization: Option<String>| {
            let (http, method, url) = (self.http, method.clone(), url.clone());
            async move { http.ask(method, &url, accept, authorization.as_deref()).await }
        };
        let first = ask(self.authorization.clone()).await?;
        if first.status != StatusCode::UNAUTHORIZED || self.authorization.is_some() {
            return settle(first);
        }
        let authorization = self.authorize(&first.challenges).await?;
        let second = ask(Some(authorization.clone())).await?;
        self.authorization = Some(authorization);
        settle(second)
    }

    /// What answers the registry's challenge.
    async fn authorize(&self, challenges: &[String]) -> Result<String, Refusal> {
        let understood = challenges.iter().find_map(|text| Challenge::of(text));
        match understood.ok_or(Refusal::Denied)? {
            Challenge::Basic => self.basic().ok_or(Refusal::Denied),
            Challenge::Bearer { realm, service } => {
                Ok(format!("Bearer {}", self.token(&realm, service.as_deref()).await?))
            }
        }
    }

    fn basic(&self) -> Option<String> {
        let RegistryCredentials { username, password } = self.credentials?;
        let pair = BASE64.encode(format!("{username}:{password}").as_bytes());
        Some(format!("Basic {pair}"))
    }

    async fn token(&self, realm: &str, service: Option<&str>) -> Result<String, Refusal> {
        let scope = format!("repository:{}:pull", self.name.repository);
        let parameters = [("service", service), ("scope", Some(scope.as_str()))].into_iter();
        let parameters = parameters
            .filter_map(|(name, value)| Some(format!("{name}={}", escaped(value?))))
            .collect::<Vec<_>>();
        let joint = if realm.contains('?') { '&' } else { '?' };
        let url = format!("{realm}{joint}{}", parameters.join("&"));
        let basic = self.basic();
        let answer = self.http.ask(Method::GET, &url, "application/json", basic.as_deref()).await?;
        let answer = settle(answer).map_err(|refusal| match refusal {
            Refusal::Missing => Refusal::Away("the token service is not where it is said".into()),
            other => other,
        })?;
        let token: Token =
            serde_json::from_slice(&answer.body).map_err(|error| Refusal::Away(Box::new(error)))?;
        // Visible characters alone, or it is no header.
        if token.token.is_empty() || !token.token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Refusal::Away("the token service gave no token".into()));
        }
        Ok(token.token)
    }
}

/// What a status means.
fn settle(answer: Answer) -> Result<Answer, Refusal> {
    match answer.status {
        status if status.is_success() => Ok(answer),
        StatusCode::NOT_FOUND => Err(Refusal::Missing),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Refusal::Denied),
        status => Err(Refusal::Away(format!("status {status}").into())),
    }
}

/// `text` as the value of a query's parameter.
fn escaped(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~".contains(&b);
    text.bytes()
        .map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

//! Requests to addresses that users name.
//!
//! Every name is looked up here and every address checked, those of redirects
//! and token services as well; the connection goes to what was checked. Plain
//! HTTP is spoken with loopback alone, which an operator has to open.

use std::{
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use ::http::{Method, Request, StatusCode, Uri, header};
use aws_smithy_http_client::{
    Connector,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::client::{
    dns::{DnsFuture, ResolveDns, ResolveDnsError},
    http::HttpConnector,
};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};

use crate::{
    guard::{Barred, Guard},
    platform::Source,
};

/// How long a request may take in all.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a manifest or a configuration may be; registries refuse longer ones.
const LONGEST: usize = 4 << 20;

/// How often a request may be sent elsewhere.
const REDIRECTS: usize = 4;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// It would come from where we may not ask.
    #[error(transparent)]
    Barred(#[from] Barred),
    /// The address makes no sense, or would send secrets in the clear.
    #[error("`{0}` is not an address that is asked")]
    Unfit(String),
    /// Nobody answers, or not as agreed.
    #[error("no answer")]
    Away(#[source] Source),
}

/// An answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) digest: Option<String>,
    pub(super) challenges: Vec<String>,
    pub(super) body: Bytes,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(super) struct Http {
    guard: Arc<Guard>,
    /// Made when it is first needed: it reads the machine's certificates.
    connector: Arc<OnceLock<Connector>>,
}

/// The guard, as whoever connects asks for addresses.
#[derive(Clone, Debug)]
struct Resolver(Arc<Guard>);

impl ResolveDns for Resolver {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            self.0.lookup(name).await.map_err(|error| {
                match error.get_ref().and_then(|inner| inner.downcast_ref::<Barred>()) {
                    Some(barred) => ResolveDnsError::new(*barred),
                    None => ResolveDnsError::new(error),
                }
            })
        })
    }
}

impl Http {
    pub(super) fn new(guard: Guard) -> Self {
        Http { guard: Arc::new(guard), connector: Arc::default() }
    }

    fn connector(&self) -> &Connector {
        self.connector.get_or_init(|| {
            Connector::builder()
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .build_with_resolver(Resolver(Arc::clone(&self.guard)))
        })
    }

    /// Where a registry's API is: engines speak plain HTTP with loopback.
    pub(super) fn base(host: &str) -> String {
        let scheme = if is_loopback(host_of(host)) { "http" } else { "https" };
        format!("{scheme}://{host}")
    }

    /// The answer to one request, wherever it is sent on to. What authorises it
    /// goes to no other host than the first.
    pub(super) async fn ask(
        &self,
        method: Method,
        url: &str,
        accept: &str,
        authorization: Option<&str>,
    ) -> Result<Answer, NoAnswer> {
        let all = async {
            let mut url = self.fit(url)?;
            let mut authorization = authorization;
            for _ in 0..=REDIRECTS {
                let sent = self.send(&method, &url, accept, authorization).await?;
                let Some(elsewhere) = sent.elsewhere else { return Ok(sent.answer) };
                let next = self.fit(&absolute(&url, &elsewhere))?;
                authorization = authorization.filter(|_| next.authority() == url.authority());
                url = next;
            }
            Err(NoAnswer::Away("it is sent from place to place".into()))
        };
        let answered = tokio::time::timeout(PATIENCE, all).await;
        answered.unwrap_or_else(|late| Err(NoAnswer::Away(Box::new(late))))
    }

    /// The URL, if it may be asked. An address in place of a name is never
    /// looked up, hence checked here.
    fn fit(&self, url: &str) -> Result<Uri, NoAnswer> {
        let unfit = || NoAnswer::Unfit(url.chars().take(200).collect());
        let uri: Uri = url.parse().map_err(|_| unfit())?;
        let host = uri.host().ok_or_else(unfit)?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => is_loopback(host),
            _ => false,
        };
        let named = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
        if !secure || named {
            return Err(unfit());
        }
        match address(host) {
            Some(address) if !self.guard.allows(address) => Err(Barred(address).into()),
            Some(_) | None => Ok(uri),
        }
    }

    async fn send(
        &self,
        method: &Method,
        url: &Uri,
        accept: &str,
        authorization: Option<&str>,
    ) -> Result<Sent, NoAnswer> {
        let away = |error: Source| NoAnswer::Away(error);
        let mut request = Request::builder().method(method).uri(url).header(header::ACCEPT, accept);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(SdkBody::empty()).map_err(|error| away(error.into()))?;
        let request = request.try_into().map_err(|error| {
            let error: aws_smithy_runtime_api::http::HttpError = error;
            away(error.into())
        })?;
        let response =
            self.connector().call(request).await.map_err(|error| {
                barred(&error).map_or_else(|| away(error.into()), NoAnswer::Barred)
            })?;
        let response = response.try_into_http1x().map_err(|error| away(error.into()))?;
        let (head, body) = response.into_parts();
        let text = |name: &header::HeaderName| {
            head.headers.get(name).and_then(|it| it.to_str().ok()).map(str::to_owned)
        };
        let elsewhere = text(&header::LOCATION).filter(|_| head.status.is_redirection());
        let challenges = head.headers.get_all(header::WWW_AUTHENTICATE).iter();
        let challenges = challenges.filter_map(|it| it.to_str().ok()).map(str::to_owned);
        let digest = text(&header::HeaderName::from_static("docker-content-digest"));
        let body = Limited::new(body, LONGEST).collect().await.map_err(away)?.to_bytes();
        let answer = Answer { status: head.status, digest, challenges: challenges.collect(), body };
        Ok(Sent { elsewhere, answer })
    }
}

struct Sent {
    elsewhere: Option<String>,
    answer: Answer,
}

/// The address that was refused, if it was for that.
fn barred(error: &(dyn std::error::Error + 'static)) -> Option<Barred> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(barred) = error.downcast_ref::<Barred>() {
            return Some(*barred);
        }
        next = error.source();
    }
    None
}

/// `host` without a port.
fn host_of(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    }
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_start_matches('[').trim_end_matches(']').parse().ok()
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || address(host).is_some_and(|address| address.is_loopback())
}

/// Where `location` is, seen from `base`.
fn absolute(base: &Uri, location: &str) -> String {
    let scheme = base.scheme_str().unwrap_or("https");
    let authority = base.authority().map_or("", |authority| authority.as_str());
    if location.starts_with("//") {
        format!("{scheme}:{location}")
    } else if location.starts_with('/') {
        format!("{scheme}://{authority}{location}")
    } else if location.contains("://") {
        location.to_owned()
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{authority}{folder}/{location}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn wherever_a_registry_sends_us_only_what_is_safe_is_asked(
            location in ".{0,60}", address in any::<[u8; 4]>(),
        ) {
            let http = Http::new(Guard::new(Vec::new()));
            let base = Uri::from_static("https://a.example/v2/x/blobs/y");
            let [a, b, c, d] = address;
            for there in [absolute(&base, &location), format!("http://{a}.{b}.{c}.{d}/{location}")] {
                if let Ok(uri) = http.fit(&there) {
                    let is_safe = uri.scheme_str() == Some("https");
                    prop_assert!(is_safe || uri.host() == Some("localhost"), "{uri}");
                    prop_assert!(uri.authority().is_some_and(|it| !it.as_str().contains('@')));
                }
            }
        }
    }

    fn refusal(http: &Http, url: &str) -> String {
        http.fit(url).unwrap_err().to_string()
    }

    #[test]
    fn only_what_is_safe_is_asked() {
        let http = Http::new(Guard::new(Vec::new()));
        assert!(http.fit("https://registry.example/v2/").is_ok());
        assert!(http.fit("https://1.1.1.1:8443/v2/").is_ok());
        for url in [
            "http://registry.example/v2/",
            "http://1.1.1.1/",
            "https://user:password@registry.example/",
            "ftp://registry.example/",
            "file:///etc/passwd",
            "/v2/",
            "https://",
        ] {
            assert!(refusal(&http, url).ends_with("is not an address that is asked"), "{url}");
        }
        for url in [
            "https://127.0.0.1/",
            "http://127.0.0.1:9001/2018-06-01/runtime/invocation/next",
            "https://169.254.169.254/latest/meta-data/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://10.0.0.1/",
        ] {
            assert!(refusal(&http, url).ends_with("is not allowed"), "{url}");
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_connected_to() {
        let http = Http::new(Guard::new(Vec::new()));
        for url in ["https://localhost:9/", "http://localhost:9/"] {
            let asked = http.ask(Method::GET, url, "*/*", None).await;
            assert!(matches!(asked, Err(NoAnswer::Barred(_))), "{url}: {asked:?}");
        }
    }

    #[test]
    fn a_redirect_is_seen_from_where_it_was_said() {
        let base = Uri::from_static("https://a.example:1/v2/x/blobs/y?z");
        for (location, there) in [
            ("https://b.example/q", "https://b.example/q"),
            ("//b.example/q", "https://b.example/q"),
            ("/q?r", "https://a.example:1/q?r"),
            ("q", "https://a.example:1/v2/x/blobs/q"),
        ] {
            assert_eq!(absolute(&base, location), there);
        }
    }
}

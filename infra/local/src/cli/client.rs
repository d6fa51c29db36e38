//! HTTP as the commands need it: a key on every request, problems read, what
//! is safe to repeat repeated.

use std::time::Duration;

use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{
    connect::{AccessKey, Target},
    problem::{Failure, Problem, is_loopback},
};

/// How long a plain answer may take. A request that waits says so itself.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// How much of a refusal is read.
const PROBLEM_BYTES: usize = 64 << 10;

/// The longest that a server's `Retry-After` is obeyed before the next try.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How often, and after how long, a request is sent again.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Before the second try; doubled for each further one.
    pub first: Duration,
    /// Tries in all.
    pub tries: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff { first: Duration::from_millis(250), tries: 4 }
    }
}

impl Backoff {
    /// How long to wait before try number `next`, which is 2 or more. Spread
    /// by up to a half, so that many clients do not come back at once.
    pub fn before(self, next: u32) -> Duration {
        let mut spread = [0];
        // Without random bytes all come at once, which is no reason to fail.
        let _ = getrandom::fill(&mut spread);
        let doubled = self.first.saturating_mul(1 << next.saturating_sub(2).min(6));
        doubled / 2 + doubled.mul_f64(f64::from(spread[0]) / 510.0)
    }
}

/// Whether a request may be sent twice.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// The second does what the first did.
    Safe,
    /// The second would do it once more.
    Never,
}

/// A JSON answer, as it came and as it is understood.
pub struct Answer<T> {
    /// As it came.
    pub json: Value,
    /// As it is understood.
    pub value: T,
}

/// A server, as a client sees it.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    key: AccessKey,
    /// How requests are repeated.
    pub backoff: Backoff,
}

impl Client {
    /// A client of this server. Connects when first used.
    pub fn new(target: Target) -> Result<Self, Failure> {
        let Target { url: base, key } = target;
        // Already installed is fine: a server in this process did it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder()
            .user_agent(concat!("tarpon/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::limited(5))
            .connect_timeout(Duration::from_secs(10))
            // A silent peer may be thinking, or gone: keep-alives tell.
            .tcp_keepalive(Duration::from_secs(30))
            .tcp_keepalive_interval(Duration::from_secs(10))
            .tcp_keepalive_retries(3);
        if is_loopback(&base) {
            // What is on this machine is not reached through a proxy, and
            // needs no certificates.
            http = http.no_proxy();
            if base.scheme() == "http" {
                http = http.tls_certs_only([]);
            }
        }
        let http = http
            .build()
            .map_err(|error| Failure::Usage(format!("TLS cannot be set up: {error:?}")))?;
        Ok(Client { http, base, key, backoff: Backoff::default() })
    }

    /// The server's address, for people.
    pub fn address(&self) -> String {
        self.base.as_str().trim_end_matches('/').to_owned()
    }

    /// A path of the service: each segment is encoded whole.
    pub fn url(&self, path: &[&str]) -> Result<Url, Failure> {
        if let Some(wrong) = path.iter().find(|segment| matches!(**segment, "." | "..")) {
            // A URL cannot say it: `.` and `..` are taken out on the way.
            return Err(Failure::Usage(format!("`{wrong}` cannot be part of a name here")));
        }
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Failure::Usage(format!("`{}` is no server's address", self.base)))?
            .pop_if_empty()
            .extend(path);
        Ok(url)
    }

    /// A request to the service, with the key.
    pub fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Failure> {
        let request = self.http.request(method, self.url(path)?);
        Ok(request.basic_auth(&self.key.id, Some(&self.key.secret)))
    }

    /// A GET of the service, with the key.
    pub fn get(&self, path: &[&str]) -> Result<RequestBuilder, Failure> {
        self.request(Method::GET, path)
    }

    /// A PUT to a signed URL, which may be a path on the service. Such a URL
    /// is its own credential.
    pub fn put_signed(&self, url: &str) -> Result<RequestBuilder, Failure> {
        let whole =
            if url.starts_with('/') { format!("{}{url}", self.address()) } else { url.to_owned() };
        let url = Url::parse(&whole)
            .map_err(|error| Failure::Answer(format!("`{whole}` is no URL: {error}")))?;
        Ok(self.http.put(url))
    }

    /// The JSON that answers a request.
    pub async fn json<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        repeat: Repeat,
    ) -> Result<Answer<T>, Failure> {
        let mut tries = 1;
        loop {
            let whole = request.try_clone().ok_or_else(no_clone)?;
            let response = self.send(whole.timeout(PATIENCE), repeat, None).await?;
            let url = response.url().clone();
            match response.json::<Value>().await {
                Ok(json) => return understand(json),
                Err(error) if error.is_decode() => {
                    return Err(Failure::Answer(format!("it is not JSON ({url})")));
                }
                // The answer broke off half-way.
                Err(_) if repeat == Repeat::Safe && tries < self.backoff.tries => {
                    tries += 1;
                    sleep(self.backoff.before(tries)).await;
                }
                Err(error) => return Err(Failure::of_request(&url, error)),
            }
        }
    }

    /// Deletes what `path` names. Gone already is fine if it may have been us:
    /// an earlier try whose answer was lost.
    pub async fn delete(&self, path: &[&str]) -> Result<(), Failure> {
        let mut lost = false;
        for tries in 1.. {
            let request = self.request(Method::DELETE, path)?.timeout(PATIENCE);
            match self.send(request, Repeat::Never, None).await {
                Ok(_) => return Ok(()),
                Err(failure) if lost && failure.status() == Some(404) => return Ok(()),
                Err(failure) if failure.is_passing() && tries < self.backoff.tries => {
                    lost |= matches!(failure, Failure::Lost { .. });
                    sleep(self.backoff.before(tries + 1)).await;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// Sends a request until it is answered with success. `patience` bounds
    /// the time to the answer's head, where its body may take for ever.
    pub async fn send(
        &self,
        request: RequestBuilder,
        repeat: Repeat,
        patience: Option<Duration>,
    ) -> Result<Response, Failure> {
        let mut tries = 1;
        loop {
            let again = request.try_clone().filter(|_| tries < self.backoff.tries);
            let Some(again) = again else { return self.send_once(request, patience).await.0 };
            let (outcome, wait) = self.send_once(again, patience).await;
            match outcome {
                // What could not connect was not sent: it can always be repeated.
                Err(Failure::NoServer { .. }) => {}
                Err(failure) if failure.is_passing() && repeat == Repeat::Safe => {}
                settled => return settled,
            }
            tries += 1;
            let wait = wait.map_or(Duration::ZERO, |wait| wait.min(LONGEST_WAIT));
            sleep(wait.max(self.backoff.before(tries))).await;
        }
    }

    /// The answer, and how long the server would like to be left alone.
    async fn send_once(
        &self,
        request: RequestBuilder,
        patience: Option<Duration>,
    ) -> (Result<Response, Failure>, Option<Duration>) {
        let (http, request) = request.build_split();
        let request = match request {
            Ok(request) => request,
            Err(error) => return (Err(Failure::Usage(error.to_string())), None),
        };
        let url = request.url().clone();
        let sent = match patience {
            Some(patience) => timeout(patience, http.execute(request)).await,
            None => Ok(http.execute(request).await),
        };
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return (Err(Failure::of_request(&url, error)), None),
            Err(_) => {
                let url = url.origin().ascii_serialization();
                return (Err(Failure::Lost { url, source: None }), None);
            }
        };
        if response.status().is_success() {
            return (Ok(response), None);
        }
        let wait = response.headers().get(header::RETRY_AFTER);
        let wait = wait.and_then(|value| value.to_str().ok()?.parse().ok());
        let failure = Failure::Problem(problem_of(response).await);
        (Err(failure), wait.map(Duration::from_secs))
    }
}

fn no_clone() -> Failure {
    Failure::Usage("a streamed request cannot be repeated".into())
}

fn understand<T: DeserializeOwned>(json: Value) -> Result<Answer<T>, Failure> {
    let value = T::deserialize(&json).map_err(|error| Failure::Answer(error.to_string()))?;
    Ok(Answer { json, value })
}

async fn problem_of(mut response: Response) -> Problem {
    let status: StatusCode = response.status();
    let mut body = Vec::new();
    // A refusal that breaks off is a refusal all the same.
    while let Ok(Ok(Some(piece))) = timeout(PATIENCE, response.chunk()).await {
        body.extend_from_slice(&piece);
        if body.len() > PROBLEM_BYTES {
            break;
        }
    }
    Problem::read(status, &body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(base: &str) -> Client {
        let key = AccessKey { id: "tp1".into(), secret: "s1".into() };
        Client::new(Target { url: base.parse().unwrap(), key }).unwrap()
    }

    #[test]
    fn a_path_is_put_after_the_servers_own_and_encoded_whole() {
        let plain = client("http://127.0.0.1:1");
        let url = |path: &[&str]| plain.url(path).unwrap().to_string();
        assert_eq!(url(&["v1", "jobs", "a/b?c"]), "http://127.0.0.1:1/v1/jobs/a%2Fb%3Fc");
        assert_eq!(url(&["v1", "a", "", "b"]), "http://127.0.0.1:1/v1/a//b");
        let staged = client("http://127.0.0.1:1/prod/");
        let url = staged.url(&["v1", "jobs"]).unwrap();
        assert_eq!(url.as_str(), "http://127.0.0.1:1/prod/v1/jobs");
    }

    #[test]
    fn a_path_cannot_climb() {
        assert!(client("http://127.0.0.1:1").url(&["v1", "objects", "..", "x"]).is_err());
    }

    #[test]
    fn a_signed_path_is_on_the_service_and_carries_no_key() {
        let staged = client("http://127.0.0.1:1/prod");
        let request = staged.put_signed("/put/x?sig=a%2Fb").unwrap().build().unwrap();
        assert_eq!(request.url().as_str(), "http://127.0.0.1:1/prod/put/x?sig=a%2Fb");
        assert!(request.headers().get("authorization").is_none());
        let away = staged.put_signed("https://bucket.example.org/k?s=1").unwrap().build().unwrap();
        assert_eq!(away.url().host_str(), Some("bucket.example.org"));
    }

    #[test]
    fn waits_grow_and_are_spread() {
        let backoff = Backoff { first: Duration::from_millis(100), tries: 9 };
        for next in 2..9 {
            let full = Duration::from_millis(100) * (1 << (next - 2));
            let wait = backoff.before(next);
            assert!(wait >= full / 2 && wait <= full, "{next}: {wait:?}");
        }
        assert!(backoff.before(u32::MAX) <= Duration::from_millis(6_400));
    }
}

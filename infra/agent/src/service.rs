//! The service, as the agent calls it.

use std::{
    ops::Range,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use shared::agent::{InputPage, LogBatch, Plan, PlanRequest, Report, Upload, UploadRequest};
use tokio::time::{Instant, timeout};

use crate::{
    backoff::Backoff,
    body::Outgoing,
    connect::{Address, BadAddress, Sender},
    settings::Settings,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a service may be away before the agent gives up.
const ENDURANCE: Duration = Duration::from_hours(12);

/// No plan is longer.
const LONGEST_ANSWER: usize = 64 << 20;

/// The service, and who calls it.
#[derive(Debug)]
pub struct Service {
    address: Address,
    attempt: String,
    bearer: String,
    /// The connection of the last call, if it may serve for the next.
    idle: Mutex<Option<Sender>>,
}

/// Why a call brought no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There was no connection.
    #[error("no connection: {0}")]
    Connect(std::io::Error),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(hyper::Error),
    /// Nothing came, for too long.
    #[error("no answer in time")]
    TimedOut,
    /// It was answered by something else than what was asked for; why, if the
    /// service has said so.
    #[error("answered with status {}{}", .0.as_u16(), because(.1))]
    Status(StatusCode, String),
    /// The answer's text makes no sense.
    #[error("the answer cannot be read: {0}")]
    Unreadable(String),
    /// The URL that was given cannot be called.
    #[error("the URL cannot be used: {0}")]
    BadUrl(BadAddress),
}

impl CallError {
    /// Whether the same request would be answered the same way again.
    pub fn is_lasting(&self) -> bool {
        let passing =
            [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
        match self {
            CallError::Status(status, _) => !status.is_server_error() && !passing.contains(status),
            CallError::BadUrl(_) => true,
            CallError::Connect(_)
            | CallError::Broken(_)
            | CallError::TimedOut
            | CallError::Unreadable(_) => false,
        }
    }
}

fn because(why: &str) -> String {
    if why.is_empty() { String::new() } else { format!(": {why}") }
}

/// What a refusal of the service's says.
#[derive(Default, Deserialize)]
struct Problem {
    detail: String,
}

/// The service said that this attempt does not count, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// What became of a PUT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is stored; the store's tag of it.
    Stored(String),
    /// It was there before.
    Present,
}

impl Service {
    /// The service that the settings name.
    pub fn new(settings: &Settings) -> Service {
        Service {
            address: settings.service.clone(),
            attempt: settings.attempt.clone(),
            bearer: format!("Bearer {}", settings.token),
            idle: Mutex::new(None),
        }
    }

    /// Asks for the plan until there is an answer. `None`: gave up.
    pub async fn plan(&self) -> Option<Result<Plan, Refused>> {
        self.planned(None).await
    }

    /// The plan's inputs from where an earlier answer's ended, likewise.
    pub async fn inputs(&self, after: String) -> Option<Result<InputPage, Refused>> {
        self.planned(Some(after)).await
    }

    async fn planned<T: DeserializeOwned>(
        &self,
        after: Option<String>,
    ) -> Option<Result<T, Refused>> {
        let request = PlanRequest { agent: env!("CARGO_PKG_VERSION").to_owned(), after };
        self.insist("plan", &request, |answer| serde_json::from_slice(answer)).await
    }

    /// Sends new bytes of the streams, once.
    pub async fn logs(&self, batch: &LogBatch) -> Result<(), CallError> {
        self.call("logs", json(batch)).await.map(|_| ())
    }

    /// Asks once where the archive may go.
    pub async fn upload(&self, request: &UploadRequest) -> Result<Upload, CallError> {
        let answer = self.call("upload", json(request)).await?;
        serde_json::from_slice(&answer).map_err(|error| CallError::Unreadable(error.to_string()))
    }

    /// Reports until there is an answer. `None`: gave up.
    pub async fn report(&self, report: &Report) -> Option<Result<(), Refused>> {
        self.insist("report", report, |_| Ok(())).await
    }

    /// Starts to read what is at `url`, or a part of it: absolute, or a path on
    /// the service.
    pub async fn get(
        &self,
        url: &str,
        part: Option<Range<u64>>,
    ) -> Result<Response<Incoming>, CallError> {
        let build = |target: &Target| {
            let mut request = target.request(Method::GET);
            if let Some(part) = &part {
                let last = part.end.saturating_sub(1);
                request = request.header(header::RANGE, format!("bytes={}-{last}", part.start));
            }
            request.body(Outgoing::empty()).map_err(|_| CallError::BadUrl(BadAddress::Malformed))
        };
        let target = self.target(url)?;
        let answered = timeout(PATIENCE, async {
            match &target.address {
                None => self.exchange(|| build(&target)).await,
                Some(address) => send(&mut connect(address).await?, build(&target)?).await,
            }
        });
        let response = answered.await.unwrap_or(Err(CallError::TimedOut))?;
        // All of it, where a part was asked for, is not what was asked for.
        let wanted = if part.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
        match response.status() {
            status if status == wanted => Ok(response),
            status => Err(CallError::Status(status, String::new())),
        }
    }

    /// Puts a body to where it was granted.
    ///
    /// A stream goes on a connection of its own: on the last one, closed by the
    /// service just now, it would be half spent before that is noticed.
    pub async fn put(&self, grant: &Upload, body: Outgoing) -> Result<Put, CallError> {
        let target = self.target(&grant.url)?;
        let build = |body| {
            let mut request = target.request(Method::PUT);
            for (name, value) in &grant.headers {
                // It follows from the body.
                if !name.eq_ignore_ascii_case("content-length") {
                    request = request.header(name, value);
                }
            }
            request.body(body).map_err(|_| CallError::BadUrl(BadAddress::Malformed))
        };
        let response = match (&target.address, body) {
            (None, Outgoing::Whole(bytes)) => {
                self.exchange(|| build(Outgoing::Whole(bytes.clone()))).await?
            }
            (address, body) => {
                let address = address.as_ref().unwrap_or(&self.address);
                send(&mut connect(address).await?, build(body)?).await?
            }
        };
        let status = response.status();
        if status == StatusCode::PRECONDITION_FAILED {
            return Ok(Put::Present);
        }
        if !status.is_success() {
            return Err(CallError::Status(status, String::new()));
        }
        let etag = response.headers().get(header::ETAG).and_then(|etag| etag.to_str().ok());
        Ok(Put::Stored(etag.unwrap_or_default().to_owned()))
    }

    /// Calls until there is an answer that counts.
    async fn insist<T>(
        &self,
        verb: &str,
        body: &impl Serialize,
        read: impl Fn(&[u8]) -> serde_json::Result<T>,
    ) -> Option<Result<T, Refused>> {
        let body = json(body);
        let until = Instant::now() + ENDURANCE;
        let mut backoff = Backoff::default();
        let mut told = false;
        while Instant::now() < until {
            let error = match self.call(verb, body.clone()).await {
                Ok(answer) => match read(&answer) {
                    Ok(answer) => return Some(Ok(answer)),
                    Err(error) => CallError::Unreadable(error.to_string()),
                },
                Err(CallError::Status(StatusCode::CONFLICT, _)) => return Some(Err(Refused)),
                Err(error) => error,
            };
            if !std::mem::replace(&mut told, true) {
                eprintln!("tarpon-agent: {verb}: {error}; trying again");
            }
            backoff.wait().await;
        }
        None
    }

    async fn call(&self, verb: &str, body: Bytes) -> Result<Bytes, CallError> {
        let target = Target {
            address: None,
            authority: self.address.authority().to_owned(),
            path: format!("{}/v1/attempts/{}/{verb}", self.address.prefix(), self.attempt),
        };
        let build = || {
            target
                .request(Method::POST)
                .header(header::AUTHORIZATION, &self.bearer)
                .header(header::CONTENT_TYPE, "application/json")
                .body(Outgoing::Whole(body.clone()))
                .map_err(|_| CallError::BadUrl(BadAddress::Malformed))
        };
        let answered = timeout(PATIENCE, async {
            let response = self.exchange(build).await?;
            let status = response.status();
            let text = Limited::new(response.into_body(), LONGEST_ANSWER).collect().await;
            // The text of a refusal is read as well, to keep the connection.
            let text = text.map_err(|error| CallError::Unreadable(error.to_string()))?.to_bytes();
            if !status.is_success() {
                let why: Problem = serde_json::from_slice(&text).unwrap_or_default();
                return Err(CallError::Status(status, why.detail));
            }
            Ok(text)
        });
        answered.await.unwrap_or(Err(CallError::TimedOut))
    }

    /// One request and its answer, on the last connection if there is one.
    async fn exchange(
        &self,
        build: impl Fn() -> Result<Request<Outgoing>, CallError>,
    ) -> Result<Response<Incoming>, CallError> {
        let idle = self.idle().take();
        if let Some(mut sender) = idle
            && sender.ready().await.is_ok()
        {
            // It may be closed at the other end this moment, and every call
            // may be repeated: so a failure here says nothing yet.
            if let Ok(response) = send(&mut sender, build()?).await {
                *self.idle() = Some(sender);
                return Ok(response);
            }
        }
        let mut sender = connect(&self.address).await?;
        let response = send(&mut sender, build()?).await?;
        *self.idle() = Some(sender);
        Ok(response)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Option<Sender>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn target(&self, url: &str) -> Result<Target, CallError> {
        if url.starts_with('/') {
            return Ok(Target {
                address: None,
                authority: self.address.authority().to_owned(),
                path: format!("{}{url}", self.address.prefix()),
            });
        }
        let address: Address = url.parse().map_err(CallError::BadUrl)?;
        let uri: http::Uri = url.parse().map_err(|_| CallError::BadUrl(BadAddress::Malformed))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Ok(Target { authority: address.authority().to_owned(), path, address: Some(address) })
    }
}

/// Whom a request is for.
struct Target {
    /// `None`: the service.
    address: Option<Address>,
    authority: String,
    path: String,
}

impl Target {
    fn request(&self, method: Method) -> http::request::Builder {
        Request::builder().method(method).uri(&self.path).header(header::HOST, &self.authority)
    }
}

async fn connect(address: &Address) -> Result<Sender, CallError> {
    address.connect().await.map_err(CallError::Connect)
}

async fn send(
    sender: &mut Sender,
    request: Request<Outgoing>,
) -> Result<Response<Incoming>, CallError> {
    sender.send_request(request).await.map_err(CallError::Broken)
}

fn json(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("what is said to the service has a JSON form").into()
}

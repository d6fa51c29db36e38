//! Callbacks by HTTP, the same on every platform.
//!
//! The address of a name is looked up once for each try, every answer is
//! checked, and the connection goes to what was checked: a name server that
//! changes its mind in between changes nothing. No redirect is followed, no
//! proxy asked, and of an answer no more than its head is read.

use std::{
    error::Error,
    net::{IpAddr, SocketAddr},
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use http::{StatusCode, header};
use reqwest::{
    Client, Response, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};

use crate::{
    guard::{Barred, Guard},
    platform::{Message, Outbox, OutboxError, Receipt, Recipient},
};

/// How long a receiver may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Looks up the addresses of a name.
pub type LookUp =
    Arc<dyn Fn(String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Delivers by HTTP. Knows no message queue.
pub struct HttpOutbox {
    guard: Arc<Guard>,
    look_up: LookUp,
    patience: Duration,
    /// Made when it is first needed: it reads the machine's certificates.
    client: OnceLock<Client>,
}

impl HttpOutbox {
    /// Delivers where `guard` lets it, by the machine's own name servers.
    pub fn new(guard: Guard) -> Self {
        HttpOutbox::with(guard, PATIENCE, Arc::new(|name| Box::pin(looked_up(name))))
    }

    /// The same with another patience, and another way to look up names.
    pub fn with(guard: Guard, patience: Duration, look_up: LookUp) -> Self {
        HttpOutbox { guard: Arc::new(guard), look_up, patience, client: OnceLock::new() }
    }

    fn client(&self) -> Result<Client, OutboxError> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        // Already installed is fine: it is the one that everybody here takes.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let guarded =
            Guarded { guard: Arc::clone(&self.guard), look_up: Arc::clone(&self.look_up) };
        let client = Client::builder()
            .user_agent("Tarpon")
            .redirect(Policy::none())
            .no_proxy()
            .timeout(self.patience)
            // Each try looks its receiver up.
            .pool_max_idle_per_host(0)
            .dns_resolver(Arc::new(guarded))
            .build()
            .map_err(|error| OutboxError::NoAnswer(error.into()))?;
        Ok(self.client.get_or_init(|| client).clone())
    }

    async fn post(&self, url: &str, message: &Message) -> Result<Receipt, OutboxError> {
        let url: Url = url.parse().map_err(|_| OutboxError::NoAnswer("it is no URL".into()))?;
        // An address in place of a name is never looked up.
        let host = url.host_str().unwrap_or_default();
        let literal: Result<IpAddr, _> = host.trim_matches(['[', ']']).parse();
        if literal.is_ok_and(|address| !self.guard.allows(address)) {
            return Err(OutboxError::Barred);
        }
        let mut request =
            self.client()?.post(url).header(header::CONTENT_TYPE, message.content_type);
        for (name, value) in &message.headers {
            request = request.header(*name, value);
        }
        let sent = request.body(message.body.clone()).send().await;
        answered(&sent.map_err(not_sent)?)
    }
}

#[async_trait]
impl Outbox for HttpOutbox {
    async fn deliver(&self, to: &Recipient, message: &Message) -> Result<Receipt, OutboxError> {
        match to {
            Recipient::Url(url) => self.post(url, message).await,
            Recipient::MessageQueue(name) => Err(OutboxError::NoSuchQueue(name.clone())),
        }
    }
}

fn answered(response: &Response) -> Result<Receipt, OutboxError> {
    let status = response.status();
    if status.is_success() {
        return Ok(Receipt { status: Some(status.as_u16()) });
    }
    let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let pause = response.headers().get(header::RETRY_AFTER).filter(|_| busy);
    let again_seconds = pause.and_then(|pause| pause.to_str().ok()?.parse().ok());
    Err(OutboxError::Refused { status: status.as_u16(), again_seconds })
}

/// Says nothing of the address: it may be secret.
fn not_sent(error: reqwest::Error) -> OutboxError {
    let mut next: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(source) = next {
        if source.is::<Barred>() {
            return OutboxError::Barred;
        }
        next = source.source();
    }
    if error.is_timeout() {
        return OutboxError::Late;
    }
    OutboxError::NoAnswer(error.without_url().into())
}

async fn looked_up(name: String) -> std::io::Result<Vec<IpAddr>> {
    let found = tokio::net::lookup_host((name, 0)).await?;
    Ok(found.map(|address| address.ip()).collect())
}

/// The guard, as whoever connects asks for addresses.
struct Guarded {
    guard: Arc<Guard>,
    look_up: LookUp,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, found) = (Arc::clone(&self.guard), (self.look_up)(name.as_str().to_owned()));
        Box::pin(async move {
            let found = found.await?;
            if let Some(barred) = found.iter().find(|address| !guard.allows(**address)) {
                return Err(Barred(*barred).into());
            }
            // The port is the URL's.
            let addresses: Addrs = Box::new(found.into_iter().map(|ip| SocketAddr::new(ip, 0)));
            Ok(addresses)
        })
    }
}

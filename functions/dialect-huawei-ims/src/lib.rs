//! The image service (IMS) of Huawei Cloud and the Open Telekom Cloud, as far
//! as it is about jobs: each job of the project is shown as one of its
//! asynchronous jobs, and each task of a job of several as a sub-job.
//!
//! Callers are known by a Keystone token, which is issued here as well, or by
//! an AK/SK signature.

mod caller;
mod faults;
mod ids;
mod keystone;
mod reasons;
mod router;
mod sign;
#[cfg(test)]
mod tests;
mod tokens;
mod words;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method};
use shared::{
    auth::signing::hex,
    dialect::{Asked, Dialect},
    service::Service,
    wire::{Problem, Reply, Request, SMALL_BODY_BYTES},
};

use faults::{Face, Fault};

/// What a key may be limited to that is good here.
const API: &str = "huawei-ims";

/// The dialect.
pub struct HuaweiIms;

impl Dialect for HuaweiIms {
    const NAME: &'static str = "dialect-huawei-ims";

    fn recognises(&self, asked: &Asked<'_>) -> bool {
        router::is_ours(asked)
    }

    async fn answer(&self, service: &Service, request: Request) -> Reply {
        let face = Face::of(&request.path);
        let id = hex(&service.platform.clock.random::<16>());
        let answered = match Sent::of(request).await {
            Ok(sent) => router::answer(service, &sent).await,
            Err(problem) => Err(problem.into()),
        };
        let reply = answered.unwrap_or_else(|fault| fault.reply(face, &id));
        // What each of the two SDKs tells its users to ask the operator about.
        reply
            .with(HeaderName::from_static("x-request-id"), id.as_str())
            .with(HeaderName::from_static("x-openstack-request-id"), format!("req-{id}"))
    }

    fn fault(&self, problem: &Problem) -> Reply {
        Fault::of(problem).reply(Face::Ims, "")
    }
}

/// A request whose body has been read.
#[derive(Debug)]
struct Sent {
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
}

impl Sent {
    async fn of(mut request: Request) -> Result<Self, Problem> {
        let body = request.bytes("the body", SMALL_BODY_BYTES).await?;
        let Request { method, path, query, headers, .. } = request;
        Ok(Sent { method, path, query, headers, body })
    }

    /// A header's text, if it is there and is text.
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The first value of a query parameter.
    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

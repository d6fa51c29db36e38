//! Tencent Cloud Batch, API version 2017-03-12: its tasks, commands and buckets,
//! run as jobs of ours.
//!
//! `call` finds out who asks for what, `router` has it done, `words` tells how
//! things stand, `faults` what went wrong. What is mapped and what is refused is
//! told in `functions/README.md`.

mod call;
mod faults;
mod fields;
mod flat;
mod router;
mod sign;

mod envs;
mod jobs;
mod listing;
mod monitor;
mod submit;
mod tasks;
mod templates;
mod told;

mod catalogue;
mod filters;
mod ids;
mod kept;
mod logs;
mod machines;
mod rebuilt;
mod released;
mod seen;
mod words;
mod zones;

use http::Method;
use shared::{
    dialect::{Asked, Dialect},
    service::Service,
    wire::{Problem, Reply, Request},
};

use faults::Fault;
pub use told::Told;

/// The folder's name.
const NAME: &str = "dialect-tencent-batch";

/// The name of the API, for keys that are limited to some.
const API: &str = "tencent-batch";

/// The dialect.
pub struct TencentBatch;

impl Dialect for TencentBatch {
    const NAME: &'static str = NAME;

    /// By a header that no other API has, or by the parameters of its older
    /// signatures.
    fn recognises(&self, asked: &Asked<'_>) -> bool {
        let older = || asked.parameter("Action").is_some() && asked.parameter("SecretId").is_some();
        asked.path == "/" && (asked.header("x-tc-action").is_some() || older())
    }

    async fn answer(&self, service: &Service, request: Request) -> Reply {
        let outcome = answered(service, request).await;
        faults::reply(service, outcome)
    }

    fn fault(&self, problem: &Problem) -> Reply {
        faults::reply_without(Fault::of(problem))
    }
}

async fn answered(service: &Service, request: Request) -> Result<serde_json::Value, Fault> {
    if ![Method::GET, Method::POST].contains(&request.method) {
        let message = format!("The method {} is not supported; GET and POST are.", request.method);
        return Err(Fault::new("UnsupportedProtocol", message));
    }
    let (who, call) = call::read(service, request).await?;
    router::done(service, who, call).await
}

#[cfg(test)]
mod tests;

//! `UCloud`'s general compute API (UGC): one container run per task, its input
//! on standard input, what it leaves as a tar.
//!
//! One path for all, RPC style; both of its planes at one address. Everything is
//! answered with 200 and, but for a tar, JSON whose `RetCode` says how it went.

mod access;
mod action;
mod asked;
mod faults;
mod router;
mod sign;
mod words;

#[cfg(test)]
mod tests;

use shared::{
    dialect::{Asked, Dialect},
    service::Service,
    wire::{Problem, Reply, Request},
};

use action::Action;
use asked::Parameters;
use faults::Fault;

/// The API's name, for keys that are limited to some.
const API: &str = "ucloud-ugc";

/// The dialect.
pub struct UcloudUgc;

/// What the requests of others say, who have a parameter `Action` as well.
const FOREIGN_HEADERS: [&str; 2] = ["x-tc-action", "x-acs-action"];
const FOREIGN_PARAMETERS: [&str; 2] = ["SecretId", "AccessKeyId"];

impl Dialect for UcloudUgc {
    const NAME: &'static str = "dialect-ucloud-ugc";

    fn recognises(&self, asked: &Asked<'_>) -> bool {
        let is_foreign = FOREIGN_HEADERS.iter().any(|name| asked.header(name).is_some())
            || FOREIGN_PARAMETERS.iter().any(|name| asked.parameter(name).is_some());
        let is_ours =
            ["PublicKey", "AccessToken"].iter().any(|name| asked.parameter(name).is_some())
                || asked.parameter("Action").is_some_and(|name| Action::named(name).is_some());
        is_ours && !is_foreign
    }

    async fn answer(&self, service: &Service, mut request: Request) -> Reply {
        match Parameters::read(&mut request, service.limits.request_bytes).await {
            Ok(parameters) => router::answer(service, &parameters, request).await,
            Err(problem) => self.fault(&problem),
        }
    }

    fn fault(&self, problem: &Problem) -> Reply {
        Fault::of(problem).reply(None)
    }
}

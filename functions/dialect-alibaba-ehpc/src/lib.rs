//! Alibaba Cloud's E-HPC, version 2018-04-12: RPC calls at `/`, by either of
//! the vendor's two signatures.
//!
//! A cluster is a queue. `ListTasks` shows its jobs as tasks; the serverless
//! jobs are ours; of scheduler jobs, which run on a cluster's own nodes, all but
//! the submitting has a meaning here.

mod call;
mod containers;
mod faults;
mod jobs;
mod parameters;
mod router;
mod scheduler;
mod sign;
#[cfg(test)]
mod stories;
mod submit;
mod tasks;
#[cfg(test)]
mod testing;
mod words;

use shared::{
    dialect::{Asked, Dialect},
    service::Service,
    wire::{Problem, Reply, Request},
};

use crate::{call::RequestId, faults::Fault};

/// The API's name, for keys that are limited to some and jobs that came by it.
const API: &str = "alibaba-ehpc";

/// The API's version.
const VERSION: &str = "2018-04-12";

/// The dialect.
pub struct AlibabaEhpc;

impl Dialect for AlibabaEhpc {
    const NAME: &'static str = "dialect-alibaba-ehpc";

    fn recognises(&self, asked: &Asked<'_>) -> bool {
        let scheme = asked.header("authorization").unwrap_or_default();
        scheme.starts_with("ACS3-")
            || ["x-acs-action", "x-acs-version"].iter().any(|name| asked.header(name).is_some())
            || asked.parameter("SignatureVersion").is_some()
            || asked.parameter("Version") == Some(VERSION)
    }

    async fn answer(&self, service: &Service, request: Request) -> Reply {
        let id = RequestId::new(service);
        let host = request.header("host").unwrap_or_default().to_owned();
        match router::answer(service, request, &id).await {
            Ok(reply) => reply,
            Err(fault) => fault.reply(&id, &host),
        }
    }

    fn fault(&self, problem: &Problem) -> Reply {
        Fault::of(problem).reply(&RequestId::none(), "")
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use shared::conformance::memory::World;

    use super::*;

    fn recognised(headers: &[(&'static str, &'static str)], parameters: &[(&str, &str)]) -> bool {
        let headers: HeaderMap =
            headers.iter().map(|(k, v)| (k.parse().unwrap(), v.parse().unwrap())).collect();
        let parameters: Vec<_> =
            parameters.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let asked =
            Asked { method: &Method::GET, path: "/", headers: &headers, parameters: &parameters };
        AlibabaEhpc.recognises(&asked)
    }

    #[test]
    fn its_requests_are_told_by_header_scheme_or_parameter() {
        assert!(recognised(&[("x-acs-action", "ListTasks")], &[]));
        assert!(recognised(&[("authorization", "ACS3-HMAC-SHA256 Credential=a")], &[]));
        assert!(recognised(&[], &[("SignatureVersion", "1.0"), ("Action", "ListTasks")]));
        assert!(recognised(&[], &[("Version", "2018-04-12")]));
        assert!(!recognised(&[("authorization", "TC3-HMAC-SHA256 Credential=a")], &[]));
        assert!(!recognised(&[], &[("Version", "2017-03-12"), ("SignatureMethod", "HmacSHA1")]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_no_host_could_read_is_a_fault_of_the_api() {
        let reply = AlibabaEhpc.fault(&Problem::Malformed("the query is not UTF-8".into()));
        assert_eq!(reply.status, 400);
        let world = World::new().await;
        let nobody = world.ask("/").nameless().speak(&AlibabaEhpc).await;
        let json = nobody.expect(400).json();
        assert_eq!(json["Code"], "MissingAccessKeyId", "{json}");
        assert_eq!(json["RequestId"].as_str().map(str::len), Some(36));
    }
}

//! Tencent Cloud's CI (Cloud Infinite): jobs on objects, over XML.
//!
//! A tag names an operation, which is a template of ours: the one for pictures
//! comes with an installation, any other is a project's own. What is asked of
//! it is kept with the job as it was said, and shown again.

mod asker;
mod callback;
mod detail;
mod faults;
mod jobs;
mod list;
mod order;
mod picture;
mod place;
mod query;
mod queues;
mod router;
mod service;
mod sign;
mod templates;
mod told;
mod tree;
mod words;

#[cfg(test)]
mod stories;
#[cfg(test)]
mod testing;

use shared::{
    dialect::{Asked, Dialect},
    function::said,
    service::Service,
    wire::{Problem, Reply, Request},
};

pub use told::Told;

/// The dialect.
pub struct TencentCi;

impl Dialect for TencentCi {
    const NAME: &'static str = "dialect-tencent-ci";

    fn recognises(&self, asked: &Asked<'_>) -> bool {
        let header = |name| asked.header(name).unwrap_or_default();
        header("authorization").starts_with("q-sign-algorithm=")
            || asked.parameter("q-sign-algorithm").is_some()
            || place::is_ours(header("host"))
            || place::is_path(asked.path)
    }

    async fn answer(&self, service: &Service, request: Request) -> Reply {
        let id = faults::request_id(service.platform.clock.as_ref());
        let host = request.header("host").unwrap_or_default();
        let resource = format!("{host}{}", request.path);
        match router::handle(service, request, &id).await {
            Ok(reply) => reply,
            Err(fault) => {
                if let Some(problem) = &fault.problem {
                    said(TencentCi::NAME, problem);
                }
                fault.reply(&resource, &id)
            }
        }
    }

    fn fault(&self, problem: &Problem) -> Reply {
        faults::unread(problem)
    }
}

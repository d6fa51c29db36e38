//! What every action is given, and what every answer has.

use http::StatusCode;
use serde::Serialize;
use shared::{
    auth::Identity,
    job::{Job, JobKey},
    ops::{jobs, queues, rows::QueueKey},
    service::Service,
    wire::{Problem, Reply},
};

use crate::{faults::Fault, parameters::Parameters, words};

/// How much is looked up, or done, side by side for one call.
pub const AT_ONCE: usize = 8;

/// A request whose sender is known.
pub struct Call<'a> {
    pub service: &'a Service,
    pub who: Identity,
    pub parameters: Parameters,
    pub id: &'a RequestId,
}

/// Names the answer to one request: an upper-case UUID.
pub struct RequestId(String);

impl RequestId {
    pub fn new(service: &Service) -> Self {
        RequestId(words::uuid(u128::from_be_bytes(service.platform.clock.random())))
    }

    /// For a request that did not come as far as to have one.
    pub fn none() -> Self {
        RequestId(words::uuid(0))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An answer's fields, beside the one that all answers have.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answered<'a, T> {
    request_id: &'a str,
    #[serde(flatten)]
    fields: T,
}

/// An answer of that field alone.
#[derive(Serialize)]
pub struct Nothing {}

/// One page of many, by its number.
pub struct Page {
    pub number: u32,
    pub size: u32,
}

impl Page {
    /// What of `all` is on the page.
    pub fn of<'v, T>(&self, all: &'v [T]) -> &'v [T] {
        let (number, size) = (self.number as usize, self.size as usize);
        all.chunks(size).nth(number - 1).unwrap_or_default()
    }
}

impl Call<'_> {
    pub fn answer(&self, fields: impl Serialize) -> Reply {
        Reply::json(StatusCode::OK, &Answered { request_id: self.id.as_str(), fields })
    }

    /// The queue that the cluster is.
    pub async fn cluster(&self) -> Result<QueueKey, Fault> {
        let name = self.parameters.required("ClusterId")?.parse();
        let name = name.map_err(|_| Fault::cluster_not_found())?;
        let key = QueueKey { project: self.who.project, name };
        match queues::known(self.service, &key).await? {
            Some(_) => Ok(key),
            None => Err(Fault::cluster_not_found()),
        }
    }

    /// The job of the cluster, if there is one.
    pub async fn job(
        &self,
        cluster: &QueueKey,
        job: shared::job::JobId,
    ) -> Result<Option<Job>, Fault> {
        match jobs::load(self.service, JobKey { project: cluster.project, job }).await {
            Ok(job) => Ok(Some(job).filter(|job| job.queue == cluster.name)),
            Err(Problem::NotFound { .. }) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    pub fn page(&self, most: u32, size: u32, pages: u32) -> Result<Page, Fault> {
        Ok(Page {
            number: self.parameters.number("PageNumber", 1, pages)?.unwrap_or(1),
            size: self.parameters.number("PageSize", 1, most)?.unwrap_or(size),
        })
    }
}

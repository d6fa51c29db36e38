//! What other APIs than the native one tell the callers of their jobs.
//!
//! A job is told of in the way of the API that it was submitted through,
//! wherever its callback is set: its caller reads no other. When, how often and
//! to whom is the same for all.

use async_trait::async_trait;

use crate::{
    job::{CallbackFormat, Job, JobSpec, Telling},
    service::Service,
    wire::Problem,
};

/// How one API tells the callers of its jobs.
#[async_trait]
pub trait Shape: Send + Sync {
    /// The API's name, as the origin of a job says it.
    fn api(&self) -> &'static str;

    /// What is told; `None` where the API tells nobody of this.
    async fn told(&self, service: &Service, news: News<'_>) -> Result<Option<Shaped>, Problem>;
}

/// The shapes that a host knows.
pub type Shapes<'s> = &'s [&'s dyn Shape];

/// What there is to tell.
#[derive(Clone, Copy, Debug)]
pub struct News<'n> {
    /// The job.
    pub job: &'n Job,
    /// What was asked for.
    pub spec: &'n JobSpec,
    /// What of it.
    pub telling: &'n Telling,
    /// In which of the API's forms.
    pub format: CallbackFormat,
}

/// A message as an API has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shaped {
    /// Its media type.
    pub content_type: &'static str,
    /// What it says.
    pub body: String,
}

/// The shape that the job is told of in; `None` for the native one.
pub(super) fn of<'s>(shapes: Shapes<'s>, spec: &JobSpec) -> Option<&'s dyn Shape> {
    let origin = spec.origin.as_ref()?;
    shapes.iter().find(|shape| shape.api() == origin.api).copied()
}

//! Who asks, of what.

use shared::{
    job::ProjectId,
    ops::{
        queues::{self, Queue, QueueChange},
        rows::QueueKey,
    },
    service::Service,
    wire::Problem,
};

use crate::{place::Place, tree::Fields, words::Kind};

/// What every answer starts from.
pub struct Asker<'a> {
    /// What it is done with.
    pub service: &'a Service,
    /// Whose.
    pub project: ProjectId,
    /// Where.
    pub place: Place,
    /// The request's id.
    pub id: &'a str,
}

impl Asker<'_> {
    /// An answer that starts with the request's id.
    pub fn answer(&self) -> Fields {
        Fields::new().with("RequestId", self.id)
    }

    /// The queue of a service in this bucket.
    pub fn queue_key(&self, kind: Kind) -> Result<QueueKey, Problem> {
        let name = format!("{}.{}", self.place.bucket, kind.word());
        let name = name.parse().map_err(|_| {
            Problem::invalid("Bucket", "its name is too long to have queues of its own here")
        })?;
        Ok(QueueKey { project: self.project, name })
    }

    /// A queue, there from now on.
    pub async fn made(&self, key: &QueueKey) -> Result<Queue, Problem> {
        match queues::load(self.service, key).await? {
            Some((_, queue)) => Ok(queue),
            None => Ok(queues::put(self.service, key, QueueChange::default()).await?.0),
        }
    }
}

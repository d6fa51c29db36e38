//! Another run of a job that is over.

use super::{
    queues, record,
    rows::{self, QueueKey},
};
use crate::{
    job::{Event, Job, JobKey},
    platform::TableError,
    service::Service,
    wire::Problem,
};

/// How often a writer that keeps being overtaken tries again.
const TRIES: u32 = 10;

/// What of a job is to run again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Again {
    /// Also what succeeded.
    pub all: bool,
    /// The run that is to be followed by another; whichever is the last
    /// without one. Said, a request can be repeated: the run after it is there
    /// once, however often it is asked for.
    pub run: Option<u32>,
}

/// Reopens the job as its next run.
pub async fn retry(service: &Service, key: JobKey, again: Again) -> Result<Job, Problem> {
    for _ in 0..TRIES {
        let found = record::load(service, key).await?;
        let (row, job) = found.ok_or_else(|| Problem::not_found("job", key.job))?;
        match again.run {
            Some(run) if run.checked_add(1) == Some(job.run) => return Ok(job),
            Some(run) if run != job.run => {
                let detail = format!("the job is in run {}, not {run}", job.run);
                return Err(Problem::conflict("another_run", detail));
            }
            Some(_) | None => {}
        }
        let event = Event::RetryAsked { all: again.all };
        let next = job.after(&event, service.platform.clock.now())?;
        let queue = QueueKey::of(&job);
        if queues::known(service, &queue).await?.is_none() {
            let detail = format!("the project no longer has the queue `{}`", queue.name);
            return Err(Problem::conflict("no_queue", detail));
        }
        service.backlog.admit(&service.platform, key.project, 1, service.limits.open_jobs).await?;
        // Written on the row that was read: what became of the job meanwhile,
        // another run included, is looked at anew.
        let (put, _) = record::replace(service, &row, &next);
        match service.platform.table.commit(vec![put]).await {
            Ok(()) => {
                record::diary(&job, &next, &event);
                return Ok(next);
            }
            Err(TableError::Stale(stale)) if stale == rows::job(key) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Err(Problem::Unavailable(format!("{} is written to by too many at once", key.job).into()))
}

//! The same for many jobs: those that a filter lets through, a bounded number
//! in one call.
//!
//! Jobs are walked newest first, from where an earlier call had got to. So
//! what is submitted in between is left alone, whatever is done to a job does
//! not move the place, and the walk ends. A call that is repeated does to each
//! job what was done before, which does nothing.

use futures::{StreamExt, stream};

use super::{
    jobs::{self, Filter},
    retry::{self, Again},
};
use crate::{
    job::{Job, JobId, ProjectId},
    service::Service,
    wire::{Problem, views::ENDED_STATES},
};

/// How many jobs are changed side by side.
const AT_ONCE: usize = 8;

/// What is to be done to jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Those that are not over are told to stop.
    Cancel,
    /// Those that are over without success run again.
    Retry {
        /// Also what succeeded in them, and those that succeeded whole.
        all: bool,
    },
    /// Those that are over are removed.
    Delete,
}

/// What came of one call.
#[derive(Debug, Default)]
pub struct Done {
    /// The jobs that were found, newest first.
    pub jobs: Vec<JobId>,
    /// Those that it could not be done to, and why.
    pub refused: Vec<(JobId, Problem)>,
    /// The last job that was looked at, if there may be more.
    pub next: Option<JobId>,
}

impl Deed {
    /// The states, by their words, of jobs that it can be done to.
    pub fn states(self) -> &'static [&'static str] {
        match self {
            Deed::Cancel => &["queued", "running"],
            Deed::Retry { all: false } => &["failed", "partly_failed", "cancelled", "timed_out"],
            Deed::Retry { all: true } | Deed::Delete => &ENDED_STATES,
        }
    }

    async fn done_to(self, service: &Service, job: &Job) -> Result<(), Problem> {
        match self {
            Deed::Cancel => jobs::cancel(service, job.key()).await.map(drop),
            Deed::Retry { all } => {
                // In the run in which it was found.
                let again = Again { all, run: Some(job.run) };
                retry::retry(service, job.key(), again).await.map(drop)
            }
            Deed::Delete => jobs::delete(service, job.key()).await,
        }
    }
}

/// Does it to up to `limit` jobs that the filter lets through; without a state
/// in it, to all that it can be done to. With `dry` it only tells which.
pub async fn perform(
    service: &Service,
    project: ProjectId,
    deed: Deed,
    mut filter: Filter,
    (after, limit): (Option<JobId>, usize),
    dry: bool,
) -> Result<Done, Problem> {
    if filter.states.is_empty() {
        filter.states = deed.states().iter().map(|state| (*state).to_owned()).collect();
    }
    let (found, next) = jobs::list(service, project, &filter, after, limit).await?;
    let mut done = Done { jobs: found.iter().map(|job| job.id).collect(), next, ..Done::default() };
    if dry {
        return Ok(done);
    }
    let deeds = found.iter().map(|job| async move { (job.id, deed.done_to(service, job).await) });
    let mut outcomes = stream::iter(deeds.collect::<Vec<_>>()).buffered(AT_ONCE);
    while let Some((job, outcome)) = outcomes.next().await {
        match outcome {
            Ok(()) => {}
            // Removed by somebody else meanwhile.
            Err(Problem::NotFound { .. }) if deed == Deed::Delete => {}
            Err(problem @ (Problem::Unavailable(_) | Problem::Internal(_))) => return Err(problem),
            Err(problem) => done.refused.push((job, problem)),
        }
    }
    Ok(done)
}

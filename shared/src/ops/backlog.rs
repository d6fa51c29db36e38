//! How many unfinished jobs a project may have.
//!
//! Counting them at each submit would cost more than the submit. So each
//! process keeps a count of its own, adds what it accepts, and counts anew now
//! and then, and before it refuses. What others accept meanwhile may pass the
//! limit by a little: it keeps a runaway client from filling the table, and is
//! no quota to the last job.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::{
    job::ProjectId,
    platform::{Index, Platform, Query},
    wire::Problem,
};

/// How long a count is good.
const GOOD_FOR: SignedDuration = SignedDuration::from_secs(10);

/// How long a project that has reached the limit is refused without a look.
const REFUSED_FOR: SignedDuration = SignedDuration::from_secs(1);

/// What this process knows of how many unfinished jobs projects have.
#[derive(Debug, Default)]
pub struct Backlog {
    counts: Mutex<HashMap<ProjectId, Count>>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    open: usize,
    at: Timestamp,
}

impl Backlog {
    /// Makes room for one more job of the project, which may have `limit`, or
    /// refuses it.
    pub async fn admit(
        &self,
        platform: &Platform,
        project: ProjectId,
        limit: usize,
    ) -> Result<(), Problem> {
        let now = platform.clock.now();
        // Held during the count, so that of many that wait for one, one counts.
        let mut counts = self.counts.lock().await;
        let known = counts.get(&project).copied();
        let count = match known.filter(|count| count.is_good(limit, now)) {
            Some(count) => count,
            None => {
                let open = Query::index(Index::Open, project.to_string());
                Count { open: platform.table.count(&open, limit).await?, at: now }
            }
        };
        if count.open >= limit {
            counts.insert(project, count);
            let detail = format!("the project has {limit} unfinished jobs, and may not have more");
            return Err(Problem::TooMany(detail.into()));
        }
        counts.insert(project, Count { open: count.open + 1, ..count });
        Ok(())
    }
}

impl Count {
    fn is_good(self, limit: usize, now: Timestamp) -> bool {
        let age = now.duration_since(self.at);
        age < if self.open < limit { GOOD_FOR } else { REFUSED_FOR }
    }
}

#[cfg(all(test, feature = "conformance"))]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        conformance::memory::World,
        ops::{jobs, submit},
        wire::submit::JobRequest,
    };

    async fn submit_one(world: &World, token: &str) -> Result<crate::job::Job, Problem> {
        let json = format!(r#"{{"image": "a", "client_token": "{token}"}}"#);
        let (job, tasks) = JobRequest::parse(json.as_bytes()).unwrap();
        let submission = job.check(tasks, &world.service.limits).unwrap();
        let bytes = json.as_bytes();
        let accepted = submit::submit(&world.service, world.project, submission, bytes, None).await;
        accepted.map(|accepted| accepted.job)
    }

    #[tokio::test(start_paused = true)]
    async fn a_project_that_has_its_fill_is_refused_until_a_job_is_over() {
        let mut world = World::new().await;
        world.service.limits.open_jobs = 2;
        let first = submit_one(&world, "1").await.unwrap();
        submit_one(&world, "2").await.unwrap();

        let refused = submit_one(&world, "3").await.unwrap_err();
        assert!(matches!(refused, Problem::TooMany(_)), "{refused}");
        let repeated = submit_one(&world, "1").await.unwrap();
        assert_eq!(repeated.id, first.id);
        let neighbour = world.neighbour().await;
        submit_one(&neighbour, "1").await.unwrap();

        jobs::cancel(&world.service, first.key()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        submit_one(&world, "3").await.unwrap();
        submit_one(&world, "4").await.unwrap_err();
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_there_before_this_process_counts() {
        let mut world = World::new().await;
        submit_one(&world, "1").await.unwrap();
        world.service.limits.open_jobs = 1;
        world.service.backlog = std::sync::Arc::default();
        submit_one(&world, "2").await.unwrap_err();
    }
}

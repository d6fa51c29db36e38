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
        let count = if let Some(count) = known.filter(|count| count.is_good(limit, now)) {
            count
        } else {
            let open = Query::index(Index::Open, project.to_string());
            Count { open: platform.table.count(&open, limit).await?, at: now }
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

//! How many unfinished jobs a project may have.
//!
//! Counting them at each submit would cost more than the submit. So each
//! process keeps a count of its own, adds what it accepts, and counts anew now
//! and then, and before it refuses. What others accept meanwhile may pass the
//! limit by a little: it keeps a runaway client from filling the table, and is
//! no quota to the last job. Where jobs have no mark as open before they have
//! reached some age, younger ones count, over or not.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use super::rows;
use crate::{
    job::ProjectId,
    platform::{Index, Platform, Query, TableError},
    wire::Problem,
};

/// How long a count is good.
const GOOD_FOR: SignedDuration = SignedDuration::from_secs(10);

/// How long it is good while little has been added: so little that many
/// processes together cannot have come to the limit.
const GOOD_WITH_FEW_FOR: SignedDuration = SignedDuration::from_mins(10);

/// How many processes may count for themselves.
const PROCESSES: usize = 1_000;

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
    /// How many of them were accepted here since they were counted.
    added: usize,
    at: Timestamp,
}

impl Backlog {
    /// Makes room for so many more jobs of the project, which may have `limit`,
    /// or refuses them.
    pub async fn admit(
        &self,
        platform: &Platform,
        project: ProjectId,
        jobs: usize,
        limit: usize,
    ) -> Result<(), Problem> {
        // Held during the count, so that of many that wait for one, one counts.
        let mut counts = self.counts.lock().await;
        let most = (limit + 1).saturating_sub(jobs);
        let count = counted(&counts, platform, project, most, limit).await?;
        if count.open >= most {
            counts.insert(project, count);
            let detail = format!("the project has {limit} unfinished jobs, and may not have more");
            return Err(Problem::TooMany(detail.into()));
        }
        let (open, added) = (count.open + jobs, count.added + jobs);
        counts.insert(project, Count { open, added, ..count });
        Ok(())
    }

    /// How many unfinished jobs the project has, as far as `limit`.
    pub async fn count(
        &self,
        platform: &Platform,
        project: ProjectId,
        limit: usize,
    ) -> Result<usize, Problem> {
        let counts = self.counts.lock().await;
        Ok(counted(&counts, platform, project, limit, limit).await?.open)
    }
}

/// The count that there is, if it is good for who is refused from `most` on; else
/// a new one, as far as `limit`: others, who may have more, are told it as well.
async fn counted(
    counts: &HashMap<ProjectId, Count>,
    platform: &Platform,
    project: ProjectId,
    most: usize,
    limit: usize,
) -> Result<Count, Problem> {
    let now = platform.clock.now();
    if let Some(count) = counts.get(&project).filter(|count| count.is_good(most, now)) {
        return Ok(*count);
    }
    Ok(Count { open: open_jobs(platform, project, limit).await?, added: 0, at: now })
}

impl Count {
    fn is_good(self, limit: usize, now: Timestamp) -> bool {
        let age = now.duration_since(self.at);
        let counted = self.open - self.added;
        let few = limit.saturating_sub(counted) / PROCESSES;
        let good_for = match self {
            Count { open, .. } if open >= limit => REFUSED_FOR,
            Count { added, .. } if added < few => GOOD_WITH_FEW_FOR,
            Count { .. } => GOOD_FOR,
        };
        age < good_for
    }
}

/// How many open jobs there are, counted as far as `most`.
async fn open_jobs(
    platform: &Platform,
    project: ProjectId,
    most: usize,
) -> Result<usize, TableError> {
    let Platform { table, clock, .. } = platform;
    let index = Query::index(Index::Open, project.to_string());
    let now = clock.now();
    let Some(since) = rows::unlisted_since(now, table.mark_slack()) else {
        return table.count(&index, most).await;
    };
    let first = rows::first_job(since);
    let marked = table.count(&Query { to: Some(first.clone()), ..index }, most).await?;
    let mut months = [since, now].map(|at| at.strftime("%Y%m").to_string()).to_vec();
    months.dedup();
    let mut count = marked;
    for month in months {
        let young = Query::partition(rows::job_partition(project, &month));
        let young = Query { from: first.clone(), ..young };
        count += table.count(&young, most - count.min(most)).await?;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_good_for_long_while_little_was_added_to_it() {
        let at = Timestamp::UNIX_EPOCH;
        let good_for = |open, added, limit| {
            let count = Count { open, added, at };
            let seconds = (0..=3_600)
                .take_while(|&n| count.is_good(limit, at + SignedDuration::from_secs(n)));
            seconds.count()
        };
        assert_eq!(good_for(99, 99, 100_000), 600);
        assert_eq!(good_for(100, 100, 100_000), 10, "a thousand such processes fill it");
        assert_eq!(good_for(99_000, 1, 100_000), 10, "there is little room");
        assert_eq!(good_for(1, 1, 2), 10);
        assert_eq!(good_for(2, 2, 2), 1);
    }
}

//! `DescribeJobs`: the jobs of a project, newest first, by page and by filter.
//!
//! Only what is shown is looked into, and of the rest no more than a filter asks
//! of what is not in a job's record.

use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use shared::{
    auth::Identity,
    job::{Job, JobId, JobKey, ProjectId},
    ops::jobs::{self, Filter},
    service::Service,
    wire::Problem,
};

use crate::{
    call::Call,
    faults::Fault,
    fields::Fields,
    filters::{Filters, Page, page},
    jobs::{by_state, ended, priority, tags},
    kept::Kept,
    seen::{self, Seen},
    words::{self, State, time},
};

/// How many jobs are walked; the total is exact up to here.
const WALKED: usize = 10_000;

/// How many of them are looked into for a filter.
const LOOKED_INTO: usize = 1_000;

/// How many are read at a time: one less than the page of a table, so that the
/// one which tells whether there are more is on it.
const READ: usize = 99;

/// How many jobs are looked into at once.
const AT_ONCE: usize = 8;

/// `DescribeJobs`.
pub(crate) async fn jobs(service: &Service, who: Identity, call: Call) -> Result<Value, Fault> {
    let mut fields = Fields::new(call.parameters);
    let ids = fields.texts("JobIds")?;
    let names = ["job-id", "job-name", "job-state", "zone", "tag-key", "tag-value"];
    let filters = Filters::read(&mut fields, &names)?;
    let page = page(&mut fields, 20, 100)?;
    fields.end()?;
    if !ids.is_empty() && !filters.is_empty() {
        return Err(Fault::combination("`JobIds` and `Filters` do not go together."));
    }
    if ids.len() > 100 {
        return Err(Fault::limit("JobIds", "100 ids"));
    }
    let ids = if ids.is_empty() { filters.of("job-id").unwrap_or_default() } else { &ids };
    let mut found = Found { filters: &filters, page, total: 0, looked_into: 0, shown: Vec::new() };
    if ids.is_empty() {
        found.walk(service, who.project).await?;
    } else {
        for job in by_ids(service, who.project, ids).await? {
            found.look_at(service, job).await?;
        }
    }
    let each: Vec<_> = found.shown.into_iter().map(|job| Seen::of(service, job)).collect();
    let shown: Vec<Seen> = stream::iter(each).buffered(AT_ONCE).try_collect().await?;
    let set: Vec<Value> = shown.iter().map(view).collect();
    Ok(json!({ "TotalCount": found.total, "JobSet": set }))
}

/// Those of the jobs that there are.
async fn by_ids(service: &Service, project: ProjectId, ids: &[String]) -> Result<Vec<Job>, Fault> {
    let ids: Vec<JobId> = ids.iter().map(|text| seen::id(text)).collect::<Result<_, _>>()?;
    let load = |job: JobId| async move {
        match jobs::load(service, JobKey { project, job }).await {
            Err(Problem::NotFound { .. }) => Ok(None),
            loaded => loaded.map(Some),
        }
    };
    let each: Vec<_> = ids.into_iter().map(load).collect();
    let found: Vec<Option<Job>> = stream::iter(each).buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

/// What has been found so far.
struct Found<'f> {
    filters: &'f Filters,
    page: Page,
    /// How many jobs pass.
    total: usize,
    /// How many of all were looked into.
    looked_into: usize,
    /// Those of the page.
    shown: Vec<Job>,
}

impl Found<'_> {
    async fn walk(&mut self, service: &Service, project: ProjectId) -> Result<(), Problem> {
        let filter = self.in_record();
        let (mut walked, mut after) = (0, None);
        loop {
            let (jobs, next) = jobs::list(service, project, &filter, after, READ).await?;
            walked += jobs.len();
            for job in jobs {
                self.look_at(service, job).await?;
            }
            after = next;
            if after.is_none() || walked >= WALKED || self.looked_into >= LOOKED_INTO {
                return Ok(());
            }
            // Without a filter the rest need not be read to be counted.
            if self.filters.is_empty() && self.total >= self.page.end() {
                let all = jobs::count(service, project, WALKED).await?;
                self.total = self.total.max(all);
                return Ok(());
            }
        }
    }

    /// What can be left to the walk itself: those that are open are in an index.
    fn in_record(&self) -> Filter {
        let is_open =
            |word: &String| State::OPEN.into_iter().any(|state| state.word() == word.as_str());
        match self.filters.of("job-state") {
            Some(states) if states.iter().all(is_open) => {
                let states = ["queued", "running", "stopping"].map(str::to_owned);
                Filter { states: states.into(), ..Filter::default() }
            }
            Some(_) | None => Filter::default(),
        }
    }

    async fn look_at(&mut self, service: &Service, job: Job) -> Result<(), Problem> {
        if self.admits(service, &job).await? {
            if (self.page.offset..self.page.end()).contains(&self.total) {
                self.shown.push(job);
            }
            self.total += 1;
        }
        Ok(())
    }

    async fn admits(&mut self, service: &Service, job: &Job) -> Result<bool, Problem> {
        let named = self
            .filters
            .of("job-name")
            .is_none_or(|names| job.name.as_ref().is_some_and(|name| names.contains(name)));
        Ok(named
            && self.filters.admits_tags(&job.tags)
            && self.is_in_state(service, job).await?
            && self.is_in_zone(service, job).await?)
    }

    async fn is_in_state(&mut self, service: &Service, job: &Job) -> Result<bool, Problem> {
        let Some(wanted) = self.filters.of("job-state") else { return Ok(true) };
        let is_wanted = |state: State| wanted.iter().any(|word| word == state.word());
        let state = Seen::but_for_what_is_held(job);
        // Only of what has failed more than the record has to be known.
        if state != State::Failed || is_wanted(State::Failed) == is_wanted(State::FailedInterrupted)
        {
            return Ok(is_wanted(state));
        }
        self.looked_into += 1;
        Ok(is_wanted(Seen::of(service, job.clone()).await?.state))
    }

    async fn is_in_zone(&mut self, service: &Service, job: &Job) -> Result<bool, Problem> {
        let Some(wanted) = self.filters.of("zone") else { return Ok(true) };
        self.looked_into += usize::from(job.spec.is_none());
        let kept = Kept::of(service, job).await?;
        Ok(kept.is_some_and(|kept| {
            kept.zone().is_some_and(|zone| wanted.iter().any(|wanted| wanted == zone))
        }))
    }
}

fn view(seen: &Seen) -> Value {
    let Seen { job, tasks, state, .. } = seen;
    json!({
        "JobId": job.id,
        "JobName": job.name,
        "JobState": state.word(),
        "Priority": priority(job),
        "Placement": placement(seen),
        "CreateTime": time(job.id.created_at()),
        "EndTime": ended(job),
        "TaskMetrics": words::metrics(&by_state(tasks)),
        "Tags": tags(job),
    })
}

fn placement(seen: &Seen) -> Value {
    let mut placement = seen.kept.as_ref().map(|kept| kept.placement.clone()).unwrap_or_default();
    for (name, none) in [("Zone", Value::Null), ("ProjectId", 0.into()), ("HostIds", Value::Null)] {
        placement.entry(name).or_insert(none);
    }
    Value::Object(placement)
}

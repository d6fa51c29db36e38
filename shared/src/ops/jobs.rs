//! Reading jobs, and asking for their end.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use jiff::{Timestamp, ToSpan, tz::TimeZone};

use super::{
    attempts::{self, AttemptRecord},
    chunks, dispatch,
    queues::{self, Queue},
    record::{self, Recorded},
    rows::{self, ChunkKey, QueueKey},
    slots,
};
use crate::{
    job::{
        AttemptId, Chunk, Event, ImageState, Instance, InstanceState, Job, JobId, JobKey,
        ProjectId, Recall, Refused, Task, TaskState,
    },
    platform::{Index, Platform, Query},
    service::Service,
    wire::{
        Problem,
        views::{JobView, OPEN_STATES, UsageView, WaitingView},
    },
};

/// How many rows one list request walks at most.
const ROWS_WALKED: usize = 1_000;

/// How many of the newest jobs are looked through for pages by number: this many,
/// or a few more.
pub const LOOKED_THROUGH: usize = 10_000;

/// How far back a listing goes, in months: twice as far as what is over is kept.
const MONTHS: i32 = 24;

/// The job; another project's is not found.
pub async fn load(service: &Service, key: JobKey) -> Result<Job, Problem> {
    let found = record::load(service, key).await?;
    found.map(|(_, job)| job).ok_or_else(|| Problem::not_found("job", key.job))
}

/// The job as a client sees it, with why it waits and what its only attempt said.
pub async fn view(service: &Service, job: &Job) -> Result<JobView, Problem> {
    let mut view = JobView::of(job).priced(job, service.config.prices);
    if job.ending().is_none() {
        view.waiting_for = waiting_for(service, job).await?;
    } else if let Some(last) = only_attempt(service, job).await? {
        view.message = last.message;
        // A job of before its record told that.
        view.usage = view.usage.or(last.usage.map(|usage| UsageView::priced(usage, None)));
    }
    Ok(view)
}

/// What the last attempt of a job of one instance left behind.
async fn only_attempt(service: &Service, job: &Job) -> Result<Option<AttemptRecord>, Problem> {
    match job.only_instance() {
        Some(instance) if instance.attempts > 0 => {
            attempts::load(service, job.attempt_id(0, 0, instance.attempts)).await
        }
        _ => Ok(None),
    }
}

/// Why the job has nothing running, if it has not.
async fn waiting_for(service: &Service, job: &Job) -> Result<Option<WaitingView>, Problem> {
    let alone = |reason| Ok(Some(WaitingView { reason, position: None }));
    let live = job.tasks.iter().map(|task| task.members.counts().live).sum::<u32>();
    if live > 0 || job.halt().is_some() {
        return Ok(None);
    }
    let claims = !job.claims().is_empty();
    let part = if claims { None } else { waiting_part(service, job).await? };
    if part.as_ref().is_some_and(|part| part.counts().live > 0) {
        return Ok(None);
    }
    if !claims && part.as_ref().is_none_or(|part| part.claims().is_empty()) {
        let open = |task: &&Task| matches!(task.state, TaskState::Ready | TaskState::Running);
        let is_wanted = |task: &Task| {
            matches!(job.images[task.image as usize].state, ImageState::Wanted { .. })
        };
        let inline = job.tasks.iter().flat_map(|task| {
            let caches = task.caches && open(&task);
            task.instances().iter().map(move |instance| (caches, instance))
        });
        let apart = part
            .iter()
            .flat_map(|part| part.instances.iter().map(|instance| (part.caches, instance)));
        let waiting: Vec<_> = inline.chain(apart).collect();
        return alone(if job.tasks.iter().filter(open).any(is_wanted) {
            "image"
        } else if waiting.iter().any(|(caches, instance)| *caches && awaits_equal(instance)) {
            "cache"
        } else if waiting.iter().any(|(_, instance)| is_in_pause(instance)) {
            "retry_pause"
        } else {
            "dependency"
        });
    }
    let key = QueueKey::of(job);
    let Some((_, queue)) = queues::load(service, &key).await? else { return alone("queue_paused") };
    let reason = if queue.paused {
        "queue_paused"
    } else if is_queue_full(service, job, &queue).await? {
        "queue_limit"
    } else {
        "capacity"
    };
    Ok(Some(WaitingView { reason, position: Some(position(service, job).await?) }))
}

/// The first part of a wide task that has something waiting, as far as the
/// record of its job knows.
async fn waiting_part(service: &Service, job: &Job) -> Result<Option<Chunk>, Problem> {
    match job.waiting_chunk() {
        Some((task, chunk)) => {
            chunks::load(service, ChunkKey { job: job.key(), task, chunk }).await
        }
        None => Ok(None),
    }
}

/// Whether it is not known yet that the instance has no equal.
fn awaits_equal(instance: &Instance) -> bool {
    let is_free = matches!(instance.state, InstanceState::Waiting { not_before: None, .. });
    is_free && !matches!(instance.recall, Some(Recall::Leads { .. }))
}

fn is_in_pause(instance: &Instance) -> bool {
    matches!(instance.state, InstanceState::Waiting { not_before: Some(_), .. })
}

/// Whether the queue has no slot for the job, or for the one that is first.
async fn is_queue_full(service: &Service, job: &Job, queue: &Queue) -> Result<bool, Problem> {
    let (key, limit) = (QueueKey::of(job), queue.slots());
    let held = queues::held(service, &key).await?;
    let has_slot = |job: &Job| {
        let claim = dispatch::first_claim(job, limit).map(|id| &job.tasks[id.task as usize]);
        let waiting = claim.into_iter().chain(job.waiting_in_chunks());
        let mut asked = waiting.map(|task| task.resources);
        let asked = asked.find(|asked| slots::ever_fits(*asked, limit))?;
        Some(slots::fits(held, asked, limit))
    };
    if has_slot(job) != Some(true) {
        return Ok(true);
    }
    // A small one waits until the first has found its place.
    let first = Query { limit: 1, ..Query::index(Index::Queue, rows::waiting(&key)) };
    let page = service.platform.table.query(&first).await?;
    let Some(first) = page.rows.first() else { return Ok(false) };
    let has_slot = if rows::chunk_at(&first.key).is_some() {
        let asked = rows::read::<Chunk>(first)?.resources;
        slots::ever_fits(asked, limit).then(|| slots::fits(held, asked, limit))
    } else {
        has_slot(&rows::read::<Job>(first)?)
    };
    Ok(has_slot == Some(false))
}

/// How many jobs of the queue start before this one.
async fn position(service: &Service, job: &Job) -> Result<String, Problem> {
    let mut query = Query {
        to: Some(rows::turn(job.priority, job.key())),
        limit: queues::COUNTED + 1,
        ..Query::index(Index::Queue, rows::waiting(&QueueKey::of(job)))
    };
    // A job of wide tasks may be there many times: once for each chunk.
    let mut ahead = BTreeSet::new();
    loop {
        let page = service.platform.table.query(&query).await?;
        let marks = page.rows.iter().filter_map(|row| row.marks.get(&Index::Queue));
        ahead.extend(marks.map(|mark| rows::job_in_turn(&mark.sort).to_owned()));
        query.cursor = page.cursor;
        if ahead.len() > queues::COUNTED || query.cursor.is_none() {
            return Ok(queues::counted(ahead.len()));
        }
    }
}

/// What a listing is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only jobs in one of these states, by their words; any without one.
    pub states: Vec<String>,
    /// Only jobs of this queue.
    pub queue: Option<String>,
    /// Only jobs of this name.
    pub name: Option<String>,
    /// Only jobs with these labels.
    pub tags: Vec<(String, String)>,
}

impl Filter {
    /// Whether the job passes.
    pub fn admits(&self, job: &Job) -> bool {
        let state = crate::wire::views::job_state(job);
        (self.states.is_empty() || self.states.iter().any(|wanted| wanted == state))
            && self.queue.as_deref().is_none_or(|wanted| wanted == job.queue.as_str())
            && self.name.as_deref().is_none_or(|wanted| Some(wanted) == job.name.as_deref())
            && self.tags.iter().all(|(key, value)| job.tags.get(key) == Some(value))
    }

    /// Whether only jobs that are not over can pass.
    fn only_open(&self) -> bool {
        let open = |state: &String| OPEN_STATES.contains(&state.as_str());
        !self.states.is_empty() && self.states.iter().all(open)
    }
}

/// A page of jobs, newest first, and where the next one starts.
///
/// One request walks a bounded number of rows; a page may be short and not be
/// the last. `after` is the last job that an earlier page got to.
pub async fn list(
    service: &Service,
    project: ProjectId,
    filter: &Filter,
    after: Option<JobId>,
    limit: usize,
) -> Result<(Vec<Job>, Option<JobId>), Problem> {
    let mut jobs = Vec::new();
    let mut walked = 0;
    let mut last = after;
    for mut query in Partitions::new(service, project, filter, after) {
        query.to = query.to.into_iter().chain(after.map(|job| job.to_string())).min();
        loop {
            // Without a filter every row is wanted, and one more than is asked
            // for tells whether there is a next page.
            let wanted = if *filter == Filter::default() { limit + 1 - jobs.len() } else { 100 };
            query.limit = wanted.clamp(1, 100);
            let page = service.platform.table.query(&query).await?;
            walked += page.rows.len();
            for row in &page.rows {
                let job: Job = rows::read(row)?;
                let admitted = job.deleted_at.is_none() && filter.admits(&job);
                if admitted && jobs.len() == limit {
                    return Ok((jobs, last));
                }
                last = Some(job.id);
                jobs.extend(admitted.then_some(job));
            }
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
            if walked >= ROWS_WALKED {
                return Ok((jobs, last));
            }
        }
    }
    Ok((jobs, None))
}

/// Those that pass of the newest [`LOOKED_THROUGH`] jobs, the newest first: for
/// callers who want pages by number, and totals.
pub async fn newest(
    service: &Service,
    project: ProjectId,
    filter: &Filter,
) -> Result<Vec<Job>, Problem> {
    let (mut jobs, mut after) = (Vec::new(), None);
    for _ in 0..LOOKED_THROUGH / ROWS_WALKED {
        let (page, next) = list(service, project, filter, after, ROWS_WALKED).await?;
        jobs.extend(page);
        after = next;
        if after.is_none() {
            break;
        }
    }
    Ok(jobs)
}

/// How many jobs the project has, counted as far as `most`. One that is being
/// removed counts until it is.
pub async fn count(service: &Service, project: ProjectId, most: usize) -> Result<usize, Problem> {
    let mut count = 0;
    for query in Partitions::new(service, project, &Filter::default(), None) {
        if count >= most {
            break;
        }
        count += service.platform.table.count(&query, most - count).await?;
    }
    Ok(count)
}

/// The queries that a listing walks: one partition a month, newest first, as far
/// back as a listing goes; or, of open jobs, back to where all have a mark, and
/// then the index.
struct Partitions {
    project: ProjectId,
    next: Option<Timestamp>,
    oldest: Timestamp,
    from: String,
    index: Option<Query>,
}

impl Partitions {
    fn new(service: &Service, project: ProjectId, filter: &Filter, after: Option<JobId>) -> Self {
        let Platform { table, clock, .. } = &service.platform;
        let now = clock.now();
        let next = Some(after.map_or(now, JobId::created_at));
        if filter.only_open() {
            let since = rows::unlisted_since(now, table.mark_slack());
            let to = since.map(rows::first_job);
            return Partitions {
                project,
                next,
                oldest: since.unwrap_or(Timestamp::MAX),
                from: to.clone().unwrap_or_default(),
                index: Some(Query { to, ..Query::index(Index::Open, project.to_string()) }),
            };
        }
        let months = MONTHS.months();
        let oldest =
            now.to_zoned_datetime(TimeZone::UTC).checked_sub(months).map(|then| then.timestamp());
        let oldest = oldest.unwrap_or(Timestamp::UNIX_EPOCH);
        Partitions { project, next, oldest, from: String::new(), index: None }
    }

    fn next_month(&mut self) -> Option<Query> {
        let at = self.next.take().filter(|at| *at >= self.oldest)?;
        let first =
            at.to_zoned_datetime(TimeZone::UTC).first_of_month().ok()?.start_of_day().ok()?;
        self.next = first.timestamp().checked_sub(jiff::SignedDuration::from_secs(1)).ok();
        let month = at.strftime("%Y%m").to_string();
        let query = Query::partition(rows::job_partition(self.project, &month));
        Some(Query { from: self.from.clone(), ..query })
    }
}

impl Iterator for Partitions {
    type Item = Query;

    fn next(&mut self) -> Option<Query> {
        let query = self.next_month().or_else(|| self.index.take())?;
        Some(Query { backwards: true, ..query })
    }
}

/// Asks for the job to stop. One that is over stays as it is.
pub async fn cancel(service: &Service, key: JobKey) -> Result<Job, Problem> {
    load(service, key).await?;
    Ok(record::record(service, key, &Event::CancelAsked).await?.job)
}

/// Asks for one instance to stop, by the places of its task and itself; the
/// others go on. One that is over stays as it is.
pub async fn stop_instance(
    service: &Service,
    key: JobKey,
    task: u32,
    instance: u32,
) -> Result<(), Problem> {
    let job = load(service, key).await?;
    let attempt = AttemptId { job: job.id, run: job.run, task, instance, number: 0 };
    if job.chunk_of(attempt).is_some() {
        return chunks::call_off(service, &job, task, instance).await;
    }
    let event = Event::StopAsked { task, instance };
    record::record(service, key, &event).await.map(|_: Recorded| ())
}

/// Asks for the end of a job that waits. One that has started goes on, and one
/// that is over stays as it is: both are refused.
pub async fn withdraw(service: &Service, key: JobKey) -> Result<Job, Problem> {
    load(service, key).await?;
    let Recorded { job, changed, .. } = record::record(service, key, &Event::WithdrawAsked).await?;
    if changed { Ok(job) } else { Err(Refused::Started.into()) }
}

/// Takes a finished job out of sight; what belongs to it is removed after.
pub async fn delete(service: &Service, key: JobKey) -> Result<(), Problem> {
    load(service, key).await?;
    record::record(service, key, &Event::DeleteAsked).await.map(|_: Recorded| ())
}

/// Waits until the job is over, or for `seconds`; the job as it is then.
pub async fn wait(service: &Service, key: JobKey, seconds: u32) -> Result<Job, Problem> {
    let clock = &service.platform.clock;
    let until = clock.now() + jiff::SignedDuration::from_secs(seconds.into());
    let mut seen = None;
    loop {
        let patience = until.duration_since(clock.now());
        let patience = std::time::Duration::try_from(patience).unwrap_or_default();
        let found = match seen {
            None => service.platform.table.get(&rows::job(key)).await?,
            some => service.platform.table.changed(&rows::job(key), some, patience).await?,
        };
        let row = found.ok_or_else(|| Problem::not_found("job", key.job))?;
        let job: Job = rows::read(&row)?;
        if job.deleted_at.is_some() {
            return Err(Problem::not_found("job", key.job));
        }
        if job.ending().is_some() || clock.now() >= until {
            return Ok(job);
        }
        seen = Some(row.version);
    }
}

/// Views of many jobs, each with why it waits; a few at a time.
pub async fn views(service: &Service, jobs: &[Job]) -> Result<Vec<JobView>, Problem> {
    let views: Vec<_> = jobs.iter().map(|job| listed(service, job)).collect();
    stream::iter(views).buffered(8).try_collect().await
}

async fn listed(service: &Service, job: &Job) -> Result<JobView, Problem> {
    let mut view = JobView::of(job).priced(job, service.config.prices);
    if job.ending().is_none() {
        view.waiting_for = waiting_for(service, job).await?;
    }
    Ok(view)
}

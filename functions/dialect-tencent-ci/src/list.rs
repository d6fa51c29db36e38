//! Jobs, listed: by their tag, and by what else is said of them.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use shared::{
    job::{Job, JobId},
    ops::{
        attempts,
        jobs::{self, Filter},
        rows::QueueKey,
    },
    wire::{Cursor, Problem},
};

use crate::{
    asker::Asker,
    detail::{self, Queues},
    faults::Fault,
    jobs::{AT_ONCE, details},
    order::Order,
    query::{parameter, within},
    queues,
    tree::Fields,
    words::{self, ANY_TAG},
};

/// What a page's token is good for.
const LISTING: &str = "tencent-ci jobs";

/// How many of them are looked at together.
const LOOKED_AT: usize = 100;

/// What is asked for.
struct Asked {
    tag: String,
    /// States in this API's words; all when empty.
    states: Vec<String>,
    queue: Option<QueueKey>,
    object: Option<String>,
    /// Jobs of workflows and batch triggers: none has either.
    is_none: bool,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    oldest_first: bool,
    size: usize,
    after: Option<JobId>,
}

/// A page of jobs, and the token of the next one; empty on the last. A page may
/// be short and not be the last.
pub async fn list(asker: &Asker<'_>, query: &[(String, String)]) -> Result<Fields, Fault> {
    let asked = Asked::of(asker, query).await?;
    let (jobs, next) = if asked.is_none {
        (Vec::new(), None)
    } else if asked.oldest_first {
        upwards(asker, &asked).await?
    } else {
        downwards(asker, &asked).await?
    };
    let seal =
        |job: JobId| Cursor(job.to_string()).seal(&asker.service.keyring, asker.project, LISTING);
    let next = next.map(seal).unwrap_or_default();
    let answer = Fields::new().with("JobsDetail", details(asker, &jobs).await?);
    Ok(answer.with("NextToken", next))
}

impl Asked {
    async fn of(asker: &Asker<'_>, query: &[(String, String)]) -> Result<Self, Fault> {
        let said = |name: &str| parameter(query, name);
        let tag = said("tag").ok_or_else(|| Fault::argument("tag", "it is required"))?;
        let queue = match said("queueId") {
            Some(id) => Some(queues::find(asker, id).await?),
            None => None,
        };
        let time = |name| said(name).map(|text| words::read_time(name, text)).transpose();
        let oldest_first = match said("orderByTime") {
            None | Some("Desc") => false,
            Some("Asc") => true,
            Some(_) => return Err(Fault::argument("orderByTime", "it is Desc or Asc")),
        };
        Ok(Asked {
            tag: tag.to_owned(),
            states: states(said("states"))?,
            queue,
            object: said("inputObject").map(str::to_owned),
            is_none: said("workflowId").or(said("inventoryTriggerJobId")).is_some(),
            from: time("startCreationTime")?,
            to: time("endCreationTime")?,
            oldest_first,
            size: within(query, "size", 10, 100)?,
            after: said("nextToken").map(|token| read_token(asker, token)).transpose()?,
        })
    }

    /// What of it our own listing can tell.
    fn filter(&self) -> Filter {
        let ours = self.states.iter().filter_map(|state| words::our_states(state)).flatten();
        Filter {
            states: ours.map(|state| (*state).to_owned()).collect(),
            queue: self.queue.as_ref().map(|queue| queue.name.to_string()),
            // A job without a name has a tag all the same.
            name: (self.tag != ANY_TAG && self.tag != words::NAMELESS).then(|| self.tag.clone()),
            tags: Vec::new(),
        }
    }

    /// What of these is asked for, by the rest, in their order.
    async fn admitted(&self, asker: &Asker<'_>, jobs: Vec<Job>) -> Result<Vec<Job>, Problem> {
        let mut jobs = jobs;
        jobs.retain(|job| self.admits(job));
        if !self.states.is_empty() {
            let queues = Queues::of(asker.service, &jobs).await?;
            jobs.retain(|job| {
                let state = words::job_state(job.phase, queues.waits_in(job));
                self.states.iter().any(|wanted| wanted == state)
            });
        }
        let Some(wanted) = &self.object else { return Ok(jobs) };
        let looked_at = jobs.into_iter().map(|job| async move {
            let spec = attempts::load_spec(asker.service, &job).await?;
            let is_wanted = Order::of(&spec).is_some_and(|order| order.object == *wanted);
            drop(spec);
            Ok::<_, Problem>(is_wanted.then_some(job))
        });
        let looked_at: Vec<_> = looked_at.collect();
        let found = stream::iter(looked_at).buffered(AT_ONCE).try_collect::<Vec<_>>().await?;
        Ok(found.into_iter().flatten().collect())
    }

    /// What the job itself tells of that.
    fn admits(&self, job: &Job) -> bool {
        let at = whole_second(job.id.created_at());
        self.from.is_none_or(|from| at >= from)
            && self.to.is_none_or(|to| at <= to)
            && (self.tag == ANY_TAG || detail::tag(job) == self.tag)
    }
}

/// Times are told, and asked for, without their fractions.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn states(said: Option<&str>) -> Result<Vec<String>, Fault> {
    let states: Vec<&str> = said.unwrap_or("All").split(',').map(str::trim).collect();
    if states.contains(&"All") {
        return Ok(Vec::new());
    }
    if states.iter().any(|state| words::our_states(state).is_none()) {
        let rule = "it is All, or of Submitted, Running, Success, Failed, Pause and Cancel";
        return Err(Fault::argument("states", rule));
    }
    Ok(states.into_iter().map(str::to_owned).collect())
}

fn read_token(asker: &Asker<'_>, token: &str) -> Result<JobId, Fault> {
    let opened = Cursor::open(token, &asker.service.keyring, asker.project, LISTING);
    let job = opened.ok().and_then(|Cursor(job)| job.parse().ok());
    job.ok_or_else(|| Fault::argument("nextToken", "it is none of this listing"))
}

/// The newest first: our own listing, narrowed.
async fn downwards(asker: &Asker<'_>, asked: &Asked) -> Result<(Vec<Job>, Option<JobId>), Fault> {
    let filter = asked.filter();
    // The first id after the last second that is asked for; what is yet to come
    // is no end.
    let end = asked.to.and_then(|to| to.checked_add(SignedDuration::from_secs(1)).ok());
    let end = end.filter(|end| *end < asker.service.platform.clock.now());
    let after = asked.after.into_iter().chain(end.map(|end| JobId::new(end, [0; 10]))).min();
    let Asker { service, project, .. } = *asker;
    let (found, mut next) = jobs::list(service, project, &filter, after, asked.size).await?;
    let is_early =
        |job: &Job| asked.from.is_some_and(|from| whole_second(job.id.created_at()) < from);
    if found.last().is_some_and(is_early) {
        next = None;
    }
    Ok((asked.admitted(asker, found).await?, next))
}

/// The oldest first, of the newest that there are.
async fn upwards(asker: &Asker<'_>, asked: &Asked) -> Result<(Vec<Job>, Option<JobId>), Fault> {
    let Asker { service, project, .. } = *asker;
    let all = jobs::newest(service, project, &asked.filter()).await?;
    let is_later = |job: &Job| asked.after.is_none_or(|after| job.id > after);
    let (mut jobs, mut all) = (Vec::new(), all.into_iter().rev().filter(is_later));
    // One more than is asked for tells whether there is a next page.
    while jobs.len() <= asked.size {
        let some: Vec<Job> = all.by_ref().take(LOOKED_AT).collect();
        if some.is_empty() {
            return Ok((jobs, None));
        }
        jobs.extend(asked.admitted(asker, some).await?);
    }
    jobs.truncate(asked.size);
    let last = jobs.last().map(|last| last.id);
    Ok((jobs, last))
}

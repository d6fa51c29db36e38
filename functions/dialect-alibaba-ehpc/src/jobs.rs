//! `ListServerlessJobs` and `StopServerlessJobs`.

use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use serde::Serialize;
use shared::{
    job::Job,
    ops::{
        attempts,
        jobs::{self, Filter},
        rows::QueueKey,
    },
    wire::{Problem, Reply},
};

use crate::{
    call::{AT_ONCE, Call, Nothing},
    containers::{self, Part},
    faults::Fault,
    words::{self, Indices, STATES},
};

/// How many jobs can be named in one call.
const NAMED: usize = 100;

const PARAMETERS: [&str; 8] = [
    "ClusterId",
    "State",
    "SubmitTimeStart",
    "SubmitTimeEnd",
    "SubmitOrder",
    "StartOrder",
    "PageNumber",
    "PageSize",
];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    page_number: u32,
    page_size: u32,
    total_count: usize,
    jobs: Vec<Listed>,
}

/// A job in a list, where all but one field are text.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    job_id: String,
    job_name: String,
    state: &'static str,
    priority: String,
    queue: String,
    user: String,
    submit_time: String,
    start_time: String,
    end_time: String,
    is_array_job: bool,
}

/// A job, or one part of an array.
struct Found {
    job: Job,
    part: Option<(u64, Part)>,
}

impl Found {
    fn id(&self) -> String {
        match &self.part {
            Some((index, _)) => words::subtask_id(self.job.id, *index),
            None => words::job_id(self.job.id),
        }
    }

    /// Whether its job goes on, and has not been asked to stop.
    fn goes_on(&self) -> bool {
        self.job.ending().is_none() && self.job.halt().is_none()
    }

    /// Whether it is a part of which nothing is known by itself before it begins.
    fn is_yet_to_begin(&self) -> bool {
        let is_unknown = self.part.as_ref().is_some_and(|(_, part)| part.instance.is_none());
        is_unknown && self.goes_on()
    }

    fn state(&self) -> &'static str {
        match &self.part {
            Some((_, part)) => words::part_state(&self.job, part.instance.as_ref()),
            None => words::job_state(&self.job),
        }
    }

    fn started_at(&self) -> Option<Timestamp> {
        self.part.as_ref().map_or(self.job.started_at, |(_, part)| part.started_at())
    }

    fn ended_at(&self) -> Option<Timestamp> {
        let ending = self.job.ending().map(|(_, at)| at);
        self.part.as_ref().map_or(ending, |(_, part)| part.ended_at())
    }
}

/// What a list is narrowed to, and how it is ordered.
struct Wanted<'a> {
    names: Vec<&'a str>,
    state: usize,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    /// Whether descending.
    by_start: Option<bool>,
    by_submit: Option<bool>,
}

impl<'a> Wanted<'a> {
    fn of(call: &'a Call<'_>) -> Result<Self, Fault> {
        let parameters = &call.parameters;
        let order = |name| Ok::<_, Fault>(parameters.word(name, &["Asc", "Desc"])?.map(|n| n == 1));
        Ok(Wanted {
            names: parameters.list("JobNames", NAMED)?,
            state: parameters.word("State", &STATES.map(|(name, _)| name))?.unwrap_or(0),
            from: time(call, "SubmitTimeStart")?,
            to: time(call, "SubmitTimeEnd")?,
            by_start: order("StartOrder")?,
            by_submit: order("SubmitOrder")?,
        })
    }

    fn admits(&self, found: &Found) -> bool {
        let (state, _) = STATES[self.state];
        let at = Timestamp::from_second(found.job.id.created_at().as_second());
        let at = at.unwrap_or_default();
        let is_named = |name: &&str| found.job.name.as_deref() == Some(*name);
        // A container that comes up counts as running.
        let is_in = |shown: &str| shown == state || (shown == "Initing" && state == "Running");
        (self.state == 0 || is_in(found.state()))
            && (self.names.is_empty() || self.names.iter().any(is_named))
            && self.from.is_none_or(|from| from <= at)
            && self.to.is_none_or(|to| at <= to)
    }

    /// The newest come first, unless another order is asked for. Sorting is
    /// stable: the order by start is the first, if there are both.
    fn sort(&self, found: &mut [Found]) {
        if self.by_submit == Some(false) {
            found.reverse();
        }
        if let Some(descending) = self.by_start {
            // What has not started comes last either way.
            found.sort_by(|one, other| match (one.started_at(), other.started_at()) {
                (Some(one), Some(other)) if descending => other.cmp(&one),
                (Some(one), Some(other)) => one.cmp(&other),
                (one, other) => other.is_some().cmp(&one.is_some()),
            });
        }
    }
}

/// Seconds since 1970, as text.
fn time(call: &Call<'_>, name: &str) -> Result<Option<Timestamp>, Fault> {
    let Some(text) = call.parameters.get(name) else { return Ok(None) };
    let at = text.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    match at {
        Some(at) => Ok(Some(at)),
        None => Err(Fault::invalid(name, "it is a time in seconds since 1970")),
    }
}

pub async fn list(call: &Call<'_>) -> Result<Reply, Fault> {
    call.parameters.only(&PARAMETERS, &["JobIds", "JobNames"])?;
    let cluster = call.cluster().await?;
    let page = call.page(100, 20, u32::MAX)?;
    let wanted = Wanted::of(call)?;
    let ids = call.parameters.list("JobIds", NAMED)?;
    let mut found = if ids.is_empty() {
        newest(call, &cluster, &wanted).await?
    } else {
        named(call, &cluster, &ids).await?
    };
    found.retain(|found| wanted.admits(found));
    wanted.sort(&mut found);
    let jobs: Vec<_> = page.of(&found).iter().map(|found| listed(call, found)).collect();
    let jobs = stream::iter(jobs).buffered(AT_ONCE).try_collect().await?;
    Ok(call.answer(Answer {
        page_number: page.number,
        page_size: page.size,
        total_count: found.len(),
        jobs,
    }))
}

async fn newest(
    call: &Call<'_>,
    cluster: &QueueKey,
    wanted: &Wanted<'_>,
) -> Result<Vec<Found>, Problem> {
    let (_, states) = STATES[wanted.state];
    let filter = Filter {
        states: states.iter().map(|state| (*state).to_owned()).collect(),
        queue: Some(cluster.name.to_string()),
        ..Filter::default()
    };
    let jobs = jobs::newest(call.service, cluster.project, &filter).await?;
    Ok(jobs.into_iter().map(|job| Found { job, part: None }).collect())
}

/// The jobs, and parts of arrays, of these ids; those that are not there are
/// left out.
async fn named(call: &Call<'_>, cluster: &QueueKey, ids: &[&str]) -> Result<Vec<Found>, Fault> {
    let mut all: Vec<Found> = each(call, cluster, ids).await?.into_iter().flatten().collect();
    all.sort_by_key(|found| std::cmp::Reverse(found.job.id));
    Ok(all)
}

/// What is there of each of these ids, in their order.
async fn each(
    call: &Call<'_>,
    cluster: &QueueKey,
    ids: &[&str],
) -> Result<Vec<Option<Found>>, Fault> {
    let looked_up: Vec<_> = ids.iter().map(|id| one(call, cluster, id)).collect();
    stream::iter(looked_up).buffered(AT_ONCE).try_collect().await
}

/// The job, or the part of an array, of this id.
async fn one(call: &Call<'_>, cluster: &QueueKey, id: &str) -> Result<Option<Found>, Fault> {
    let Some((id, index)) = words::of_job_id(id) else { return Ok(None) };
    let Some(job) = call.job(cluster, id).await? else { return Ok(None) };
    let Some(index) = index else { return Ok(Some(Found { job, part: None })) };
    let spec = attempts::load_spec(call.service, &job).await?;
    let Some(place) = Indices::of(&spec).and_then(|of| of.place(index)) else { return Ok(None) };
    let part = containers::part(call.service, &job, 0, place).await?;
    drop(spec);
    Ok(Some(Found { job, part: Some((index, part)) }))
}

async fn listed(call: &Call<'_>, found: &Found) -> Result<Listed, Problem> {
    let job = &found.job;
    let spec = attempts::load_spec(call.service, job).await?;
    let seconds =
        |at: Option<Timestamp>| at.map(|at| at.as_second().to_string()).unwrap_or_default();
    Ok(Listed {
        job_id: found.id(),
        job_name: job.name.clone().unwrap_or_default(),
        state: found.state(),
        priority: words::priority(job).to_string(),
        queue: job.queue.to_string(),
        user: containers::user(job, &spec),
        submit_time: seconds(Some(job.id.created_at())),
        start_time: seconds(found.started_at()),
        end_time: seconds(found.ended_at()),
        is_array_job: Indices::of(&spec).is_some(),
    })
}

/// Stops jobs, and parts of arrays. All are there, or none is stopped.
pub async fn stop(call: &Call<'_>) -> Result<Reply, Fault> {
    call.parameters.only(&["ClusterId"], &["JobIds"])?;
    let cluster = call.cluster().await?;
    let ids = call.parameters.list("JobIds", NAMED)?;
    if ids.is_empty() {
        return Err(Fault::missing("JobIds"));
    }
    let found = ids.iter().zip(each(call, &cluster, &ids).await?);
    let found = found.map(|(id, found)| {
        found.ok_or_else(|| Fault::invalid("JobIds", format!("there is no job `{id}`")))
    });
    let all: Vec<Found> = found.collect::<Result<_, _>>()?;
    // All or none: what cannot be done is known before anything is.
    if let Some(found) = all.iter().find(|found| found.is_yet_to_begin()) {
        let why = format!("`{}` is yet to begin; stop the array, or wait", found.id());
        return Err(Fault::invalid("JobIds", why));
    }
    let stopped: Vec<_> = all.iter().map(|found| stop_one(call, found)).collect();
    let () = stream::iter(stopped).buffered(AT_ONCE).try_collect().await?;
    Ok(call.answer(Nothing {}))
}

async fn stop_one(call: &Call<'_>, found: &Found) -> Result<(), Problem> {
    let key = found.job.key();
    match &found.part {
        Some((_, part)) if found.goes_on() => {
            jobs::stop_instance(call.service, key, 0, part.place).await
        }
        // It is over, or about to be.
        Some(_) => Ok(()),
        None => jobs::cancel(call.service, key).await.map(drop),
    }
}

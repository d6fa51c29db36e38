//! Delivering what is due.
//!
//! A try is begun in the job's record, made, noted in the callback's own row,
//! and then ended in the record. If we die in between, the callback comes due
//! again by itself, [`NEWS_WITHIN`] later: it is told at least once, each time
//! under the same id. A try that was noted as taken is not made again.

use futures::{FutureExt, StreamExt, future::join_all, stream};
use tracing::{info, instrument, warn};

use super::{
    kept::{self, Kept, Try},
    message, settings,
    shape::{self, News, Shapes},
};
use crate::{
    job::{CallbackKey, Event, Job, JobKey, Telling},
    ops::{attempts, duties::chain, record, rows, sweep},
    platform::{Index, OutboxError, Query, Receipt},
    service::Service,
    wire::Problem,
};

/// Within how many seconds there is news of a try: what the outbox waits, and
/// what it takes to write it down.
const NEWS_WITHIN: u32 = 20;

/// How many jobs' callbacks are delivered side by side.
const AT_ONCE: usize = 32;

/// Seconds before each further try; after the last one the callback is given
/// up. It has been tried for three days then.
const SCHEDULE: [u32; 9] = {
    const HOUR: u32 = 3_600;
    [5, 300, 1_800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR]
};

/// The longest that a receiver may ask to be left alone, in seconds.
const LONGEST_PAUSE: u32 = 24 * 3_600;

/// The status by which a receiver says that it is gone for good.
const GONE: u16 = 410;

/// Delivers what is due of the job's callbacks. One that fails is owed still,
/// or given up; it is no failure of this call.
#[instrument(level = "debug", name = "job.tell", skip_all, fields(job.id = %key.job))]
pub async fn deliver(service: &Service, shapes: Shapes<'_>, key: JobKey) -> Result<(), Problem> {
    let Some((_, job)) = record::load_any(service, key).await? else { return Ok(()) };
    let now = service.platform.clock.now();
    let due = job.tellings().filter(|telling| telling.tries.at <= now);
    let told = due.map(|telling| tell(service, shapes, key, telling.key));
    join_all(told).await.into_iter().collect()
}

/// Delivers all that is due, for hosts that end when the call does.
pub async fn sweep(service: &Service, shapes: Shapes<'_>) -> Result<(), Problem> {
    let jobs = due(service).await?.into_iter();
    let told: Vec<_> = jobs
        .map(|key| {
            async move {
                if let Err(problem) = deliver(service, shapes, key).await {
                    // Owed still: the next sweep finds it.
                    warn!(job.id = %key.job, error = chain(&problem), "a callback was not seen to");
                }
            }
            .boxed()
        })
        .collect();
    stream::iter(told).buffer_unordered(AT_ONCE).collect::<()>().await;
    Ok(())
}

/// The jobs that have a callback to be delivered now.
pub async fn due(service: &Service) -> Result<Vec<JobKey>, Problem> {
    let until = service.platform.clock.now() + jiff::SignedDuration::from_millis(1);
    let mut jobs = Vec::new();
    for partition in rows::tell_partitions() {
        let to = Some(rows::due_sort(until));
        let mut query = Query { to, ..Query::index(Index::Due, partition) };
        loop {
            let page = service.platform.table.query(&query).await?;
            jobs.extend(page.rows.iter().filter_map(|row| sweep::job_of(&row.key)));
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
    }
    Ok(jobs)
}

async fn tell(
    service: &Service,
    shapes: Shapes<'_>,
    key: JobKey,
    callback: CallbackKey,
) -> Result<(), Problem> {
    let begin = Event::TellBegun { callback, within_seconds: NEWS_WITHIN };
    let begun = match record::record(service, key, &begin).await {
        // It was purged meanwhile, and so is whom to tell of what.
        Err(Problem::NotFound { .. }) => return Ok(()),
        begun => begun?,
    };
    // Somebody else makes this try, or has made it.
    let Some(telling) = begun.job.telling(callback).filter(|_| begun.changed) else {
        return Ok(());
    };
    let (version, mut kept) = kept::load_or_new(service, key, &telling).await?;
    let event = if kept.is_taken_in(&telling) {
        Event::Told(callback)
    } else if kept.is_past(&telling) {
        // We took so long that another has begun the next try, and made it.
        return Ok(());
    } else {
        let Some((made, event)) = try_once(service, shapes, &begun.job, &telling).await? else {
            return ended(service, key, &Event::TellSpared(callback)).await;
        };
        let id = message::id(key, callback);
        let (number, status) = (made.number, made.status);
        match &made.error {
            None => info!(callback.id = id, number, status, "told"),
            Some(why) => info!(callback.id = id, number, status, why, "not told"),
        }
        kept.note(made);
        kept::write(service, key, version, &kept).await?;
        event
    };
    ended(service, key, &event).await
}

async fn ended(service: &Service, key: JobKey, event: &Event) -> Result<(), Problem> {
    match record::record(service, key, event).await {
        Err(Problem::NotFound { .. }) => Ok(()),
        recorded => recorded.map(|_| ()),
    }
}

/// Makes the try, and says what follows from it; `None` where the API that the
/// job is of has nothing to tell.
async fn try_once(
    service: &Service,
    shapes: Shapes<'_>,
    job: &Job,
    telling: &Telling,
) -> Result<Option<(Try, Event)>, Problem> {
    let (clock, callback) = (&service.platform.clock, telling.key);
    let number = telling.tries.begun;
    let at = clock.now();
    let mut made = Try { number, at: Some(at), took_ms: 0, status: None, error: None };
    let give_up = Event::TellFailed { callback, number, again_seconds: None };
    let spec = attempts::load_spec(service, job).await?;
    let Some(settings) = settings::of(service, job, &spec).await? else {
        made.error = Some("the queue has no callback any more".into());
        return Ok(Some((made, give_up)));
    };
    let message = match shape::of(shapes, &spec) {
        None => Some(message::of(service, job, telling, &settings).await?),
        Some(shape) => {
            let news = News { job, spec: &spec, telling, format: settings.format };
            message::shaped(service, shape, news, &settings).await?
        }
    };
    let Some(message) = message else { return Ok(None) };
    let outcome = service.platform.outbox.deliver(&settings.to, &message).await;
    let took = clock.now().duration_since(at).as_millis();
    made.took_ms = u32::try_from(took).unwrap_or_default();
    let error = match outcome {
        Ok(Receipt { status }) => {
            made.status = status;
            return Ok(Some((made, Event::Told(callback))));
        }
        Err(error) => error,
    };
    warn!(job.id = %job.id, error = chain(&error), "a callback was not delivered");
    made.error = Some(error.to_string());
    let pause = match error {
        OutboxError::Refused { status: GONE, .. } => {
            made.status = Some(GONE);
            return Ok(Some((made, give_up)));
        }
        OutboxError::Refused { status, again_seconds } => {
            made.status = Some(status);
            again_seconds.unwrap_or_default().min(LONGEST_PAUSE)
        }
        OutboxError::Barred
        | OutboxError::NoSuchQueue(_)
        | OutboxError::Late
        | OutboxError::NoAnswer(_) => 0,
    };
    let again_seconds = again_in(service, telling.tries.round).map(|wait| wait.max(pause));
    Ok(Some((made, Event::TellFailed { callback, number, again_seconds })))
}

/// How long until the try after the one in this place of the schedule, which
/// counts from 1; a little longer each time than it says, so that what failed
/// together does not come back together. `None` after the last one.
fn again_in(service: &Service, round: u32) -> Option<u32> {
    let place = usize::try_from(round.checked_sub(1)?).ok()?;
    let wait = *SCHEDULE.get(place)?;
    let [chance] = service.platform.clock.random::<1>();
    Some(wait + wait / 10 * u32::from(chance) / 255)
}

impl Kept {
    /// Whether a try of this round was noted as taken: we died before the job
    /// knew.
    fn is_taken_in(&self, telling: &Telling) -> bool {
        let first = telling.tries.begun.saturating_sub(telling.tries.round) + 1;
        self.tries.iter().any(|made| made.number >= first && made.error.is_none())
    }

    /// Whether a later try was made.
    fn is_past(&self, telling: &Telling) -> bool {
        self.tries.last().is_some_and(|last| last.number >= telling.tries.begun)
    }
}

//! Sweeps when a duty comes due, and once a minute for what no message told of.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deliver_callback::DeliverCallback;
use dispatch_jobs::DispatchJobs;
use jiff::Timestamp;
use shared::{
    ops::{
        callbacks, rows,
        sweep::{self, Wake},
    },
    platform::{Index, Mark},
    service::Service,
    wire::Problem,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{dispatcher::Dispatcher, performer::Performer};

/// The longest time between two sweeps.
const MINUTE: Duration = Duration::from_mins(1);

/// Knows when the next duty comes due.
#[derive(Default)]
pub struct Sweeper {
    sooner: Notify,
    next: Mutex<Option<String>>,
    all: AtomicBool,
}

impl Sweeper {
    /// Takes note of a row's mark: it may come due before what is waited for.
    /// What is due already, the change itself has called for.
    pub fn marked(&self, marks: &BTreeMap<Index, Mark>, now: Timestamp) {
        let Some(mark) = marks.get(&Index::Due) else { return };
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let sooner = next.as_ref().is_some_and(|next| mark.sort < *next);
        if sooner && mark.sort > rows::due_sort(now) {
            *next = Some(mark.sort.clone());
            self.sooner.notify_one();
        }
    }

    /// Sweeps now: messages were lost.
    pub fn sweep_all(&self) {
        self.all.store(true, Ordering::Relaxed);
        self.sooner.notify_one();
    }

    /// Sweeps until told to stop.
    pub async fn run(
        self: Arc<Self>,
        service: Service,
        dispatcher: Arc<Dispatcher>,
        performer: Arc<Performer<DispatchJobs>>,
        teller: Arc<Performer<DeliverCallback>>,
        stop: CancellationToken,
    ) {
        // What an earlier server had claimed and not launched waits for nobody else.
        if let Err(problem) = sweep::adopt(&service).await {
            warn!(error = %problem, "what an earlier server left was not all adopted");
        }
        let mut minute = tokio::time::interval(MINUTE);
        minute.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let patience = self.patience(&service).await.unwrap_or(MINUTE);
            let whole = tokio::select! {
                () = stop.cancelled() => return,
                _ = minute.tick() => true,
                () = tokio::time::sleep(patience) => false,
                () = self.sooner.notified() => false,
            };
            let whole = whole || self.all.swap(false, Ordering::Relaxed);
            let swept = sweep_once(&service, &dispatcher, &performer, &teller, whole).await;
            if let Err(problem) = swept {
                warn!(error = %problem, "a sweep was cut short");
            }
        }
    }

    /// How long until the next duty comes due.
    async fn patience(&self, service: &Service) -> Result<Duration, Problem> {
        let now = service.platform.clock.now();
        // Before the look, so that a mark made during it is not missed.
        self.expect(Some(Timestamp::MAX));
        let due = sweep::next_due(service, now).await?;
        self.expect(due.or(Some(Timestamp::MAX)));
        let until = due
            .map_or(MINUTE, |due| Duration::try_from(due.duration_since(now)).unwrap_or_default());
        Ok(until.min(MINUTE))
    }

    fn expect(&self, due: Option<Timestamp>) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = due.map(rows::due_sort);
    }
}

/// What takes long is left to others, so that nothing that is due waits for it.
async fn sweep_once(
    service: &Service,
    dispatcher: &Dispatcher,
    performer: &Arc<Performer<DispatchJobs>>,
    teller: &Arc<Performer<DeliverCallback>>,
    whole: bool,
) -> Result<(), Problem> {
    let told = callbacks::due(service).await;
    let told = told.map(|jobs| jobs.into_iter().for_each(|job| teller.wake(Wake::Job(job))));
    let woken = sweep::wake(service, whole, |wake| performer.wake(wake)).await;
    if !whole {
        return told.and(woken);
    }
    let seen = sweep::containers(service).await;
    let queues = sweep::queues(service, seen.as_ref().ok()).await;
    let queues = queues.map(|queues| queues.into_iter().for_each(|queue| dispatcher.wake(queue)));
    told.and(woken).and(seen.map(|_| ())).and(queues)
}

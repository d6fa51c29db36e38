//! Turns what changes into what is to be done about it.

use std::sync::Arc;

use deliver_callback::DeliverCallback;
use dispatch_jobs::DispatchJobs;
use observe_attempt::ObserveAttempt;
use shared::{
    function::Reaction,
    ops::{
        rows,
        sweep::{self, Wake},
    },
    platform::Index,
    service::Service,
};
use tokio::sync::broadcast::error::RecvError;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use super::{dispatcher::Dispatcher, herald, performer::Performer, sweeper::Sweeper};
use crate::{
    objects::FileObjects,
    runtime::Local,
    table::{ChangeKind, Feed},
};

/// The running host.
pub struct Driver {
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Driver {
    /// No new launches from here on; returns when those begun are done.
    pub async fn drain(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Starts to react. `feed` must have been taken before anything was read.
pub fn start(service: &Service, feed: Feed, local: Local, objects: &Arc<FileObjects>) -> Driver {
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let performer = Performer::new(DispatchJobs, service.clone(), tasks.clone());
    let teller = Performer::new(DeliverCallback, service.clone(), tasks.clone());
    let dispatcher = Arc::new(Dispatcher::default());
    let sweeper = Arc::new(Sweeper::default());
    let Local { runtime: _, deaths, room } = local;

    let dispatching = Arc::clone(&dispatcher);
    tasks.spawn(dispatching.run(service.clone(), room, tasks.clone(), stop.clone()));
    let sweeping = Arc::clone(&sweeper);
    let (queues, jobs) = (Arc::clone(&dispatcher), Arc::clone(&performer));
    tasks.spawn(sweeping.run(service.clone(), queues, jobs, Arc::clone(&teller), stop.clone()));
    tasks.spawn(observe(service.clone(), deaths, tasks.clone(), stop.clone()));
    tasks.spawn(herald::run(service.clone(), Arc::clone(objects), stop.clone()));
    let woken = Woken { performer, teller, dispatcher, sweeper };
    tasks.spawn(follow(service.clone(), feed, woken, stop.clone()));
    Driver { stop, tasks }
}

/// Sees to each container that has ended.
async fn observe(
    service: Service,
    mut deaths: tokio::sync::mpsc::Receiver<shared::job::AttemptKey>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    while let Some(Some(attempt)) = stop.run_until_cancelled(deaths.recv()).await {
        let service = service.clone();
        tasks.spawn(async move {
            if let Err(problem) = ObserveAttempt.react(&service, attempt.into()).await {
                // The sweep finds it again.
                warn!(attempt.id = %attempt.attempt, error = %problem, "an ended container was not seen to");
            }
        });
    }
}

/// Who is woken by a change.
struct Woken {
    performer: Arc<Performer<DispatchJobs>>,
    teller: Arc<Performer<DeliverCallback>>,
    dispatcher: Arc<Dispatcher>,
    sweeper: Arc<Sweeper>,
}

/// Follows the table's changes.
async fn follow(service: Service, mut feed: Feed, woken: Woken, stop: CancellationToken) {
    let Woken { performer, teller, dispatcher, sweeper } = woken;
    while let Some(news) = stop.run_until_cancelled(feed.recv()).await {
        let changes = match news {
            Ok(changes) => changes,
            Err(RecvError::Lagged(missed)) => {
                warn!(missed, "fell behind the table's changes; sweeping instead");
                sweeper.sweep_all();
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        let now = service.platform.clock.now();
        for change in changes.iter() {
            if change.kind == ChangeKind::Joined {
                continue;
            }
            dispatcher.changed(&change.key);
            // A mark of this table is exact, also that of a new row.
            let mark = change.marks.get(&Index::Due);
            let is_due = mark.is_some_and(|mark| mark.sort <= rows::due_sort(now));
            for wake in sweep::wakes(&change.key, &change.marks, is_due) {
                match wake {
                    Wake::Queue(key) => dispatcher.wake(key),
                    wake => {
                        if mark.is_some_and(rows::tells) {
                            teller.wake(wake.clone());
                        }
                        performer.wake(wake);
                    }
                }
            }
            sweeper.marked(&change.marks, now);
        }
    }
}

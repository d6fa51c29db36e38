//! Turns what changes into what is to be done about it.

use std::sync::Arc;

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
    let performer = Performer::new(service.clone(), tasks.clone());
    let dispatcher = Arc::new(Dispatcher::default());
    let sweeper = Arc::new(Sweeper::default());
    let Local { runtime: _, deaths, room } = local;

    let dispatching = Arc::clone(&dispatcher);
    tasks.spawn(dispatching.run(service.clone(), room, tasks.clone(), stop.clone()));
    let sweeping = Arc::clone(&sweeper);
    tasks.spawn(sweeping.run(service.clone(), Arc::clone(&dispatcher), stop.clone()));
    tasks.spawn(observe(service.clone(), deaths, tasks.clone(), stop.clone()));
    tasks.spawn(herald::run(service.clone(), Arc::clone(objects), stop.clone()));
    tasks.spawn(follow(service.clone(), feed, performer, dispatcher, sweeper, stop.clone()));
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

/// Follows the table's changes.
async fn follow(
    service: Service,
    mut feed: Feed,
    performer: Arc<Performer>,
    dispatcher: Arc<Dispatcher>,
    sweeper: Arc<Sweeper>,
    stop: CancellationToken,
) {
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
                    wake => performer.wake(wake),
                }
            }
            sweeper.marked(&change.marks, now);
        }
    }
}

//! Lets queues start what they can, one claim after the other, so that jobs
//! start in order; the launches themselves run side by side.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use shared::{
    ops::{
        dispatch::{self, Blocked, Claims},
        rows::QueueKey,
    },
    service::Service,
};
use tokio::sync::{Notify, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

/// Queues that may be able to start something.
#[derive(Default)]
pub struct Dispatcher {
    dirty: Mutex<HashSet<QueueKey>>,
    woken: Notify,
}

impl Dispatcher {
    /// Notes that the queue may be able to start something.
    pub fn wake(&self, queue: QueueKey) {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        if dirty.insert(queue) {
            self.woken.notify_one();
        }
    }

    fn take(&self) -> Option<QueueKey> {
        let mut dirty = self.dirty.lock().unwrap_or_else(PoisonError::into_inner);
        let queue = dirty.iter().next().cloned()?;
        dirty.remove(&queue);
        Some(queue)
    }

    /// Dispatches until told to stop. A claim that was begun is finished.
    pub async fn run(
        self: Arc<Self>,
        service: Service,
        mut freed: watch::Receiver<u64>,
        launches: TaskTracker,
        stop: CancellationToken,
    ) {
        // Queues whose head found no room: woken when room is freed.
        let mut waiting = Vec::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.woken.notified() => {}
                changed = freed.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    waiting.drain(..).for_each(|queue| self.wake(queue));
                }
            }
            while let Some(queue) = self.take().filter(|_| !stop.is_cancelled()) {
                match dispatch::claim(&service, &queue).await {
                    Ok(Claims { claimed, blocked }) => {
                        for claimed in claimed {
                            let service = service.clone();
                            launches.spawn(async move {
                                let attempt = claimed.attempt.attempt;
                                if let Err(problem) = dispatch::launch(&service, claimed).await {
                                    // Still claimed: the sweep launches it again.
                                    warn!(attempt.id = %attempt, error = %problem, "launch failed");
                                }
                            });
                        }
                        match blocked {
                            Blocked::Batch => self.wake(queue),
                            // What is freed from now on has not been seen by `freed`.
                            Blocked::NoRoom => waiting.push(queue),
                            Blocked::Drained | Blocked::Paused | Blocked::QueueFull => {}
                        }
                    }
                    Err(problem) => {
                        warn!(queue.name = %queue.name, error = %problem, "a queue was not dispatched");
                    }
                }
            }
        }
    }
}

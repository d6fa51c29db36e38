//! Lets queues start what they can, one claim after the other, so that jobs
//! start in order; the launches themselves run side by side.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use shared::{
    ops::{
        dispatch::{self, BATCH, Blocked, Claims},
        rows::QueueKey,
    },
    platform::Key,
    service::Service,
};
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::warn;

use super::line::{Turn, WaitingLine};
use crate::runtime::Room;

/// Queues that may be able to start something, and what wakes it.
#[derive(Default)]
pub struct Dispatcher {
    line: Mutex<WaitingLine>,
    woken: Notify,
}

impl Dispatcher {
    /// Notes that the queue may be able to start something.
    pub fn wake(&self, queue: QueueKey) {
        if self.line().join(queue) {
            self.woken.notify_one();
        }
    }

    /// Notes that a row has changed, which may have been one that waits.
    pub fn changed(&self, row: &Key) {
        if self.line().changed(row) {
            self.woken.notify_one();
        }
    }

    fn line(&self) -> MutexGuard<'_, WaitingLine> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Dispatches until told to stop. A claim that was begun is finished.
    pub async fn run(
        self: Arc<Self>,
        service: Service,
        room: Arc<Room>,
        launches: TaskTracker,
        stop: CancellationToken,
    ) {
        let mut freed = room.freed();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.woken.notified() => {}
                changed = freed.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.line().freed();
                }
            }
            while !stop.is_cancelled() {
                let Some(turn) = self.line().next(|project| room.share(project)) else { break };
                self.serve(&service, &room, turn, &launches).await;
            }
        }
    }

    /// Lets a queue start what it can; one container alone if others are next.
    async fn serve(&self, service: &Service, room: &Room, turn: Turn, launches: &TaskTracker) {
        let Turn { queue, contended } = turn;
        let most = if contended { 1 } else { BATCH };
        let Claims { claimed, blocked } = match dispatch::claim(service, &queue, most).await {
            Ok(claims) => claims,
            Err(problem) => {
                warn!(queue.name = %queue.name, error = %problem, "a queue was not dispatched");
                room.keep(None);
                return;
            }
        };
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
        let is_new = match &blocked {
            Blocked::NoRoom { head, .. } => room.keep(Some(*head)),
            _ => room.keep(None),
        };
        match blocked {
            Blocked::Batch => self.wake(queue),
            // Room that was kept for another may do for this one.
            Blocked::NoRoom { row, .. } if is_new => {
                self.line().keep_room(queue.clone(), Some(row));
                self.wake(queue);
            }
            // What is freed from now on is yet to be told of.
            Blocked::NoRoom { row, .. } => self.line().keep_room(queue, Some(row)),
            Blocked::Drained | Blocked::Paused | Blocked::QueueFull => {}
        }
    }
}

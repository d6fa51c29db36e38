//! Has a reaction see to jobs and to parts of wide tasks: to each one's wakes one
//! at a time, to many side by side.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use shared::{function::Reaction, ops::sweep::Wake, service::Service};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// How many are seen to at once: image look-ups may take minutes, and receivers
/// of callbacks seconds.
const AT_ONCE: usize = 64;

/// Whom `reaction` sees to; `true` where it is to look again.
pub struct Performer<R> {
    reaction: R,
    service: Service,
    busy: Mutex<HashMap<Wake, bool>>,
    permits: Semaphore,
    tasks: TaskTracker,
}

impl<R: Reaction<Event = Wake>> Performer<R> {
    /// A performer whose work can be waited for with `tasks`.
    pub fn new(reaction: R, service: Service, tasks: TaskTracker) -> Arc<Self> {
        let permits = Semaphore::new(AT_ONCE);
        Arc::new(Performer { reaction, service, busy: Mutex::default(), permits, tasks })
    }

    /// Sees to the duties; once more after that, if they are being seen to.
    pub fn wake(self: &Arc<Self>, wake: Wake) {
        {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(again) = busy.get_mut(&wake) {
                *again = true;
                return;
            }
            busy.insert(wake.clone(), false);
        }
        let performer = Arc::clone(self);
        self.tasks.spawn(async move { performer.perform(wake).await });
    }

    async fn perform(&self, wake: Wake) {
        loop {
            let permit = self.permits.acquire().await;
            // What failed is owed still, and said in the log.
            let _ = self.reaction.react(&self.service, wake.clone()).await;
            drop(permit);
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            match busy.get_mut(&wake) {
                Some(again) if *again => *again = false,
                _ => {
                    busy.remove(&wake);
                    return;
                }
            }
        }
    }
}

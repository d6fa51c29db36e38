//! Does the duties of jobs and of parts of wide tasks, each one's one at a time,
//! many side by side.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use dispatch_jobs::DispatchJobs;
use shared::{function::Reaction, ops::sweep::Wake, service::Service};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// How many are seen to at once: image look-ups may take minutes.
const AT_ONCE: usize = 64;

/// Whose duties are being done; `true` where they are to be read again.
pub struct Performer {
    service: Service,
    busy: Mutex<HashMap<Wake, bool>>,
    permits: Semaphore,
    tasks: TaskTracker,
}

impl Performer {
    /// A performer whose work can be waited for with `tasks`.
    pub fn new(service: Service, tasks: TaskTracker) -> Arc<Self> {
        let permits = Semaphore::new(AT_ONCE);
        Arc::new(Performer { service, busy: Mutex::default(), permits, tasks })
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
            let _ = DispatchJobs.react(&self.service, wake.clone()).await;
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

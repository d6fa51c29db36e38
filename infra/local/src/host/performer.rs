//! Does the duties of jobs, each job's one at a time, many jobs side by side.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use dispatch_jobs::DispatchJobs;
use shared::{function::Reaction, job::JobKey, ops::sweep::Wake, service::Service};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

/// How many jobs are seen to at once: image look-ups may take minutes.
const AT_ONCE: usize = 64;

/// Jobs whose duties are being done; `true` where they are to be read again.
pub struct Performer {
    service: Service,
    busy: Mutex<HashMap<JobKey, bool>>,
    permits: Semaphore,
    tasks: TaskTracker,
}

impl Performer {
    /// A performer whose work can be waited for with `tasks`.
    pub fn new(service: Service, tasks: TaskTracker) -> Arc<Self> {
        let permits = Semaphore::new(AT_ONCE);
        Arc::new(Performer { service, busy: Mutex::default(), permits, tasks })
    }

    /// Sees to the job's duties; once more after that, if it is being seen to.
    pub fn wake(self: &Arc<Self>, key: JobKey) {
        {
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(again) = busy.get_mut(&key) {
                *again = true;
                return;
            }
            busy.insert(key, false);
        }
        let performer = Arc::clone(self);
        self.tasks.spawn(async move { performer.perform(key).await });
    }

    async fn perform(&self, key: JobKey) {
        loop {
            let permit = self.permits.acquire().await;
            // What failed is owed still, and said in the log.
            let _ = DispatchJobs.react(&self.service, Wake::Job(key)).await;
            drop(permit);
            let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
            match busy.get_mut(&key) {
                Some(again) if *again => *again = false,
                _ => {
                    busy.remove(&key);
                    return;
                }
            }
        }
    }
}

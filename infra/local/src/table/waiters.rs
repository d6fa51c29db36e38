//! Who waits for which row: a write wakes those who wait for its key, and nobody else.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use shared::platform::Key;
use tokio::sync::Notify;

use super::feed::Change;

/// Everybody who waits.
#[derive(Default)]
pub(super) struct Waiters(Mutex<HashMap<Key, Arc<Notify>>>);

impl Waiters {
    /// From now on a change of the row wakes the waiter.
    pub(super) fn register(&self, key: &Key) -> Waiter<'_> {
        let notify = Arc::clone(self.lock().entry(key.clone()).or_default());
        Waiter { waiters: self, key: key.clone(), notify }
    }

    pub(super) fn wake(&self, changes: &[Change]) {
        let waiting = self.lock();
        if waiting.is_empty() {
            return;
        }
        for change in changes {
            if let Some(notify) = waiting.get(&change.key) {
                notify.notify_waiters();
            }
        }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits; leaves when dropped.
pub(super) struct Waiter<'a> {
    waiters: &'a Waiters,
    key: Key,
    /// Only wakes those who are already listening: enable it, then read, then wait.
    pub(super) notify: Arc<Notify>,
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.waiters.lock();
        // The map's and this one; nobody comes in while the lock is held.
        if Arc::strong_count(&self.notify) == 2 {
            waiting.remove(&self.key);
        }
    }
}

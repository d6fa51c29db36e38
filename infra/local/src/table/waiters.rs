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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::FutureExt;

    use super::*;
    use crate::table::ChangeKind;

    fn change(key: &Key) -> Change {
        Change { key: key.clone(), kind: ChangeKind::Put, marks: BTreeMap::new() }
    }

    #[test]
    fn nothing_stays_of_those_who_waited() {
        let waiters = Waiters::default();
        let [a, b] = ["a", "b"].map(|sort| Key::new("p", sort));
        let waiting = [waiters.register(&a), waiters.register(&b), waiters.register(&a)];
        assert_eq!(waiters.lock().len(), 2);
        let [first, other, last] = waiting;
        drop(first);
        drop(other);
        assert_eq!(waiters.lock().len(), 1);
        drop(last);
        assert!(waiters.lock().is_empty());
    }

    #[test]
    fn a_change_wakes_all_who_wait_for_its_key_and_nobody_else() {
        let waiters = Waiters::default();
        let [a, b] = ["a", "b"].map(|sort| Key::new("p", sort));
        let waiting = [&a, &a, &b].map(|key| waiters.register(key));
        let mut listening = waiting.each_ref().map(|waiter| Box::pin(waiter.notify.notified()));
        for listening in &mut listening {
            listening.as_mut().enable();
        }
        waiters.wake(&[change(&a), change(&Key::new("p", "c"))]);
        let woken = listening.map(|listening| listening.now_or_never().is_some());
        assert_eq!(woken, [true, true, false]);
    }
}

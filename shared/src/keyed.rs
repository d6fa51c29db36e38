//! One lock per key, there only while somebody wants it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

type Locks<K> = Arc<Mutex<HashMap<K, Arc<tokio::sync::Mutex<()>>>>>;

/// Locks by key.
pub struct Keyed<K> {
    locks: Locks<K>,
}

impl<K> Default for Keyed<K> {
    fn default() -> Self {
        Keyed { locks: Arc::default() }
    }
}

impl<K: Clone + Eq + Hash> Keyed<K> {
    /// Waits until nobody else holds `key`.
    pub async fn lock(&self, key: K) -> Held<K> {
        let lock = guard(&self.locks).entry(key.clone()).or_default().clone();
        // Made before waiting: a caller that gives up cleans up as well.
        let mut held = Held { locks: self.locks.clone(), key, guard: None };
        held.guard = Some(lock.lock_owned().await);
        held
    }
}

/// A key that is held until this is dropped.
pub struct Held<K: Eq + Hash> {
    locks: Locks<K>,
    key: K,
    guard: Option<OwnedMutexGuard<()>>,
}

impl<K: Eq + Hash> Drop for Held<K> {
    fn drop(&mut self) {
        let mut locks = guard(&self.locks);
        self.guard = None;
        if locks.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            locks.remove(&self.key);
        }
    }
}

/// What is behind a lock that a panic elsewhere does not spoil: whatever is kept
/// so is whole after every statement.
pub fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_key_is_held_by_one_at_a_time_and_others_do_not_wait() {
        let keyed = Keyed::default();
        let first = keyed.lock("a").await;
        assert!(keyed.lock("a").now_or_never().is_none());
        assert!(keyed.lock("b").now_or_never().is_some());
        drop(first);
        assert!(keyed.lock("a").now_or_never().is_some());
    }

    #[tokio::test]
    async fn nothing_is_left_of_a_key_that_nobody_wants() {
        let keyed = Keyed::default();
        let first = keyed.lock("a").await;
        let mut waiting = Box::pin(keyed.lock("a"));
        assert!(waiting.as_mut().now_or_never().is_none());
        drop(first);
        drop(waiting);
        assert!(guard(&keyed.locks).is_empty());
    }
}

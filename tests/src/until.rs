//! Waiting on something observable.

use std::time::{Duration, Instant};

/// How long something may take that should not take long: the machine that
/// tells stories may have others to tell at the same time.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// How long until it is looked at again.
const LOOK: Duration = Duration::from_millis(10);

/// Looks again and again until there is something, and gives it.
///
/// # Panics
///
/// If there is nothing for too long; `what` says what was waited for.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

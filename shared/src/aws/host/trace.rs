//! Logs: one JSON object a line on standard output, which is where Lambda
//! takes them; and a count of the changes that they tell of.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Layer,
    filter::Targets,
    layer::{Context, SubscriberExt},
    util::{SubscriberInitExt, TryInitError},
};

/// How often a job has changed, as the diary tells it.
#[derive(Clone, Debug, Default)]
pub(super) struct Changes(Arc<AtomicU64>);

impl Changes {
    /// How often since it was asked last.
    pub fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl<S: Subscriber> Layer<S> for Changes {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let fields = event.metadata().fields();
        if ["job.event", "from", "to"].iter().all(|name| fields.field(name).is_some()) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Starts to log.
pub(super) fn start(wanted: Targets) -> Result<Changes, TryInitError> {
    let changes = Changes::default();
    let lines = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_filter(wanted);
    tracing_subscriber::registry().with(lines).with(changes.clone()).try_init()?;
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_a_job_is_counted_once_and_nothing_else_is() {
        let changes = Changes::default();
        let subscriber = tracing_subscriber::registry().with(changes.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(job.id = "j", job.event = "e", from = "a", to = "b", "job changed");
            tracing::info!(job.id = "j", from = "a", "something else");
        });
        assert_eq!(changes.take(), 1);
        assert_eq!(changes.take(), 0);
    }
}

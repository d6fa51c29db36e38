//! Ctrl-C and TERM, counted, so that a command can decide what each means.

use std::time::Duration;

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::Instant,
};

use super::problem::Failure;

/// Signals closer together than this are one: a wrapper such as `timeout` sends
/// its own to us and to our whole group.
const ONE_PRESS: Duration = Duration::from_millis(200);

/// How often the user has asked us to stop.
pub struct Interrupts {
    count: watch::Receiver<u32>,
    seen: u32,
}

impl Interrupts {
    /// From now on the signals no longer end the process.
    pub fn listen() -> Result<Self, Failure> {
        let cannot = |error| Failure::file("signals cannot be caught", error);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
        let (count, interrupts) = watch::channel(0);
        tokio::spawn(async move {
            let mut last: Option<Instant> = None;
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if last.is_none_or(|last| last.elapsed() > ONE_PRESS) {
                    count.send_modify(|count| *count += 1);
                }
                last = Some(Instant::now());
            }
        });
        Ok(Interrupts::from(interrupts))
    }

    /// Returns at each further interrupt.
    pub async fn next(&mut self) {
        let seen = self.seen;
        if self.count.wait_for(|count| *count > seen).await.is_err() {
            // Nobody can interrupt any more.
            std::future::pending::<()>().await;
        }
        self.seen += 1;
    }
}

impl From<watch::Receiver<u32>> for Interrupts {
    fn from(count: watch::Receiver<u32>) -> Self {
        Interrupts { count, seen: 0 }
    }
}

//! Live logs: the streams of a process that runs for long, in batches.
//!
//! The service is told at most `limit` bytes; after that, followers see a gap
//! up to the tail in the report, by its offset. A batch that fails is sent
//! again with the next one; what never arrives is in the archive still.

use std::{sync::Arc, time::Duration};

use data_encoding::BASE64;
use shared::agent::{LogBatch, LogPiece};
use tokio::{sync::oneshot, time::sleep};

use crate::{service::Service, streams::Spool};

/// Between two batches, and before the first: what ends sooner sends none.
const PERIOD: Duration = Duration::from_secs(2);

/// The most bytes in one piece.
const PIECE: usize = 64 * 1024;

/// The most pieces in one batch.
const PIECES: usize = 16;

/// Sends what comes, until told that nothing more will; then the rest.
pub async fn follow(
    service: Arc<Service>,
    spools: [Arc<Spool>; 2],
    limit: u64,
    mut over: oneshot::Receiver<()>,
) {
    let mut logs = Logs { service, spools, sent: [0; 2], limit };
    tokio::select! {
        _ = &mut over => return,
        () = sleep(PERIOD) => {}
    }
    loop {
        logs.send().await;
        tokio::select! {
            _ = &mut over => return logs.send().await,
            () = sleep(PERIOD) => {}
        }
    }
}

struct Logs {
    service: Arc<Service>,
    spools: [Arc<Spool>; 2],
    /// How much of each stream the service has.
    sent: [u64; 2],
    limit: u64,
}

impl Logs {
    /// Sends all there is now, as far as the service takes it.
    async fn send(&mut self) {
        let there = self.spools.each_ref().map(|spool| spool.length());
        loop {
            let (batch, reached) = self.batch(there);
            if batch.pieces.is_empty() || self.service.logs(&batch).await.is_err() {
                return;
            }
            self.sent = reached;
        }
    }

    /// The next batch, and how much of each stream the service has after it.
    fn batch(&self, there: [u64; 2]) -> (LogBatch, [u64; 2]) {
        let mut reached = self.sent;
        let mut pieces = Vec::new();
        for (place, spool) in self.spools.iter().enumerate() {
            while pieces.len() < PIECES && reached[place] < there[place] {
                let left = self.limit.saturating_sub(reached.iter().sum());
                let most = left.min(there[place] - reached[place]).min(PIECE as u64);
                let most = usize::try_from(most).unwrap_or(PIECE);
                let Ok(bytes) = spool.read(reached[place], most) else { break };
                if bytes.is_empty() {
                    break;
                }
                pieces.push(LogPiece {
                    stream: spool.stream,
                    offset: reached[place],
                    data: BASE64.encode(&bytes),
                });
                reached[place] += bytes.len() as u64;
            }
        }
        (LogBatch { pieces }, reached)
    }
}

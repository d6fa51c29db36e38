//! Live logs: what a running process wrote, as its agent sends it.

use std::time::Duration;

use data_encoding::BASE64;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{record, rows};
use crate::{
    agent::{LogBatch, LogPiece, Stream},
    job::AttemptKey,
    platform::{Expect, Op, Query},
    service::Service,
    wire::Problem,
};

/// The most pieces of one batch; with the head they fit one commit.
const PIECES: usize = 64;

/// The most bytes of one piece.
const PIECE_BYTES: usize = 64 << 10;

/// How long live logs are kept. Once the attempt has ended, its archive has
/// them whole.
const KEPT_HOURS: i64 = 7 * 24;

/// A piece of a log, as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    stream: Stream,
    offset: u64,
    data: String,
}

/// A run of bytes of one stream, read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which stream.
    pub stream: Stream,
    /// Where in it.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Stores what an attempt wrote. Sent again, it replaces itself.
pub async fn append(
    service: &Service,
    attempt: AttemptKey,
    batch: LogBatch,
) -> Result<(), Problem> {
    let id = attempt.attempt;
    if batch.pieces.len() > PIECES {
        return Err(Problem::invalid("pieces", format!("there are at most {PIECES}")));
    }
    let found = record::load(service, attempt.job()).await?;
    if !found.is_some_and(|(_, job)| job.is_live(id)) {
        return Err(Problem::conflict("superseded", "the attempt has ended"));
    }
    let now = service.platform.clock.now();
    let expires_at = now.checked_add(SignedDuration::from_hours(KEPT_HOURS)).ok();
    let mut ops = Vec::with_capacity(batch.pieces.len() + 1);
    for (place, LogPiece { stream, offset, data }) in batch.pieces.into_iter().enumerate() {
        let length = BASE64.decode_len(data.len()).unwrap_or(usize::MAX);
        if length > PIECE_BYTES + 2 || offset > service.limits.log_bytes {
            let field = format!("pieces[{place}]");
            return Err(Problem::invalid(field, "it is beyond what is kept of a live log"));
        }
        let mut row = rows::plain(&Stored { stream, offset, data });
        row.expires_at = expires_at;
        ops.push(Op::Put(rows::log_piece(id, stream, offset), Expect::Anything, row));
    }
    if ops.is_empty() {
        return Ok(());
    }
    // The head changes with every batch: it is what followers wait on.
    let mut head = rows::plain(&now);
    head.expires_at = expires_at;
    ops.push(Op::Put(rows::log_head(id), Expect::Anything, head));
    Ok(service.platform.table.commit(ops).await?)
}

/// A reader of an attempt's live log, which remembers how far it has come.
#[derive(Clone, Debug)]
pub struct Follower {
    attempt: AttemptKey,
    streams: Vec<(Stream, u64)>,
    head: Option<u64>,
    job: Option<u64>,
}

/// What a follower found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// New pieces, each stream in order.
    pub pieces: Vec<Piece>,
    /// Whether the attempt has ended: nothing more will be added.
    pub ended: bool,
}

impl Follower {
    /// A reader of these streams, from their beginning.
    pub fn new(attempt: AttemptKey, streams: &[Stream]) -> Self {
        let streams = streams.iter().map(|stream| (*stream, 0)).collect();
        Follower { attempt, streams, head: None, job: None }
    }

    /// How far the reader has come in a stream.
    pub fn position(&self, stream: Stream) -> u64 {
        self.streams.iter().find(|(s, _)| *s == stream).map_or(0, |(_, position)| *position)
    }

    /// What has been added since the last call.
    pub async fn read(&mut self, service: &Service) -> Result<Found, Problem> {
        let table = &service.platform.table;
        let id = self.attempt.attempt;
        // The versions first: what is added after them wakes the next wait.
        self.head = table.get(&rows::log_head(id)).await?.map(|row| row.version);
        let found = record::load_any(service, self.attempt.job()).await?;
        self.job = found.as_ref().map(|(row, _)| row.version);
        let ended = !found.is_some_and(|(_, job)| job.is_live(id));
        let mut pieces = Vec::new();
        for (stream, position) in &mut self.streams {
            let word = rows::stream_word(*stream);
            let mut query = Query::partition(rows::log_partition(id)).prefix(&format!("{word}#"));
            query.from = format!("{word}#{position:016x}");
            loop {
                let page = table.query(&query).await?;
                for row in &page.rows {
                    let Stored { stream, offset, data } = rows::read(row)?;
                    let bytes = BASE64.decode(data.as_bytes()).unwrap_or_default();
                    *position = offset + bytes.len() as u64;
                    pieces.push(Piece { stream, offset, bytes });
                }
                query.cursor = page.cursor;
                if query.cursor.is_none() {
                    break;
                }
            }
        }
        Ok(Found { pieces, ended })
    }

    /// Waits until there may be more, or for `patience`.
    pub async fn changed(&self, service: &Service, patience: Duration) -> Result<(), Problem> {
        let table = &service.platform.table;
        let (head, job) = (rows::log_head(self.attempt.attempt), rows::job(self.attempt.job()));
        tokio::select! {
            more = table.changed(&head, self.head, patience) => more?,
            ended = table.changed(&job, self.job, patience) => ended?,
        };
        Ok(())
    }
}

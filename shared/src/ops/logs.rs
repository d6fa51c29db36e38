//! Live logs: what a running process wrote, as its agent sends it.
//!
//! **Invariant:** the pieces of a stream follow one another, each once. What
//! is sent again is known by its offset and left out, so a reader that goes on
//! where it was gets every byte exactly once.

use std::time::Duration;

use bytes::Bytes;
use data_encoding::BASE64;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use tracing::instrument;

use super::{chunks, rows};
use crate::{
    agent::{LogBatch, LogPiece, Stream},
    job::{AttemptId, AttemptKey},
    platform::{Expect, Key, Op, Query, Row, TableError, Wanted},
    service::Service,
    wire::Problem,
};

/// The most pieces of one batch: 2 MiB, which with the head fit one commit of
/// any table (DynamoDB's carry 4 MB).
const PIECES: usize = 32;

/// The most bytes of one piece.
const PIECE_BYTES: usize = 64 << 10;

/// How many pieces a reader is given at once.
const PIECES_READ: usize = 16;

/// How many of the last pieces are looked through for the ends of a log, and
/// how many at once.
const PIECES_OF_ENDS: usize = 64;
const ENDS_AT_ONCE: usize = 4;

/// How long live logs are kept: longer than an attempt can be live. Once it
/// has ended, its archive has them whole.
const KEPT_HOURS: i64 = 20 * 24;

/// How often a writer that keeps being overtaken tries again.
const TRIES: u32 = 20;

/// A piece of a log, as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    v: u8,
    place: u64,
    stream: Stream,
    offset: u64,
    data: String,
}

/// How far an attempt's log goes: it changes with every batch, so it is what
/// followers wait on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    v: u8,
    /// The place of the next piece.
    next: u64,
    stdout: u64,
    stderr: u64,
    /// Bytes kept, both streams together.
    kept: u64,
    /// Whether what came was once too much; nothing is kept after that.
    full: bool,
}

/// A run of bytes of one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which stream.
    pub stream: Stream,
    /// Where in it.
    pub offset: u64,
    /// The bytes.
    pub bytes: Bytes,
}

impl Head {
    fn new() -> Self {
        Head { v: 1, next: 0, stdout: 0, stderr: 0, kept: 0, full: false }
    }

    /// What of the piece is new and is kept, and where.
    fn take(&mut self, piece: &Piece, limit: u64) -> Option<(u64, Piece)> {
        let end = match piece.stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        // What is sent again may have been cut into other pieces.
        let known = end.saturating_sub(piece.offset).min(piece.bytes.len() as u64);
        let new = piece.bytes.slice(usize::try_from(known).ok()?..);
        if new.is_empty() || self.full {
            return None;
        }
        self.full = self.kept + new.len() as u64 > limit;
        if self.full {
            return None;
        }
        let offset = piece.offset + known;
        *end = offset + new.len() as u64;
        self.kept += new.len() as u64;
        let place = self.next;
        self.next += 1;
        Some((place, Piece { stream: piece.stream, offset, bytes: new }))
    }
}

/// Stores what an attempt wrote. Sent again, it changes nothing.
#[instrument(level = "debug", name = "attempt.logs", skip_all, fields(attempt.id = %attempt.attempt))]
pub async fn append(
    service: &Service,
    attempt: AttemptKey,
    batch: LogBatch,
) -> Result<(), Problem> {
    let id = attempt.attempt;
    let pieces = decoded(batch)?;
    let held = chunks::held(service, attempt).await?;
    if !held.is_some_and(|held| held.is_live(id)) {
        return Err(Problem::conflict("superseded", "the attempt has ended"));
    }
    let table = &service.platform.table;
    for _ in 0..TRIES {
        let row = table.get(&rows::log_head(id)).await?;
        let Some(ops) = additions(service, id, &pieces, row.as_ref())? else { return Ok(()) };
        match table.commit(ops).await {
            // The same batch, sent twice at a time.
            Err(TableError::Stale(_) | TableError::Exists(_)) => {}
            settled => return Ok(settled?),
        }
    }
    Err(Problem::Unavailable(format!("the log of {id} is written to by too many at once").into()))
}

fn decoded(batch: LogBatch) -> Result<Vec<Piece>, Problem> {
    if batch.pieces.len() > PIECES {
        return Err(Problem::invalid("pieces", format!("there are at most {PIECES}")));
    }
    let decode = |(place, LogPiece { stream, offset, data }): (usize, LogPiece)| {
        let field = |name: &str| format!("pieces[{place}].{name}");
        let bytes = BASE64
            .decode(data.as_bytes())
            .map_err(|error| Problem::invalid(field("data"), format!("base 64: {error}")))?;
        if bytes.len() > PIECE_BYTES {
            let rule = format!("it is longer than {PIECE_BYTES} bytes");
            return Err(Problem::invalid(field("data"), rule));
        }
        if offset.checked_add(bytes.len() as u64).is_none() {
            return Err(Problem::invalid(field("offset"), "no stream is that long"));
        }
        Ok(Piece { stream, offset, bytes: bytes.into() })
    };
    batch.pieces.into_iter().enumerate().map(decode).collect()
}

/// The changes that add what is new, if anything is.
fn additions(
    service: &Service,
    id: AttemptId,
    pieces: &[Piece],
    row: Option<&Row>,
) -> Result<Option<Vec<Op>>, Problem> {
    let before = row.map(rows::read::<Head>).transpose()?.unwrap_or_else(Head::new);
    let mut head = before.clone();
    let now = service.platform.clock.now();
    let expires_at = now.checked_add(SignedDuration::from_hours(KEPT_HOURS)).ok();
    let mut ops = Vec::with_capacity(pieces.len() + 1);
    for piece in pieces {
        let Some((place, Piece { stream, offset, bytes })) =
            head.take(piece, service.limits.log_bytes)
        else {
            continue;
        };
        let stored = Stored { v: 1, place, stream, offset, data: BASE64.encode(&bytes) };
        let wanted = Wanted { expires_at, ..rows::plain(&stored) };
        ops.push(Op::Put(rows::log_piece(id, place), Expect::Absent, wanted));
    }
    if head == before {
        return Ok(None);
    }
    let expect = row.map_or(Expect::Absent, |row| Expect::Version(row.version));
    let wanted = Wanted { expires_at, ..rows::plain(&head) };
    ops.push(Op::Put(rows::log_head(id), expect, wanted));
    Ok(Some(ops))
}

/// The last bytes of both streams of an attempt, standard output first, as far
/// as they have been sent: up to `most` of each. Of one that has been silent
/// while the other wrote a lot, there may be fewer than there were.
pub async fn ends(
    service: &Service,
    attempt: AttemptId,
    most: usize,
) -> Result<[Vec<u8>; 2], Problem> {
    let table = &service.platform.table;
    let mut ends = [Vec::new(), Vec::new()];
    let Some(row) = table.get(&rows::log_head(attempt)).await? else { return Ok(ends) };
    let head: Head = rows::read(&row)?;
    let mut goes_on = [head.stdout > 0, head.stderr > 0];
    let from = rows::log_piece(attempt, 0);
    let mut query = Query {
        from: from.sort,
        to: Some(rows::log_piece(attempt, u64::MAX).sort),
        backwards: true,
        limit: ENDS_AT_ONCE,
        ..Query::partition(from.partition)
    };
    let mut looked_through = 0;
    while goes_on.contains(&true) && looked_through < PIECES_OF_ENDS {
        let page = table.query(&query).await?;
        for row in &page.rows {
            let (_, Piece { stream, offset, bytes }) = piece(row)?;
            let place = match stream {
                Stream::Stdout => 0,
                Stream::Stderr => 1,
            };
            let end = &mut ends[place];
            let last = bytes.len().saturating_sub(most - end.len());
            end.splice(..0, bytes[last..].iter().copied());
            goes_on[place] = end.len() < most && offset > 0;
        }
        looked_through += page.rows.len();
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    Ok(ends)
}

/// A stored piece, and its place.
fn piece(row: &Row) -> Result<(u64, Piece), Problem> {
    let Stored { v: _, place, stream, offset, data } = rows::read(row)?;
    let bytes = BASE64.decode(data.as_bytes());
    let bytes = bytes.map_err(|error| Problem::internal(format!("{}: {error}", row.key)))?;
    Ok((place, Piece { stream, offset, bytes: bytes.into() }))
}

/// A reader of an attempt's live log, which remembers how far it has come.
#[derive(Clone, Debug)]
pub struct Follower {
    attempt: AttemptKey,
    next: u64,
    head: Option<u64>,
    /// The row that changes with the attempt's instance, and its version.
    holder: (Key, Option<u64>),
}

/// What a follower found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// New pieces, in the order of their arrival.
    pub pieces: Vec<Piece>,
    /// Whether there are more already.
    pub more: bool,
    /// Whether the attempt had ended before these were read: nothing more
    /// will be added.
    pub ended: bool,
}

impl Follower {
    /// A reader from the beginning.
    pub fn new(attempt: AttemptKey) -> Self {
        Follower { attempt, next: 0, head: None, holder: (rows::job(attempt.job()), None) }
    }

    /// Whose log it is.
    pub fn attempt(&self) -> AttemptKey {
        self.attempt
    }

    /// Some of what has been added since the last call.
    pub async fn read(&mut self, service: &Service) -> Result<Found, Problem> {
        let table = &service.platform.table;
        let id = self.attempt.attempt;
        // The versions first: what is added after them wakes the next wait.
        self.head = table.get(&rows::log_head(id)).await?.map(|row| row.version);
        let held = chunks::held(service, self.attempt).await?;
        self.holder = match &held {
            Some(held) => (held.row.key.clone(), Some(held.row.version)),
            None => (rows::job(self.attempt.job()), None),
        };
        let ended = !held.is_some_and(|held| held.is_live(id));
        let from = rows::log_piece(id, self.next);
        let mut query = Query {
            from: from.sort,
            to: Some(rows::log_piece(id, u64::MAX).sort),
            limit: PIECES_READ,
            ..Query::partition(from.partition)
        };
        let mut page = table.query(&query).await?;
        // A page may be empty and not be the last.
        while page.rows.is_empty() && page.cursor.is_some() {
            query.cursor = page.cursor;
            page = table.query(&query).await?;
        }
        let mut pieces = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            let (place, piece) = piece(row)?;
            self.next = place + 1;
            pieces.push(piece);
        }
        Ok(Found { pieces, more: page.cursor.is_some(), ended })
    }

    /// Waits until there may be more, or for `patience`.
    pub async fn changed(&self, service: &Service, patience: Duration) -> Result<(), Problem> {
        let table = &service.platform.table;
        let (head, (holder, seen)) = (rows::log_head(self.attempt.attempt), &self.holder);
        tokio::select! {
            more = table.changed(&head, self.head, patience) => more?,
            ended = table.changed(holder, *seen, patience) => ended?,
        };
        Ok(())
    }
}

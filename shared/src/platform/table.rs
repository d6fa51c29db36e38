//! The table: the one place state is kept.
//!
//! Ordered key-value rows under a two-part key, each with a version that a
//! writer must know to replace it, a few sparse indexes, and sets whose size
//! is bounded. There is no scan: whatever is looked for has a key or an index.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use super::{SetLimit, Source};

/// Rows of a page at most.
const MOST_ROWS: usize = 1_000;

/// Where a row is: rows of one partition are ordered by `sort`, bytewise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Up to 512 bytes of text without NUL.
    pub partition: String,
    /// Up to 512 bytes of text without NUL.
    pub sort: String,
}

impl Key {
    /// The key of these two parts.
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Key { partition: partition.into(), sort: sort.into() }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.partition, self.sort)
    }
}

/// The sparse indexes. A row is in one if it carries a mark for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Index {
    /// Rows that time, or a lost message, will call for: by shard, then time
    /// as [`due_sort`] writes it.
    Due,
    /// Jobs that want a slot: by queue, in the order in which they start.
    Queue,
    /// What is open: unfinished jobs by project, and the list of all queues.
    Open,
}

impl Index {
    /// Every index.
    pub const ALL: [Index; 3] = [Index::Due, Index::Queue, Index::Open];
}

/// A row's place in an index. Same limits as a [`Key`]'s parts; rows of equal
/// marks come in the order of their keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// The index's partition.
    pub partition: String,
    /// Where in it.
    pub sort: String,
}

/// Where in [`Index::Due`] a time is.
pub fn due_sort(at: Timestamp) -> String {
    format!("{:015}", at.as_millisecond().max(0))
}

/// A stored row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where it is.
    pub key: Key,
    /// 1 for a new row, one more at each replacement.
    pub version: u64,
    /// The value: up to 1 MiB (DynamoDB: 400 kB after compression).
    pub body: Bytes,
    /// Its places in indexes.
    pub marks: BTreeMap<Index, Mark>,
    /// From when on the row no longer counts; checked on every read.
    pub expires_at: Option<Timestamp>,
}

impl Row {
    /// The row once this has taken its place.
    #[must_use]
    pub fn replaced(&self, wanted: Wanted) -> Row {
        let Wanted { body, marks, expires_at } = wanted;
        Row { key: self.key.clone(), version: self.version + 1, body, marks, expires_at }
    }
}

/// What a `Put` or `Delete` expects to find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// No row, or an expired one: else [`TableError::Exists`].
    Absent,
    /// This version: else [`TableError::Stale`].
    Version(u64),
    /// Whatever is there.
    Anything,
}

/// A row to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The value.
    pub body: Bytes,
    /// Places in indexes, replacing all that the row had.
    pub marks: BTreeMap<Index, Mark>,
    /// When it stops to count.
    pub expires_at: Option<Timestamp>,
}

/// One change of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Write the row.
    Put(Key, Expect, Wanted),
    /// Remove the row; with [`Expect::Anything`], one that is not there is fine.
    Delete(Key, Expect),
    /// Change nothing, but fail unless the row is as expected.
    Check(Key, Expect),
    /// Add `member` to the set at `key`, created if absent. Fails with
    /// [`TableError::Full`] when the set would hold more than `limit` with it:
    /// what a member weighs, it says itself (see [`super::set`]). A member that
    /// is there already is fine. Never conflicts with another join or leave.
    Join {
        /// The set.
        key: Key,
        /// The member.
        member: String,
        /// How much the set may hold.
        limit: SetLimit,
    },
    /// Take `member` out of the set at `key`, if it is there.
    Leave {
        /// The set.
        key: Key,
        /// The member.
        member: String,
    },
}

impl Op {
    /// The key that the change is about.
    pub fn key(&self) -> &Key {
        match self {
            Op::Put(key, ..)
            | Op::Delete(key, _)
            | Op::Check(key, _)
            | Op::Join { key, .. }
            | Op::Leave { key, .. } => key,
        }
    }
}

/// Changes of which only some have to come together.
///
/// Each is on another key, and there are as many as a commit may have. Who
/// writes them takes care that nothing is wrong wherever they end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Staged {
    /// First, one after the other: what nothing refers to until the rest is
    /// there. May stay though the rest fails.
    pub before: Vec<Op>,
    /// Then these, all or none.
    pub ops: Vec<Op>,
    /// Last, what expects nothing: it may be missing though the rest is there,
    /// and is then found by a sweep.
    pub after: Vec<Op>,
}

impl From<Staged> for Vec<Op> {
    fn from(staged: Staged) -> Self {
        let Staged { before, ops, after } = staged;
        [before, ops, after].concat()
    }
}

/// Which rows, in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// An index, or the table itself.
    pub index: Option<Index>,
    /// The partition.
    pub partition: String,
    /// Only rows whose `sort` is at least this.
    pub from: String,
    /// Only rows whose `sort` is below this; no bound when `None`.
    pub to: Option<String>,
    /// Highest `sort` first.
    pub backwards: bool,
    /// At most so many rows: 1 to 1,000.
    pub limit: usize,
    /// Where an earlier page of the same query ended.
    pub cursor: Option<String>,
}

impl Query {
    /// All rows of a partition of the table, in order, a page of 100.
    pub fn partition(partition: impl Into<String>) -> Self {
        Query {
            index: None,
            partition: partition.into(),
            from: String::new(),
            to: None,
            backwards: false,
            limit: 100,
            cursor: None,
        }
    }

    /// The same of an index.
    pub fn index(index: Index, partition: impl Into<String>) -> Self {
        Query { index: Some(index), ..Query::partition(partition) }
    }

    /// Only rows whose `sort` starts with `prefix`.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        // U+10FFFF sorts after every continuation that a key may have.
        Query { from: prefix.to_owned(), to: Some(format!("{prefix}\u{10ffff}")), ..self }
    }
}

/// Rows, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows. A page may be short, or empty, and not be the last.
    pub rows: Vec<Row>,
    /// Where the next page starts; `None` at the end.
    pub cursor: Option<String>,
}

/// Why a table call did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// A row that should be absent is there.
    #[error("{0} already exists")]
    Exists(Key),
    /// A row is not as expected: replaced, removed, or never there.
    #[error("{0} is not as it was read")]
    Stale(Key),
    /// A set holds as much as it may, or has no room for this member.
    #[error("{0} is full")]
    Full(Key),
    /// No such table can do this, now or ever: a row that is too large, say.
    /// Nothing was written.
    #[error("the table refuses what was asked of it")]
    Refused(#[source] Source),
    /// The table did not answer; whether a write took place is not known.
    #[error("the table did not answer")]
    Unavailable(#[source] Source),
}

/// Where state is kept.
#[async_trait]
pub trait Table: Send + Sync {
    /// The row as of the latest acknowledged write, or `None`.
    async fn get(&self, key: &Key) -> Result<Option<Row>, TableError>;

    /// The row as it is, or was a moment ago: for who will be told if it has
    /// changed since, or to whom that moment makes no difference. For an
    /// adapter to which a strong read costs more.
    async fn glance(&self, key: &Key) -> Result<Option<Row>, TableError> {
        self.get(key).await
    }

    /// The row: perhaps as it was a moment ago, but found however new it is. For
    /// rows that never change, or not so that a moment matters.
    async fn find(&self, key: &Key) -> Result<Option<Row>, TableError> {
        match self.glance(key).await? {
            None => self.get(key).await,
            found => Ok(found),
        }
    }

    /// Rows of one partition, in order. The table itself answers as of the
    /// latest write; an index may lag.
    async fn query(&self, query: &Query) -> Result<Page, TableError>;

    /// How many rows a query has, counted as far as `most`. Rows that expire
    /// may count for a while after they have. An adapter that can count
    /// without reading the rows does.
    async fn count(&self, query: &Query, most: usize) -> Result<usize, TableError> {
        let mut query = Query { limit: MOST_ROWS, ..query.clone() };
        let mut count = 0;
        loop {
            let page = self.query(&query).await?;
            count += page.rows.len();
            query.cursor = page.cursor;
            if count >= most || query.cursor.is_none() {
                return Ok(count.min(most));
            }
        }
    }

    /// All of the changes, or none: 1 to 100 of them, each on another key.
    /// When it returns, they are durable. The first change that fails its
    /// expectation decides the error.
    async fn commit(&self, ops: Vec<Op>) -> Result<(), TableError>;

    /// The same of changes that need not all come together, for an adapter to
    /// which that makes a difference: what is left out is said at [`Staged`].
    /// The first change that fails its expectation decides the error, and what
    /// comes after it is not carried out.
    async fn commit_staged(&self, staged: Staged) -> Result<(), TableError> {
        self.commit(staged.into()).await
    }

    /// How much earlier than its row wants a mark may lie, if that saves moving
    /// it: where a move costs more than a sweep that has come in vain. None
    /// where it costs nothing.
    fn mark_slack(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// How far ahead [`Table::remind`] looks: not at all where who follows the
    /// changes knows by their marks when rows come due.
    fn reminds_within(&self) -> SignedDuration {
        SignedDuration::ZERO
    }

    /// Has the row told of at that time, as if it had changed then. That may come
    /// to nothing: a sweep finds what is due.
    async fn remind(&self, _key: &Key, _at: Timestamp) {}

    /// The members of the set at `key`, sorted; none where there is no set.
    async fn members(&self, key: &Key) -> Result<Vec<String>, TableError>;

    /// Waits until the row's version is other than `seen` (`None`: no row),
    /// or for `patience`; then reads it. An adapter without a change feed
    /// looks again, at growing intervals.
    async fn changed(
        &self,
        key: &Key,
        seen: Option<u64>,
        patience: Duration,
    ) -> Result<Option<Row>, TableError>;
}

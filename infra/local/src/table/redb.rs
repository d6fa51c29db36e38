//! The table port on the store.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use redb::{Error, ReadTransaction};
use shared::platform::{Clock, Key, Mark, Op, Page, Query, Row, Source, Table, TableError};

use tokio::task::coop::consume_budget;

use super::{
    change,
    feed::{self, Feed},
    query::{self, Bounds},
    rows,
    tables::Tables,
    waiters::Waiters,
};
use crate::store::{OpenError, Store, StoreError};

/// Bytes of a key's part.
const LONGEST_PART: usize = 512;

/// Bytes of a row.
const LARGEST_BODY: usize = 1 << 20;

/// Changes of a commit.
const MOST_OPS: usize = 100;

/// Up to so many rows are read without leaving the task's thread: that takes
/// less than handing the work to another.
const FEW_ROWS: usize = 32;

/// The table, in the store's file.
pub struct RedbTable {
    store: Arc<Store>,
    clock: Arc<dyn Clock>,
    news: Arc<News>,
}

/// All who want to know of changes.
struct News {
    feed: feed::Source,
    waiters: Waiters,
}

impl RedbTable {
    /// The table in a file of its own.
    pub fn open(
        path: &Path,
        cache_bytes: usize,
        clock: Arc<dyn Clock>,
    ) -> Result<RedbTable, OpenError> {
        let store = Arc::new(Store::open(path, cache_bytes)?);
        RedbTable::new(store, clock)
            .map_err(|error| OpenError::Unusable { path: path.to_owned(), source: error })
    }

    /// The table in a store that it may share.
    pub fn new(store: Arc<Store>, clock: Arc<dyn Clock>) -> Result<RedbTable, StoreError> {
        store.write_blocking(|transaction| Tables::new(transaction).create_all())?;
        let time = Arc::clone(&clock);
        store.add_chore(Box::new(move |transaction| change::purge(transaction, time.now())));
        let news = Arc::new(News { feed: feed::Source::new(), waiters: Waiters::default() });
        Ok(RedbTable { store, clock, news })
    }

    /// News of every change from now on.
    pub fn feed(&self) -> Feed {
        self.news.feed.subscribe()
    }

    fn read_row(&self, key: &Key) -> Result<Option<Row>, StoreError> {
        let place = rows::place(key);
        let rows = self.store.read()?.open_table(rows::ROWS)?;
        let Some(bytes) = rows.get(&place[..])? else { return Ok(None) };
        Ok(query::row(&place, bytes.value(), self.clock.now())?)
    }
}

#[async_trait]
impl Table for RedbTable {
    async fn get(&self, key: &Key) -> Result<Option<Row>, TableError> {
        check_key(key)?;
        // Reading never waits: whoever reads in a loop has to let others run.
        consume_budget().await;
        self.read_row(key).map_err(unavailable)
    }

    async fn query(&self, query: &Query) -> Result<Page, TableError> {
        check_part(&query.partition)?;
        let bounds =
            Bounds::of(query).ok_or_else(|| refused("the cursor is not one of this table"))?;
        let now = self.clock.now();
        if query.limit <= FEW_ROWS {
            consume_budget().await;
            let read = self.store.read().map_err(unavailable)?;
            return query::run(&read, query, &bounds, now).map_err(unavailable);
        }
        let (store, query) = (Arc::clone(&self.store), query.clone());
        let walk = move || Ok(query::run(&store.read()?, &query, &bounds, now)?);
        let page: Result<_, StoreError> =
            tokio::task::spawn_blocking(walk).await.map_err(unavailable)?;
        page.map_err(unavailable)
    }

    async fn count(&self, query: &Query, most: usize) -> Result<usize, TableError> {
        check_part(&query.partition)?;
        let bounds =
            Bounds::of(query).ok_or_else(|| refused("the cursor is not one of this table"))?;
        let (store, index) = (Arc::clone(&self.store), query.index);
        let walk = move || Ok(query::count(&store.read()?, index, &bounds, most)?);
        let count: Result<_, StoreError> =
            tokio::task::spawn_blocking(walk).await.map_err(unavailable)?;
        count.map_err(unavailable)
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<(), TableError> {
        check_ops(&ops)?;
        let (answer, answered) = tokio::sync::oneshot::channel();
        let (clock, news) = (Arc::clone(&self.clock), Arc::clone(&self.news));
        self.store.submit(
            move |transaction| change::apply(transaction, ops, clock.now()),
            // Not left to the caller, who may have been cancelled.
            move |outcome| {
                let outcome = outcome.map(|judged| {
                    judged.map(|changes| {
                        news.waiters.wake(&changes);
                        news.feed.publish(changes);
                    })
                });
                drop(answer.send(outcome));
            },
        );
        answered.await.unwrap_or(Err(StoreError::Closed)).map_err(unavailable)?
    }

    async fn members(&self, key: &Key) -> Result<Vec<String>, TableError> {
        check_key(key)?;
        consume_budget().await;
        let read = self.store.read().map_err(unavailable)?;
        members(&read, key).map_err(unavailable)
    }

    async fn changed(
        &self,
        key: &Key,
        seen: Option<u64>,
        patience: Duration,
    ) -> Result<Option<Row>, TableError> {
        let waiter = self.news.waiters.register(key);
        let mut out_of_patience = std::pin::pin!(tokio::time::sleep(patience));
        loop {
            let mut woken = std::pin::pin!(waiter.notify.notified());
            woken.as_mut().enable();
            let row = self.get(key).await?;
            if row.as_ref().map(|row| row.version) != seen {
                return Ok(row);
            }
            let expiry = async {
                match row.and_then(|row| row.expires_at) {
                    Some(at) => tokio::time::sleep(until(at, self.clock.now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = woken => {}
                () = expiry => {}
                () = &mut out_of_patience => return self.get(key).await,
            }
        }
    }
}

fn members(read: &ReadTransaction, key: &Key) -> Result<Vec<String>, Error> {
    let start = rows::member(&rows::place(key), "");
    let mut members = Vec::new();
    for entry in read.open_table(rows::MEMBERS)?.range(&start[..]..)? {
        let (entry, _) = entry?;
        let Some(member) = entry.value().strip_prefix(&start[..]) else { break };
        let member = String::from_utf8(member.to_vec());
        members.push(member.map_err(|_| Error::Corrupted("a set cannot be read".to_owned()))?);
    }
    Ok(members)
}

fn until(at: jiff::Timestamp, now: jiff::Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

fn check_ops(ops: &[Op]) -> Result<(), TableError> {
    if ops.is_empty() || ops.len() > MOST_OPS {
        return Err(refused("a commit has 1 to 100 changes"));
    }
    for op in ops {
        check_key(op.key())?;
        match op {
            Op::Put(_, _, wanted) => {
                if wanted.body.len() > LARGEST_BODY {
                    return Err(refused("a row has at most 1 MiB"));
                }
                for Mark { partition, sort } in wanted.marks.values() {
                    check_part(partition)?;
                    check_part(sort)?;
                }
            }
            Op::Join { member, .. } | Op::Leave { member, .. } => check_part(member)?,
            Op::Delete(..) | Op::Check(..) => {}
        }
    }
    let mut keys: Vec<&Key> = ops.iter().map(Op::key).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(refused("a commit's changes are each on another key"));
    }
    Ok(())
}

fn check_key(key: &Key) -> Result<(), TableError> {
    check_part(&key.partition)?;
    check_part(&key.sort)
}

/// NUL separates the parts: one inside a part would make another row of it.
fn check_part(part: &str) -> Result<(), TableError> {
    if part.len() > LONGEST_PART || part.contains('\0') {
        return Err(refused("a key's part has up to 512 bytes without NUL"));
    }
    Ok(())
}

/// A call that no caller should make.
fn refused(why: &'static str) -> TableError {
    TableError::Refused(Source::from(why))
}

fn unavailable(error: impl Into<Source>) -> TableError {
    TableError::Unavailable(error.into())
}

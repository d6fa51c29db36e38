//! A table in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use tokio::{sync::Notify, time::Instant};

use crate::platform::{
    Clock, Expect, Index, Key, Op, Page, Query, Row, SetSize, Table, TableError, Wanted,
};

/// The most changes of a commit.
const MOST_OPS: usize = 100;

/// The most bytes of a key's or mark's part.
const MOST_KEY_BYTES: usize = 512;

/// The most bytes of a row's body.
const MOST_BODY_BYTES: usize = 1 << 20;

/// Rows of a page at most.
const MOST_ROWS: usize = 1_000;

/// A table in memory.
pub struct MemoryTable {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    commits: AtomicUsize,
    /// Told of every commit.
    changed: Notify,
}

#[derive(Default)]
struct State {
    rows: BTreeMap<Key, Row>,
    sets: BTreeMap<Key, BTreeSet<String>>,
    indexes: BTreeMap<Index, BTreeSet<Place>>,
}

/// Where a row is met in a walk: by the partition and sort of the table or of
/// a mark, then by its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    partition: String,
    sort: String,
    key: Key,
}

impl MemoryTable {
    /// A table without rows.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        MemoryTable {
            clock,
            state: Mutex::default(),
            commits: AtomicUsize::new(0),
            changed: Notify::new(),
        }
    }

    /// How many commits were tried.
    pub fn commits(&self) -> usize {
        self.commits.load(Relaxed)
    }

    /// Every row that counts, in the order of keys: for a test to look at what
    /// is left.
    pub fn rows(&self) -> Vec<Row> {
        let now = self.clock.now();
        self.state().rows.values().filter(|row| counts(row, now)).cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, key: &Key) -> Option<Row> {
        self.state().live(key, self.clock.now()).cloned()
    }
}

#[async_trait]
impl Table for MemoryTable {
    async fn get(&self, key: &Key) -> Result<Option<Row>, TableError> {
        Ok(self.read(key))
    }

    async fn query(&self, query: &Query) -> Result<Page, TableError> {
        self.state().query(query, self.clock.now())
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<(), TableError> {
        self.commits.fetch_add(1, Relaxed);
        sound(&ops)?;
        let now = self.clock.now();
        {
            let mut state = self.state();
            for op in &ops {
                state.judge(op, now)?;
            }
            for op in ops {
                state.carry_out(op, now);
            }
        }
        self.changed.notify_waiters();
        Ok(())
    }

    async fn members(&self, key: &Key) -> Result<Vec<String>, TableError> {
        let state = self.state();
        Ok(state.sets.get(key).into_iter().flatten().cloned().collect())
    }

    async fn changed(
        &self,
        key: &Key,
        seen: Option<u64>,
        patience: Duration,
    ) -> Result<Option<Row>, TableError> {
        let until = Instant::now() + patience;
        loop {
            // Before the look, so that nothing happens between the two unseen.
            let change = self.changed.notified();
            tokio::pin!(change);
            change.as_mut().enable();
            let row = self.read(key);
            if row.as_ref().map(|row| row.version) != seen || Instant::now() >= until {
                return Ok(row);
            }
            // Patience having ended shows at the next look.
            drop(tokio::time::timeout_at(until, change).await);
        }
    }
}

impl State {
    fn live(&self, key: &Key, now: Timestamp) -> Option<&Row> {
        self.rows.get(key).filter(|row| counts(row, now))
    }

    fn judge(&self, op: &Op, now: Timestamp) -> Result<(), TableError> {
        let expected = |key: &Key, expect: Expect| match (expect, self.live(key, now)) {
            (Expect::Absent, None) | (Expect::Anything, _) => Ok(()),
            (Expect::Absent, Some(_)) => Err(TableError::Exists(key.clone())),
            (Expect::Version(version), Some(row)) if row.version == version => Ok(()),
            (Expect::Version(_), _) => Err(TableError::Stale(key.clone())),
        };
        match op {
            Op::Put(key, expect, _) | Op::Delete(key, expect) | Op::Check(key, expect) => {
                expected(key, *expect)
            }
            Op::Join { key, member, limit } => match self.sets.get(key) {
                Some(set) if set.contains(member) => Ok(()),
                set => {
                    let size = SetSize::of(set.into_iter().flatten()).with(member);
                    if size.is_within(*limit) { Ok(()) } else { Err(TableError::Full(key.clone())) }
                }
            },
            Op::Leave { .. } => Ok(()),
        }
    }

    fn carry_out(&mut self, op: Op, now: Timestamp) {
        match op {
            Op::Put(key, _, Wanted { body, marks, expires_at }) => {
                let version = self.live(&key, now).map_or(1, |row| row.version + 1);
                self.remove(&key);
                let row = Row { key: key.clone(), version, body, marks, expires_at };
                for (index, place) in places(&row) {
                    self.indexes.entry(index).or_default().insert(place);
                }
                self.rows.insert(key, row);
            }
            Op::Delete(key, _) => self.remove(&key),
            Op::Check(..) => {}
            Op::Join { key, member, .. } => {
                self.sets.entry(key).or_default().insert(member);
            }
            Op::Leave { key, member } => {
                if let Some(set) = self.sets.get_mut(&key) {
                    set.remove(&member);
                }
            }
        }
    }

    fn remove(&mut self, key: &Key) {
        let Some(row) = self.rows.remove(key) else { return };
        for (index, place) in places(&row) {
            if let Some(entries) = self.indexes.get_mut(&index) {
                entries.remove(&place);
            }
        }
    }

    fn query(&self, query: &Query, now: Timestamp) -> Result<Page, TableError> {
        let cursor = query.cursor.as_deref().map(open_cursor).transpose()?;
        let mut places = self.places_from(query);
        if query.backwards {
            places.reverse();
        }
        let wanted = |place: &Place| {
            let below = query.to.as_ref().is_none_or(|to| place.sort < *to);
            below
                && match &cursor {
                    None => true,
                    Some(last) if query.backwards => place < last,
                    Some(last) => place > last,
                }
        };
        let limit = query.limit.clamp(1, MOST_ROWS);
        let mut page = Page::default();
        let mut last = None;
        for place in places.into_iter().filter(wanted) {
            let Some(row) = self.live(&place.key, now) else { continue };
            if page.rows.len() == limit {
                page.cursor = last.as_ref().map(seal_cursor);
                break;
            }
            page.rows.push(row.clone());
            last = Some(place);
        }
        Ok(page)
    }

    /// What the query's partition has from `from` on, in order.
    fn places_from(&self, query: &Query) -> Vec<Place> {
        match query.index {
            None => {
                let place = |key: &Key| Place {
                    partition: key.partition.clone(),
                    sort: key.sort.clone(),
                    key: key.clone(),
                };
                let rows = self.rows.range(Key::new(&*query.partition, &*query.from)..);
                let keys = rows.map(|(key, _)| key);
                keys.take_while(|key| key.partition == query.partition).map(place).collect()
            }
            Some(index) => {
                let first = Place {
                    partition: query.partition.clone(),
                    sort: query.from.clone(),
                    key: Key::new("", ""),
                };
                let entries = self.indexes.get(&index).into_iter();
                let entries = entries.flat_map(|entries| entries.range(first.clone()..));
                entries.take_while(|at| at.partition == query.partition).cloned().collect()
            }
        }
    }
}

fn counts(row: &Row, now: Timestamp) -> bool {
    row.expires_at.is_none_or(|at| at > now)
}

fn places(row: &Row) -> impl Iterator<Item = (Index, Place)> {
    row.marks.iter().map(|(index, mark)| {
        let place = Place {
            partition: mark.partition.clone(),
            sort: mark.sort.clone(),
            key: row.key.clone(),
        };
        (*index, place)
    })
}

/// A place as text: its four parts, which have no NUL.
fn seal_cursor(place: &Place) -> String {
    let Place { partition, sort, key } = place;
    let text = [partition, sort, &key.partition, &key.sort].map(String::as_str).join("\0");
    BASE64URL_NOPAD.encode(text.as_bytes())
}

fn open_cursor(cursor: &str) -> Result<Place, TableError> {
    let parsed = || {
        let text = String::from_utf8(BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?).ok()?;
        let mut parts = text.split('\0').map(str::to_owned);
        let (partition, sort) = (parts.next()?, parts.next()?);
        Some(Place { partition, sort, key: Key::new(parts.next()?, parts.next()?) })
    };
    parsed().ok_or_else(|| TableError::Refused("the cursor is of no query".into()))
}

/// What no caller may ask for is a fault of the caller, said loudly.
fn sound(ops: &[Op]) -> Result<(), TableError> {
    let refused = |why: String| Err(TableError::Refused(why.into()));
    if !(1..=MOST_OPS).contains(&ops.len()) {
        return refused(format!("a commit of {} changes", ops.len()));
    }
    let mut keys = BTreeSet::new();
    let part = |text: &str| text.len() <= MOST_KEY_BYTES && !text.contains('\0');
    for op in ops {
        let key = op.key();
        if !keys.insert(key) {
            return refused(format!("two changes of {key} in one commit"));
        }
        if !part(&key.partition) || !part(&key.sort) {
            return refused(format!("the key {key}"));
        }
        if let Op::Put(_, _, wanted) = op {
            if wanted.body.len() > MOST_BODY_BYTES {
                return refused(format!("{key} of {} bytes", wanted.body.len()));
            }
            let mut marks = wanted.marks.values();
            if !marks.all(|mark| part(&mark.partition) && part(&mark.sort)) {
                return refused(format!("a mark of {key}"));
            }
        }
    }
    Ok(())
}

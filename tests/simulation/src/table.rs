//! The table: in memory, and as unreliable as the one it stands for.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::channel::mpsc::UnboundedSender;
use jiff::{SignedDuration, Timestamp};
use shared::{
    conformance::memory::MemoryTable,
    ops::rows,
    platform::{
        Clock, Expect, Index, Key, Mark, Op, Page, Query, Row, SetLimit, Staged, Table, TableError,
    },
};

use crate::{
    executor::Sim,
    host::{Kind, News},
    sabotage::Sabotage,
    watch::{self, Watch},
};

/// A table in the world.
pub struct SimTable {
    sim: Arc<Sim>,
    kind: Kind,
    inner: MemoryTable,
    watch: Arc<Watch>,
    feed: UnboundedSender<News>,
    /// Since when indexes show where a row is now.
    shown: Mutex<BTreeMap<(Index, Key), Timestamp>>,
    /// Sets in which somebody found no place.
    refused: Mutex<BTreeSet<Key>>,
    /// When rows are due.
    due: Mutex<BTreeSet<(Timestamp, Key)>>,
}

impl SimTable {
    /// A table without rows, whose changes are told to the feed.
    pub fn new(
        sim: Arc<Sim>,
        kind: Kind,
        clock: Arc<dyn Clock>,
        watch: Arc<Watch>,
        feed: UnboundedSender<News>,
    ) -> Self {
        let inner = MemoryTable::new(clock);
        let (shown, refused, due) = (Mutex::default(), Mutex::default(), Mutex::default());
        SimTable { sim, kind, inner, watch, feed, shown, refused, due }
    }

    /// Every row that counts.
    pub fn rows(&self) -> Vec<Row> {
        self.inner.rows()
    }

    /// The rows that are due by then.
    pub fn due(&self, now: Timestamp) -> Vec<Key> {
        let due = guard(&self.due);
        due.iter().take_while(|(at, _)| *at <= now).map(|(_, key)| key.clone()).collect()
    }

    /// When the next row comes due, or has.
    pub fn next_due(&self) -> Option<Timestamp> {
        guard(&self.due).first().map(|(at, _)| *at)
    }

    fn refused(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        guard(&self.refused)
    }

    async fn write(&self, ops: Vec<Op>) -> Result<(), TableError> {
        self.sim.call("write", TableError::Unavailable, self.apply(ops)).await
    }

    /// Carries out all of it at once, and looks at what has become of things.
    async fn apply(&self, ops: Vec<Op>) -> Result<(), TableError> {
        let ops: Vec<Op> = ops.into_iter().filter_map(|op| self.broken(op)).collect();
        if ops.is_empty() {
            return Ok(());
        }
        let done = ops.iter().map(|op| self.unlimited(op)).collect();
        let mut before = Vec::with_capacity(ops.len());
        for op in &ops {
            before.push(self.inner.get(op.key()).await?);
        }
        let done = self.inner.commit(done).await;
        self.sim.log(|| format!("commit {} {}", watch::named(&ops), said(&done)));
        if let Err(TableError::Full(set)) = &done {
            self.refused().insert(set.clone());
        }
        done?;
        self.watch.committed(self.sim.now(), &ops);
        for (op, before) in ops.iter().zip(&before) {
            self.tell(op, before.as_ref());
        }
        Ok(())
    }

    fn tell(&self, op: &Op, before: Option<&Row>) {
        let none = BTreeMap::new();
        let marks = match op {
            Op::Put(_, _, wanted) => &wanted.marks,
            Op::Delete(..) | Op::Leave { .. } => &none,
            Op::Check(..) | Op::Join { .. } => return,
        };
        self.mark(op.key(), before.map_or(&none, |row| &row.marks), marks);
        self.lag(op.key(), before.map_or(&none, |row| &row.marks), marks);
        let key = op.key().clone();
        // Of a set only who found no place in it wants to know.
        let wanted = !matches!(op, Op::Leave { .. }) || self.kind == Kind::Local;
        if !wanted && !self.refused().remove(&key) {
            return;
        }
        let now = self.sim.now();
        let is_new = self.kind == Kind::Aws && before.is_none();
        let mark = marks.get(&Index::Due);
        let is_due = mark.is_some_and(|mark| is_new || mark.sort <= rows::due_sort(now));
        let change = News::Changed { key, marks: marks.clone(), is_due };
        // Nobody listens any more once the world has come to its end.
        self.feed.unbounded_send(change).ok();
    }

    fn mark(&self, key: &Key, before: &BTreeMap<Index, Mark>, after: &BTreeMap<Index, Mark>) {
        let at = |marks: &BTreeMap<Index, Mark>| marks.get(&Index::Due).and_then(rows::due_of);
        let mut due = guard(&self.due);
        if let Some(at) = at(before) {
            due.remove(&(at, key.clone()));
        }
        due.extend(at(after).map(|at| (at, key.clone())));
    }

    /// What moves in an index is not seen in its new place for a while.
    fn lag(&self, key: &Key, before: &BTreeMap<Index, Mark>, after: &BTreeMap<Index, Mark>) {
        let weather = self.sim.weather();
        if self.kind == Kind::Local || !self.sim.chance(weather.lagging) {
            return;
        }
        let late = self.sim.roll(|dice| dice.i64(1..20_000));
        let until = self.sim.now() + SignedDuration::from_millis(late);
        let mut shown = guard(&self.shown);
        for (index, _) in after.iter().filter(|(index, mark)| before.get(index) != Some(mark)) {
            shown.insert((*index, key.clone()), until);
        }
    }

    fn is_shown(&self, index: Index, row: &Row, now: Timestamp) -> bool {
        let shown = guard(&self.shown);
        shown.get(&(index, row.key.clone())).is_none_or(|from| *from <= now)
    }

    /// The change as the table makes it, which should be as it was asked for.
    fn unlimited(&self, op: &Op) -> Op {
        let light = |limit: SetLimit| SetLimit { weights: [None, None], ..limit };
        match op.clone() {
            Op::Join { key, member, .. } if self.sim.is_broken(Sabotage::NoLimit) => {
                Op::Join { key, member, limit: u32::MAX.into() }
            }
            Op::Join { key, member, limit } if self.sim.is_broken(Sabotage::NoWeights) => {
                Op::Join { key, member, limit: light(limit) }
            }
            whole => whole,
        }
    }

    /// The change as it is asked for if something is broken on purpose.
    fn broken(&self, op: Op) -> Option<Op> {
        let is = |what| self.sim.is_broken(what);
        match op {
            Op::Put(key, Expect::Version(_), wanted)
                if is(Sabotage::LostUpdates) && watch::is_job(&key) =>
            {
                Some(Op::Put(key, Expect::Anything, wanted))
            }
            Op::Put(key, expect, mut wanted) if is(Sabotage::NoMarks) && watch::is_job(&key) => {
                wanted.marks.remove(&Index::Due);
                Some(Op::Put(key, expect, wanted))
            }
            Op::Put(key, ..) if is(Sabotage::NoTokens) && key.sort == "token" => None,
            Op::Put(key, ..) if is(Sabotage::NoReceipts) && key.sort.starts_with("callback#") => {
                None
            }
            Op::Put(key, ..) if is(Sabotage::NoLeaders) && key.sort == "result" => None,
            Op::Put(key, ..) | Op::Delete(key, _)
                if is(Sabotage::NoLeases) && rows::is_lease(&key) =>
            {
                None
            }
            whole => Some(whole),
        }
    }
}

#[async_trait]
impl Table for SimTable {
    async fn get(&self, key: &Key) -> Result<Option<Row>, TableError> {
        self.sim.call("get", TableError::Unavailable, self.inner.get(key)).await
    }

    async fn query(&self, query: &Query) -> Result<Page, TableError> {
        let other = self.watch.neighbour(&query.partition);
        let mixed = other.filter(|_| self.sim.is_broken(Sabotage::MixedProjects));
        let mut asked = match mixed {
            Some(partition) => Query { partition, ..query.clone() },
            None => query.clone(),
        };
        asked.backwards |=
            query.index == Some(Index::Queue) && self.sim.is_broken(Sabotage::NoOrder);
        let mut page =
            self.sim.call("query", TableError::Unavailable, self.inner.query(&asked)).await?;
        if let Some(index) = query.index {
            let now = self.sim.now();
            page.rows.retain(|row| self.is_shown(index, row, now));
        }
        Ok(page)
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<(), TableError> {
        self.write(ops).await
    }

    async fn commit_staged(&self, staged: Staged) -> Result<(), TableError> {
        let Staged { mut before, ops, mut after } = staged;
        if self.sim.is_broken(Sabotage::NothingBefore) {
            before.clear();
        }
        if self.sim.is_broken(Sabotage::SlotsFirst) {
            for op in after.drain(..) {
                self.write(vec![op]).await?;
            }
        }
        if self.kind == Kind::Local {
            return self.write(Staged { before, ops, after }.into()).await;
        }
        for op in before {
            self.write(vec![op]).await?;
        }
        self.write(ops).await?;
        for op in after {
            // It may be missing though the rest is there.
            self.write(vec![op]).await.ok();
        }
        Ok(())
    }

    fn mark_slack(&self) -> SignedDuration {
        match self.kind {
            Kind::Local => SignedDuration::ZERO,
            Kind::Aws => SignedDuration::from_mins(1),
        }
    }

    async fn members(&self, key: &Key) -> Result<Vec<String>, TableError> {
        self.sim.call("members", TableError::Unavailable, self.inner.members(key)).await
    }

    async fn changed(
        &self,
        key: &Key,
        seen: Option<u64>,
        patience: Duration,
    ) -> Result<Option<Row>, TableError> {
        let patience = SignedDuration::try_from(patience).unwrap_or(SignedDuration::MAX);
        let until = self.sim.now() + patience;
        loop {
            let row = self.get(key).await?;
            if row.as_ref().map(|row| row.version) != seen || self.sim.now() >= until {
                return Ok(row);
            }
            let again = self.sim.now() + SignedDuration::from_secs(2);
            self.sim.sleep_until(again.min(until)).await;
        }
    }
}

fn guard<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn said(done: &Result<(), TableError>) -> String {
    match done {
        Ok(()) => "done".into(),
        Err(error) => error.to_string(),
    }
}

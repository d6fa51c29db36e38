//! What a dialect keeps beside what we know ourselves, in shapes of its own: a
//! name for people, what a client said and is to be told again.
//!
//! A note is a row of JSON that nothing of ours looks into. Those of a job go
//! when it goes.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::rows;
use crate::{
    job::{JobKey, ProjectId},
    platform::{Expect, Key, Op, Query, TableError},
    service::Service,
    wire::Problem,
};

/// How often a writer that keeps being overtaken tries again.
const TRIES: u32 = 100;

/// Where notes of one kind are.
#[derive(Clone, Debug)]
pub struct Shelf {
    /// What the keys of its notes start with.
    start: Key,
}

/// A note as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored<T> {
    v: u8,
    id: String,
    at: Timestamp,
    note: T,
}

impl Shelf {
    /// Notes of a dialect about a project, of one kind.
    pub fn of_project(project: ProjectId, api: &str, kind: &str) -> Self {
        Shelf { start: rows::notes_of_project(project, api, kind) }
    }

    /// Notes of a dialect about a job, of one kind.
    pub fn of_job(job: JobKey, api: &str, kind: &str) -> Self {
        Shelf { start: rows::notes_of_job(job, api, kind) }
    }

    fn key(&self, id: &str) -> Key {
        rows::note(&self.start, id)
    }

    /// The note of this id, or `None`.
    pub async fn load<T: DeserializeOwned>(
        &self,
        service: &Service,
        id: &str,
    ) -> Result<Option<T>, Problem> {
        let row = service.platform.table.get(&self.key(id)).await?;
        let stored = row.as_ref().map(rows::read::<Stored<T>>).transpose()?;
        Ok(stored.map(|stored| stored.note))
    }

    /// Keeps a note, in place of one of the same id.
    pub async fn put<T: Serialize>(
        &self,
        service: &Service,
        id: &str,
        note: &T,
    ) -> Result<(), Problem> {
        let put = self.op(service, id, Expect::Anything, note);
        Ok(service.platform.table.commit(vec![put]).await?)
    }

    /// Keeps a note of which there is none of its id. Tells whether that was so.
    pub async fn add<T: Serialize>(
        &self,
        service: &Service,
        id: &str,
        note: &T,
    ) -> Result<bool, Problem> {
        let put = self.op(service, id, Expect::Absent, note);
        match service.platform.table.commit(vec![put]).await {
            Err(TableError::Exists(_)) => Ok(false),
            added => Ok(added.map(|()| true)?),
        }
    }

    /// Makes of a note, or of none, what `change` makes of it, however many do so
    /// at once. What it is then; where `change` makes nothing, all stays.
    pub async fn change<T: Serialize + DeserializeOwned>(
        &self,
        service: &Service,
        id: &str,
        change: impl Fn(Option<T>) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let key = self.key(id);
        for _ in 0..TRIES {
            let row = service.platform.table.get(&key).await?;
            let stored = row.as_ref().map(rows::read::<Stored<T>>).transpose()?;
            let Some(note) = change(stored.map(|stored| stored.note)) else { return Ok(None) };
            let expect = row.map_or(Expect::Absent, |row| Expect::Version(row.version));
            match service.platform.table.commit(vec![self.op(service, id, expect, &note)]).await {
                Err(TableError::Stale(_) | TableError::Exists(_)) => {}
                settled => return Ok(settled.map(|()| Some(note))?),
            }
        }
        Err(contended(&key))
    }

    /// Throws notes away, up to 100: all of them, or none if one is not there,
    /// which is then told.
    pub async fn remove<'i>(
        &self,
        service: &Service,
        ids: &BTreeSet<&'i str>,
    ) -> Result<Option<&'i str>, Problem> {
        let table = &service.platform.table;
        for _ in 0..TRIES {
            let mut ops = Vec::with_capacity(ids.len());
            for id in ids {
                let Some(row) = table.get(&self.key(id)).await? else { return Ok(Some(id)) };
                ops.push(Op::Delete(row.key, Expect::Version(row.version)));
            }
            match table.commit(ops).await {
                Err(TableError::Stale(_)) => {}
                removed => return Ok(removed.map(|()| None)?),
            }
        }
        Err(contended(&self.start))
    }

    /// Every note, by its id.
    pub async fn all<T: DeserializeOwned>(
        &self,
        service: &Service,
    ) -> Result<BTreeMap<String, T>, Problem> {
        let Key { partition, sort } = self.start.clone();
        let mut query = Query::partition(partition).prefix(&sort);
        let mut notes = BTreeMap::new();
        loop {
            let page = service.platform.table.query(&query).await?;
            for row in &page.rows {
                let Stored { id, note, .. } = rows::read(row)?;
                notes.insert(id, note);
            }
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                return Ok(notes);
            }
        }
    }

    fn op<T: Serialize>(&self, service: &Service, id: &str, expect: Expect, note: &T) -> Op {
        let at = service.platform.clock.now();
        let stored = Stored { v: 1, id: id.to_owned(), at, note };
        Op::Put(self.key(id), expect, rows::plain(&stored))
    }
}

fn contended(key: &Key) -> Problem {
    Problem::Unavailable(format!("{key} is written to by too many at once").into())
}

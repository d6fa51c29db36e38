//! What a dialect keeps beside what we know ourselves, in shapes of its own: a
//! name for people, what a client said and is to be told again.
//!
//! A note is a row of JSON that nothing of ours looks into. Those of a job go
//! when it goes.

use std::collections::BTreeMap;

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
    partition: String,
    prefix: String,
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
        Shelf { partition: project.to_string(), prefix: format!("note#{api}#{kind}#") }
    }

    /// Notes of a dialect about a job, of one kind.
    pub fn of_job(job: JobKey, api: &str, kind: &str) -> Self {
        Shelf { partition: rows::parts(job), prefix: format!("note#{api}#{kind}#") }
    }

    fn key(&self, id: &str) -> Key {
        Key::new(self.partition.clone(), format!("{}{id}", self.prefix))
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
        Err(Problem::Unavailable(format!("{key} is written to by too many at once").into()))
    }

    /// Throws a note away. Tells whether there was one.
    pub async fn remove(&self, service: &Service, id: &str) -> Result<bool, Problem> {
        let key = self.key(id);
        if service.platform.table.get(&key).await?.is_none() {
            return Ok(false);
        }
        service.platform.table.commit(vec![Op::Delete(key, Expect::Anything)]).await?;
        Ok(true)
    }

    /// Every note, by its id.
    pub async fn all<T: DeserializeOwned>(
        &self,
        service: &Service,
    ) -> Result<BTreeMap<String, T>, Problem> {
        let mut query = Query::partition(self.partition.clone()).prefix(&self.prefix);
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

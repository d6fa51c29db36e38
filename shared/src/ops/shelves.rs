//! Shelves: what registered images are sorted by, for APIs that want a place
//! made before anything is put there. What is on a shelf, the images say.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rows;
use crate::{
    job::ProjectId,
    platform::{Expect, Op, Query, TableError},
    service::Service,
    wire::Problem,
};

/// How many shelves a project may have.
const MOST: usize = 1_000;

/// A shelf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shelf {
    /// The stored shape's version.
    pub v: u8,
    /// Its name in the project.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Makes a shelf. `None` if there is one of that name.
pub async fn create(
    service: &Service,
    project: ProjectId,
    name: &str,
) -> Result<Option<Shelf>, Problem> {
    if list(service, project).await?.len() >= MOST {
        return Err(Problem::TooMany(format!("a project has up to {MOST} shelves").into()));
    }
    let shelf = Shelf { v: 1, name: name.into(), created_at: service.platform.clock.now() };
    let put = Op::Put(rows::shelf(project, name), Expect::Absent, rows::plain(&shelf));
    match service.platform.table.commit(vec![put]).await {
        Err(TableError::Exists(_)) => Ok(None),
        made => Ok(made.map(|()| Some(shelf))?),
    }
}

/// Every shelf of a project, by name.
pub async fn list(service: &Service, project: ProjectId) -> Result<Vec<Shelf>, Problem> {
    let mut query = Query::partition(project.to_string()).prefix("shelf#");
    let mut shelves = Vec::new();
    loop {
        let page = service.platform.table.query(&query).await?;
        for row in &page.rows {
            shelves.push(rows::read(row)?);
        }
        query.cursor = page.cursor;
        if query.cursor.is_none() {
            return Ok(shelves);
        }
    }
}

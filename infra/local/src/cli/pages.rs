//! Listings that come in pages, as a table or as JSON.

use serde::Deserialize;
use serde_json::Value;

use super::{client::Repeat, problem::Failure, session::Session, table::Table};

/// How many rows are asked for at once.
const PAGE: usize = 100;

/// A listing.
pub struct Listing<'a, const COLUMNS: usize> {
    /// Where it is.
    pub path: &'a [&'a str],
    /// What it is narrowed to.
    pub filters: Vec<(&'static str, String)>,
    /// How many rows are wanted.
    pub most: usize,
    /// The field of a page that has its rows.
    pub field: &'static str,
    /// The heads of the columns.
    pub columns: [&'static str; COLUMNS],
    /// What is said where there are none.
    pub none: &'static str,
}

/// A page, its rows as they came.
#[derive(Deserialize)]
struct Page {
    next: Option<String>,
    #[serde(flatten)]
    fields: serde_json::Map<String, Value>,
}

impl<const COLUMNS: usize> Listing<'_, COLUMNS> {
    /// Prints it; as JSON a row a line, as the pages come.
    pub async fn print(
        self,
        session: &Session,
        row: impl Fn(&Value) -> Result<[String; COLUMNS], Failure>,
    ) -> Result<(), Failure> {
        let mut left = self.most;
        let mut cursor: Option<String> = None;
        let mut table = Table::new(&self.columns);
        while left > 0 {
            let mut query = self.filters.clone();
            query.push(("limit", left.min(PAGE).to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let request = session.client.get(self.path)?.query(&query);
            let page = session.client.json::<Page>(request, Repeat::Safe).await?.value;
            let rows = page.fields.get(self.field).and_then(Value::as_array);
            let rows = rows.ok_or_else(|| Failure::Answer(format!("no `{}`", self.field)))?;
            left = left.saturating_sub(rows.len());
            for json in rows {
                if session.json {
                    session.screen.json(json)?;
                } else {
                    table.row(row(json)?);
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        if session.json {
            return Ok(());
        }
        if table.is_empty() {
            session.screen.note(self.none);
            return Ok(());
        }
        session.screen.print(table.render().as_bytes())?;
        if cursor.is_some() {
            session.screen.note("there are more: --limit N or --all shows them");
        }
        Ok(())
    }
}

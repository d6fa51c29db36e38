//! Queries: one walk along a partition of the table or of an index.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder, types::Select};
use data_encoding::BASE64URL_NOPAD;

use super::{
    body::Unreadable,
    dynamo::DynamoTable,
    expression::Terms,
    layout::{self, IndexLayout, Item, KEY, part, text, text_of},
    refused::{Refused, check_part, unavailable},
};
use crate::{
    aws::pace::Pace,
    platform::{Key, Page, Query, Row, TableError},
};

/// Rows of a page.
const MOST_ROWS: usize = 1000;

/// Rows of an index that are read at once.
const AT_ONCE: usize = 100;

/// Bytes of an index page's rows after which it is cut short.
const MOST_BYTES: usize = 4 << 20;

pub(super) async fn query(table: &DynamoTable, query: &Query) -> Result<Page, TableError> {
    check_part(&query.partition)?;
    if query.to.as_ref().is_some_and(|to| *to <= query.from) {
        return Ok(Page::default());
    }
    let walk = Walk::of(query)?;
    let found = walk.find(table.client(), table.name()).await?;
    match query.index {
        None => of_table(table, query, &walk, &found),
        Some(_) => of_index(table, &walk, found).await,
    }
}

/// How many items a query has, or had a moment ago, counted as far as `most`.
pub(super) async fn count(
    table: &DynamoTable,
    query: &Query,
    most: usize,
) -> Result<usize, TableError> {
    check_part(&query.partition)?;
    if query.index.is_none() && !query.from.is_empty() && query.to.is_some() {
        return count_rows(table, query, most).await;
    }
    let mut walk = Walk::of(query)?;
    let mut count = 0;
    while count < most {
        let call = walk.call(table.client(), table.name()).select(Select::Count);
        let call = call.consistent_read(false);
        let answer = call.send().await.map_err(unavailable)?;
        count += usize::try_from(answer.count).unwrap_or(0);
        walk.start = answer.last_evaluated_key;
        if walk.start.is_none() {
            break;
        }
    }
    Ok(count.min(most))
}

/// The same of a query of the table with two ends: see [`Walk::condition`].
async fn count_rows(table: &DynamoTable, query: &Query, most: usize) -> Result<usize, TableError> {
    let mut rest = Query { limit: MOST_ROWS, ..query.clone() };
    let mut count = 0;
    loop {
        let page = self::query(table, &rest).await?;
        count += page.rows.len();
        rest.cursor = page.cursor;
        if count >= most || rest.cursor.is_none() {
            return Ok(count.min(most));
        }
    }
}

/// The walk that a query asks for, as DynamoDB knows it.
struct Walk<'a> {
    query: &'a Query,
    index: Option<IndexLayout>,
    start: Option<Item>,
}

/// What DynamoDB found, and where it stopped if it did not get to the end.
struct Found {
    items: Vec<Item>,
    last: Option<Item>,
}

impl<'a> Walk<'a> {
    fn of(query: &'a Query) -> Result<Self, Refused> {
        let index = query.index.map(IndexLayout::of);
        let mut walk = Walk { query, index, start: None };
        if let Some(cursor) = &query.cursor {
            walk.start = Some(walk.read_cursor(cursor).ok_or(Refused::Cursor)?);
        }
        Ok(walk)
    }

    /// The names of the key's two parts.
    fn key(&self) -> [&'static str; 2] {
        self.index.map_or(KEY, |index| index.key)
    }

    async fn find(&self, client: &Client, table: &str) -> Result<Found, TableError> {
        let limit = self.query.limit.clamp(1, MOST_ROWS);
        let call = self.call(client, table).limit(i32::try_from(limit).unwrap_or(i32::MAX));
        let answer = call.send().await.map_err(unavailable)?;
        Ok(Found { items: answer.items.unwrap_or_default(), last: answer.last_evaluated_key })
    }

    fn call(&self, client: &Client, table: &str) -> QueryFluentBuilder {
        let (condition, terms) = self.condition();
        client
            .query()
            .table_name(table)
            .set_index_name(self.index.map(|index| index.name.to_owned()))
            .consistent_read(self.index.is_none())
            .key_condition_expression(condition)
            .set_expression_attribute_names(terms.names())
            .set_expression_attribute_values(terms.values())
            .scan_index_forward(!self.query.backwards)
            .set_exclusive_start_key(self.start.clone())
    }

    /// `BETWEEN` takes in both ends, and there is no other way to have two: who
    /// reads the table has to leave out the upper one. In an index nothing is
    /// just there.
    fn condition(&self) -> (String, Terms) {
        let Query { partition, from, to, .. } = self.query;
        let mut terms = Terms::default();
        let [p, s] = self.key();
        let whole = format!("{} = {}", terms.name(p), terms.value(text(part(partition))));
        let bounds = match (from.is_empty(), to) {
            (true, None) => return (whole, terms),
            (false, None) => format!(">= {}", terms.value(text(from))),
            (true, Some(to)) => format!("< {}", terms.value(text(to))),
            (false, Some(to)) => {
                let [from, to] = [from, to].map(|end| terms.value(text(end)));
                format!("BETWEEN {from} AND {to}")
            }
        };
        (format!("{whole} AND {} {bounds}", terms.name(s)), terms)
    }

    /// Text by which the walk goes on after `item`: what of its keys is not the
    /// partition's name.
    fn cursor(&self, item: &Item) -> Result<String, TableError> {
        let [_, sort] = self.key();
        let [p, s] = KEY;
        let names = if self.index.is_some() { vec![sort, p, s] } else { vec![sort] };
        let parts = names.into_iter().map(|name| text_of(item, name)).collect::<Option<Vec<_>>>();
        let parts = parts.ok_or(Unreadable).map_err(unavailable)?;
        let json = serde_json::to_vec(&parts).map_err(unavailable)?;
        Ok(BASE64URL_NOPAD.encode(&json))
    }

    fn read_cursor(&self, cursor: &str) -> Option<Item> {
        let json = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
        let parts: Vec<String> = serde_json::from_slice(&json).ok()?;
        let partition = text(part(&self.query.partition));
        let [p, s] = self.key();
        let (mut start, place) = match (self.index, &parts[..]) {
            (None, [sort]) => (Item::new(), sort),
            (Some(_), [place, partition, sort]) => (layout::at(partition, sort), place),
            (None | Some(_), _) => return None,
        };
        start.extend([(p.to_owned(), partition), (s.to_owned(), text(place))]);
        Some(start)
    }
}

fn of_table(
    table: &DynamoTable,
    query: &Query,
    walk: &Walk<'_>,
    found: &Found,
) -> Result<Page, TableError> {
    let now = table.clock().now();
    let mut rows = Vec::with_capacity(found.items.len());
    for item in &found.items {
        rows.extend(layout::row(item, now).map_err(unavailable)?);
    }
    rows.retain(|row| query.to.as_ref().is_none_or(|to| row.key.sort < *to));
    let cursor = found.last.as_ref().map(|last| walk.cursor(last)).transpose()?;
    Ok(Page { rows, cursor })
}

/// An index lags: what it points to is read from the table, and left out unless
/// it is still in this place.
async fn of_index(table: &DynamoTable, walk: &Walk<'_>, found: Found) -> Result<Page, TableError> {
    let mut rows: Vec<Row> = Vec::with_capacity(found.items.len());
    let mut last = found.last;
    let mut bytes = 0;
    let chunks = found.items.chunks(AT_ONCE);
    let count = chunks.len();
    for (n, entries) in chunks.enumerate() {
        for row in still_there(table, walk, entries).await? {
            bytes += row.body.len();
            rows.push(row);
        }
        if bytes >= MOST_BYTES && n + 1 < count {
            last = entries.last().cloned();
            break;
        }
    }
    let cursor = last.as_ref().map(|last| walk.cursor(last)).transpose()?;
    Ok(Page { rows, cursor })
}

/// The rows of these entries of an index, in their order.
async fn still_there(
    table: &DynamoTable,
    walk: &Walk<'_>,
    entries: &[Item],
) -> Result<Vec<Row>, TableError> {
    let mut seen = HashSet::new();
    let mut keys = Vec::with_capacity(entries.len());
    for entry in entries {
        let key = layout::key(entry).map_err(unavailable)?;
        if seen.insert(key.clone()) {
            keys.push(layout::at_row(&key));
        }
    }
    let items = table.reader().get_all(keys, Pace::new(table.clock())).await?;
    let now = table.clock().now();
    let mut found: HashMap<Key, Item> = HashMap::with_capacity(items.len());
    for item in items {
        found.insert(layout::key(&item).map_err(unavailable)?, item);
    }
    let mut rows = Vec::with_capacity(found.len());
    for entry in entries {
        let key = layout::key(entry).map_err(unavailable)?;
        if let Some(item) = found.get(&key)
            && walk.key().iter().all(|name| item.get(*name) == entry.get(*name))
        {
            rows.extend(layout::row(item, now).map_err(unavailable)?);
        }
    }
    Ok(rows)
}

//! The table port on a client of DynamoDB's.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use jiff::{SignedDuration, Timestamp};

use super::{
    commit,
    expression::Terms,
    layout::{self, Item, KEY, text},
    query,
    read::Reader,
    refused::{check_key, unavailable},
    reminders::{REACH, Reminders},
    sets::{self, Memory},
};
use crate::platform::{Clock, Key, Op, Page, Query, Row, Staged, Table, TableError};

/// How long a waiter sleeps before it looks a second time.
const FIRST_NAP: Duration = Duration::from_millis(50);

/// A move of a mark costs two units, a sweep that comes in vain one or two
/// more than that: so it is left for as long as most jobs take to start.
const MARK_SLACK: SignedDuration = SignedDuration::from_mins(1);

/// The longest that it sleeps.
const LONGEST_NAP: Duration = Duration::from_millis(1500);

/// A table of DynamoDB's.
pub struct DynamoTable {
    client: Client,
    name: String,
    clock: Arc<dyn Clock>,
    memory: Memory,
    reminders: Option<Reminders>,
}

impl DynamoTable {
    /// The table of this name.
    pub fn new(client: Client, name: impl Into<String>, clock: Arc<dyn Clock>) -> Self {
        DynamoTable { client, name: name.into(), clock, memory: Memory::default(), reminders: None }
    }

    /// The same, which reminds of rows that come due.
    #[must_use]
    pub fn reminding(self, reminders: Option<Reminders>) -> Self {
        DynamoTable { reminders, ..self }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { client: &self.client, table: &self.name }
    }

    async fn row(&self, key: &Key, latest: bool) -> Result<Option<Row>, TableError> {
        check_key(key)?;
        let item = self.reader().get(layout::at_row(key), latest).await?;
        let Some(item) = item else { return Ok(None) };
        layout::row(&item, self.clock.now()).map_err(unavailable)
    }

    /// A page of a set's partition, and where the next one starts.
    async fn page_of_set(
        &self,
        set: &Key,
        start: Option<Item>,
    ) -> Result<(Vec<Item>, Option<Item>), TableError> {
        let mut terms = Terms::default();
        let partition = terms.name(KEY[0]);
        let condition = format!("{partition} = {}", terms.value(text(sets::partition(set))));
        let call = self
            .client
            .query()
            .table_name(&self.name)
            .consistent_read(true)
            .key_condition_expression(condition)
            .set_expression_attribute_names(terms.names())
            .set_expression_attribute_values(terms.values())
            .set_exclusive_start_key(start);
        let answer = call.send().await.map_err(unavailable)?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }
}

#[async_trait]
impl Table for DynamoTable {
    async fn get(&self, key: &Key) -> Result<Option<Row>, TableError> {
        self.row(key, true).await
    }

    async fn glance(&self, key: &Key) -> Result<Option<Row>, TableError> {
        self.row(key, false).await
    }

    async fn query(&self, query: &Query) -> Result<Page, TableError> {
        query::query(self, query).await
    }

    async fn count(&self, query: &Query, most: usize) -> Result<usize, TableError> {
        query::count(self, query, most).await
    }

    async fn commit(&self, ops: Vec<Op>) -> Result<(), TableError> {
        commit::commit(self, &ops).await
    }

    async fn commit_staged(&self, staged: Staged) -> Result<(), TableError> {
        commit::commit_staged(self, &staged).await
    }

    fn mark_slack(&self) -> SignedDuration {
        MARK_SLACK
    }

    fn reminds_within(&self) -> SignedDuration {
        self.reminders.as_ref().map_or(SignedDuration::ZERO, |_| REACH)
    }

    async fn remind(&self, key: &Key, at: Timestamp) {
        if let Some(reminders) = &self.reminders {
            reminders.send(key, at, self.clock()).await;
        }
    }

    async fn members(&self, key: &Key) -> Result<Vec<String>, TableError> {
        check_key(key)?;
        let mut members = Vec::new();
        let mut start = None;
        loop {
            let (items, next) = self.page_of_set(key, start).await?;
            members.extend(items.iter().flat_map(sets::members_in));
            start = next;
            if start.is_none() {
                break;
            }
        }
        members.sort_unstable();
        // One that left the head and came back as spilled between two pages.
        members.dedup();
        Ok(members)
    }

    async fn changed(
        &self,
        key: &Key,
        seen: Option<u64>,
        patience: Duration,
    ) -> Result<Option<Row>, TableError> {
        let started = tokio::time::Instant::now();
        let mut nap = FIRST_NAP;
        loop {
            let row = self.get(key).await?;
            let left = patience.saturating_sub(started.elapsed());
            if row.as_ref().map(|row| row.version) != seen || left.is_zero() {
                return Ok(row);
            }
            tokio::time::sleep(nap.min(left)).await;
            nap = (nap * 3 / 2).min(LONGEST_NAP);
        }
    }
}

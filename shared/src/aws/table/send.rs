//! Changes of items on their way to DynamoDB: one alone is a plain conditional
//! write, at half the price of a transaction; several are a transaction.

use aws_sdk_dynamodb::{
    Client,
    operation::{
        delete_item::DeleteItemError, transact_write_items::TransactWriteItemsError,
        update_item::UpdateItemError,
    },
    types::{
        CancellationReason, ConditionCheck, Delete, ReturnValuesOnConditionCheckFailure::AllOld,
        TransactWriteItem, Update, error::ConditionalCheckFailedException,
    },
};

use super::{expression::Terms, layout::Item, refused::unavailable};
use crate::{
    aws::doubt::Doubt,
    platform::{Source, TableError},
};

/// What is done to an item.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// An update expression; an item that is not there comes into being.
    Update(String),
    Delete,
    /// Nothing, if the condition holds.
    Check,
}

/// A change of one item, if a condition holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Write {
    pub(super) key: Item,
    pub(super) change: Change,
    pub(super) condition: Option<String>,
    pub(super) terms: Terms,
}

/// What became of writes that belong together.
#[derive(Debug)]
pub(super) enum Sent {
    /// All were carried out.
    Done,
    /// None was: the first whose condition failed, by its place, and its item.
    Failed {
        first: usize,
        found: Option<Item>,
        /// Whether an earlier try may have been carried out, and be why.
        doubt: bool,
    },
    /// None was: somebody else was at it, or too much is going on.
    Busy(Source),
}

/// Carries out all of the writes, or none.
pub(super) async fn send(
    client: &Client,
    table: &str,
    writes: &[Write],
) -> Result<Sent, TableError> {
    match writes {
        [write @ Write { change: Change::Update(expression), .. }] => {
            update(client, table, write, expression).await
        }
        [write @ Write { change: Change::Delete, .. }] => delete(client, table, write).await,
        several => transact(client, table, several).await,
    }
}

async fn update(
    client: &Client,
    table: &str,
    write: &Write,
    expression: &str,
) -> Result<Sent, TableError> {
    let Write { key, condition, terms, .. } = write;
    let doubt = Doubt::default();
    let call = client
        .update_item()
        .table_name(table)
        .set_key(Some(key.clone()))
        .update_expression(expression)
        .set_condition_expression(condition.clone())
        .set_expression_attribute_names(terms.names())
        .set_expression_attribute_values(terms.values())
        .return_values_on_condition_check_failure(AllOld);
    let answer = call.customize().interceptor(doubt.clone()).send().await;
    let Err(error) = answer else { return Ok(Sent::Done) };
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
            Ok(failed_alone(failed, &doubt))
        }
        Some(UpdateItemError::TransactionConflictException(_)) => Ok(Sent::Busy(error.into())),
        Some(_) | None => Err(unavailable(error)),
    }
}

async fn delete(client: &Client, table: &str, write: &Write) -> Result<Sent, TableError> {
    let Write { key, condition, terms, .. } = write;
    let doubt = Doubt::default();
    let call = client
        .delete_item()
        .table_name(table)
        .set_key(Some(key.clone()))
        .set_condition_expression(condition.clone())
        .set_expression_attribute_names(terms.names())
        .set_expression_attribute_values(terms.values())
        .return_values_on_condition_check_failure(AllOld);
    let answer = call.customize().interceptor(doubt.clone()).send().await;
    let Err(error) = answer else { return Ok(Sent::Done) };
    match error.as_service_error() {
        Some(DeleteItemError::ConditionalCheckFailedException(failed)) => {
            Ok(failed_alone(failed, &doubt))
        }
        Some(DeleteItemError::TransactionConflictException(_)) => Ok(Sent::Busy(error.into())),
        Some(_) | None => Err(unavailable(error)),
    }
}

fn failed_alone(failed: &ConditionalCheckFailedException, doubt: &Doubt) -> Sent {
    Sent::Failed { first: 0, found: failed.item().cloned(), doubt: doubt.is_justified() }
}

/// The SDK gives a transaction a token, and repeats it with the same one: it is
/// carried out once, however often it is sent.
async fn transact(client: &Client, table: &str, writes: &[Write]) -> Result<Sent, TableError> {
    let items = writes.iter().map(|write| in_transaction(table, write)).collect();
    let call = client.transact_write_items().set_transact_items(Some(items));
    let Err(error) = call.send().await else { return Ok(Sent::Done) };
    let reasons = match error.as_service_error() {
        Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons()
        }
        Some(_) | None => return Err(unavailable(error)),
    };
    match first_reason(reasons) {
        Some((first, reason)) if reason.code() == Some("ConditionalCheckFailed") => {
            let found = reason.item().cloned().filter(|item| !item.is_empty());
            Ok(Sent::Failed { first, found, doubt: false })
        }
        Some((_, reason)) if is_transient(reason) => Ok(Sent::Busy(error.into())),
        Some(_) | None => Err(unavailable(error)),
    }
}

fn first_reason(reasons: &[CancellationReason]) -> Option<(usize, &CancellationReason)> {
    let given = |reason: &CancellationReason| reason.code().is_some_and(|code| code != "None");
    reasons.iter().enumerate().find(|(_, reason)| given(reason))
}

fn is_transient(reason: &CancellationReason) -> bool {
    const TRANSIENT: [&str; 3] =
        ["TransactionConflict", "ProvisionedThroughputExceeded", "ThrottlingError"];
    reason.code().is_some_and(|code| TRANSIENT.contains(&code))
}

fn in_transaction(table: &str, write: &Write) -> TransactWriteItem {
    let Write { key, change, condition, terms } = write;
    let item = TransactWriteItem::builder();
    let complete = "the table, the key and what to do are given";
    let item = match change {
        Change::Update(update) => item.update(
            Update::builder()
                .table_name(table)
                .set_key(Some(key.clone()))
                .update_expression(update)
                .set_condition_expression(condition.clone())
                .set_expression_attribute_names(terms.names())
                .set_expression_attribute_values(terms.values())
                .return_values_on_condition_check_failure(AllOld)
                .build()
                .expect(complete),
        ),
        Change::Delete => item.delete(
            Delete::builder()
                .table_name(table)
                .set_key(Some(key.clone()))
                .set_condition_expression(condition.clone())
                .set_expression_attribute_names(terms.names())
                .set_expression_attribute_values(terms.values())
                .return_values_on_condition_check_failure(AllOld)
                .build()
                .expect(complete),
        ),
        Change::Check => item.condition_check(
            ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key.clone()))
                .set_condition_expression(condition.clone())
                .set_expression_attribute_names(terms.names())
                .set_expression_attribute_values(terms.values())
                .return_values_on_condition_check_failure(AllOld)
                .build()
                .expect(complete),
        ),
    };
    item.build()
}

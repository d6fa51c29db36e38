//! Changes of rows, as writes of items, and what it means when one fails.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::{
    expression::Terms,
    layout::{self, EXPIRES, Item, KEY, VERSION, WRITER, bytes, number},
    refused::Refused,
    send::{Change, Write},
};
use crate::platform::{Expect, Key, TableError, Wanted};

/// Who writes, and when: expiries are judged by it.
#[derive(Clone, Copy)]
pub(super) struct Hand {
    pub(super) writer: [u8; 8],
    pub(super) now: Timestamp,
}

/// What is believed of a row that is put whatever is there: the number of its
/// next version depends on it, and the write fails if it is not so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// It counts, or is not there.
    Current,
    /// It has expired.
    Expired,
}

impl Before {
    pub(super) fn other(self) -> Self {
        match self {
            Before::Current => Before::Expired,
            Before::Expired => Before::Current,
        }
    }
}

pub(super) fn put(
    key: &Key,
    expect: Expect,
    wanted: &Wanted,
    before: Before,
    hand: Hand,
) -> Result<Write, Refused> {
    let mut terms = Terms::default();
    let condition = match (expect, before) {
        (Expect::Anything, Before::Current) => {
            Some(format!("{} AND {}", counts(&mut terms, hand), not_mine(&mut terms, hand)))
        }
        (Expect::Anything, Before::Expired) => Some(expired(&mut terms, hand)),
        (Expect::Absent | Expect::Version(_), _) => as_expected(&mut terms, expect, hand),
    };
    let version = terms.name(VERSION);
    let next = match (expect, before) {
        (Expect::Version(seen), _) => terms.value(number(seen.saturating_add(1))),
        (Expect::Absent, _) | (Expect::Anything, Before::Expired) => terms.value(number(1)),
        (Expect::Anything, Before::Current) => {
            let [zero, one] = [0, 1].map(|n| terms.value(number(n)));
            format!("if_not_exists({version}, {zero}) + {one}")
        }
    };
    let mut set = vec![format!("{version} = {next}")];
    let mut remove = Vec::new();
    for (attribute, value) in layout::written(key, expect, wanted, hand)? {
        let name = terms.name(attribute);
        match value {
            Some(value) => set.push(format!("{name} = {}", terms.value(value))),
            None => remove.push(name),
        }
    }
    let mut update = format!("SET {}", set.join(", "));
    if !remove.is_empty() {
        update = format!("{update} REMOVE {}", remove.join(", "));
    }
    Ok(Write { key: layout::at_row(key), change: Change::Update(update), condition, terms })
}

pub(super) fn delete(key: &Key, expect: Expect, hand: Hand) -> Write {
    let mut terms = Terms::default();
    let condition = as_expected(&mut terms, expect, hand);
    Write { key: layout::at_row(key), change: Change::Delete, condition, terms }
}

pub(super) fn check(key: &Key, expect: Expect, hand: Hand) -> Write {
    let mut terms = Terms::default();
    let condition = as_expected(&mut terms, expect, hand).unwrap_or_else(|| {
        // One that always holds: DynamoDB wants one.
        let key = terms.name(KEY[0]);
        format!("(attribute_exists({key}) OR attribute_not_exists({key}))")
    });
    Write { key: layout::at_row(key), change: Change::Check, condition: Some(condition), terms }
}

/// What a row that is not as expected is called, given what was found of it.
pub(super) fn refusal(key: &Key, expect: Expect, version: Option<u64>) -> Option<TableError> {
    match expect {
        Expect::Absent if version.is_some() => Some(TableError::Exists(key.clone())),
        Expect::Version(wanted) if version != Some(wanted) => Some(TableError::Stale(key.clone())),
        Expect::Absent | Expect::Version(_) | Expect::Anything => None,
    }
}

/// Whether the item is what this writer made of it.
pub(super) fn is_mine(item: &Item, hand: Hand) -> bool {
    item.get(WRITER) == Some(&bytes(hand.writer))
}

fn as_expected(terms: &mut Terms, expect: Expect, hand: Hand) -> Option<String> {
    match expect {
        Expect::Anything => None,
        Expect::Absent => {
            let version = terms.name(VERSION);
            Some(format!("(attribute_not_exists({version}) OR {})", expired(terms, hand)))
        }
        Expect::Version(seen) => {
            let version = terms.name(VERSION);
            let seen = terms.value(number(seen));
            Some(format!("{version} = {seen} AND {}", counts(terms, hand)))
        }
    }
}

fn counts(terms: &mut Terms, hand: Hand) -> String {
    let expires = terms.name(EXPIRES);
    let now = terms.value(at(hand));
    format!("(attribute_not_exists({expires}) OR {expires} > {now})")
}

fn expired(terms: &mut Terms, hand: Hand) -> String {
    let expires = terms.name(EXPIRES);
    let now = terms.value(at(hand));
    format!("{expires} <= {now}")
}

fn not_mine(terms: &mut Terms, hand: Hand) -> String {
    let writer = terms.name(WRITER);
    let mine = terms.value(bytes(hand.writer));
    format!("(attribute_not_exists({writer}) OR {writer} <> {mine})")
}

fn at(hand: Hand) -> AttributeValue {
    number(hand.now.as_millisecond())
}

//! The shape of what is stored: which attribute is what, and how keys, rows and
//! marks are written.
//!
//! | attribute | of | what |
//! |---|---|---|
//! | `p`, `s` | all | the key |
//! | `v` | rows | the version |
//! | `b` | rows | the value, packed |
//! | `w` | rows | who wrote it last: random, so that a writer knows its own work |
//! | `x`, `t` | rows that expire | when, in milliseconds; and in seconds, for DynamoDB's own broom |
//! | `dp ds`, `qp qs`, `op os` | marked rows | the places in the indexes |
//! | `c` | rows that are due | that they were when they were written, or are new: it calls for somebody |
//! | `m`, `n`, `k` | sets | members, how many, how many of them are elsewhere |
//! | `r` | sets | somebody was refused since the last one left: his leaving calls for somebody |
//! | `y`, `z` | sets | what all members weigh, if they do |

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use jiff::Timestamp;

use super::{
    body::{self, Unreadable},
    refused::Refused,
    rows::Hand,
};
use crate::platform::{Expect, Index, Key, Mark, Row, Wanted, due_sort};

/// An item, or the key of one.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The table's key: partition and sort.
pub const KEY: [&str; 2] = ["p", "s"];

/// The attribute by which DynamoDB removes what has expired.
pub const TTL: &str = "t";

/// The attribute of a row whose change calls for something at once. What reads
/// the table's stream need not be told of other changes.
pub const CALLS: &str = "c";

pub(super) const VERSION: &str = "v";
pub(super) const WRITER: &str = "w";
pub(super) const EXPIRES: &str = "x";
const BODY: &str = "b";

/// How an index is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexLayout {
    /// Which index.
    pub index: Index,
    /// What DynamoDB knows it by.
    pub name: &'static str,
    /// Its key: partition and sort.
    pub key: [&'static str; 2],
}

/// The indexes of the table: each has nothing but keys.
pub const INDEXES: [IndexLayout; 3] = [
    IndexLayout { index: Index::Due, name: "due", key: ["dp", "ds"] },
    IndexLayout { index: Index::Queue, name: "queue", key: ["qp", "qs"] },
    IndexLayout { index: Index::Open, name: "open", key: ["op", "os"] },
];

impl IndexLayout {
    /// That of `index`.
    pub const fn of(index: Index) -> Self {
        match index {
            Index::Due => INDEXES[0],
            Index::Queue => INDEXES[1],
            Index::Open => INDEXES[2],
        }
    }
}

/// Bytes of an item.
const LARGEST_ITEM: usize = 400 * 1024;

/// What the attributes' names and numbers may take of it, with something to spare.
const OVERHEAD: usize = 200;

/// Bytes of the sort part of an index's key.
const LONGEST_SORT: usize = 1024;

/// What is at a key of DynamoDB's, as a stream of its changes tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A row.
    Row(Key),
    /// A set, or the share of a member of it.
    Set(Key),
}

impl Place {
    /// What is at the key of these two parts, as they are stored.
    pub fn of(partition: &str, sort: &str) -> Self {
        match partition.strip_suffix('\0').and_then(|set| set.split_once('\0')) {
            Some((partition, sort)) => Place::Set(Key::new(partition, sort)),
            None => Place::Row(Key::new(read_part(partition), read_part(sort))),
        }
    }
}

pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(super) fn number(number: impl Into<i128>) -> AttributeValue {
    AttributeValue::N(number.into().to_string())
}

pub(super) fn bytes(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// A key's part, which must not be empty.
pub(super) fn part(part: &str) -> String {
    if part.is_empty() { "\0".to_owned() } else { part.to_owned() }
}

fn read_part(stored: &str) -> &str {
    if stored == "\0" { "" } else { stored }
}

/// The item key with these two parts, as they are stored.
pub(super) fn at(partition: impl Into<String>, sort: impl Into<String>) -> Item {
    let [p, s] = KEY;
    Item::from([(p.to_owned(), text(partition)), (s.to_owned(), text(sort))])
}

pub(super) fn at_row(key: &Key) -> Item {
    at(part(&key.partition), part(&key.sort))
}

pub(super) fn is_at(item: &Item, key: &Item) -> bool {
    key.iter().all(|(name, value)| item.get(name) == Some(value))
}

/// Where in an index a marked row is. Equal marks come in the order of the
/// rows' keys, as far as they fit.
pub(super) fn place_in_index(mark: &Mark, key: &Key) -> [String; 2] {
    let mut sort = format!("{}\0{}\0{}", mark.sort, key.partition, key.sort);
    sort.truncate(sort.floor_char_boundary(LONGEST_SORT));
    [part(&mark.partition), sort]
}

/// Every attribute of a row but its key and version, with what it is to be.
pub(super) fn written(
    key: &Key,
    expect: Expect,
    wanted: &Wanted,
    Hand { writer, now }: Hand,
) -> Result<Vec<(&'static str, Option<AttributeValue>)>, Refused> {
    let body = body::pack(&wanted.body);
    let mut size = OVERHEAD + body.len() + key.partition.len() + key.sort.len();
    let millis = wanted.expires_at.map(Timestamp::as_millisecond);
    // A second later than it no longer counts, never earlier.
    let seconds = millis.map(|millis| millis.div_euclid(1000) + 1);
    let mut attributes = vec![
        (BODY, Some(bytes(body))),
        (WRITER, Some(bytes(writer))),
        (EXPIRES, millis.map(number)),
        (TTL, seconds.map(number)),
        (CALLS, calls(expect, wanted, now).then(|| number(1))),
    ];
    for IndexLayout { index, key: [partition, sort], .. } in INDEXES {
        let place = wanted.marks.get(&index).map(|mark| place_in_index(mark, key));
        let [p, s] = place.map_or([None, None], |place| place.map(Some));
        size += [&p, &s].into_iter().flatten().map(String::len).sum::<usize>();
        attributes.extend([(partition, p.map(text)), (sort, s.map(text))]);
    }
    if size > LARGEST_ITEM {
        return Err(Refused::Row(key.clone()));
    }
    Ok(attributes)
}

/// Whether the change calls for something at once. The mark of a new row may
/// say when to look for what went amiss.
fn calls(expect: Expect, wanted: &Wanted, now: Timestamp) -> bool {
    let mark = wanted.marks.get(&Index::Due);
    mark.is_some_and(|mark| expect == Expect::Absent || mark.sort <= due_sort(now))
}

/// The key of the row that is in `item`, or that an index points to with it.
pub(super) fn key(item: &Item) -> Result<Key, Unreadable> {
    let [partition, sort] = KEY.map(|name| text_of(item, name).map(read_part));
    Ok(Key::new(partition.ok_or(Unreadable)?, sort.ok_or(Unreadable)?))
}

/// The row in `item`, unless it has expired.
pub(super) fn row(item: &Item, now: Timestamp) -> Result<Option<Row>, Unreadable> {
    let Some(version) = version(item, now) else { return Ok(None) };
    let mut marks = BTreeMap::new();
    for IndexLayout { index, key: [partition, sort], .. } in INDEXES {
        let Some(partition) = text_of(item, partition) else { continue };
        let sort = text_of(item, sort).and_then(|place| place.split_once('\0'));
        let sort = sort.ok_or(Unreadable)?.0;
        marks.insert(
            index,
            Mark { partition: read_part(partition).to_owned(), sort: sort.to_owned() },
        );
    }
    let body = item.get(BODY).and_then(|body| body.as_b().ok()).ok_or(Unreadable)?;
    Ok(Some(Row {
        key: key(item)?,
        version,
        body: body::unpack(body.as_ref())?,
        marks,
        expires_at: expiry(item),
    }))
}

/// The version of a row that counts.
pub(super) fn version(item: &Item, now: Timestamp) -> Option<u64> {
    let has_expired = expiry(item).is_some_and(|at| at <= now);
    number_of(item, VERSION).filter(|_| !has_expired)
}

fn expiry(item: &Item) -> Option<Timestamp> {
    number_of(item, EXPIRES).and_then(|millis| Timestamp::from_millisecond(millis).ok())
}

pub(super) fn text_of<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    Some(item.get(name)?.as_s().ok()?)
}

pub(super) fn number_of<T: std::str::FromStr>(item: &Item, name: &str) -> Option<T> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::constant(1_700_000_000, 500_000_000);
    const HAND: Hand = Hand { writer: [1; 8], now: NOON };

    fn stored(key: &Key, wanted: &Wanted) -> Item {
        let mut item = at_row(key);
        item.insert(VERSION.to_owned(), number(7));
        let attributes = written(key, Expect::Anything, wanted, HAND).unwrap();
        let set = |(name, value): (&str, Option<_>)| Some((name.to_owned(), value?));
        item.extend(attributes.into_iter().filter_map(set));
        item
    }

    fn marked(partition: &str, sort: &str) -> Wanted {
        let mark = Mark { partition: partition.to_owned(), sort: sort.to_owned() };
        let marks = Index::ALL.map(|index| (index, mark.clone())).into();
        Wanted { body: "x".into(), marks, expires_at: Some(NOON) }
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let long = "é".repeat(256);
        for key in [Key::new("p", "s"), Key::new("", ""), Key::new(&long, &long)] {
            for wanted in [marked("m", "n"), marked("", ""), marked(&long, &long)] {
                let read = row(&stored(&key, &wanted), NOON - jiff::Span::new().seconds(1));
                let Wanted { body, marks, expires_at } = wanted;
                let row = Row { key: key.clone(), version: 7, body, marks, expires_at };
                assert_eq!(read.unwrap(), Some(row));
            }
        }
    }

    #[test]
    fn a_row_counts_until_its_millisecond_and_is_swept_later() {
        let item = stored(&Key::new("p", "s"), &marked("m", "n"));
        assert_eq!(row(&item, NOON).unwrap(), None);
        let swept: i64 = number_of(&item, TTL).unwrap();
        assert!(swept * 1000 > NOON.as_millisecond());
    }

    #[test]
    fn places_in_an_index_are_ordered_by_mark_and_then_by_key() {
        let place = |sort: &str, p: &str, s: &str| {
            let mark = Mark { partition: "m".to_owned(), sort: sort.to_owned() };
            place_in_index(&mark, &Key::new(p, s))[1].clone()
        };
        let ordered =
            [("", "b", "b"), ("a", "a", "b"), ("a", "aa", "a"), ("a", "b", ""), ("aa", "", "")];
        let places = ordered.map(|(sort, p, s)| place(sort, p, s));
        assert!(places.is_sorted(), "{places:?}");
        let place = |n: usize| places[n].as_str();
        assert!(place(0) < "a" && "a" <= place(1) && place(3) < "aa");
    }

    #[test]
    fn a_place_in_an_index_fits_whatever_its_parts() {
        let long = "é".repeat(256);
        let mark = Mark { partition: long.clone(), sort: long.clone() };
        let [_, sort] = place_in_index(&mark, &Key::new(&long, &long));
        assert!((LONGEST_SORT - 1..=LONGEST_SORT).contains(&sort.len()), "{}", sort.len());
    }

    #[test]
    fn rows_and_sets_are_told_apart() {
        for key in [Key::new("p", "s"), Key::new("", ""), Key::new("p", ""), Key::new("", "s")] {
            let [p, s] = [part(&key.partition), part(&key.sort)];
            assert_eq!(Place::of(&p, &s), Place::Row(key.clone()));
            let set = super::super::sets::partition(&key);
            assert_eq!(Place::of(&set, "h"), Place::Set(key));
        }
    }

    #[test]
    fn a_row_that_does_not_fit_is_refused() {
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        let mut body = |size| Wanted {
            body: std::iter::repeat_with(&mut noise).take(size).collect(),
            ..marked("m", "n")
        };
        let key = Key::new("p", "s");
        let mut written = |size| written(&key, Expect::Anything, &body(size), HAND);
        assert!(written(409_000).is_ok());
        assert_eq!(written(410_000), Err(Refused::Row(key.clone())));
    }

    #[test]
    fn a_row_calls_for_somebody_when_it_is_due_or_new() {
        let second = jiff::SignedDuration::from_secs(1);
        let calls = |expect, at| {
            let wanted = marked("due#1", &due_sort(at));
            let attributes = written(&Key::new("p", "s"), expect, &wanted, HAND).unwrap();
            attributes.into_iter().any(|(name, value)| name == CALLS && value.is_some())
        };
        let (early, late) = (NOON - second, NOON + second);
        assert!(calls(Expect::Version(1), early) && calls(Expect::Version(1), NOON));
        assert!(!calls(Expect::Version(1), late) && !calls(Expect::Anything, late));
        assert!(calls(Expect::Absent, late));
    }
}

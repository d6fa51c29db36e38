//! How rows, index entries, sets and expiries lie in the file.

use std::collections::BTreeMap;

use jiff::Timestamp;
use redb::{Error, TableDefinition};
use shared::platform::{Index, Key, Mark, Wanted};

/// Rows, by `partition NUL sort`.
pub(super) const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");

/// Members of sets, by `partition NUL sort NUL member`.
pub(super) const MEMBERS: TableDefinition<&[u8], ()> = TableDefinition::new("members");

/// How many members a set has, by `partition NUL sort`; sets without any have no entry.
pub(super) const SIZES: TableDefinition<&[u8], u32> = TableDefinition::new("sizes");

/// What a set's members weigh, by `partition NUL sort`; sets that weigh nothing have no entry.
pub(super) const WEIGHTS: TableDefinition<&[u8], (u64, u64)> = TableDefinition::new("weights");

/// Rows that expire, by the second from which on they do and their own key.
pub(super) const EXPIRIES: TableDefinition<&[u8], ()> = TableDefinition::new("expiries");

/// An index: `mark's partition NUL mark's sort NUL partition NUL sort`.
pub(super) fn index_table(index: Index) -> TableDefinition<'static, &'static [u8], ()> {
    TableDefinition::new(match index {
        Index::Due => "index.due",
        Index::Queue => "index.queue",
        Index::Open => "index.open",
    })
}

/// The first byte of a row: how the rest is to be read.
const FORMAT: u8 = 1;
const EXPIRES: u8 = 1;

/// A row as it lies in the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored<'a> {
    pub(super) version: u64,
    pub(super) expires_at: Option<Timestamp>,
    pub(super) marks: BTreeMap<Index, Mark>,
    pub(super) body: &'a [u8],
}

/// The bytes of a row.
pub(super) fn pack(version: u64, wanted: &Wanted) -> Vec<u8> {
    let Wanted { body, marks, expires_at } = wanted;
    let mut bytes = Vec::with_capacity(body.len() + 32 + marks.len() * 128);
    let marked = marks.keys().fold(0, |flags, index| flags | flag(*index));
    let flags = if expires_at.is_some() { marked | EXPIRES } else { marked };
    bytes.extend([FORMAT, flags]);
    bytes.extend(version.to_le_bytes());
    if let Some(at) = expires_at {
        bytes.extend(at.as_second().to_le_bytes());
        bytes.extend(at.subsec_nanosecond().to_le_bytes());
    }
    for mark in marks.values() {
        for part in [&mark.partition, &mark.sort] {
            let length = u16::try_from(part.len()).expect("marks are at most 512 bytes long");
            bytes.extend(length.to_le_bytes());
            bytes.extend(part.as_bytes());
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

/// The row that `bytes` hold.
pub(super) fn unpack(bytes: &[u8]) -> Result<Stored<'_>, Error> {
    read(bytes).ok_or_else(|| Error::Corrupted("a row cannot be read".to_owned()))
}

fn read(mut bytes: &[u8]) -> Option<Stored<'_>> {
    let from = &mut bytes;
    let [format, flags] = take(from)?;
    if format != FORMAT {
        return None;
    }
    let version = u64::from_le_bytes(take(from)?);
    let expires_at = if flags & EXPIRES == 0 {
        None
    } else {
        let second = i64::from_le_bytes(take(from)?);
        Some(Timestamp::new(second, i32::from_le_bytes(take(from)?)).ok()?)
    };
    let mut marks = BTreeMap::new();
    for index in Index::ALL.into_iter().filter(|index| flags & flag(*index) != 0) {
        marks.insert(index, Mark { partition: take_text(from)?, sort: take_text(from)? });
    }
    Some(Stored { version, expires_at, marks, body: bytes })
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

fn take_text(from: &mut &[u8]) -> Option<String> {
    let length = usize::from(u16::from_le_bytes(take(from)?));
    let (text, rest) = from.split_at_checked(length)?;
    *from = rest;
    String::from_utf8(text.to_vec()).ok()
}

fn flag(index: Index) -> u8 {
    match index {
        Index::Due => 1 << 1,
        Index::Queue => 1 << 2,
        Index::Open => 1 << 3,
    }
}

/// Where a row lies. NUL sorts before all that a part may hold, so the order
/// of these bytes is that of the parts.
pub(super) fn place(key: &Key) -> Vec<u8> {
    joined(&[&key.partition, &key.sort])
}

/// Where the entry of the row at `place` lies in an index.
pub(super) fn entry(mark: &Mark, place: &[u8]) -> Vec<u8> {
    let mut bytes = joined(&[&mark.partition, &mark.sort, ""]);
    bytes.extend_from_slice(place);
    bytes
}

/// The key of the row that lies at `place`.
pub(super) fn key(place: &[u8]) -> Result<Key, Error> {
    let key = std::str::from_utf8(place).ok().and_then(|text| text.split_once('\0'));
    let (partition, sort) =
        key.ok_or_else(|| Error::Corrupted("a key cannot be read".to_owned()))?;
    Ok(Key::new(partition, sort))
}

/// The place of the row that an index's entry is about.
pub(super) fn place_in(entry: &[u8]) -> Result<&[u8], Error> {
    let place = entry.splitn(3, |byte| *byte == 0).nth(2);
    place.ok_or_else(|| Error::Corrupted("an index cannot be read".to_owned()))
}

/// Where a member of the set at `place` lies; of an empty one, where all of them start.
pub(super) fn member(place: &[u8], member: &str) -> Vec<u8> {
    [place, b"\0", member.as_bytes()].concat()
}

/// Where the expiry of the row at `place` is noted.
pub(super) fn expiry(at: Timestamp, place: &[u8]) -> Vec<u8> {
    [&second(at), place].concat()
}

/// The start of every expiry in `at`'s second; bytewise order is time's.
pub(super) fn second(at: Timestamp) -> [u8; 8] {
    (at.as_second() ^ i64::MIN).to_be_bytes()
}

/// The place of the row that an expiry is about.
pub(super) fn place_expiring(expiry: &[u8]) -> &[u8] {
    expiry.get(8..).unwrap_or_default()
}

fn joined(parts: &[&str]) -> Vec<u8> {
    parts.join("\0").into_bytes()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn mark(sort: &str) -> Mark {
        Mark { partition: "p".to_owned(), sort: sort.to_owned() }
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let marks = BTreeMap::from([(Index::Due, mark("a")), (Index::Open, mark("é"))]);
        let wanted = Wanted {
            body: Bytes::from_static(b"\0body"),
            marks: marks.clone(),
            expires_at: Some(Timestamp::new(-5, -7).unwrap()),
        };

        let bytes = pack(9, &wanted);

        let stored = Stored { version: 9, expires_at: wanted.expires_at, marks, body: b"\0body" };
        assert_eq!(unpack(&bytes).unwrap(), stored);
    }

    #[test]
    fn bytes_that_are_not_a_row_are_said_to_be_damaged() {
        let wanted = Wanted {
            body: Bytes::new(),
            marks: BTreeMap::from([(Index::Queue, mark("a"))]),
            expires_at: Some(Timestamp::UNIX_EPOCH),
        };
        let whole = pack(1, &wanted);
        for length in 0..whole.len() {
            assert!(matches!(unpack(&whole[..length]), Err(Error::Corrupted(_))), "{length}");
        }
        assert!(matches!(unpack(&[2, 0]), Err(Error::Corrupted(_))));
    }

    #[test]
    fn an_index_entry_leads_back_to_its_row() {
        let at = Key::new("a/b", "c\u{1}d");
        let entry = entry(&mark("x"), &place(&at));
        assert_eq!(key(place_in(&entry).unwrap()).unwrap(), at);
    }

    #[test]
    fn expiries_are_ordered_by_time() {
        let seconds = [i64::MIN / 1_000_000_000, -1, 0, 1, 1 << 33];
        let noted = seconds.map(|s| second(Timestamp::from_second(s).unwrap()));
        assert!(noted.is_sorted());
    }
}

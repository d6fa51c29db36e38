//! Queries: one walk along a range of the table or an index.

use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;
use jiff::Timestamp;
use redb::{Error, Range, ReadTransaction, Value};
use shared::platform::{Index, Page, Query, Row};

use super::rows;

/// Rows of a page at most.
const MOST_ROWS: usize = 1000;

/// Bytes of a page's rows after which it is cut short.
const MOST_BYTES: usize = 4 << 20;

/// Rows and entries that a page may pass over because they no longer count.
const MOST_SKIPPED: usize = 2000;

/// Where a walk starts and ends: the first place in it, and the first behind it.
pub(super) struct Bounds {
    low: Vec<u8>,
    high: Vec<u8>,
}

impl Bounds {
    /// Those of `query`, or `None` if its cursor is not one of ours.
    pub(super) fn of(query: &Query) -> Option<Bounds> {
        let start = |sort: &str| [query.partition.as_bytes(), b"\0", sort.as_bytes()].concat();
        let mut low = start(&query.from);
        let mut high = match &query.to {
            Some(to) => start(to),
            None => [query.partition.as_bytes(), b"\x01"].concat(),
        };
        if let Some(cursor) = &query.cursor {
            let mut last = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
            if query.backwards {
                high = high.min(last);
            } else {
                // The next place that there can be.
                last.push(0);
                low = low.max(last);
            }
        }
        Some(Bounds { low, high })
    }
}

/// The page of `query` as of `read`.
pub(super) fn run(
    read: &ReadTransaction,
    query: &Query,
    bounds: &Bounds,
    now: Timestamp,
) -> Result<Page, Error> {
    let mut walk = Walk::new(query, now);
    if bounds.low >= bounds.high {
        return Ok(walk.page);
    }
    let range = &bounds.low[..]..&bounds.high[..];
    let rows = read.open_table(rows::ROWS)?;
    match query.index {
        None => {
            let mut range = rows.range(range)?;
            while let Some(entry) = next(&mut range, query.backwards) {
                let (place, bytes) = entry?;
                if !walk.visit(place.value(), place.value(), Some(bytes.value()))? {
                    break;
                }
            }
        }
        Some(index) => {
            let mut range = read.open_table(rows::index_table(index))?.range(range)?;
            while let Some(entry) = next(&mut range, query.backwards) {
                let (entry, _) = entry?;
                let place = rows::place_in(entry.value())?;
                let bytes = rows.get(place)?;
                let bytes = bytes.as_ref().map(redb::AccessGuard::value);
                if !walk.visit(entry.value(), place, bytes)? {
                    break;
                }
            }
        }
    }
    Ok(walk.page)
}

/// How many places there are within the bounds, as far as `most`.
pub(super) fn count(
    read: &ReadTransaction,
    index: Option<Index>,
    bounds: &Bounds,
    most: usize,
) -> Result<usize, Error> {
    if bounds.low >= bounds.high {
        return Ok(0);
    }
    let range = &bounds.low[..]..&bounds.high[..];
    Ok(match index {
        None => read.open_table(rows::ROWS)?.range(range)?.take(most).count(),
        Some(index) => read.open_table(rows::index_table(index))?.range(range)?.take(most).count(),
    })
}

/// The row at `place`, unless it has expired.
pub(super) fn row(place: &[u8], bytes: &[u8], now: Timestamp) -> Result<Option<Row>, Error> {
    let rows::Stored { version, expires_at, marks, body } = rows::unpack(bytes)?;
    if expires_at.is_some_and(|at| at <= now) {
        return Ok(None);
    }
    let body = Bytes::copy_from_slice(body);
    Ok(Some(Row { key: rows::key(place)?, version, body, marks, expires_at }))
}

type Entry<'a, V> =
    Result<(redb::AccessGuard<'a, &'static [u8]>, redb::AccessGuard<'a, V>), redb::StorageError>;

fn next<'a, V: Value + 'static>(
    range: &mut Range<'a, &'static [u8], V>,
    backwards: bool,
) -> Option<Entry<'a, V>> {
    if backwards { range.next_back() } else { range.next() }
}

/// The page so far.
struct Walk {
    now: Timestamp,
    limit: usize,
    bytes: usize,
    skipped: usize,
    last: Vec<u8>,
    page: Page,
}

impl Walk {
    fn new(query: &Query, now: Timestamp) -> Self {
        let limit = query.limit.clamp(1, MOST_ROWS);
        Walk { now, limit, bytes: 0, skipped: 0, last: Vec::new(), page: Page::default() }
    }

    /// Takes in what lies at `at`, and says whether to go on. Called once more
    /// than there is room for, so a page without a cursor is surely the last.
    fn visit(&mut self, at: &[u8], place: &[u8], bytes: Option<&[u8]>) -> Result<bool, Error> {
        if self.page.rows.len() >= self.limit
            || self.bytes >= MOST_BYTES
            || self.skipped >= MOST_SKIPPED
        {
            self.page.cursor = Some(BASE64URL_NOPAD.encode(&self.last));
            return Ok(false);
        }
        at.clone_into(&mut self.last);
        let row = bytes.map(|bytes| row(place, bytes, self.now)).transpose()?.flatten();
        match row {
            Some(row) => {
                self.bytes += row.body.len();
                self.page.rows.push(row);
            }
            None => self.skipped += 1,
        }
        Ok(true)
    }
}

//! The index of objects: what is stored under which name, and where its bytes are.
//!
//! The index is the truth: bytes that no entry speaks of are not an object.

use jiff::Timestamp;
use redb::{
    Error, ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, WriteTransaction,
};
use shared::platform::{ObjectInfo, ObjectKey, ObjectPage};

use super::blobs::BlobId;

/// What is known of each object, by its name.
const OBJECTS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("objects");

/// The bytes of small objects, by their names.
const SMALL: TableDefinition<&[u8], &[u8]> = TableDefinition::new("objects.small");

/// Files that no entry speaks of: being written, or no longer wanted. What is
/// here when the store is opened was left over by a crash.
const LOOSE: TableDefinition<BlobId, ()> = TableDefinition::new("objects.loose");

/// The first byte of an entry: how the rest is to be read.
const FORMAT: u8 = 1;
const IN_STORE: u8 = 0;
const IN_FILE: u8 = 1;

/// What the index knows of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The file that its bytes are in; small ones lie in the store.
    pub(super) file: Option<BlobId>,
    /// Another number at each write.
    pub(super) etag: [u8; 16],
    pub(super) size: u64,
    pub(super) modified_at: Timestamp,
    pub(super) content_type: Option<String>,
}

impl Entry {
    pub(super) fn info(self, key: &ObjectKey) -> ObjectInfo {
        ObjectInfo {
            key: key.clone(),
            size: self.size,
            etag: format!("{:032x}", u128::from_be_bytes(self.etag)),
            content_type: self.content_type,
            modified_at: self.modified_at,
        }
    }

    fn pack(&self) -> Vec<u8> {
        let content_type = self.content_type.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(64 + content_type.len());
        bytes.push(FORMAT);
        match self.file {
            None => bytes.push(IN_STORE),
            Some(file) => {
                bytes.push(IN_FILE);
                bytes.extend(file);
            }
        }
        bytes.extend(self.etag);
        bytes.extend(self.size.to_le_bytes());
        bytes.extend(self.modified_at.as_second().to_le_bytes());
        bytes.extend(self.modified_at.subsec_nanosecond().to_le_bytes());
        bytes.extend(content_type.as_bytes());
        bytes
    }

    fn unpack(bytes: &[u8]) -> Result<Entry, Error> {
        Entry::read(bytes)
            .ok_or_else(|| Error::Corrupted("an object's entry is damaged".to_owned()))
    }

    fn read(mut bytes: &[u8]) -> Option<Entry> {
        let from = &mut bytes;
        let [format, place] = take(from)?;
        if format != FORMAT {
            return None;
        }
        let file = match place {
            IN_STORE => None,
            IN_FILE => Some(take(from)?),
            _ => return None,
        };
        let etag = take(from)?;
        let size = u64::from_le_bytes(take(from)?);
        let second = i64::from_le_bytes(take(from)?);
        let modified_at = Timestamp::new(second, i32::from_le_bytes(take(from)?)).ok()?;
        let content_type = std::str::from_utf8(bytes).ok()?;
        let content_type = (!content_type.is_empty()).then(|| content_type.to_owned());
        Some(Entry { file, etag, size, modified_at, content_type })
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

/// Opens every table, so that readers find them, and answers which files are loose.
pub(super) fn create(transaction: &WriteTransaction) -> Result<Vec<BlobId>, Error> {
    transaction.open_table(OBJECTS)?;
    transaction.open_table(SMALL)?;
    let loose = transaction.open_table(LOOSE)?;
    let files = loose.iter()?.map(|file| Ok(file?.0.value()));
    files.collect()
}

/// A name is taken.
pub(super) struct Taken;

/// Notes that a file is about to be made. Unless an entry comes to speak of
/// it, it is removed when the store is next opened.
pub(super) fn loosen(transaction: &WriteTransaction, file: BlobId) -> Result<(), Error> {
    transaction.open_table(LOOSE)?.insert(file, ())?;
    Ok(())
}

/// Notes that files are gone.
pub(super) fn forget(transaction: &WriteTransaction, files: &[BlobId]) -> Result<(), Error> {
    let mut loose = transaction.open_table(LOOSE)?;
    for file in files {
        loose.remove(file)?;
    }
    Ok(())
}

/// Puts an entry, and the bytes that belong with it if it has no file. Answers
/// the file that this makes loose.
pub(super) fn put(
    transaction: &WriteTransaction,
    key: &ObjectKey,
    entry: &Entry,
    small: &[u8],
    if_absent: bool,
) -> Result<Result<Option<BlobId>, Taken>, Error> {
    let name = key.as_str().as_bytes();
    let mut objects = transaction.open_table(OBJECTS)?;
    let old = match objects.get(name)? {
        Some(_) if if_absent => return Ok(Err(Taken)),
        Some(old) => Some(Entry::unpack(old.value())?),
        None => None,
    };
    objects.insert(name, &entry.pack()[..])?;
    match entry.file {
        None => drop(transaction.open_table(SMALL)?.insert(name, small)?),
        Some(file) => {
            forget(transaction, &[file])?;
            if old.as_ref().is_some_and(|old| old.file.is_none()) {
                transaction.open_table(SMALL)?.remove(name)?;
            }
        }
    }
    let loose = old.and_then(|old| old.file);
    loose.map_or(Ok(()), |file| loosen(transaction, file))?;
    Ok(Ok(loose))
}

/// Removes an entry. Answers the file that this makes loose.
pub(super) fn remove(
    transaction: &WriteTransaction,
    key: &ObjectKey,
) -> Result<Option<BlobId>, Error> {
    let name = key.as_str().as_bytes();
    let old = {
        let mut objects = transaction.open_table(OBJECTS)?;
        let Some(old) = objects.remove(name)? else { return Ok(None) };
        Entry::unpack(old.value())?
    };
    match old.file {
        Some(file) => loosen(transaction, file)?,
        None => drop(transaction.open_table(SMALL)?.remove(name)?),
    }
    Ok(old.file)
}

/// The object's entry.
pub(super) fn get(read: &ReadTransaction, key: &ObjectKey) -> Result<Option<Entry>, Error> {
    let objects = read.open_table(OBJECTS)?;
    let entry = objects.get(key.as_str().as_bytes())?;
    entry.map(|entry| Entry::unpack(entry.value())).transpose()
}

/// The part of a small object's bytes.
pub(super) fn small(
    read: &ReadTransaction,
    key: &ObjectKey,
    part: std::ops::Range<usize>,
) -> Result<Vec<u8>, Error> {
    let table: ReadOnlyTable<&[u8], &[u8]> = read.open_table(SMALL)?;
    let bytes = table.get(key.as_str().as_bytes())?;
    let part = bytes.as_ref().and_then(|bytes| bytes.value().get(part));
    part.map(<[u8]>::to_vec)
        .ok_or_else(|| Error::Corrupted(format!("the bytes of object {key} are lost")))
}

/// Names with this start, after the cursor's.
pub(super) fn list(
    read: &ReadTransaction,
    prefix: &str,
    cursor: Option<&str>,
    limit: usize,
) -> Result<ObjectPage, Error> {
    // The next name that there can be after the cursor's is that with a NUL behind it.
    let after = cursor.map(|cursor| [cursor.as_bytes(), b"\0"].concat());
    let start = after.unwrap_or_default().max(prefix.as_bytes().to_vec());
    let mut page = ObjectPage::default();
    for object in read.open_table(OBJECTS)?.range(&start[..]..)? {
        let (name, entry) = object?;
        let Some(name) = std::str::from_utf8(name.value()).ok().filter(|n| n.starts_with(prefix))
        else {
            break;
        };
        if page.objects.len() == limit {
            page.cursor = page.objects.last().map(|last| last.key.as_str().to_owned());
            break;
        }
        page.objects.push(Entry::unpack(entry.value())?.info(&ObjectKey::stored(name)));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        for file in [None, Some([3; 16])] {
            for content_type in [None, Some("application/x-tar".to_owned())] {
                let modified_at = Timestamp::new(1_700_000_000, 5).unwrap();
                let entry = Entry { file, etag: [9; 16], size: 1 << 40, modified_at, content_type };
                assert_eq!(Entry::unpack(&entry.pack()).unwrap(), entry);
            }
        }
    }

    #[test]
    fn bytes_that_are_not_an_entry_are_said_to_be_damaged() {
        for bytes in [&[][..], &[2, 0], &[1, 7], &[1, 1, 0, 0]] {
            assert!(matches!(Entry::unpack(bytes), Err(Error::Corrupted(_))), "{bytes:?}");
        }
    }
}

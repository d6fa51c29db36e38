//! Reading an archive without reading it: where is which member?
//!
//! Neither does I/O. The caller has the archive somewhere that it can read a
//! range of, hands over windows of it, and is told what to read next.

use std::ops::Range;

use tar::{EntryType, Header};

use super::{
    MANIFEST,
    header::{BLOCK, END, padded},
    manifest::MANIFEST_END,
};

/// Names and attributes longer than this are not ours, nor anybody's.
const MAX_EXTENSION: u64 = 1024 * 1024;

/// Why something cannot be read as a tar.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadArchive {
    /// What should be a header is not.
    #[error("no tar header at byte {0}")]
    NotAHeader(u64),
    /// A long name or attribute makes no sense.
    #[error("the tar header at byte {0} has a malformed extension")]
    BadExtension(u64),
    /// A kind of entry that only very old archives have.
    #[error("the tar entry at byte {0} is of a kind that is not read here")]
    Unsupported(u64),
}

/// A member that was come across.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name, as bytes.
    pub name: Vec<u8>,
    /// What it is.
    pub kind: EntryType,
    /// What it says, if it is a link.
    pub target: Option<Vec<u8>>,
    /// Permission bits.
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: u64,
    /// Where all that announces it starts.
    pub header: u64,
    /// Where its bytes are.
    pub data: Range<u64>,
}

/// What a walker says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read from here on, at least this many bytes. An archive that does not
    /// have them is cut short.
    Need {
        /// From which byte of the archive.
        offset: u64,
        /// How many, at least; more makes for fewer reads.
        at_least: u64,
    },
    /// The next member.
    Member(Found),
    /// There are no more.
    End,
}

/// Walks over the headers of a tar, of GNU's or of POSIX's form.
#[derive(Debug, Default)]
pub struct Walker {
    next: u64,
    /// Where the extensions of the next member started.
    start: Option<u64>,
    name: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Walker {
    /// At the start of an archive.
    pub fn new() -> Walker {
        Walker::default()
    }

    /// Goes on, given that `window` is what the archive has from byte `at` on.
    /// Whatever window is given, the walk does not skip a member.
    pub fn step(&mut self, at: u64, window: &[u8]) -> Result<Step, BadArchive> {
        loop {
            let offset = self.next;
            let Some(block) = slice(at, window, offset, BLOCK as u64) else {
                return Ok(Step::Need { offset, at_least: BLOCK as u64 });
            };
            if block.iter().all(|byte| *byte == 0) {
                return Ok(Step::End);
            }
            let header = header_of(block).ok_or(BadArchive::NotAHeader(offset))?;
            let size = header.entry_size().map_err(|_| BadArchive::NotAHeader(offset))?;
            let data = offset + BLOCK as u64;
            let kind = header.entry_type();
            if is_extension(kind) {
                if size > MAX_EXTENSION {
                    return Err(BadArchive::BadExtension(offset));
                }
                let Some(text) = slice(at, window, data, size) else {
                    return Ok(Step::Need { offset, at_least: BLOCK as u64 + size });
                };
                self.extend(kind, text).ok_or(BadArchive::BadExtension(offset))?;
                self.start.get_or_insert(offset);
                self.next = data + padded(size);
                continue;
            }
            if kind.is_gnu_sparse() {
                return Err(BadArchive::Unsupported(offset));
            }
            return self.member(header, data, size).map(Step::Member);
        }
    }

    fn member(&mut self, header: &Header, data: u64, size: u64) -> Result<Found, BadArchive> {
        let offset = data - BLOCK as u64;
        let size = self.size.take().unwrap_or(size);
        let end = data.checked_add(size).filter(|end| *end < u64::MAX - BLOCK as u64);
        let end = end.ok_or(BadArchive::NotAHeader(offset))?;
        self.next = data + padded(size);
        Ok(Found {
            name: self.name.take().unwrap_or_else(|| header.path_bytes().into_owned()),
            kind: header.entry_type(),
            target: self.target.take().or_else(|| Some(header.link_name_bytes()?.into_owned())),
            mode: header.mode().unwrap_or(0o644),
            mtime: header.mtime().unwrap_or(0),
            header: self.start.take().unwrap_or(offset),
            data: data..end,
        })
    }

    fn extend(&mut self, kind: EntryType, text: &[u8]) -> Option<()> {
        let trimmed = || text.strip_suffix(b"\0").unwrap_or(text).to_vec();
        if kind.is_gnu_longname() {
            self.name = Some(trimmed());
        } else if kind.is_gnu_longlink() {
            self.target = Some(trimmed());
        } else if kind.is_pax_local_extensions() {
            self.attributes(text)?;
        }
        // Attributes of all members alike have none of those looked at here.
        Some(())
    }

    /// Each attribute is `LENGTH key=value\n`, the length counting all of it.
    fn attributes(&mut self, mut text: &[u8]) -> Option<()> {
        while !text.is_empty() {
            let blank = text.iter().position(|byte| *byte == b' ')?;
            let length: usize = std::str::from_utf8(&text[..blank]).ok()?.parse().ok()?;
            let record = text.get(blank + 1..length)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|byte| *byte == b'=')?;
            let value = &record[equals + 1..];
            match &record[..equals] {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.target = Some(value.to_vec()),
                b"size" => self.size = Some(std::str::from_utf8(value).ok()?.parse().ok()?),
                _ => {}
            }
            text = &text[length..];
        }
        Some(())
    }
}

/// Where the manifest's bytes are, given the end of an archive of `total`
/// bytes. `None`: it starts before `tail` does, so hand over a longer one; if
/// that was all of it, there is none.
///
/// The search goes backwards. What it finds first reaches exactly to the end,
/// and the manifest's own text, being JSON, cannot look like a header.
pub fn find_manifest(tail: &[u8], total: u64) -> Option<Range<u64>> {
    let tail_at = total.checked_sub(tail.len() as u64)?;
    let blocks = total.checked_sub(END as u64)? / BLOCK as u64;
    for block in (0..blocks).rev() {
        let offset = block * BLOCK as u64;
        let header = header_of(slice(tail_at, tail, offset, BLOCK as u64)?);
        let Some(header) = header.filter(|header| *header.path_bytes() == *MANIFEST.as_bytes())
        else {
            continue;
        };
        let data = offset + BLOCK as u64;
        let Ok(size) = header.entry_size() else { continue };
        if size < total && data + padded(size) + END as u64 == total {
            return Some(data..data + size);
        }
    }
    None
}

/// Whether an archive that ends like this ends in a manifest, wherever that
/// starts: what ends in something else has none.
pub fn ends_in_manifest(tail: &[u8]) -> bool {
    let end = tail.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    tail[..end].ends_with(MANIFEST_END)
}

fn is_extension(kind: EntryType) -> bool {
    kind.is_gnu_longname()
        || kind.is_gnu_longlink()
        || kind.is_pax_local_extensions()
        || kind.is_pax_global_extensions()
}

/// A block as a header, if its checksum is right.
fn header_of(block: &[u8]) -> Option<&Header> {
    const CHECKSUM: Range<usize> = 148..156;
    let header = Header::from_byte_slice(block);
    let sum = |(place, byte): (usize, &u8)| {
        u32::from(if CHECKSUM.contains(&place) { b' ' } else { *byte })
    };
    (header.cksum().ok()? == block.iter().enumerate().map(sum).sum::<u32>()).then_some(header)
}

/// These bytes of the archive, if the window has them all.
fn slice(at: u64, window: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset.checked_sub(at)?).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    window.get(start..end)
}

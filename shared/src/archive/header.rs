//! The blocks that announce a member, in GNU's form: any name, any size.

use tar::{EntryType, Header};

use super::member::{Member, What};

/// Everything in a tar is a multiple of this.
pub(super) const BLOCK: usize = 512;

/// Two blocks of zeros end a tar.
pub(super) const END: usize = 2 * BLOCK;

/// What a header's own name and link fields hold; longer ones go before it.
const FIELD: usize = 100;

/// The name GNU tar gives to an entry that carries a long name.
const LONG: &[u8] = b"././@LongLink";

/// How many zeros follow `size` bytes.
pub(super) fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).expect("less than a block");
    (BLOCK - over) % BLOCK
}

/// `size` and its padding.
pub(super) fn padded(size: u64) -> u64 {
    size + padding(size) as u64
}

/// How long [`push`] makes the header of a member.
pub(super) fn length(name: &[u8], target: &[u8]) -> u64 {
    let long = |text: &[u8]| {
        if text.len() > FIELD { BLOCK as u64 + padded(text.len() as u64 + 1) } else { 0 }
    };
    long(target) + long(name) + BLOCK as u64
}

/// What a header says.
pub(super) struct Entry<'a> {
    pub kind: EntryType,
    pub name: &'a [u8],
    /// What a link says; empty for all else.
    pub target: &'a [u8],
    pub size: u64,
    pub mode: u32,
    pub mtime: u64,
}

/// Appends a member's header.
pub(super) fn push(member: &Member, into: &mut Vec<u8>) {
    let kind = match member.what {
        What::Open(..) | What::File(_) => EntryType::Regular,
        What::Folder => EntryType::Directory,
        What::Symlink(_) => EntryType::Symlink,
    };
    let (name, target) = (&*member.name, member.target());
    let Member { mode, mtime, .. } = *member;
    push_entry(&Entry { kind, name, target, size: member.size(), mode, mtime }, into);
}

/// Appends a header, and before it what does not fit into it.
pub(super) fn push_entry(entry: &Entry<'_>, into: &mut Vec<u8>) {
    push_long(EntryType::GNULongLink, entry.target, into);
    push_long(EntryType::GNULongName, entry.name, into);
    let mut header = blank(entry.kind, entry.name, entry.size);
    header.set_mode(entry.mode);
    header.set_mtime(entry.mtime);
    let gnu = header.as_gnu_mut().expect("it was made as one");
    copy(entry.target, &mut gnu.linkname);
    header.set_cksum();
    into.extend_from_slice(header.as_bytes());
}

/// Appends the header of a plain file that is made up on the way.
pub(super) fn push_plain(name: &str, size: u64, mtime: u64, into: &mut Vec<u8>) {
    let mut header = blank(EntryType::Regular, name.as_bytes(), size);
    header.set_mode(0o644);
    header.set_mtime(mtime);
    header.set_cksum();
    into.extend_from_slice(header.as_bytes());
}

fn push_long(kind: EntryType, text: &[u8], into: &mut Vec<u8>) {
    if text.len() <= FIELD {
        return;
    }
    let size = text.len() as u64 + 1;
    let mut header = blank(kind, LONG, size);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    into.extend_from_slice(header.as_bytes());
    into.extend_from_slice(text);
    into.resize(into.len() + 1 + padding(size), 0);
}

fn blank(kind: EntryType, name: &[u8], size: u64) -> Header {
    let mut header = Header::new_gnu();
    copy(name, &mut header.as_gnu_mut().expect("it was made as one").name);
    header.set_entry_type(kind);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header
}

/// As much of `text` as the field holds; the rest went before.
fn copy(text: &[u8], field: &mut [u8; FIELD]) {
    let fits = text.len().min(FIELD);
    field[..fits].copy_from_slice(&text[..fits]);
}

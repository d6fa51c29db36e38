//! The layout of `UCloud` UGC's archives, byte by byte: plain files with
//! something in them, outputs by their absolute paths, owned by nobody.
//!
//! A header is POSIX's ustar, but that a file's type is said by NUL, as it was
//! before POSIX. A name that is too long for it is in an extended header.

use tar::{EntryType, Header};

use super::{
    header::{BLOCK, padded, padding},
    member::{Member, What},
};

/// What a header's own name field holds, and the one for what goes before it.
const NAME: usize = 100;
const PREFIX: usize = 155;

/// Every member is its owner's to read and write.
const MODE: u32 = 0o600;

/// The type of a plain file.
const FILE: u8 = 0;

/// Where a header says its type and its checksum.
const TYPE: usize = 156;
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Whether a member is in it at all.
pub(super) fn is_kept(member: &Member) -> bool {
    match member.what {
        What::Open(_, size) | What::File(size) => size > 0,
        What::Folder | What::Symlink(_) => false,
    }
}

/// How long [`push`] makes the header of a member.
pub(super) fn length(member: &Member) -> u64 {
    let name = name(member);
    let extension = match split(&name) {
        Some(_) => 0,
        None => BLOCK as u64 + padded(record(&name).len() as u64),
    };
    extension + BLOCK as u64
}

/// Appends a member's header.
pub(super) fn push(member: &Member, into: &mut Vec<u8>) {
    push_file(&name(member), member.size(), member.mtime, into);
}

/// Appends the header of a file.
pub(super) fn push_file(name: &[u8], size: u64, mtime: u64, into: &mut Vec<u8>) {
    let fields = split(name).unwrap_or_else(|| {
        let record = record(name);
        let header = header((b"", b"PaxHeader"), record.len() as u64, mtime, extended());
        into.extend_from_slice(&header);
        into.extend_from_slice(&record);
        into.resize(into.len() + padding(record.len() as u64), 0);
        // Readers of the extension do not look at it, and others see its end.
        (b"", &name[name.len() - NAME..])
    });
    into.extend_from_slice(&header(fields, size, mtime, FILE));
}

/// A stream's name, or an output's absolute path.
fn name(member: &Member) -> Vec<u8> {
    match member.what {
        What::Open(..) => member.name.to_vec(),
        What::File(_) | What::Folder | What::Symlink(_) => [b"/", &*member.name].concat(),
    }
}

/// The name, as it goes into the two fields: what comes before some slash, and
/// what comes after it.
fn split(name: &[u8]) -> Option<(&[u8], &[u8])> {
    if name.len() <= NAME {
        return Some((b"", name));
    }
    let slashes = (1..name.len() - 1).filter(|place| name[*place] == b'/');
    let mut fitting = slashes.filter(|place| *place <= PREFIX && name.len() - place - 1 <= NAME);
    fitting.next().map(|place| (&name[..place], &name[place + 1..]))
}

/// `LENGTH path=NAME`, where the length counts itself as well.
fn record(name: &[u8]) -> Vec<u8> {
    let rest = [b" path=", name, b"\n"].concat();
    let mut length = rest.len();
    while length < rest.len() + length.to_string().len() {
        length += 1;
    }
    [length.to_string().as_bytes(), &rest].concat()
}

fn extended() -> u8 {
    EntryType::XHeader.as_byte()
}

fn header((prefix, name): (&[u8], &[u8]), size: u64, mtime: u64, kind: u8) -> [u8; BLOCK] {
    let mut header = Header::new_ustar();
    header.set_mode(MODE);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(mtime);
    let ustar = header.as_ustar_mut().expect("it was made as one");
    ustar.name[..name.len()].copy_from_slice(name);
    ustar.prefix[..prefix.len()].copy_from_slice(prefix);
    ustar.set_device_major(0);
    ustar.set_device_minor(0);
    let mut block = *header.as_bytes();
    block[TYPE] = kind;
    block[CHECKSUM].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Headers that the service itself wrote: name, size, modification time and
    /// checksum, the numbers in octal.
    const SEEN: [(&str, &str, &str, &str); 5] = [
        ("Stdout", "00000000014", "12737077374", "010375"),
        ("Stderr", "00000000016", "12737077374", "010360"),
        ("/tmp/result", "00000000021", "12737100676", "011276"),
        ("/tmp/result", "00000000017", "12750555426", "011305"),
        ("Stdout", "00000000014", "12737100676", "010365"),
    ];

    fn octal(text: &str) -> u64 {
        u64::from_str_radix(text, 8).unwrap()
    }

    #[test]
    fn headers_are_those_that_were_seen() {
        for (name, size, mtime, sum) in SEEN {
            let mut block = Vec::new();
            push_file(name.as_bytes(), octal(size), octal(mtime), &mut block);
            let mut expected = vec![0; BLOCK];
            let mut put = |place: usize, text: &str| {
                expected[place..place + text.len()].copy_from_slice(text.as_bytes());
            };
            put(0, name);
            put(100, "0000600\x000000000\x000000000\0");
            put(124, &format!("{size}\0{mtime}\0{sum}\0 "));
            put(257, "ustar\x0000");
            put(329, "0000000\x000000000\0");
            assert_eq!(block, expected, "{name} of {size}");
            assert_eq!(block[TYPE], 0);
        }
    }

    #[test]
    fn a_long_name_is_split_or_in_an_extended_header() {
        let folders = format!("/{}/{}", "d".repeat(120), "f".repeat(80));
        let one = format!("/{}", "n".repeat(240));
        let deep = format!("/{}/{}", "d".repeat(200), "e".repeat(90));
        for (name, blocks) in [(&folders, 1), (&one, 3), (&deep, 3)] {
            let mut bytes = Vec::new();
            push_file(name.as_bytes(), 5, 7, &mut bytes);
            assert_eq!(bytes.len(), blocks * BLOCK, "{name}");
            bytes.extend_from_slice(b"12345");
            bytes.resize((blocks + 1) * BLOCK, 0);
            let mut tar = tar::Archive::new(bytes.as_slice());
            let entry = tar.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(*entry.path_bytes(), *name.as_bytes());
            assert_eq!(entry.size(), 5);
        }
    }
}

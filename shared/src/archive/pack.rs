//! Writing an archive of known length, in constant memory.
//!
//! Members are read into chunks of a few hundred KiB; a chunk goes to the sink
//! and, shared and not copied, to a second thread that hashes it. The disk and
//! the network are then not held up by the digests, nor they by them.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    sync::Arc,
};

use data_encoding::HEXLOWER;
use ring::digest::{Context, SHA256};

use super::{
    Facts, MANIFEST, Note, Oddity,
    hashing::{Hashing, Part, Segment, WAITING},
    header::{self, BLOCK, END},
    manifest::{self, Digest, Notes},
    member::{Member, What},
    ugc,
};
use crate::job::Layout;

/// How much is read, sent and hashed at a time.
const CHUNK: usize = 256 * 1024;

/// How many chunks that went out are remembered: those that wait to be hashed,
/// and one each that is being hashed and sent.
const MOST_SENT: usize = WAITING + 2;

/// `O_NONBLOCK`, the same on every processor we are built for: opening what
/// has become a named pipe must not wait for somebody to write to it.
const NON_BLOCKING: i32 = 0o4000;

/// More late notes than there is ever room for.
const LATE_NOTES: usize = 200;

/// A digest that is not known yet.
pub(super) const UNKNOWN: Digest = [0; 32];

/// An archive that can be written, as often as it takes.
#[derive(Debug)]
pub struct Packing {
    members: Vec<Member>,
    notes: Notes,
    facts: Facts,
    layout: Layout,
    length: u64,
    manifest: Room,
}

/// What there is of a manifest; nothing where the layout has none.
#[derive(Clone, Copy, Debug, Default)]
struct Room {
    /// Its length.
    length: u64,
    /// How much of that is for what shows while members are read.
    late: usize,
    /// Seconds since 1970.
    modified: u64,
}

/// Some bytes of the archive.
#[derive(Clone, Debug)]
pub struct Chunk(Arc<Vec<u8>>);

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Whether digests are taken on a thread of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// No: for archives so small that a thread costs more than it saves.
    One,
    /// Yes, if one can be had.
    Two,
}

/// The archive was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// SHA-256 of the manifest, lower-case hex. As the manifest has the
    /// digests of all else, it vouches for the whole. Empty where the layout has
    /// none.
    pub manifest_sha256: String,
}

impl Packing {
    pub(super) fn new(members: Vec<Member>, notes: Notes, facts: Facts, layout: Layout) -> Packing {
        match layout {
            Layout::Native => Packing::told(members, notes, facts),
            Layout::Ugc => Packing::bare(members, notes, facts),
        }
    }

    /// One of files alone, and only of those that have something in them.
    fn bare(mut members: Vec<Member>, notes: Notes, facts: Facts) -> Packing {
        members.retain(ugc::is_kept);
        let all = members.iter().map(|member| ugc::length(member) + header::padded(member.size()));
        let length = all.sum::<u64>() + END as u64;
        let layout = Layout::Ugc;
        Packing { members, notes, facts, layout, length, manifest: Room::default() }
    }

    /// One that tells in a manifest what it has.
    fn told(members: Vec<Member>, notes: Notes, facts: Facts) -> Packing {
        let modified = facts.ended_at.map_or(0, |at| u64::try_from(at.as_second()).unwrap_or(0));
        let mut text = Vec::new();
        manifest::push_head(&facts, &mut text);
        let late = manifest::late_room(&members);
        manifest::push_tail(&notes, &[], late, &mut text);
        let mut manifest_length = text.len() as u64;
        let mut length = 0;
        for (place, offset) in offsets(&members) {
            let member = &members[place];
            text.clear();
            manifest::push_member(member, place, offset, &UNKNOWN, true, &mut text);
            manifest_length += text.len() as u64;
            length = offset + header::padded(member.size());
        }
        length += header::length(MANIFEST.as_bytes(), &[]);
        length += header::padded(manifest_length) + END as u64;
        let layout = Layout::Native;
        let manifest = Room { length: manifest_length, late, modified };
        Packing { members, notes, facts, layout, length, manifest }
    }

    /// The archive's exact length.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many members it has, a manifest included.
    pub fn members(&self) -> u32 {
        let members = self.members.len() + usize::from(self.layout.is_native());
        u32::try_from(members).unwrap_or(u32::MAX)
    }

    /// Writes exactly [`Packing::length`] bytes, whatever becomes of the files.
    /// Fails only when the sink does.
    pub fn write(
        &self,
        threads: Threads,
        sink: &mut dyn FnMut(Chunk) -> io::Result<()>,
    ) -> io::Result<Packed> {
        let mut writer = Writer {
            sink,
            layout: self.layout,
            hashing: match self.layout {
                Layout::Native => Hashing::start(threads),
                Layout::Ugc => Hashing::Not,
            },
            buffer: Vec::with_capacity(CHUNK.min(self.small())),
            sent: VecDeque::new(),
            segments: Vec::new(),
            late: Vec::new(),
            odd: Vec::new(),
        };
        for (place, member) in self.members.iter().enumerate() {
            writer.member(place, member)?;
        }
        match self.layout {
            Layout::Native => self.write_manifest(writer),
            Layout::Ugc => writer.end(),
        }
    }

    fn write_manifest(&self, mut writer: Writer<'_>) -> io::Result<Packed> {
        let buffer = &mut writer.buffer;
        header::push_plain(MANIFEST, self.manifest.length, self.manifest.modified, buffer);
        writer.flush()?;
        let Writer { sink, hashing, late, odd, .. } = writer;
        let mut digests = hashing.finish()?.into_iter();
        let mut digest = Context::new(&SHA256);
        let mut odd = odd.into_iter().peekable();
        let mut text = Vec::with_capacity(CHUNK.min(self.small()));
        manifest::push_head(&self.facts, &mut text);
        for (place, offset) in offsets(&self.members) {
            let member = &self.members[place];
            let sum = match member.what {
                What::Open(..) | What::File(_) => digests.next().unwrap_or(UNKNOWN),
                What::Folder | What::Symlink(_) => UNKNOWN,
            };
            let whole = odd.next_if_eq(&place).is_none();
            manifest::push_member(member, place, offset, &sum, whole, &mut text);
            if text.len() >= CHUNK {
                digest.update(&text);
                sink(Chunk(Arc::new(std::mem::take(&mut text))))?;
            }
        }
        manifest::push_tail(&self.notes, &late, self.manifest.late, &mut text);
        digest.update(&text);
        text.resize(text.len() + header::padding(self.manifest.length) + END, 0);
        sink(Chunk(Arc::new(text)))?;
        Ok(Packed { manifest_sha256: HEXLOWER.encode(digest.finish().as_ref()) })
    }

    /// The length, as far as memory goes.
    fn small(&self) -> usize {
        usize::try_from(self.length).unwrap_or(usize::MAX)
    }
}

/// Each member's place, and where its bytes start.
fn offsets(members: &[Member]) -> impl Iterator<Item = (usize, u64)> {
    let mut next = 0;
    members.iter().enumerate().map(move |(place, member)| {
        let offset = next + header::length(&member.name, member.target());
        next = offset + header::padded(member.size());
        (place, offset)
    })
}

/// Puts members into chunks.
struct Writer<'a> {
    sink: &'a mut dyn FnMut(Chunk) -> io::Result<()>,
    layout: Layout,
    hashing: Hashing,
    buffer: Vec<u8>,
    /// Chunks that went out, the oldest first: memory that was touched before
    /// is used again, which is much cheaper than new memory.
    sent: VecDeque<Arc<Vec<u8>>>,
    /// Which parts of the buffer are members' bytes.
    segments: Vec<Segment>,
    /// What was seen while reading.
    late: Vec<Note>,
    /// The places of the members that it was seen of.
    odd: Vec<usize>,
}

impl Writer<'_> {
    fn member(&mut self, place: usize, member: &Member) -> io::Result<()> {
        self.room(BLOCK)?;
        match self.layout {
            Layout::Native => header::push(member, &mut self.buffer),
            Layout::Ugc => ugc::push(member, &mut self.buffer),
        }
        let (size, opened) = match &member.what {
            What::Folder | What::Symlink(_) => return Ok(()),
            What::Open(file, size) => (*size, rewound(file)),
            What::File(size) => (*size, open(member).map(Arc::new)),
        };
        let (got, oddity) = match opened {
            Ok(file) => self.contents(&file, size)?,
            Err(_) => (0, Some(Oddity::Unreadable)),
        };
        if let Some(what) = oddity {
            self.odd.push(place);
            if self.late.len() < LATE_NOTES {
                self.late.push(Note { path: member.shown(), what });
            }
        }
        self.zeros(size - got)?;
        self.hashed(self.buffer.len(), true);
        self.room(BLOCK)?;
        self.buffer.resize(self.buffer.len() + header::padding(size), 0);
        Ok(())
    }

    /// Reads up to `size` bytes; how many there were, and what was odd.
    fn contents(&mut self, file: &File, size: u64) -> io::Result<(u64, Option<Oddity>)> {
        let (got, broken) = self.read(file, size)?;
        // Looked at once, and late: a call less for each of very many files.
        let oddity = match file.metadata() {
            Ok(metadata) if !metadata.is_file() => Some(Oddity::Unreadable),
            Ok(metadata) if metadata.len() > size => broken.or(Some(Oddity::Grew)),
            Ok(_) | Err(_) => broken,
        };
        Ok((got, oddity))
    }

    fn read(&mut self, file: &File, size: u64) -> io::Result<(u64, Option<Oddity>)> {
        let mut got = 0;
        while got < size {
            self.room(1)?;
            let start = self.buffer.len();
            let room = (self.buffer.capacity() - start) as u64;
            let read = file.take(room.min(size - got)).read_to_end(&mut self.buffer);
            let new = self.buffer.len() - start;
            self.hashed(start, false);
            got += new as u64;
            match read {
                Ok(0) => return Ok((got, Some(Oddity::Shrank))),
                Ok(_) => {}
                Err(_) => return Ok((got, Some(Oddity::Unreadable))),
            }
        }
        Ok((got, None))
    }

    /// Zeros in the place of bytes that are not there.
    fn zeros(&mut self, count: u64) -> io::Result<()> {
        let mut left = count;
        while left > 0 {
            self.room(1)?;
            let start = self.buffer.len();
            let room = self.buffer.capacity() - start;
            let now = usize::try_from(left).map_or(room, |left| left.min(room));
            self.buffer.resize(start + now, 0);
            self.hashed(start, false);
            left -= now as u64;
        }
        Ok(())
    }

    /// What the buffer has from `start` on belongs to the member being written.
    fn hashed(&mut self, start: usize, last: bool) {
        self.segments.push(Segment { start, end: self.buffer.len(), last });
    }

    /// Sees to it that the buffer has room for this much.
    fn room(&mut self, count: usize) -> io::Result<()> {
        if self.buffer.capacity() - self.buffer.len() < count {
            self.flush()?;
            self.buffer = self.used_buffer().unwrap_or_default();
            self.buffer.reserve_exact(CHUNK.max(count));
        }
        Ok(())
    }

    /// The oldest chunk's memory, if nobody reads it any more.
    fn used_buffer(&mut self) -> Option<Vec<u8>> {
        let oldest = self.sent.pop_front_if(|chunk| Arc::strong_count(chunk) == 1)?;
        let mut buffer = Arc::into_inner(oldest)?;
        buffer.clear();
        Some(buffer)
    }

    /// The end of an archive without a manifest.
    fn end(mut self) -> io::Result<Packed> {
        self.room(END)?;
        self.buffer.resize(self.buffer.len() + END, 0);
        self.flush()?;
        Ok(Packed { manifest_sha256: String::new() })
    }

    fn flush(&mut self) -> io::Result<()> {
        let chunk = Arc::new(std::mem::take(&mut self.buffer));
        let segments = std::mem::take(&mut self.segments);
        self.hashing.add(Part { chunk: Arc::clone(&chunk), segments })?;
        self.sent.push_back(Arc::clone(&chunk));
        self.sent.truncate(MOST_SENT);
        (self.sink)(Chunk(chunk))
    }
}

fn rewound(file: &Arc<File>) -> io::Result<Arc<File>> {
    file.as_ref().seek(SeekFrom::Start(0))?;
    Ok(Arc::clone(file))
}

fn open(member: &Member) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(NON_BLOCKING).open(member.path())
}

//! Taking the digests of files as their bytes pass.

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
};

use ring::digest::{Context, SHA256};

use super::{
    manifest::Digest,
    pack::{Threads, UNKNOWN},
};

/// How many chunks may wait to be hashed.
pub(super) const WAITING: usize = 8;

/// Some bytes of the archive, and which of them are members'.
pub(super) struct Part {
    pub chunk: Arc<Vec<u8>>,
    pub segments: Vec<Segment>,
}

/// Bytes of the current member; after the `last`, it is the next one's turn.
pub(super) struct Segment {
    pub start: usize,
    pub end: usize,
    pub last: bool,
}

/// Takes the digests of the files, one after the other.
pub(super) enum Hashing {
    /// Nobody wants them.
    Not,
    /// By whoever writes.
    Here(Box<Digests>),
    /// By a thread of its own.
    There { parts: mpsc::SyncSender<Part>, thread: thread::JoinHandle<Vec<Digest>> },
}

impl Hashing {
    pub fn start(threads: Threads) -> Hashing {
        let spawned = match threads {
            Threads::One => None,
            Threads::Two => {
                let (parts, work) = mpsc::sync_channel(WAITING);
                // A container at its limit of threads still gets its archive.
                let thread = thread::Builder::new().spawn(move || hash_all(&work)).ok();
                thread.map(|thread| Hashing::There { parts, thread })
            }
        };
        spawned.unwrap_or_else(|| Hashing::Here(Box::new(Digests::new())))
    }

    pub fn add(&mut self, part: Part) -> io::Result<()> {
        match self {
            Hashing::Not => Ok(()),
            Hashing::Here(digests) => {
                digests.add(&part);
                Ok(())
            }
            Hashing::There { parts, .. } => parts.send(part).map_err(|_| hasher_gone()),
        }
    }

    pub fn finish(self) -> io::Result<Vec<Digest>> {
        match self {
            Hashing::Not => Ok(Vec::new()),
            Hashing::Here(digests) => Ok(digests.done),
            Hashing::There { parts, thread } => {
                drop(parts);
                thread.join().map_err(|_| hasher_gone())
            }
        }
    }
}

fn hasher_gone() -> io::Error {
    io::Error::other("the thread that takes digests is gone")
}

fn hash_all(work: &mpsc::Receiver<Part>) -> Vec<Digest> {
    let mut digests = Digests::new();
    for part in work {
        digests.add(&part);
    }
    digests.done
}

pub(super) struct Digests {
    current: Context,
    done: Vec<Digest>,
}

impl Digests {
    fn new() -> Digests {
        Digests { current: Context::new(&SHA256), done: Vec::new() }
    }

    fn add(&mut self, part: &Part) {
        for segment in &part.segments {
            self.current.update(&part.chunk[segment.start..segment.end]);
            if segment.last {
                let ended = std::mem::replace(&mut self.current, Context::new(&SHA256)).finish();
                self.done.push(ended.as_ref().try_into().unwrap_or(UNKNOWN));
            }
        }
    }
}

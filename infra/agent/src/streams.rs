//! The two streams of the user's process, spooled to files.
//!
//! They are pipes at the process's end, not the files themselves: a program
//! that opens `/dev/stdout` again, as `echo … > /dev/stderr` does in a shell,
//! would cut a file to nothing.

use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use shared::agent::{Stream, TAIL_BYTES};
use tokio::net::unix::pipe::Receiver;

/// How much is moved at a time, and how much a pipe may hold.
const STEP: usize = 128 * 1024;

/// What a stream has brought so far.
#[derive(Debug)]
pub struct Spool {
    /// Which stream it is.
    pub stream: Stream,
    file: Arc<File>,
    written: AtomicU64,
    lost: AtomicU64,
}

impl Spool {
    /// An empty spool in `folder`. Its file has no name, so that nothing is
    /// left behind and nobody else gets at it.
    pub fn create(folder: &Path, stream: Stream) -> io::Result<Spool> {
        let path = folder.join(match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        });
        let file =
            File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        std::fs::remove_file(&path)?;
        let (written, lost) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Spool { stream, file: Arc::new(file), written, lost })
    }

    /// The file, to be read.
    pub fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// How many bytes are there to be read.
    pub fn length(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// How many bytes came for which there was no room.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Up to `most` bytes from `offset` on.
    pub fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let there = usize::try_from(self.length().saturating_sub(offset)).unwrap_or(most);
        let mut bytes = vec![0; there.min(most)];
        self.file.read_exact_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    /// The end of it, as a report carries it.
    pub fn tail(&self) -> Vec<u8> {
        let start = self.length().saturating_sub(TAIL_BYTES as u64);
        self.read(start, TAIL_BYTES).unwrap_or_default()
    }

    /// Takes in some bytes. A full disk must not stop the process, so what
    /// finds no room is counted, and so is all that comes after it.
    fn append(&self, bytes: &[u8]) {
        let written = self.length();
        if self.lost() == 0 && self.file.write_all_at(bytes, written).is_ok() {
            self.written.store(written + bytes.len() as u64, Relaxed);
        } else {
            self.lost.fetch_add(bytes.len() as u64, Relaxed);
        }
    }
}

/// Opens a pipe: our end of it, and the process's.
pub fn pipe() -> io::Result<(Receiver, OwnedFd)> {
    let (ours, theirs) = io::pipe()?;
    // More room makes for fewer turns; users have a limit of it, though.
    rustix::pipe::fcntl_setpipe_size(&ours, STEP).ok();
    Ok((Receiver::from_owned_fd(ours.into())?, theirs.into()))
}

/// Moves what comes out of the pipe into the spool, until nobody is left who
/// could write to it.
pub async fn pump(pipe: Receiver, spool: Arc<Spool>) {
    let mut buffer = vec![0; STEP];
    while pipe.readable().await.is_ok() {
        match pipe.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => spool.append(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_leaves_no_file_and_gives_back_its_end() {
        let folder = tempfile::TempDir::new().unwrap();
        let spool = Spool::create(folder.path(), Stream::Stdout).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(spool.tail(), b"");
        spool.append(&[b'a'; TAIL_BYTES]);
        spool.append(b"the end");
        assert_eq!(spool.tail().len(), TAIL_BYTES);
        assert!(spool.tail().ends_with(b"aathe end"));
        assert_eq!(spool.read(TAIL_BYTES as u64 - 1, 3).unwrap(), b"ath");
    }
}

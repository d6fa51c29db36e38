//! Files with the bytes of large objects, named by a number and never changed once whole.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use futures::StreamExt;
use rustix::{buffer::spare_capacity, io::pread};
use shared::platform::ByteStream;
use tokio::task::{JoinHandle, spawn_blocking};

/// A file's number: random, so that nothing has to be asked or remembered.
pub(super) type BlobId = [u8; 16];

/// How much is handed to the system in one write.
const WRITE: usize = 1 << 20;

/// How much is read in one go.
const READ: u64 = 256 << 10;

/// The folder that they are in.
#[derive(Debug)]
pub(super) struct Blobs {
    folder: PathBuf,
}

impl Blobs {
    pub(super) fn open(folder: &Path) -> io::Result<Blobs> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        if let Some(parent) = folder.parent() {
            sync_folder(parent)?;
        }
        Ok(Blobs { folder: folder.to_owned() })
    }

    /// A new file. Blocks.
    pub(super) fn create(&self, id: BlobId) -> io::Result<BlobWriter> {
        let create =
            || OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.path(id));
        let file = match create() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(self.subfolder(id))?;
                sync_folder(&self.folder)?;
                create()?
            }
            created => created?,
        };
        let buffer = Vec::with_capacity(WRITE);
        Ok(BlobWriter { folder: self.subfolder(id), file: Writing::Idle(file), buffer })
    }

    /// Part of a file's bytes.
    pub(super) async fn read(
        &self,
        id: BlobId,
        part: std::ops::Range<u64>,
    ) -> io::Result<ByteStream> {
        let path = self.path(id);
        let file = spawn_blocking(move || File::open(path)).await??;
        let rest = (Arc::new(file), part);
        let pieces = futures::stream::try_unfold(rest, |(file, part)| async move {
            if part.is_empty() {
                return Ok(None);
            }
            let next = part.start.saturating_add(READ).min(part.end);
            let theirs = Arc::clone(&file);
            let piece = spawn_blocking(move || read(&theirs, part.start..next)).await??;
            Ok(Some((piece, (file, next..part.end))))
        });
        Ok(pieces.boxed())
    }

    /// Removes a file for good; one that is not there is fine.
    pub(super) fn remove(&self, id: BlobId) -> io::Result<()> {
        match fs::remove_file(self.path(id)) {
            // Its record goes next: it must not come back after a crash.
            Ok(()) => sync_folder(&self.subfolder(id)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// One of 256: no folder grows too large to be handled.
    fn subfolder(&self, id: BlobId) -> PathBuf {
        self.folder.join(HEXLOWER.encode(&id[..1]))
    }

    fn path(&self, id: BlobId) -> PathBuf {
        self.subfolder(id).join(HEXLOWER.encode(&id))
    }
}

/// A file that is being written: one piece is gathered while the one before it
/// is on its way.
pub(super) struct BlobWriter {
    folder: PathBuf,
    file: Writing,
    buffer: Vec<u8>,
}

enum Writing {
    Idle(File),
    Busy(JoinHandle<io::Result<(File, Vec<u8>)>>),
    Failed,
}

impl BlobWriter {
    pub(super) async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let fitting = bytes.len().min(WRITE - self.buffer.len());
            let (now, later) = bytes.split_at(fitting);
            self.buffer.extend_from_slice(now);
            bytes = later;
            if self.buffer.len() == WRITE {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Writes what is left. When it returns, all is durable.
    pub(super) async fn finish(mut self) -> io::Result<()> {
        self.flush().await?;
        let (file, _) = self.idle().await?;
        let sync = move || file.sync_all().and_then(|()| sync_folder(&self.folder));
        spawn_blocking(sync).await?
    }

    async fn flush(&mut self) -> io::Result<()> {
        let (mut file, spare) = self.idle().await?;
        let full = std::mem::replace(&mut self.buffer, spare);
        self.file = Writing::Busy(spawn_blocking(move || {
            file.write_all(&full)?;
            Ok((file, full))
        }));
        Ok(())
    }

    /// The file, once nothing is on its way, and an empty buffer.
    async fn idle(&mut self) -> io::Result<(File, Vec<u8>)> {
        match std::mem::replace(&mut self.file, Writing::Failed) {
            Writing::Idle(file) => Ok((file, Vec::with_capacity(WRITE))),
            Writing::Busy(writing) => {
                let (file, mut buffer) = writing.await??;
                buffer.clear();
                Ok((file, buffer))
            }
            Writing::Failed => Err(io::Error::other("an earlier write failed")),
        }
    }
}

fn read(file: &File, part: std::ops::Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(part.end - part.start).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let at = part.start + bytes.len() as u64;
        if pread(file, spare_capacity(&mut bytes), at)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    // The allocator may have given more room than was asked for.
    bytes.truncate(length);
    Ok(bytes.into())
}

/// Makes durable which files are in a folder.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

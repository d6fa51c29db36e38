//! Unpacking an archive without trusting it.
//!
//! Nothing is written outside the folders that the caller names, whatever the
//! archive says: no `..`, no way through a link, and of an absolute name the
//! first slash is no part. Links that lead outside and what is neither file,
//! folder nor link are left out, and that is told. Bits that lend rights (setuid
//! and such) are dropped.

use std::{
    fs::{self, Permissions},
    io::{self, Read},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
    time::{Duration, SystemTime},
};

use bytes::{Buf, Bytes};
use tar::{Archive, Entry, EntryType};
use tokio::sync::mpsc;

use super::{download::Download, problem::Failure, progress::Transfer};

/// Where a member goes: a folder that is trusted, and a name within it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The caller's own; made if absent.
    pub root: PathBuf,
    /// Out of the archive.
    pub relative: PathBuf,
}

/// What became of an archive.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Where the outermost members went, each once.
    pub tops: Vec<PathBuf>,
    /// How many files and links there were.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What was left out, and why.
    pub left_out: Vec<String>,
}

/// Unpacks an archive while it comes in.
pub async fn unpack_download(
    mut download: Download<'_>,
    transfer: Transfer<'_>,
    place: impl Fn(&Path, bool) -> Option<Place> + Send + 'static,
) -> Result<Unpacked, Failure> {
    // A few pieces at most: the disk sets the pace.
    let (pieces, incoming) = mpsc::channel(8);
    let unpacking = tokio::task::spawn_blocking(move || {
        unpack(Incoming { pieces: incoming, piece: Bytes::new() }, place)
    });
    let fetched = async {
        while let Some(piece) = download.next().await? {
            transfer.add(piece.len());
            if pieces.send(Some(piece)).await.is_err() {
                // The unpacking has ended; it says why itself.
                return Ok(());
            }
        }
        let _ = pieces.send(None).await;
        Ok(())
    }
    .await;
    drop(pieces);
    let unpacked = unpacking.await.unwrap_or_else(|error| {
        Err(Failure::Usage(format!("the archive could not be unpacked: {error}")))
    });
    fetched?;
    transfer.finish();
    unpacked
}

/// Pieces of a body, read by a thread of its own; `None` is the end.
struct Incoming {
    pieces: mpsc::Receiver<Option<Bytes>>,
    piece: Bytes,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Some(piece)) => self.piece = piece,
                Some(None) => return Ok(0),
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let count = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

/// Unpacks an archive; `place` says where a member goes, and whether at all.
pub fn unpack(
    archive: impl Read,
    place: impl Fn(&Path, bool) -> Option<Place>,
) -> Result<Unpacked, Failure> {
    let broken = |error| Failure::file("the archive cannot be read", error);
    let mut archive = Archive::new(archive);
    let mut done = Unpacked::default();
    for entry in archive.entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        let member = member(&entry.path_bytes())?;
        if member.as_os_str().is_empty() {
            continue;
        }
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            continue;
        }
        let is_folder = kind == EntryType::Directory;
        let Some(at) = place(&member, is_folder) else { continue };
        let at =
            Place { relative: self::member(at.relative.as_os_str().as_encoded_bytes())?, ..at };
        match save(&mut entry, &at, &place) {
            Ok(Saved::File(bytes)) => {
                done.files += 1;
                done.bytes += bytes;
            }
            Ok(Saved::Folder) => {}
            Ok(Saved::LeftOut(why)) => {
                done.left_out.push(format!("{}: {why}", member.display()));
                continue;
            }
            Err(Wrong::Unsafe(why)) => {
                return Err(Failure::Unsafe(format!("{}: {why}", member.display())));
            }
            Err(Wrong::Io(error)) => {
                let what = format!("{} cannot be saved", at.root.join(&at.relative).display());
                return Err(Failure::file(what, error));
            }
        }
        if let Some(Component::Normal(first)) = at.relative.components().next() {
            let top = at.root.join(first);
            if done.tops.last() != Some(&top) && !done.tops.contains(&top) {
                done.tops.push(top);
            }
        }
    }
    Ok(done)
}

enum Saved {
    File(u64),
    Folder,
    LeftOut(&'static str),
}

enum Wrong {
    Unsafe(&'static str),
    Io(io::Error),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Wrong::Io(error)
    }
}

fn save<R: Read>(
    entry: &mut Entry<'_, R>,
    at: &Place,
    place: impl Fn(&Path, bool) -> Option<Place>,
) -> Result<Saved, Wrong> {
    match entry.header().entry_type() {
        EntryType::Directory => folder(&at.root, &at.relative).map(|_| Saved::Folder),
        EntryType::Regular | EntryType::Continuous => {
            let target = room_for(at)?;
            file(entry, &target).map(Saved::File)
        }
        EntryType::Symlink => {
            let Some(to) = entry.link_name()? else {
                return Ok(Saved::LeftOut("a link to nothing"));
            };
            if !stays_inside(&at.relative, &to) {
                return Ok(Saved::LeftOut("a link that leads outside"));
            }
            let target = room_for(at)?;
            remove(&target)?;
            symlink(to, target)?;
            Ok(Saved::File(0))
        }
        EntryType::Link => {
            let Some(to) = entry.link_name_bytes() else {
                return Ok(Saved::LeftOut("a link to nothing"));
            };
            let inside = if to.starts_with(b"/") { None } else { member(&to).ok() };
            let to = inside.ok_or(Wrong::Unsafe("it is a link to outside the archive"))?;
            let Some(from) = place(&to, false) else {
                return Ok(Saved::LeftOut("a link to what is not kept"));
            };
            let source = room_for(&from)?;
            if !fs::symlink_metadata(&source).is_ok_and(|about| about.is_file()) {
                return Ok(Saved::LeftOut("a link to what is not there"));
            }
            let target = room_for(at)?;
            if source != target {
                remove(&target)?;
                fs::hard_link(source, target)?;
            }
            Ok(Saved::File(0))
        }
        _ => Ok(Saved::LeftOut("neither a file nor a folder nor a link")),
    }
}

/// A member's name, if it stays where it is put. A first slash is left off, as
/// `tar` does: some layouts have outputs under their absolute paths.
fn member(name: &[u8]) -> Result<PathBuf, Failure> {
    let text = String::from_utf8_lossy(name);
    let refused = |why| Failure::Unsafe(format!("`{}` {why}", super::table::clean(&text)));
    let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(name);
    let mut path = PathBuf::new();
    for part in Path::new(name).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir | Component::RootDir => {}
            Component::ParentDir => return Err(refused("contains `..`")),
            Component::Prefix(_) => return Err(refused("is of another system")),
        }
    }
    Ok(path)
}

/// The path to write a member to. Its folders are made; none is a link.
fn room_for(at: &Place) -> Result<PathBuf, Wrong> {
    let parent = at.relative.parent().unwrap_or(Path::new(""));
    let parent = folder(&at.root, parent)?;
    let Some(name) = at.relative.file_name() else { return Err(Wrong::Unsafe("it has no name")) };
    Ok(parent.join(name))
}

/// The folder of that name within `root`, made step by step.
fn folder(root: &Path, relative: &Path) -> Result<PathBuf, Wrong> {
    fs::create_dir_all(root)?;
    let mut path = root.to_owned();
    for part in relative.components() {
        path.push(part);
        match fs::symlink_metadata(&path) {
            Ok(about) if about.is_dir() => {}
            Ok(about) if about.is_symlink() => {
                return Err(Wrong::Unsafe("a link is in the way"));
            }
            Ok(_) => return Err(Wrong::Io(io::ErrorKind::NotADirectory.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::create_dir(&path)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(path)
}

/// Writes beside the target and renames: it is whole, or as it was.
fn file<R: Read>(entry: &mut Entry<'_, R>, target: &Path) -> Result<u64, Wrong> {
    if fs::symlink_metadata(target).is_ok_and(|about| !about.is_file() && !about.is_symlink()) {
        return Err(Wrong::Io(io::Error::other("something that is no file is there already")));
    }
    let mode = entry.header().mode().unwrap_or(0o644) & 0o777;
    let mut beside = tempfile::Builder::new()
        .prefix(".tarpon-")
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(target.parent().unwrap_or(Path::new(".")))?;
    let size = entry.size();
    let count = io::copy(entry, beside.as_file_mut())?;
    if count != size {
        return Err(Wrong::Io(io::ErrorKind::UnexpectedEof.into()));
    }
    if let Ok(seconds) = entry.header().mtime()
        && let Some(time) = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
    {
        // A time that the file system cannot keep spoils nothing.
        let _ = beside.as_file().set_modified(time);
    }
    beside.persist(target).map_err(|error| error.error)?;
    Ok(count)
}

/// Makes room for a link: files and links go, folders stay and are in the way.
fn remove(target: &Path) -> io::Result<()> {
    match fs::symlink_metadata(target) {
        Ok(about) if about.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => fs::remove_file(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a link at `link` to `to` leads to something under the same root.
///
/// Only leading `..` are counted: after a name that may itself be a link,
/// `..` could lead anywhere.
fn stays_inside(link: &Path, to: &Path) -> bool {
    let depth = link.components().count().saturating_sub(1);
    let up = to.components().take_while(|part| matches!(part, Component::ParentDir)).count();
    let rest = to.components().skip(up);
    let plain = |part| matches!(part, Component::Normal(_) | Component::CurDir);
    up <= depth && !to.as_os_str().is_empty() && rest.into_iter().all(plain)
}

#[cfg(test)]
#[path = "extract_tests.rs"]
mod tests;

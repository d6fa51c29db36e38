//! A member, as it was when it was looked at.

use std::{
    ffi::OsStr,
    fs::{File, Metadata},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::PathBuf,
    sync::Arc,
};

/// Set-user-id and set-group-id are dropped: the owner they would lend is not kept.
const KEPT_MODE: u32 = 0o1777;

/// What becomes one entry of the tar.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name in the tar: no leading slash, a trailing one for folders.
    pub name: Box<[u8]>,
    pub what: What,
    pub mode: u32,
    /// Seconds since 1970.
    pub mtime: u64,
}

#[derive(Debug)]
pub(super) enum What {
    /// A file that is open already, of this size when it was looked at.
    Open(Arc<File>, u64),
    /// A file at the member's path.
    File(u64),
    Folder,
    /// A symbolic link, and what it says.
    Symlink(Box<[u8]>),
}

impl Member {
    pub fn new(name: Vec<u8>, what: What, metadata: &Metadata) -> Member {
        Member {
            name: name.into_boxed_slice(),
            what,
            mode: metadata.mode() & KEPT_MODE,
            mtime: u64::try_from(metadata.mtime()).unwrap_or(0),
        }
    }

    /// How many bytes follow its header.
    pub fn size(&self) -> u64 {
        match self.what {
            What::Open(_, size) | What::File(size) => size,
            What::Folder | What::Symlink(_) => 0,
        }
    }

    /// What a symbolic link says; empty for all else.
    pub fn target(&self) -> &[u8] {
        match &self.what {
            What::Open(..) | What::File(_) | What::Folder => &[],
            What::Symlink(target) => target,
        }
    }

    /// How notes call it.
    pub fn shown(&self) -> String {
        match self.what {
            What::Open(..) => String::from_utf8_lossy(&self.name).into_owned(),
            What::File(_) | What::Folder | What::Symlink(_) => {
                self.path().to_string_lossy().into_owned()
            }
        }
    }

    /// Where it is in the file system.
    pub fn path(&self) -> PathBuf {
        let mut path = vec![b'/'];
        path.extend_from_slice(&self.name);
        PathBuf::from(OsStr::from_bytes(&path))
    }
}

//! Looking at everything that is to be kept, before a byte of it is read.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::{self, File, Metadata},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{
    Facts, Note, Oddity, Packing, RESERVED,
    manifest::Notes,
    member::{Member, What},
};
use crate::job::Layout;

/// What the kernel shows as files: never anybody's output.
const KERNEL: [&str; 2] = ["/proc", "/sys"];

/// Device nodes. The folder is not walked into, but what is named in it is
/// kept: `/dev/shm` is a place that programs write to.
const DEVICES: &str = "/dev";

/// Readable by everybody.
const READABLE_BY_ALL: u32 = 0o444;

/// The members of an archive to be, in its order.
#[derive(Debug, Default)]
pub struct Gathering {
    members: Vec<Member>,
    notes: Notes,
    /// Folders that are the agent's own.
    foreign: Vec<PathBuf>,
    /// The outputs added so far.
    roots: HashSet<PathBuf>,
}

impl Gathering {
    /// Nothing yet; `foreign` are folders that no output may come from.
    pub fn new(foreign: Vec<PathBuf>) -> Gathering {
        Gathering { foreign, ..Gathering::default() }
    }

    /// Adds a file that is open already, by a name of its own.
    pub fn stream(&mut self, name: &str, file: Arc<File>) -> io::Result<()> {
        let metadata = file.metadata()?;
        let what = What::Open(file, metadata.len());
        let mut member = Member::new(name.as_bytes().to_vec(), what, &metadata);
        member.mode = 0o644;
        self.members.push(member);
        Ok(())
    }

    /// Notes something odd about a path.
    pub fn note(&mut self, path: &Path, what: Oddity) {
        self.notes.add(path.to_string_lossy(), what);
    }

    /// Adds what is at these absolute paths: files, links, folders with all
    /// that is in them, each once. What cannot be kept is noted.
    pub fn outputs(&mut self, mut paths: Vec<PathBuf>) {
        // A folder comes before what is in it, which is then there already.
        paths.sort_unstable();
        for path in &paths {
            self.output(path);
        }
    }

    fn output(&mut self, path: &Path) {
        let Some(path) = plain(path) else {
            return self.note(path, Oddity::Malformed);
        };
        if self.is_covered(&path) {
            return;
        }
        if self.is_foreign(&path) {
            return self.note(&path, Oddity::Foreign);
        }
        if self.is_behind_symlink(&path) {
            return self.note(&path, Oddity::BehindSymlink);
        }
        self.add(&path);
        self.roots.insert(path);
    }

    /// Where the files are that are kept, those aside that were open already.
    pub fn files(&self) -> impl Iterator<Item = PathBuf> {
        let is_at_its_path = |member: &&Member| matches!(member.what, What::File(_));
        self.members.iter().filter(is_at_its_path).map(Member::path)
    }

    /// What is odd about what was to be kept.
    pub fn notes(&self) -> &[Note] {
        self.notes.kept()
    }

    /// Everything was added.
    pub fn finish(self, facts: Facts, layout: Layout) -> Packing {
        Packing::new(self.members, self.notes, facts, layout)
    }

    /// Whether an earlier output has this one in it, so that it is there or
    /// was noted. A link in between is not followed by the walk.
    fn is_covered(&self, path: &Path) -> bool {
        path.ancestors().any(|above| self.roots.contains(above)) && !self.is_behind_symlink(path)
    }

    /// Whether a symbolic link on the way to `path` is, or is in, an output.
    /// A tar that has both the link and something behind it would make the
    /// one who unpacks it write through the link.
    fn is_behind_symlink(&self, path: &Path) -> bool {
        let is_link =
            |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
        let is_kept = |path: &Path| path.ancestors().any(|above| self.roots.contains(above));
        path.ancestors().skip(1).any(|above| is_kept(above) && is_link(above))
    }

    fn is_foreign(&self, path: &Path) -> bool {
        KERNEL.iter().any(|kernel| path.starts_with(kernel))
            || self.foreign.iter().any(|folder| path.starts_with(folder))
    }

    /// Adds what is at the path, and all that is in it.
    fn add(&mut self, root: &Path) {
        // No recursion: folders may be in folders as deep as paths are long.
        let mut rest = vec![root.to_owned()];
        while let Some(path) = rest.pop() {
            let inside = self.add_one(&path, path == root);
            rest.extend(inside.into_iter().rev());
        }
    }

    /// Adds what is at the path; if that is a folder, gives what is in it.
    fn add_one(&mut self, path: &Path, named: bool) -> Vec<PathBuf> {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => return self.add_folder(path, &metadata, named),
            Ok(metadata) => metadata,
            Err(error) => {
                self.note(path, oddity(&error));
                return Vec::new();
            }
        };
        let kind = metadata.file_type();
        if kind.is_file() {
            if may_be_unreadable(&metadata) && File::open(path).is_err() {
                self.note(path, Oddity::Unreadable);
            } else {
                self.push(path, What::File(metadata.len()), &metadata);
            }
        } else if kind.is_symlink() {
            match fs::read_link(path) {
                Ok(target) => {
                    let target = target.as_os_str().as_bytes().into();
                    self.push(path, What::Symlink(target), &metadata);
                }
                Err(error) => self.note(path, oddity(&error)),
            }
        } else if kind.is_socket() {
            self.note(path, Oddity::Socket);
        } else if kind.is_fifo() {
            self.note(path, Oddity::Fifo);
        } else {
            self.note(path, Oddity::Device);
        }
        Vec::new()
    }

    fn add_folder(&mut self, path: &Path, metadata: &Metadata, named: bool) -> Vec<PathBuf> {
        if !named && (self.is_foreign(path) || path == Path::new(DEVICES)) {
            self.note(path, Oddity::Foreign);
            return Vec::new();
        }
        let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut children: Vec<_> = match entries {
            Ok(entries) => entries.iter().map(fs::DirEntry::path).collect(),
            Err(error) => {
                self.note(path, oddity(&error));
                return Vec::new();
            }
        };
        if path != Path::new("/") {
            self.push(path, What::Folder, metadata);
        }
        children.sort_unstable();
        children
    }

    fn push(&mut self, path: &Path, what: What, metadata: &Metadata) {
        let bytes = path.as_os_str().as_bytes();
        let mut name = bytes.strip_prefix(b"/").unwrap_or(bytes).to_vec();
        if RESERVED.iter().any(|reserved| name == reserved.as_bytes()) {
            return self.note(path, Oddity::Reserved);
        }
        if matches!(what, What::Folder) {
            name.push(b'/');
        }
        self.members.push(Member::new(name, what, metadata));
    }
}

/// The path without `.` and doubled slashes, if it is absolute and free of `..`.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) => plain.push(name),
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (path.is_absolute() && plain.as_os_str() != OsStr::new("")).then_some(plain)
}

/// Whether it takes an attempt to know. Asked here, where a file can still be
/// left out; few files are like this, so few are opened twice.
fn may_be_unreadable(metadata: &Metadata) -> bool {
    metadata.mode() & READABLE_BY_ALL != READABLE_BY_ALL
}

fn oddity(error: &io::Error) -> Oddity {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Oddity::Missing,
        _ => Oddity::Unreadable,
    }
}

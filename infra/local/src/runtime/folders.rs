//! A folder per attempt, whose name tells which attempt it is.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use shared::job::AttemptKey;

/// Folders of attempts, all in one.
#[derive(Clone)]
pub(super) struct Folders {
    base: PathBuf,
    mode: u32,
}

impl Folders {
    /// In `base`, which is made if absent and which only the server may enter;
    /// each folder gets `mode`.
    pub(super) fn in_(base: &Path, mode: u32) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(base)?;
        // An engine wants absolute paths, whatever the server was given.
        Ok(Folders { base: base.canonicalize()?, mode })
    }

    /// Where the folder of `attempt` is or would be.
    pub(super) fn path(&self, attempt: AttemptKey) -> PathBuf {
        self.base.join(format!("{}-{}", attempt.project, attempt.attempt))
    }

    /// Makes the folder; one that is there is kept.
    pub(super) fn make(&self, attempt: AttemptKey) -> io::Result<PathBuf> {
        let path = self.path(attempt);
        match fs::DirBuilder::new().mode(self.mode).create(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        // Again, because the process's mask took bits off.
        if self.mode & 0o077 != 0 {
            fs::set_permissions(&path, fs::Permissions::from_mode(self.mode))?;
        }
        Ok(path)
    }

    /// Removes the folder with all that is in it; one that is gone is fine.
    pub(super) fn remove(&self, attempt: AttemptKey) -> io::Result<()> {
        match fs::remove_dir_all(self.path(attempt)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whose folders there are. What is not named for an attempt is not ours.
    pub(super) fn list(&self) -> io::Result<Vec<AttemptKey>> {
        let names = fs::read_dir(&self.base)?.map(|entry| Ok(entry?.file_name()));
        let keys = names.map(|name: io::Result<_>| Ok(name?.to_str().and_then(key)));
        keys.filter_map(Result::transpose).collect()
    }
}

fn key(name: &str) -> Option<AttemptKey> {
    let (project, attempt) = name.split_once('-')?;
    Some(AttemptKey { project: project.parse().ok()?, attempt: attempt.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_once_listed_and_removed_once() {
        let base = tempfile::tempdir().unwrap();
        let folders = Folders::in_(&base.path().join("a/b"), 0o777).unwrap();
        let name = "0123456789abcdef0123456789abcdef-att-0190b8a0a0a0a0a0a0a0a0a0a0a0a0a0-1-0-0-1";
        let attempt = key(name).unwrap();

        let path = folders.make(attempt).unwrap();
        assert!(path.ends_with(name));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o777);
        fs::write(path.join("spool"), "x").unwrap();
        fs::create_dir(base.path().join("a/b/lost+found")).unwrap();
        assert_eq!(folders.make(attempt).unwrap(), path);
        assert_eq!(folders.list().unwrap(), [attempt]);

        folders.remove(attempt).unwrap();
        folders.remove(attempt).unwrap();
        assert_eq!(folders.list().unwrap(), []);
    }
}

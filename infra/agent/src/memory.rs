//! What the kernel says about the container's memory.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// The control group that accounts for this process, if it can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Memory {
    folder: PathBuf,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

impl Version {
    /// The file that counts kills.
    fn kills(self) -> &'static str {
        match self {
            Version::One => "memory.oom_control",
            Version::Two => "memory.events",
        }
    }

    /// The file that has the most memory used at one time.
    fn peak(self) -> &'static str {
        match self {
            Version::One => "memory.max_usage_in_bytes",
            Version::Two => "memory.peak",
        }
    }
}

impl Memory {
    /// Finds this process's own.
    pub fn find() -> Option<Memory> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        Memory::within(Path::new("/sys/fs/cgroup"), &groups)
    }

    /// Each line of `groups` is `number:controllers:path`. The path may be as
    /// the host sees it while the mount shows just the container's own group,
    /// so the mount's root is looked at as well.
    fn within(mount: &Path, groups: &str) -> Option<Memory> {
        let candidates = groups.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            let (root, version) = match controllers {
                "" => (mount.to_path_buf(), Version::Two),
                _ if controllers.split(',').any(|name| name == "memory") => {
                    (mount.join("memory"), Version::One)
                }
                _ => return None,
            };
            Some((root, path.trim_start_matches('/'), version))
        });
        candidates
            .flat_map(|(root, path, version)| [(root.join(path), version), (root, version)])
            .map(|(folder, version)| Memory { folder, version })
            .find(|memory| memory.folder.join(memory.version.kills()).is_file())
    }

    /// How many processes the kernel has killed here for want of memory.
    pub fn kills(&self) -> Option<u64> {
        let text = fs::read_to_string(self.folder.join(self.version.kills())).ok()?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
        count.trim().parse().ok()
    }

    /// The most memory used at one time, in bytes.
    pub fn peak(&self) -> Option<u64> {
        fs::read_to_string(self.folder.join(self.version.peak())).ok()?.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, name: &str, text: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join(name), text).unwrap();
    }

    #[test]
    fn the_first_hierarchy_is_found_under_the_mount_or_its_root() {
        let mount = tempfile::TempDir::new().unwrap();
        let groups = "5:devices:/x\n4:cpu,memory:/docker/abc\n0::/\n";
        let root = mount.path().join("memory");
        put(&root, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
        put(&root, "memory.max_usage_in_bytes", "4096\n");
        let memory = Memory::within(mount.path(), groups).unwrap();
        assert_eq!((memory.kills(), memory.peak()), (Some(2), Some(4096)));

        let own = root.join("docker/abc");
        put(&own, "memory.oom_control", "oom_kill 7\n");
        assert_eq!(Memory::within(mount.path(), groups).unwrap().kills(), Some(7));
    }

    #[test]
    fn the_second_hierarchy_is_found_as_well() {
        let mount = tempfile::TempDir::new().unwrap();
        put(mount.path(), "memory.events", "low 0\noom 1\noom_kill 1\n");
        let memory = Memory::within(mount.path(), "0::/\n").unwrap();
        assert_eq!((memory.kills(), memory.peak()), (Some(1), None));
    }

    #[test]
    fn a_kernel_that_shows_nothing_is_asked_nothing() {
        let mount = tempfile::TempDir::new().unwrap();
        assert_eq!(Memory::within(mount.path(), "4:memory:/a\n0::/\n"), None);
    }
}

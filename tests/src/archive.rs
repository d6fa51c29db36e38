//! A job's archive, taken apart, and held against its own manifest.

use std::{collections::BTreeMap, io::Read};

use bytes::Bytes;
use serde_json::Value;
use tar::EntryType;

use crate::sha256;

/// What is in an archive.
#[derive(Clone, Debug)]
pub struct Archive {
    /// By name, as in the tar; folders end in a slash.
    pub members: BTreeMap<String, Member>,
    /// The names in the tar's order.
    pub names: Vec<String>,
    /// What the manifest says.
    pub manifest: Value,
    /// All of it.
    pub bytes: Bytes,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it is.
    pub kind: MemberKind,
    /// Permission bits.
    pub mode: u32,
    /// Its bytes; none of what is no file.
    pub bytes: Vec<u8>,
}

/// What a member is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MemberKind {
    /// A file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link that leads there.
    Symlink(String),
}

/// What is in a tar of several archives, each in a folder of its own.
#[derive(Debug)]
pub struct Bundle {
    members: BTreeMap<String, Member>,
}

impl Bundle {
    /// Takes `bytes` apart.
    pub fn read(bytes: &[u8]) -> Self {
        let mut tar = tar::Archive::new(bytes);
        let entries = tar.entries().expect("it is a tar");
        let named = |entry: std::io::Result<tar::Entry<'_, _>>| {
            let mut entry = entry.expect("the tar is sound");
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            (name, member(&mut entry))
        };
        Bundle { members: entries.map(named).collect() }
    }

    /// Takes out what is in this folder, by its names there.
    pub fn take(&mut self, folder: &str) -> BTreeMap<String, Member> {
        let inside = |name: &String| name.starts_with(folder);
        let taken = self.members.extract_if(.., |name, _| inside(name));
        taken.map(|(name, member)| (name[folder.len()..].to_owned(), member)).collect()
    }

    /// Whether all that there was has been taken out.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl Archive {
    /// Takes `bytes` apart, and asserts all that holds for every archive.
    pub fn read(bytes: Bytes) -> Self {
        let mut members = BTreeMap::new();
        let mut names = Vec::new();
        let mut manifest = Value::Null;
        let mut tar = tar::Archive::new(bytes.as_ref());
        for entry in tar.entries().expect("it is a tar") {
            let mut entry = entry.expect("the tar is sound");
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let member = member(&mut entry);
            assert!(!name.starts_with('/') && !name.split('/').any(|p| p == ".."), "{name}");
            if name == "manifest.json" {
                manifest = serde_json::from_slice(&member.bytes).expect("the manifest is JSON");
            }
            names.push(name.clone());
            assert!(members.insert(name.clone(), member).is_none(), "{name} is there twice");
        }
        let archive = Archive { members, names, manifest, bytes };
        archive.check();
        archive
    }

    /// A file's bytes.
    pub fn file(&self, name: &str) -> &[u8] {
        let name = name.trim_start_matches('/');
        let found = self.members.get(name);
        let member = found.unwrap_or_else(|| panic!("no {name} among {:?}", self.names));
        assert_eq!(member.kind, MemberKind::File, "{name}");
        &member.bytes
    }

    /// A file's text.
    pub fn text(&self, name: &str) -> &str {
        std::str::from_utf8(self.file(name)).expect("the member is text")
    }

    /// What the process wrote to standard output.
    pub fn stdout(&self) -> &str {
        self.text("Stdout")
    }

    /// What the process wrote to standard error.
    pub fn stderr(&self) -> &str {
        self.text("Stderr")
    }

    /// Names of members other than the three that are always there.
    pub fn outputs(&self) -> Vec<&str> {
        let ours = ["Stdout", "Stderr", "manifest.json"];
        self.names.iter().map(String::as_str).filter(|name| !ours.contains(name)).collect()
    }

    /// When the process started and when it ended.
    pub fn times(&self) -> (jiff::Timestamp, jiff::Timestamp) {
        let time = |name: &str| {
            let text = self.manifest[name].as_str().unwrap_or_else(|| panic!("no {name}"));
            text.parse().expect("it is an RFC 3339 time")
        };
        (time("started_at"), time("ended_at"))
    }

    /// The order of members, and the manifest's word on each.
    fn check(&self) {
        assert_eq!(self.names[..2], ["Stdout", "Stderr"]);
        assert_eq!(self.names.last().map(String::as_str), Some("manifest.json"));
        let told = self.manifest["members"].as_array().expect("the manifest lists members");
        assert_eq!(told.len(), self.names.len() - 1, "{:?}: {}", self.names, self.manifest);
        for (name, told) in self.names.iter().zip(told) {
            let member = &self.members[name];
            assert_eq!(told["name"], name.as_str());
            assert_eq!(told["size"], member.bytes.len(), "{name}");
            if member.kind == MemberKind::File {
                assert_eq!(told["sha256"], sha256(&member.bytes), "{name}");
                let offset = told["offset"].as_u64().and_then(|at| usize::try_from(at).ok());
                let offset = offset.expect("an offset is a number");
                let range = offset..offset + member.bytes.len();
                assert!(self.bytes[range] == member.bytes[..], "{name} is elsewhere");
            }
        }
    }
}

fn member<R: Read>(entry: &mut tar::Entry<'_, R>) -> Member {
    let header = entry.header();
    let mode = header.mode().expect("a mode is a number");
    assert_eq!((header.uid().ok(), header.gid().ok()), (Some(0), Some(0)));
    let kind = match header.entry_type() {
        EntryType::Regular => MemberKind::File,
        EntryType::Directory => MemberKind::Folder,
        EntryType::Symlink => {
            let target = entry.link_name_bytes().expect("a link leads somewhere");
            MemberKind::Symlink(String::from_utf8_lossy(&target).into_owned())
        }
        other => panic!("an archive has no {other:?}"),
    };
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).expect("a member is whole");
    Member { kind, mode, bytes }
}

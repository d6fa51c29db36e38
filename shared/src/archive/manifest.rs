//! `manifest.json`: what is in the archive, and what is odd about it.
//!
//! It comes last, since only then the digests are known, yet its length has to
//! be known before the first byte. So every field that is not known up front
//! has a fixed width: digests by nature, `whole` by a blank after `true`, and
//! notes on what happens during the reading go into some room that is otherwise
//! blanks, which JSON allows between any two tokens. There is enough of it for
//! a note on every file, up to [`MOST_LATE_ROOM`].

use std::ops::Range;

use data_encoding::{BASE64, HEXLOWER};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::member::{Member, What};
use crate::job::Exit;

/// The most room that notes have which are made while the members are read.
const MOST_LATE_ROOM: usize = 4096;

/// How many notes are kept: what is wrong with the first thousand is wrong with
/// the rest.
pub const MAX_NOTES: usize = 1000;

/// How every manifest ends.
pub(super) const MANIFEST_END: &[u8] = b"\n]\n}\n";

/// A member's digest.
pub(super) type Digest = [u8; 32];

/// The manifest, as it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The shape's version.
    pub version: u8,
    /// What the archive is of.
    #[serde(flatten)]
    pub facts: Facts,
    /// Every member but the manifest, in the archive's order.
    pub members: Vec<Entry>,
    /// What is not as it was asked for.
    pub notes: Vec<Note>,
}

/// What is known before the archive is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The attempt.
    pub attempt: String,
    /// The digest of the image it ran.
    pub image: String,
    /// How its process ended.
    pub exit: Option<Exit>,
    /// When the process started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name; where that is not UTF-8, the nearest that is.
    pub name: String,
    /// The name's bytes in base 64, where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name_base64: Option<String>,
    /// What it is.
    pub kind: Kind,
    /// How long it is.
    pub size: u64,
    /// Where in the archive its bytes start.
    pub offset: u64,
    /// SHA-256 of its bytes, lower-case hex. Only files have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether it was as long when it was read as when it was looked at. If
    /// not, it was cut or filled up with zeros, and there is a note unless
    /// there are too many.
    #[serde(default = "yes")]
    pub whole: bool,
}

fn yes() -> bool {
    true
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A file.
    File,
    /// A folder; what is in it follows.
    Folder,
    /// A symbolic link.
    Symlink,
}

/// Something that is not as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// The path, or the stream's name.
    pub path: String,
    /// What is odd about it.
    pub what: Oddity,
}

/// What can be odd about a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Oddity {
    /// There is no such thing, or nothing that the pattern matches.
    Missing,
    /// It may not be read: left out, or all zeros if that showed too late.
    Unreadable,
    /// A device: left out.
    Device,
    /// A socket: left out.
    Socket,
    /// A named pipe: left out.
    Fifo,
    /// It has a name that the archive needs itself: left out.
    Reserved,
    /// It is not the user's: the kernel's or the agent's files. Left out.
    Foreign,
    /// It is not an absolute path without `..`: left out.
    Malformed,
    /// A symbolic link leads to it that is itself kept: only the link is.
    BehindSymlink,
    /// It grew while it was read: cut at its first length.
    Grew,
    /// It shrank while it was read: filled up with zeros.
    Shrank,
    /// Not all of the stream could be spooled: its end is lost.
    Lost,
    /// There are more notes than are kept.
    More,
}

impl Manifest {
    /// The version that is written today.
    pub const VERSION: u8 = 1;

    /// The member of this name, with or without a leading slash.
    pub fn member(&self, name: &str) -> Option<&Entry> {
        let name = name.strip_prefix('/').unwrap_or(name);
        self.members.iter().find(|entry| entry.name_base64.is_none() && entry.name == name)
    }
}

impl Entry {
    /// Where in the archive its bytes are.
    pub fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.size)
    }
}

/// Notes, as they come up.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes {
    kept: Vec<Note>,
    dropped: bool,
}

impl Notes {
    pub fn kept(&self) -> &[Note] {
        &self.kept
    }

    /// Of what cannot be read nobody would know otherwise: where there are more
    /// notes than are kept, these stay.
    pub fn add(&mut self, path: impl Into<String>, what: Oddity) {
        let note = || Note { path: path.into(), what };
        if self.kept.len() < MAX_NOTES {
            return self.kept.push(note());
        }
        self.dropped = true;
        let is_lesser = |kept: &&mut Note| kept.what != Oddity::Unreadable;
        if what == Oddity::Unreadable
            && let Some(lesser) = self.kept.iter_mut().rfind(is_lesser)
        {
            *lesser = note();
        }
    }
}

/// Appends everything before the first member.
pub(super) fn push_head(facts: &Facts, into: &mut Vec<u8>) {
    into.extend_from_slice(format!("{{\n\"version\":{},", Manifest::VERSION).as_bytes());
    let facts = json(facts);
    // The facts are an object of their own; here they are fields of ours.
    into.extend_from_slice(&facts[1..facts.len() - 1]);
    into.extend_from_slice(b",\n\"members\":[\n");
}

/// Appends one member. The length does not depend on `digest` or `whole`.
pub(super) fn push_member(
    member: &Member,
    place: usize,
    offset: u64,
    digest: &Digest,
    whole: bool,
    into: &mut Vec<u8>,
) {
    let kind = match member.what {
        What::Open(..) | What::File(_) => Kind::File,
        What::Folder => Kind::Folder,
        What::Symlink(_) => Kind::Symlink,
    };
    into.extend_from_slice(if place == 0 { b" " } else { b"," });
    into.extend_from_slice(b"{\"name\":");
    into.extend_from_slice(&json(&String::from_utf8_lossy(&member.name)));
    if std::str::from_utf8(&member.name).is_err() {
        into.extend_from_slice(b",\"name_base64\":\"");
        into.extend_from_slice(BASE64.encode(&member.name).as_bytes());
        into.extend_from_slice(b"\"");
    }
    into.extend_from_slice(b",\"kind\":");
    into.extend_from_slice(&json(&kind));
    let numbers = format!(",\"size\":{},\"offset\":{offset}", member.size());
    into.extend_from_slice(numbers.as_bytes());
    if kind == Kind::File {
        into.extend_from_slice(b",\"sha256\":\"");
        into.extend_from_slice(HEXLOWER.encode(digest).as_bytes());
        into.extend_from_slice(if whole { b"\",\"whole\":true " } else { b"\",\"whole\":false" });
    }
    into.extend_from_slice(b"}\n");
}

/// How much room there is for notes made while these members are read.
pub(super) fn late_room(members: &[Member]) -> usize {
    // The longest there is, in letters.
    let what = Oddity::Unreadable;
    let mut text = Vec::new();
    let mut room = push_more(&mut true, &mut text);
    for member in members {
        if room >= MOST_LATE_ROOM {
            break;
        }
        if matches!(member.what, What::Open(..) | What::File(_)) {
            text.clear();
            push_note(&Note { path: member.shown(), what }, &mut true, &mut text);
            room += text.len();
        }
    }
    room.min(MOST_LATE_ROOM)
}

/// Appends everything after the last member. The length does not depend on
/// `late`, only on the `room` for it.
pub(super) fn push_tail(early: &Notes, late: &[Note], room: usize, into: &mut Vec<u8>) {
    into.extend_from_slice(b"],\n\"notes\":[\n");
    let mut first = true;
    for note in &early.kept {
        push_note(note, &mut first, into);
    }
    let start = into.len();
    // Room for this one is kept free while there may be a next.
    let reserve = push_more(&mut true, &mut Vec::new());
    let mut full = early.dropped;
    for note in late {
        let (length, was_first) = (into.len(), first);
        push_note(note, &mut first, into);
        if into.len() - start + reserve > room {
            into.truncate(length);
            first = was_first;
            full = true;
            break;
        }
    }
    if full {
        push_more(&mut first, into);
    }
    into.resize(start + room, b' ');
    into.extend_from_slice(MANIFEST_END);
}

/// Says that there are more notes; how many bytes that took.
fn push_more(first: &mut bool, into: &mut Vec<u8>) -> usize {
    let start = into.len();
    push_note(&Note { path: String::new(), what: Oddity::More }, first, into);
    into.len() - start
}

fn push_note(note: &Note, first: &mut bool, into: &mut Vec<u8>) {
    // As long with a comma as without, so that no note's length depends on others.
    into.extend_from_slice(if std::mem::take(first) { b" " } else { b"," });
    into.extend_from_slice(&json(note));
    into.push(b'\n');
}

fn json<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts, numbers and names have a JSON form")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            attempt: "att-1".to_owned(),
            image: "sha256:00".to_owned(),
            exit: Some(Exit::Code(3)),
            started_at: Some(Timestamp::UNIX_EPOCH),
            ended_at: None,
        }
    }

    fn written(early: &Notes, late: &[Note]) -> Vec<u8> {
        let mut text = Vec::new();
        push_head(&facts(), &mut text);
        push_tail(early, late, MOST_LATE_ROOM, &mut text);
        text
    }

    #[test]
    fn late_notes_do_not_change_the_length() {
        let odd = |n: usize| Note { path: format!("/out/{n}"), what: Oddity::Shrank };
        let none = written(&Notes::default(), &[]);
        for count in [1, 7, 5000] {
            let late: Vec<Note> = (0..count).map(odd).collect();
            let some = written(&Notes::default(), &late);
            assert_eq!(some.len(), none.len());
            let manifest: Manifest = serde_json::from_slice(&some).unwrap();
            assert_eq!(manifest.facts, facts());
            assert_eq!(manifest.notes[0], odd(0));
            let told = manifest.notes.last().unwrap().what;
            assert_eq!(told == Oddity::More, count == 5000);
        }
    }

    #[test]
    fn a_note_too_long_for_the_room_leaves_good_json() {
        let long = Note { path: "x".repeat(2 * MOST_LATE_ROOM), what: Oddity::Grew };
        let text = written(&Notes::default(), &[long]);
        let manifest: Manifest = serde_json::from_slice(&text).unwrap();
        assert_eq!(manifest.notes, [Note { path: String::new(), what: Oddity::More }]);
    }

    #[test]
    fn too_many_early_notes_are_said_to_be_more() {
        let mut early = Notes::default();
        for n in 0..2000 {
            early.add(format!("/out/{n}"), Oddity::Socket);
        }
        let manifest: Manifest = serde_json::from_slice(&written(&early, &[])).unwrap();
        assert_eq!(manifest.notes.len(), MAX_NOTES + 1);
        assert_eq!(manifest.notes[MAX_NOTES].what, Oddity::More);
    }

    #[test]
    fn what_cannot_be_read_is_noted_before_anything_else() {
        let mut early = Notes::default();
        for n in 0..MAX_NOTES {
            early.add(format!("/out/{n}"), Oddity::Socket);
        }
        for n in 0..MAX_NOTES + 5 {
            early.add(format!("/secret/{n}"), Oddity::Unreadable);
            assert!(early.kept().iter().any(|note| note.path == "/secret/0"));
        }
        assert_eq!(early.kept().len(), MAX_NOTES);
        assert!(early.kept().iter().all(|note| note.what == Oddity::Unreadable));
    }
}

//! An archive written anew as its bytes come by: put into a folder of another,
//! or in another layout.

use std::ops::Range;

use tar::EntryType;

use super::{
    BadArchive, Found, MANIFEST, STDERR, STDOUT, Step, Walker,
    header::{self, END, Entry},
    ugc,
};
use crate::job::Layout;

/// Turns an archive's bytes, handed over piece by piece, into the same members
/// in the wanted layout, their names under a folder, without the end. Holds no
/// more than a header and the last piece.
///
/// What an archive says is not believed: names that would lead out of the
/// folder, and kinds that no archive of ours has, are left out. Of a name that
/// is absolute, the first slash is, as everybody has it who unpacks a tar.
#[derive(Debug)]
pub struct Rewritten {
    folder: Vec<u8>,
    layout: Layout,
    walker: Walker,
    /// Where in the archive the window's unread part starts.
    at: u64,
    window: Vec<u8>,
    /// How much of the window is done with.
    done: usize,
    /// The bytes of the archive that pass as they are.
    passing: Range<u64>,
    /// How many zeros follow them.
    padding: usize,
    over: bool,
}

impl Rewritten {
    /// Under this folder, `task/0/`, or none, and in this layout.
    pub fn new(folder: &str, layout: Layout) -> Self {
        Rewritten {
            folder: folder.as_bytes().to_vec(),
            layout,
            walker: Walker::new(),
            at: 0,
            window: Vec::new(),
            done: 0,
            passing: 0..0,
            padding: 0,
            over: false,
        }
    }

    /// Whether the archive's end was seen; what follows is not looked at.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Takes the next piece of the archive, and gives what follows from it.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<u8>, BadArchive> {
        self.window.drain(..std::mem::take(&mut self.done));
        self.window.extend_from_slice(piece);
        let mut out = Vec::with_capacity(piece.len() + header::BLOCK);
        while !self.over {
            self.pass(&mut out);
            if self.at < self.passing.end {
                break;
            }
            out.resize(out.len() + std::mem::take(&mut self.padding), 0);
            match self.walker.step(self.at, &self.window[self.done..])? {
                Step::Need { offset, .. } => {
                    self.skip_to(offset);
                    break;
                }
                Step::Member(found) => self.begin(&found, &mut out),
                Step::End => self.over = true,
            }
        }
        Ok(out)
    }

    /// The end of what all of them went into.
    pub fn end() -> Vec<u8> {
        vec![0; END]
    }

    /// Hands on the bytes that pass, as far as they are there.
    fn pass(&mut self, out: &mut Vec<u8>) {
        self.skip_to(self.passing.start);
        if self.at < self.passing.start {
            return;
        }
        let from = self.done;
        self.skip_to(self.passing.end);
        out.extend_from_slice(&self.window[from..self.done]);
        self.passing.start = self.at.min(self.passing.end);
    }

    /// Lets go of what lies before this place.
    fn skip_to(&mut self, place: u64) {
        let there = self.window.len() - self.done;
        let ahead = usize::try_from(place.saturating_sub(self.at)).unwrap_or(there).min(there);
        self.done += ahead;
        self.at += ahead as u64;
    }

    fn begin(&mut self, found: &Found, out: &mut Vec<u8>) {
        let kind = match found.kind {
            EntryType::Regular | EntryType::Continuous => EntryType::Regular,
            kind @ (EntryType::Directory | EntryType::Symlink) => kind,
            _ => return self.leave_out(found),
        };
        let Some(name) = inside(&found.name) else { return self.leave_out(found) };
        let size = found.data.end - found.data.start;
        match self.layout {
            Layout::Native => self.native(found, kind, name, size, out),
            Layout::Ugc if kind.is_file() && size > 0 && name != MANIFEST.as_bytes() => {
                ugc::push_file(&self.absolute(name), size, found.mtime, out);
            }
            Layout::Ugc => return self.leave_out(found),
        }
        self.passing = found.data.clone();
        self.padding = header::padding(size);
    }

    fn native(&self, found: &Found, kind: EntryType, name: &[u8], size: u64, out: &mut Vec<u8>) {
        let name = [&self.folder, name].concat();
        let target = match kind {
            EntryType::Symlink => found.target.as_deref().unwrap_or_default(),
            _ => &[],
        };
        let entry = Entry {
            kind,
            name: &name,
            target,
            size,
            mode: found.mode & 0o1777,
            mtime: found.mtime,
        };
        header::push_entry(&entry, out);
    }

    /// As it is called where outputs are under their absolute paths: the streams
    /// of the only attempt are no outputs.
    fn absolute(&self, name: &[u8]) -> Vec<u8> {
        let is_stream = self.folder.is_empty()
            && [STDOUT, STDERR].iter().any(|stream| name == stream.as_bytes());
        let slash: &[u8] = if is_stream { b"" } else { b"/" };
        [slash, &self.folder, name].concat()
    }

    fn leave_out(&mut self, found: &Found) {
        self.passing = found.data.end..found.data.end;
    }
}

/// The name in the folder that it is put into, if it stays there.
fn inside(name: &[u8]) -> Option<&[u8]> {
    let name = name.strip_prefix(b"/").unwrap_or(name);
    // A folder's name ends with a slash.
    let mut parts = name.strip_suffix(b"/").unwrap_or(name).split(|byte| *byte == b'/');
    parts.all(|part| !matches!(part, b"" | b"." | b"..")).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn archive(members: &[(&str, EntryType, &str)]) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, kind, text) in members {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o4755);
            header.set_mtime(7);
            if *kind == EntryType::Symlink {
                header.set_size(0);
                tar.append_link(&mut header, name, text).unwrap();
                continue;
            }
            header.set_size(text.len() as u64);
            if name.starts_with('/') || name.contains("..") {
                // The library writes no such name of itself.
                let field = &mut header.as_gnu_mut().unwrap().name;
                field[..name.len()].copy_from_slice(name.as_bytes());
                header.set_cksum();
                tar.append(&header, text.as_bytes()).unwrap();
            } else {
                tar.append_data(&mut header, name, text.as_bytes()).unwrap();
            }
        }
        tar.into_inner().unwrap()
    }

    /// The bundle of these archives, each handed over in pieces of this size.
    fn bundle(archives: &[(&str, &[u8])], piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        for (folder, archive) in archives {
            let mut rewritten = Rewritten::new(folder, Layout::Native);
            for piece in archive.chunks(piece) {
                out.extend(rewritten.push(piece).unwrap());
            }
            assert!(rewritten.is_over());
        }
        out.extend(Rewritten::end());
        out
    }

    fn listed(bundle: &[u8]) -> Vec<(String, u32, String)> {
        let mut archive = tar::Archive::new(bundle);
        let entry = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
            let mut entry = entry.unwrap();
            let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let link = entry.link_name_bytes().map(|link| String::from_utf8(link.into()).unwrap());
            (name, entry.header().mode().unwrap(), link.unwrap_or(text))
        };
        archive.entries().unwrap().map(entry).collect()
    }

    #[test]
    fn members_are_the_same_under_their_folder_however_they_come() {
        let long = format!("{}/end", "d".repeat(120));
        let large = "x".repeat(3_000);
        let regular = EntryType::Regular;
        let one = archive(&[("Stdout", regular, "one"), (&long, regular, &large)]);
        let link = ("a-link", EntryType::Symlink, "Stdout");
        let two = archive(&[("Stdout", regular, ""), ("d/", EntryType::Directory, ""), link]);
        for piece in [1, 100, 512, 700, 1 << 20] {
            let bundle = bundle(&[("a/0/", &one), ("a/1/", &two)], piece);
            assert_eq!(bundle.len() % header::BLOCK, 0);
            let member = |name: &str, text: &str| (name.to_owned(), 0o755, text.to_owned());
            assert_eq!(
                listed(&bundle),
                [
                    member("a/0/Stdout", "one"),
                    member(&format!("a/0/{long}"), &large),
                    member("a/1/Stdout", ""),
                    member("a/1/d/", ""),
                    member("a/1/a-link", "Stdout"),
                ],
                "in pieces of {piece}"
            );
        }
    }

    #[test]
    fn what_would_lead_out_of_the_folder_is_left_out() {
        let regular = EntryType::Regular;
        let hostile = archive(&[
            ("//etc/passwd", regular, "no"),
            ("../up", regular, "no"),
            ("a/../../up", regular, "no"),
            ("hard", EntryType::Link, ""),
            ("dev", EntryType::Char, ""),
            ("good", regular, "yes"),
        ]);
        let names: Vec<_> = listed(&bundle(&[("t/0/", &hostile)], 512));
        assert_eq!(names, [("t/0/good".to_owned(), 0o755, "yes".to_owned())]);
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        let mut rewritten = Rewritten::new("a/0/", Layout::Native);
        rewritten.push(&[7; 2 * header::BLOCK]).unwrap_err();
    }

    /// The archive in UGC's layout, handed over in pieces of this size.
    fn in_ugc(folder: &str, archive: &[u8], piece: usize) -> Vec<u8> {
        let mut rewritten = Rewritten::new(folder, Layout::Ugc);
        let mut out = Vec::new();
        for piece in archive.chunks(piece) {
            out.extend(rewritten.push(piece).unwrap());
        }
        assert!(rewritten.is_over());
        out.extend(Rewritten::end());
        out
    }

    fn native() -> Vec<u8> {
        let regular = EntryType::Regular;
        archive(&[
            ("Stdout", regular, "out"),
            ("Stderr", regular, ""),
            ("tmp/", EntryType::Directory, ""),
            ("tmp/result", regular, &"x".repeat(1_000)),
            ("tmp/a-link", EntryType::Symlink, "result"),
            ("manifest.json", regular, "{}"),
        ])
    }

    #[test]
    fn in_ugcs_layout_there_are_files_alone_by_their_absolute_paths() {
        let member = |name: &str, text: &str| (name.to_owned(), 0o600, text.to_owned());
        let result = "x".repeat(1_000);
        let whole = in_ugc("", &native(), 1 << 20);
        assert_eq!(listed(&whole), [member("Stdout", "out"), member("/tmp/result", &result)]);
        // Two headers, one block and two of bytes, and the end.
        assert_eq!(whole.len(), 5 * header::BLOCK + END);
        for piece in [1, 511, 512, 700] {
            assert_eq!(in_ugc("", &native(), piece), whole, "in pieces of {piece}");
        }
        assert_eq!(in_ugc("", &whole, 100), whole, "what is in it already stays as it is");
        let apart = listed(&in_ugc("a/0/", &native(), 512));
        assert_eq!(apart, [member("/a/0/Stdout", "out"), member("/a/0/tmp/result", &result)]);
    }

    #[test]
    fn what_was_in_ugcs_layout_has_its_place_in_a_bundle() {
        let ugc = in_ugc("", &native(), 512);
        let names: Vec<_> = listed(&bundle(&[("a/0/", &ugc)], 700))
            .into_iter()
            .map(|(name, mode, _)| (name, mode))
            .collect();
        assert_eq!(names, [("a/0/Stdout".into(), 0o600), ("a/0/tmp/result".into(), 0o600)]);
    }
}

//! One archive put into a folder of another, as its bytes come by.

use std::ops::Range;

use tar::EntryType;

use super::{
    BadArchive, Found, Step, Walker,
    header::{self, END, Entry},
};

/// Turns an archive's bytes, handed over piece by piece, into what stands for
/// it in a larger one: the same members, their names under a folder, without
/// the end. Holds no more than a header and the last piece.
///
/// What an archive says is not believed: names that would lead out of the
/// folder, and kinds that no archive of ours has, are left out.
#[derive(Debug)]
pub struct Unbundled {
    folder: Vec<u8>,
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

impl Unbundled {
    /// Under this folder: `task/0/`.
    pub fn into_folder(folder: &str) -> Self {
        Unbundled {
            folder: folder.as_bytes().to_vec(),
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
        if !is_inside(&found.name) {
            return self.leave_out(found);
        }
        let name = [&self.folder, &found.name[..]].concat();
        let size = found.data.end - found.data.start;
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
        self.passing = found.data.clone();
        self.padding = header::padding(size);
    }

    fn leave_out(&mut self, found: &Found) {
        self.passing = found.data.end..found.data.end;
    }
}

/// Whether a name stays in the folder that it is put into.
fn is_inside(name: &[u8]) -> bool {
    // A folder's name ends with a slash.
    let name = name.strip_suffix(b"/").unwrap_or(name);
    name.split(|byte| *byte == b'/').all(|part| !matches!(part, b"" | b"." | b".."))
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
            let mut unbundled = Unbundled::into_folder(folder);
            for piece in archive.chunks(piece) {
                out.extend(unbundled.push(piece).unwrap());
            }
            assert!(unbundled.is_over());
        }
        out.extend(Unbundled::end());
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
            ("/etc/passwd", regular, "no"),
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
        let mut unbundled = Unbundled::into_folder("a/0/");
        unbundled.push(&[7; 2 * header::BLOCK]).unwrap_err();
    }
}

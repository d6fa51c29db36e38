//! Archives, well-meant and ill-meant, and what becomes of them.

use tar::{Builder, Header};
use tempfile::TempDir;

use super::*;

/// An archive under construction that checks nothing.
struct Forged(Builder<Vec<u8>>);

impl Forged {
    fn new() -> Self {
        Forged(Builder::new(Vec::new()))
    }

    /// Writes the name into the header as it is, which `tar` itself refuses.
    fn entry(mut self, kind: EntryType, name: &str, link: &str, bytes: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o4755);
        header.set_mtime(1_000_000_000);
        header.set_size(bytes.len() as u64);
        header.set_cksum();
        self.0.append(&header, bytes).unwrap();
        self
    }

    fn file(self, name: &str, bytes: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, "", bytes)
    }

    fn link(self, name: &str, to: &str) -> Self {
        self.entry(EntryType::Symlink, name, to, b"")
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    /// Unpacks it into `inside` of a fresh folder.
    fn unpack(self) -> (TempDir, Result<Unpacked, Failure>) {
        let folder = TempDir::new().unwrap();
        let unpacked = self.unpack_into(folder.path());
        (folder, unpacked)
    }

    fn unpack_into(self, folder: &Path) -> Result<Unpacked, Failure> {
        let root = folder.join("inside");
        let bytes = self.bytes();
        unpack(&bytes[..], |member, _| {
            Some(Place { root: root.clone(), relative: member.to_owned() })
        })
    }
}

fn only_inside(folder: &TempDir) {
    let names: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(names.is_empty() || names == ["inside"], "{names:?}");
}

#[test]
fn files_folders_and_links_come_out_as_they_went_in() {
    let (folder, unpacked) = Forged::new()
        .entry(EntryType::Directory, "tmp/out/", "", b"")
        .file("tmp/out/a", b"hello")
        .link("tmp/out/latest", "a")
        .link("tmp/up", "../tmp/out")
        .entry(EntryType::Link, "tmp/out/same", "tmp/out/a", b"")
        .unpack();
    let unpacked = unpacked.unwrap();
    let inside = folder.path().join("inside");
    assert_eq!(unpacked.tops, [inside.join("tmp")]);
    assert_eq!((unpacked.files, unpacked.bytes), (4, 5));
    assert_eq!(unpacked.left_out, Vec::<String>::new());
    assert_eq!(fs::read(inside.join("tmp/out/latest")).unwrap(), b"hello");
    assert_eq!(fs::read(inside.join("tmp/out/same")).unwrap(), b"hello");
    assert_eq!(fs::read(inside.join("tmp/up/a")).unwrap(), b"hello");
    let about = fs::metadata(inside.join("tmp/out/a")).unwrap();
    assert_eq!(about.permissions().mode() & 0o7000, 0, "no setuid");
    assert_eq!(about.permissions().mode() & 0o700, 0o700);
    let modified = about.modified().unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(modified.as_secs(), 1_000_000_000);
}

#[test]
fn names_that_climb_are_refused() {
    for name in ["../evil", "a/../../evil", "/../evil", "a/..", "./../evil"] {
        let (folder, unpacked) = Forged::new().file(name, b"x").unpack();
        assert!(matches!(unpacked, Err(Failure::Unsafe(_))), "{name}: {unpacked:?}");
        only_inside(&folder);
    }
}

#[test]
fn an_absolute_name_is_one_inside() {
    for name in ["/tmp/result", "//tmp/result"] {
        let (folder, unpacked) = Forged::new().file(name, b"x").unpack();
        assert_eq!(unpacked.unwrap().files, 1);
        only_inside(&folder);
        assert_eq!(fs::read(folder.path().join("inside/tmp/result")).unwrap(), b"x");
    }
}

#[test]
fn links_that_lead_outside_are_left_out() {
    for to in
        ["/etc/passwd", "..", "../..", "../evil", "a/../../evil", "b/..", "/", "../inside/../x"]
    {
        let (folder, unpacked) = Forged::new().link("link", to).file("fine", b"x").unpack();
        let unpacked = unpacked.unwrap();
        assert_eq!(unpacked.left_out, ["link: a link that leads outside"], "{to}");
        assert!(fs::symlink_metadata(folder.path().join("inside/link")).is_err());
        assert!(folder.path().join("inside/fine").exists());
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    // One of the archive's own, which stays inside, …
    let (_folder, own) = Forged::new().link("a", "b").file("a/x", b"x").unpack();
    assert!(matches!(own, Err(Failure::Unsafe(_))), "{own:?}");
    // … and one that was there before.
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("inside")).unwrap();
    fs::create_dir(folder.path().join("outside")).unwrap();
    symlink("../outside", folder.path().join("inside/a")).unwrap();
    let before = Forged::new().file("a/x", b"x").unpack_into(folder.path());
    assert!(matches!(before, Err(Failure::Unsafe(_))), "{before:?}");
    assert_eq!(fs::read_dir(folder.path().join("outside")).unwrap().count(), 0);
}

#[test]
fn a_file_takes_a_links_place_and_not_what_it_leads_to() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("inside")).unwrap();
    fs::write(folder.path().join("precious"), "mine").unwrap();
    symlink("../precious", folder.path().join("inside/a")).unwrap();
    Forged::new().file("a", b"theirs").unpack_into(folder.path()).unwrap();
    assert_eq!(fs::read_to_string(folder.path().join("precious")).unwrap(), "mine");
    assert_eq!(fs::read_to_string(folder.path().join("inside/a")).unwrap(), "theirs");
}

#[test]
fn hard_links_reach_only_what_is_inside() {
    for to in ["../precious", "/etc/passwd"] {
        let (_folder, unpacked) = Forged::new().entry(EntryType::Link, "a", to, b"").unpack();
        assert!(matches!(unpacked, Err(Failure::Unsafe(_))), "{to}: {unpacked:?}");
    }
    let (_folder, absent) = Forged::new().entry(EntryType::Link, "a", "b", b"").unpack();
    assert_eq!(absent.unwrap().left_out, ["a: a link to what is not there"]);
    // Not through a link either: it would lend the link's target a second name.
    let (_folder, through) =
        Forged::new().link("l", "b").entry(EntryType::Link, "a", "l", b"").unpack();
    assert_eq!(through.unwrap().left_out, ["a: a link to what is not there"]);
}

#[test]
fn devices_and_pipes_are_left_out() {
    for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
        let (folder, unpacked) = Forged::new().entry(kind, "device", "", b"").unpack();
        assert_eq!(unpacked.unwrap().left_out.len(), 1);
        only_inside(&folder);
    }
}

#[test]
fn a_folder_is_not_replaced_by_a_file() {
    let folder = TempDir::new().unwrap();
    fs::create_dir_all(folder.path().join("inside/a")).unwrap();
    let refused = Forged::new().file("a", b"x").unpack_into(folder.path());
    assert!(matches!(refused, Err(Failure::File { .. })), "{refused:?}");
}

#[test]
fn an_archive_that_breaks_off_is_an_error_and_leaves_no_half_file() {
    let whole = Forged::new().file("a", &[7; 5_000]).bytes();
    let folder = TempDir::new().unwrap();
    let root = folder.path().to_owned();
    let cut = unpack(&whole[..3_000], |member, _| {
        Some(Place { root: root.clone(), relative: member.to_owned() })
    });
    assert!(cut.is_err());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn long_names_come_whole() {
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(180));
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    builder.append_data(&mut header, &long, &b"x"[..]).unwrap();
    let (folder, unpacked) = Forged(builder).unpack();
    assert_eq!(unpacked.unwrap().files, 1);
    assert!(folder.path().join("inside").join(long).exists());
}

#[test]
fn members_without_a_place_are_passed_over() {
    let bytes = Forged::new().file("a", b"x").file("b", b"y").bytes();
    let folder = TempDir::new().unwrap();
    let root = folder.path().to_owned();
    let unpacked = unpack(&bytes[..], |member, _| {
        let wanted = member == Path::new("b");
        wanted.then(|| Place { root: root.clone(), relative: "c".into() })
    });
    assert_eq!(unpacked.unwrap().files, 1);
    assert_eq!(fs::read(folder.path().join("c")).unwrap(), b"y");
}

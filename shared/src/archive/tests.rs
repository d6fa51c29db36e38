//! What is packed can be found, unpacked and checked.

use std::{
    fs::{self, File},
    io::{Read, Write},
    os::unix::{
        ffi::OsStringExt,
        fs::{PermissionsExt, symlink},
        net::UnixListener,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use data_encoding::HEXLOWER;
use tempfile::TempDir;

use super::*;
use crate::job::Layout;

struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Scene {
        Scene { folder: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// The name in the tar of something in the folder.
    fn name(&self, name: &str) -> String {
        self.path(name).to_str().unwrap()[1..].to_owned()
    }

    fn gathering(&self, outputs: &[&Path]) -> Gathering {
        let mut gathering = Gathering::new(vec![self.path("scratch")]);
        for (name, bytes) in [(STDOUT, "hello\n"), (STDERR, "")] {
            let path = self.put(&format!("scratch/{name}"), bytes.as_bytes());
            gathering.stream(name, Arc::new(File::open(path).unwrap())).unwrap();
        }
        gathering.outputs(outputs.iter().map(PathBuf::from).collect());
        gathering
    }

    fn packing(&self, outputs: &[&Path]) -> Packing {
        self.gathering(outputs).finish(facts(), Layout::Native)
    }
}

fn facts() -> Facts {
    Facts {
        attempt: "att-1".to_owned(),
        image: "sha256:00".to_owned(),
        exit: None,
        started_at: None,
        ended_at: None,
    }
}

fn written(packing: &Packing) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut sums = Vec::new();
    for threads in [Threads::One, Threads::Two] {
        bytes.clear();
        let packed = packing
            .write(threads, &mut |chunk| {
                bytes.extend_from_slice(chunk.as_ref());
                Ok(())
            })
            .unwrap();
        assert_eq!(bytes.len() as u64, packing.length());
        sums.push(packed.manifest_sha256);
    }
    assert_eq!(sums[0], sums[1]);
    assert!(ends_in_manifest(&bytes));
    let manifest = find_manifest(&bytes, bytes.len() as u64).unwrap();
    assert_eq!(sums[0], sha256(&bytes[place(&manifest)]));
    bytes
}

fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}

fn place(range: &std::ops::Range<u64>) -> std::ops::Range<usize> {
    usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()
}

fn manifest(archive: &[u8]) -> Manifest {
    let range = find_manifest(archive, archive.len() as u64).unwrap();
    serde_json::from_slice(&archive[place(&range)]).unwrap()
}

/// Every member, by windows of `window` bytes.
fn walked(archive: &[u8], window: u64) -> Vec<Found> {
    let mut walker = Walker::new();
    let (mut at, mut end) = (0, 0);
    let mut found = Vec::new();
    loop {
        match walker.step(at, &archive[place(&(at..end))]).unwrap() {
            Step::Need { offset, at_least } => {
                at = offset;
                end = (offset + at_least.max(window)).min(archive.len() as u64);
            }
            Step::Member(member) => found.push(member),
            Step::End => return found,
        }
    }
}

fn notes(manifest: &Manifest) -> Vec<(&str, Oddity)> {
    manifest.notes.iter().map(|note| (note.path.as_str(), note.what)).collect()
}

#[test]
fn the_manifest_tells_every_member_and_where_it_is() {
    let scene = Scene::new();
    scene.put("out/b.txt", b"bee");
    scene.put("out/a/deep.bin", &vec![7; 300_000]);
    scene.put("out/empty", b"");
    let long = format!("out/{}", "x".repeat(150));
    scene.put(&long, b"long");
    symlink("a/deep.bin", scene.path("out/link")).unwrap();

    let archive = written(&scene.packing(&[&scene.path("out")]));
    let manifest = manifest(&archive);

    let names: Vec<_> = manifest.members.iter().map(|entry| entry.name.clone()).collect();
    let expected =
        ["out/", "out/a/", "out/a/deep.bin", "out/b.txt", "out/empty", "out/link", &long];
    let expected = ["Stdout", "Stderr"]
        .into_iter()
        .map(str::to_owned)
        .chain(expected.iter().map(|name| scene.name(name)));
    assert_eq!(names, expected.collect::<Vec<_>>());
    for entry in &manifest.members {
        let bytes = &archive[place(&entry.range())];
        assert_eq!(entry.sha256.is_some(), entry.kind == Kind::File);
        assert!(entry.sha256.iter().all(|sum| *sum == sha256(bytes)), "{}", entry.name);
    }
    assert!(manifest.notes.is_empty());
    let deep = manifest.member(&format!("/{}", scene.name("out/a/deep.bin"))).unwrap();
    assert_eq!(deep.size, 300_000);
}

#[test]
fn a_walk_finds_what_the_manifest_says_whatever_the_window() {
    let scene = Scene::new();
    scene.put("out/big", &vec![1; 70_000]);
    scene.put(&format!("out/{}/{}", "d".repeat(120), "e".repeat(200)), b"x");
    symlink("t".repeat(140), scene.path("out/link")).unwrap();
    let archive = written(&scene.packing(&[&scene.path("out")]));

    let whole = walked(&archive, archive.len() as u64);
    assert_eq!(whole, walked(&archive, 512));
    assert_eq!(whole, walked(&archive, 5000));

    let manifest = manifest(&archive);
    assert_eq!(whole.len(), manifest.members.len() + 1);
    for (found, entry) in whole.iter().zip(&manifest.members) {
        assert_eq!(found.name, entry.name.as_bytes());
        assert_eq!(found.data, entry.range());
    }
    let link = whole.iter().find(|found| found.kind.is_symlink()).unwrap();
    assert_eq!(link.target.as_deref(), Some("t".repeat(140).as_bytes()));
}

#[test]
fn gnu_tar_unpacks_it_as_it_was() {
    let scene = Scene::new();
    let script = scene.put("out/run.sh", b"#!/bin/sh\n");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o6751)).unwrap();
    let odd = PathBuf::from(std::ffi::OsString::from_vec(b"out/caf\xe9 \"q\"\n".to_vec()));
    fs::write(scene.folder.path().join(&odd), "odd").unwrap();
    let long = format!("out/{}", "n".repeat(201));
    scene.put(&long, b"long");
    symlink("../elsewhere", scene.path("out/link")).unwrap();
    let archive = written(&scene.packing(&[&scene.path("out")]));

    let target = TempDir::new().unwrap();
    let mut tar = Command::new("tar")
        .args(["xpf", "-", "--no-same-owner", "-C"])
        .arg(target.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    tar.stdin.take().unwrap().write_all(&archive).unwrap();
    assert!(tar.wait().unwrap().success());

    let root = target.path().join(scene.folder.path().strip_prefix("/").unwrap());
    assert_eq!(fs::read(target.path().join(STDOUT)).unwrap(), b"hello\n");
    assert_eq!(fs::read(root.join(&odd)).unwrap(), b"odd");
    assert_eq!(fs::read(root.join(&long)).unwrap(), b"long");
    assert_eq!(fs::read_link(root.join("out/link")).unwrap(), Path::new("../elsewhere"));
    let metadata = fs::metadata(root.join("out/run.sh")).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o751);
    assert_eq!(metadata.modified().unwrap(), {
        let ours = fs::metadata(&script).unwrap().modified().unwrap();
        let seconds = ours.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
    });
}

#[test]
fn a_name_that_is_not_utf_8_is_told_byte_by_byte() {
    let scene = Scene::new();
    let name = std::ffi::OsString::from_vec(b"a\xff".to_vec());
    let path = scene.folder.path().join(name);
    fs::write(&path, "x").unwrap();
    let archive = written(&scene.packing(&[&path]));
    let entry = &manifest(&archive).members[2];
    assert!(entry.name.ends_with("a\u{fffd}"));
    let bytes = data_encoding::BASE64.decode(entry.name_base64.as_ref().unwrap().as_bytes());
    assert!(bytes.unwrap().ends_with(b"a\xff"));
}

#[test]
fn what_is_no_file_is_left_out_and_noted() {
    let scene = Scene::new();
    scene.put("out/a", b"a");
    let _socket = UnixListener::bind(scene.path("out/socket")).unwrap();
    let made = Command::new("mkfifo").arg(scene.path("out/pipe")).status().unwrap();
    assert!(made.success());
    let outputs = [
        scene.path("out"),
        scene.path("gone"),
        PathBuf::from("/dev/null"),
        PathBuf::from("/proc/self/status"),
        scene.path("scratch"),
        scene.path("out/../out"),
        PathBuf::from("relative"),
    ];
    let outputs: Vec<&Path> = outputs.iter().map(PathBuf::as_path).collect();
    let manifest = manifest(&written(&scene.packing(&outputs)));

    let text = |name: &str| scene.path(name).to_str().unwrap().to_owned();
    assert_eq!(
        notes(&manifest),
        [
            ("/dev/null", Oddity::Device),
            ("/proc/self/status", Oddity::Foreign),
            (text("gone").as_str(), Oddity::Missing),
            (text("out/pipe").as_str(), Oddity::Fifo),
            (text("out/socket").as_str(), Oddity::Socket),
            (text("out/../out").as_str(), Oddity::Malformed),
            (text("scratch").as_str(), Oddity::Foreign),
            ("relative", Oddity::Malformed),
        ]
    );
    assert_eq!(manifest.members.len(), 4);
}

#[test]
fn no_member_comes_twice_nor_from_behind_a_kept_link() {
    let scene = Scene::new();
    scene.put("out/a", b"a");
    scene.put("else/b", b"b");
    symlink(scene.path("else"), scene.path("out/link")).unwrap();
    let outputs =
        [scene.path("out/a"), scene.path("out/"), scene.path("out/a"), scene.path("out/link/b")];
    let outputs: Vec<&Path> = outputs.iter().map(PathBuf::as_path).collect();
    let manifest = manifest(&written(&scene.packing(&outputs)));

    let mut names: Vec<_> = manifest.members.iter().map(|entry| entry.name.clone()).collect();
    names.sort();
    let unique = names.len();
    names.dedup();
    assert_eq!(names.len(), unique);
    assert_eq!(
        notes(&manifest),
        [(scene.path("out/link/b").to_str().unwrap(), Oddity::BehindSymlink)]
    );
}

#[test]
fn files_that_change_meanwhile_keep_their_first_length_and_are_noted() {
    let scene = Scene::new();
    let grows = scene.put("out/grows", b"12345");
    let shrinks = scene.put("out/shrinks", &vec![b'x'; 600_000]);
    let goes = scene.put("out/goes", b"123");
    let stays = scene.put("out/stays", b"123");
    let packing = scene.packing(&[&scene.path("out")]);
    fs::write(&grows, "1234567").unwrap();
    File::options().write(true).open(&shrinks).unwrap().set_len(400_000).unwrap();
    fs::remove_file(&goes).unwrap();

    let archive = written(&packing);
    let manifest = manifest(&archive);

    let bytes = |path: &Path| {
        let entry = manifest.member(path.to_str().unwrap()).unwrap();
        let bytes = &archive[place(&entry.range())];
        assert_eq!(entry.sha256.as_deref(), Some(sha256(bytes).as_str()));
        (entry.whole, bytes)
    };
    assert_eq!(bytes(&grows), (false, b"12345".as_slice()));
    let mut cut = vec![b'x'; 400_000];
    cut.resize(600_000, 0);
    assert_eq!(bytes(&shrinks), (false, cut.as_slice()));
    assert_eq!(bytes(&goes), (false, [0; 3].as_slice()));
    assert_eq!(bytes(&stays), (true, b"123".as_slice()));
    let what: Vec<_> = manifest.notes.iter().map(|note| note.what).collect();
    assert_eq!(what, [Oddity::Unreadable, Oddity::Grew, Oddity::Shrank]);
}

#[test]
fn a_manifest_longer_than_a_chunk_is_still_of_the_length_foretold() {
    let scene = Scene::new();
    for n in 0..3000 {
        scene.put(&format!("out/{n:04}"), b"x");
    }
    let archive = written(&scene.packing(&[&scene.path("out")]));
    assert_eq!(manifest(&archive).members.len(), 3003);
    assert_eq!(find_manifest(&archive[archive.len() - 4096..], archive.len() as u64), None);
}

#[test]
fn a_file_that_looks_like_the_end_of_an_archive_is_not_taken_for_it() {
    let scene = Scene::new();
    let inner = written(&scene.packing(&[]));
    scene.put("out/z.tar", &inner);
    let archive = written(&scene.packing(&[&scene.path("out")]));
    assert_eq!(manifest(&archive).members.len(), 4);
}

#[test]
fn walks_of_posix_archives_know_long_names_and_sizes() {
    let scene = Scene::new();
    let name = format!("{}/{}", "long".repeat(40), "ü".repeat(40));
    scene.put(&name, b"content");
    let archive = scene.path("posix.tar");
    let made = Command::new("tar")
        .args(["--format=posix", "-cf"])
        .arg(&archive)
        .arg("-C")
        .arg(scene.folder.path())
        .arg(&name)
        .status()
        .unwrap();
    assert!(made.success());
    let mut bytes = Vec::new();
    File::open(archive).unwrap().read_to_end(&mut bytes).unwrap();
    let found = walked(&bytes, 512);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].name, name.as_bytes());
    assert_eq!(&bytes[place(&found[0].data)], b"content");
}

#[test]
fn in_ugcs_layout_there_is_what_has_something_in_it_and_nothing_else() {
    let scene = Scene::new();
    scene.put("out/result", b"result");
    scene.put("out/empty", b"");
    let large = vec![7; 600_000];
    scene.put("out/large", &large);
    symlink("result", scene.path("out/link")).unwrap();
    let long = format!("out/{}", "n".repeat(201));
    scene.put(&long, b"long");
    let packing = scene.gathering(&[&scene.path("out")]).finish(facts(), Layout::Ugc);
    let mut archive = Vec::new();
    for threads in [Threads::One, Threads::Two] {
        archive.clear();
        let packed = packing.write(threads, &mut |chunk| {
            archive.extend_from_slice(chunk.as_ref());
            Ok(())
        });
        assert_eq!(packed.unwrap().manifest_sha256, "");
        assert_eq!(archive.len() as u64, packing.length());
    }
    assert_eq!(find_manifest(&archive, archive.len() as u64), None);

    let found = walked(&archive, 512);
    assert_eq!(found.len(), usize::try_from(packing.members()).unwrap());
    let members = found.iter().map(|found| {
        let name = String::from_utf8(found.name.clone()).unwrap();
        (name, found.mode, &archive[place(&found.data)])
    });
    let path = |name: &str| scene.path(name).to_str().unwrap().to_owned();
    assert_eq!(
        members.collect::<Vec<_>>(),
        [
            ("Stdout".to_owned(), 0o600, b"hello\n".as_slice()),
            (path("out/large"), 0o600, &large),
            (path(&long), 0o600, b"long"),
            (path("out/result"), 0o600, b"result"),
        ]
    );
}

#[test]
fn with_nothing_to_keep_ugcs_layout_is_an_empty_tar() {
    let packing = Gathering::new(Vec::new()).finish(facts(), Layout::Ugc);
    let mut archive = Vec::new();
    let packed = packing.write(Threads::One, &mut |chunk| {
        archive.extend_from_slice(chunk.as_ref());
        Ok(())
    });
    packed.unwrap();
    assert_eq!((archive, packing.members()), (vec![0; 1024], 0));
}

#[test]
fn what_is_no_tar_is_refused() {
    assert_eq!(Walker::new().step(0, &[b'x'; 512]), Err(BadArchive::NotAHeader(0)));
    assert_eq!(find_manifest(&[b'x'; 4096], 4096), None);
    assert_eq!(find_manifest(&[], 0), None);
    assert_eq!(find_manifest(&[0; 100], 50), None);
}

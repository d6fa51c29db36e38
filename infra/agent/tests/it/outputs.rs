//! What is kept of what a process leaves.

use std::fs;

use shared::{
    agent::Layout,
    archive::{Kind, Oddity},
    job::{Cause, Exit},
};

use crate::world::World;

#[test]
fn odd_things_are_kept_or_noted() {
    let world = World::new();
    let mut plan = world.script(
        "mkdir -p d/e; echo x > 'd/a b'; printf x > \"$(printf 'd/\\303\\274\\nz')\"; \
         ln -s ../nowhere d/link; mkfifo d/pipe; ln 'd/a b' d/hard; \
         echo 1 > one.log; echo 2 > two.log; echo 3 > three.txt",
    );
    plan.outputs = vec![
        world.text("work/d"),
        world.text("work/*.log"),
        world.text("work/*.none"),
        world.text("work/gone"),
        "/dev/null".to_owned(),
        world.text("scratch"),
    ];
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));

    let manifest = world.manifest();
    let prefix = world.text("work/");
    let names: Vec<_> = manifest.members[2..]
        .iter()
        .map(|entry| (entry.name.strip_prefix(&prefix[1..]).unwrap(), entry.kind))
        .collect();
    assert_eq!(
        names,
        [
            ("d/", Kind::Folder),
            ("d/a b", Kind::File),
            ("d/e/", Kind::Folder),
            ("d/hard", Kind::File),
            ("d/link", Kind::Symlink),
            ("d/\u{fc}\nz", Kind::File),
            ("one.log", Kind::File),
            ("two.log", Kind::File),
        ]
    );
    let mut notes: Vec<_> =
        manifest.notes.iter().map(|note| (note.path.as_str(), note.what)).collect();
    notes.sort_by_key(|note| note.0);
    let mut expected = [
        ("/dev/null".to_owned(), Oddity::Device),
        (world.text("scratch"), Oddity::Foreign),
        (world.text("work/*.none"), Oddity::Missing),
        (world.text("work/d/pipe"), Oddity::Fifo),
        (world.text("work/gone"), Oddity::Missing),
    ];
    expected.sort_by(|one, other| one.0.cmp(&other.0));
    let notes: Vec<_> = notes.into_iter().map(|(path, what)| (path.to_owned(), what)).collect();
    assert_eq!(notes, expected);
}

#[test]
fn a_job_that_keeps_nothing_still_has_its_streams() {
    let world = World::new();
    let mut plan = world.script("echo hello");
    plan.outputs = Vec::new();
    let report = world.run(plan);
    let members = world.members();
    assert_eq!(members.keys().collect::<Vec<_>>(), ["Stderr", "Stdout", "manifest.json"]);
    assert_eq!(report.archive.unwrap().members, 3);
}

#[test]
fn a_large_output_takes_no_more_memory_than_a_small_one() {
    let world = World::new();
    let plan = world.script("head -c 209715200 /dev/zero > large; head -c 3000000 /dev/zero");
    world.service.change(|state| state.hold_puts = true);
    let agent = world.start(Some(plan));
    world.service.wait(|state| state.stored.then_some(()));
    let status = fs::read_to_string(format!("/proc/{}/status", agent.pid())).unwrap();
    world.service.change(|state| state.hold_puts = false);
    assert_eq!(agent.exit().code(), Some(0));

    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    println!("peak memory of the agent: {peak} KiB");
    assert!(peak < 32 * 1024, "{peak} KiB");
    let report = world.report();
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
    assert_eq!(report.stdout_bytes, 3_000_000);
    let archive = report.archive.unwrap();
    assert_eq!(archive.bytes, fs::metadata(world.service.archive()).unwrap().len());
    let large = world.manifest();
    let large = large.member(&world.text("work/large")).unwrap();
    assert_eq!(large.size, 200 << 20);
    let mut zeros = ring::digest::Context::new(&ring::digest::SHA256);
    (0..200).for_each(|_| zeros.update(&vec![0; 1 << 20]));
    let zeros = data_encoding::HEXLOWER.encode(zeros.finish().as_ref());
    assert_eq!(large.sha256, Some(zeros));
}

#[test]
fn outputs_that_cannot_be_stored_in_time_fail_an_attempt_that_had_succeeded() {
    use crate::service::Mishap;
    let world = World::new();
    let mut plan = world.script("echo hello");
    plan.collect_seconds = 1;
    let mishaps = std::iter::repeat_n(("upload", Mishap::Status(503)), 1000).collect();
    world.service.change(|state| state.mishaps = mishaps);
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), Some(Cause::OutputFailed)));
    assert_eq!(report.archive, None);
    assert_eq!(
        report.message.unwrap(),
        "the outputs could not be stored within 1 s; the last try: answered with status 503"
    );
}

#[test]
fn in_ugcs_layout_outputs_are_under_their_absolute_paths_and_nothing_is_empty() {
    let world = World::new();
    let mut plan = world.script("echo hello; printf result > result; : > empty");
    plan.layout = Layout::Ugc;
    plan.outputs =
        ["result", "empty", "gone"].map(|name| world.text(&format!("work/{name}"))).into();
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
    let members: Vec<_> = world.members().into_iter().collect();
    let expected =
        [(world.text("work/result"), b"result".to_vec()), ("Stdout".into(), b"hello\n".to_vec())];
    assert_eq!(members, expected);
    let archive = report.archive.unwrap();
    assert_eq!((archive.bytes, archive.members), (3_072, 2));
    assert_eq!(archive.manifest_sha256, "");
}

//! What becomes objects beside the archive.

use std::process::Command;

use shared::{
    agent::{Kept, PlanObject, Stream},
    job::{Cause, Exit},
};

use crate::{
    service::{Mishap, upload},
    world::World,
};

const STDOUT: PlanObject = PlanObject { of: Kept::Stream(Stream::Stdout), many: false };

fn one(place: u32) -> PlanObject {
    PlanObject { of: Kept::Output(place), many: false }
}

fn many(place: u32) -> PlanObject {
    PlanObject { of: Kept::Output(place), many: true }
}

/// What became objects, in the order of what it is of.
fn kept(world: &World) -> Vec<(String, String)> {
    let mut kept = world.service.state().kept.clone();
    kept.sort();
    let text = |(name, bytes)| (name, String::from_utf8(bytes).unwrap());
    kept.into_iter().map(text).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn streams_and_outputs_become_objects_and_stay_in_the_archive() {
    let world = World::new();
    let mut plan = world.script(
        "echo hello; echo aside >&2; echo result > one; mkdir -p d/e; echo a > d/a; echo b > d/e/b; \
         echo c > c.csv",
    );
    plan.outputs = ["one", "d", "*.csv"].map(|name| world.text(&format!("work/{name}"))).into();
    plan.objects = vec![STDOUT, one(0), many(1), many(2)];
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
    assert_eq!(
        kept(&world),
        pairs(&[
            ("0:", "result\n"),
            ("1:a", "a\n"),
            ("1:e/b", "b\n"),
            ("2:c.csv", "c\n"),
            ("Stdout:", "hello\n"),
        ])
    );
    assert_eq!(world.kept("d/e/b").as_deref(), Some("b\n"));
    let objects = ["result\n", "a\n", "b\n", "c\n", "hello\n"].concat().len() as u64;
    assert_eq!(report.usage.output_bytes, report.archive.unwrap().bytes + objects);
}

#[test]
fn a_large_object_is_sent_again_when_its_upload_breaks_off() {
    let world = World::new();
    let mut plan = world.script("head -c 3000000 /dev/zero");
    plan.outputs = Vec::new();
    plan.objects = vec![STDOUT];
    let mishaps = [Mishap::HangUp, Mishap::Status(503), Mishap::LoseAnswer];
    world.service.change(|state| state.mishaps = mishaps.map(|mishap| ("keep", mishap)).into());
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
    let kept = world.service.state().kept.clone();
    // That of the answer that was lost, and once more.
    assert_eq!(kept.iter().map(|(_, bytes)| bytes.len()).collect::<Vec<_>>(), [3_000_000; 2]);
}

#[test]
fn an_object_that_cannot_be_put_fails_an_attempt_that_had_succeeded() {
    let world = World::new();
    let mut plan = world.script("echo hello");
    plan.outputs = vec![world.text("work/result")];
    plan.objects = vec![one(0)];
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), Some(Cause::OutputFailed)));
    let path = world.text("work/result");
    assert_eq!(report.message.unwrap(), format!("output {path}: no such file or directory"));
    assert!(report.archive.is_some());

    let world = World::new();
    let mut plan = world.script("echo hello");
    plan.objects = vec![STDOUT];
    // Whatever is asked for is an object.
    plan.upload = Some(upload());
    let mishaps = [Mishap::Status(503), Mishap::Status(409)];
    world.service.change(|state| state.mishaps = mishaps.map(|mishap| ("upload", mishap)).into());
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), Some(Cause::OutputFailed)));
    assert_eq!(report.message.unwrap(), "stdout: the attempt no longer counts");
    assert_eq!(kept(&world), []);
}

#[test]
fn an_object_that_its_store_refuses_is_not_sent_for_ever() {
    let world = World::new();
    let mut plan = world.script("echo hello");
    plan.objects = vec![STDOUT];
    let mishaps = [("keep", Mishap::Status(403)); 3];
    world.service.change(|state| state.mishaps = mishaps.into());
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), Some(Cause::OutputFailed)));
    let why = "stdout: its store refuses it: answered with status 403";
    assert_eq!(report.message.unwrap(), why);
    assert!(report.archive.is_some());
}

#[test]
fn what_is_behind_a_link_that_is_kept_becomes_no_object() {
    let world = World::new();
    let mut plan =
        world.script("mkdir -p out elsewhere; echo x > elsewhere/a; ln -s ../elsewhere out/l");
    plan.outputs =
        ["out", "out/l/a", "out/l/*"].map(|name| world.text(&format!("work/{name}"))).into();
    plan.objects = vec![many(0), many(1), many(2)];
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
    assert_eq!(kept(&world), []);
}

#[test]
fn folders_may_be_in_folders_as_deep_as_paths_are_long() {
    let world = World::new();
    let deep = "d/".repeat(1_800);
    let mut plan = world.script(&format!("mkdir -p {deep} && echo x > {deep}end"));
    plan.outputs = vec![world.text("work/d"), world.text("work/**/*.none")];
    plan.objects = vec![many(0)];
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
    assert_eq!(kept(&world), [(format!("0:{}end", &deep[2..]), "x\n".to_owned())]);
    assert_eq!(report.archive.unwrap().members, 2 + 1_800 + 1 + 1);
    // Folders as deep are not removed by just anybody.
    assert!(Command::new("rm").arg("-r").arg(world.path("work")).status().unwrap().success());
}

#[test]
fn what_a_failed_process_did_not_make_is_not_missed() {
    let world = World::new();
    let mut plan = world.script("echo why; exit 3");
    plan.outputs = vec![world.text("work/result")];
    plan.objects = vec![one(0), STDOUT];
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(3)), Some(Cause::Exited)));
    assert_eq!(report.message, None);
    assert_eq!(kept(&world), pairs(&[("Stdout:", "why\n")]));
}

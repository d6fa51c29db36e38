//! A service that refuses, is away, or loses its answers.

use shared::{
    agent::Plan,
    job::{Cause, Exit},
};

use crate::{
    service::{Mishap, upload},
    world::World,
};

#[test]
fn a_refused_plan_runs_nothing() {
    let world = World::new();
    let agent = world.start(None);
    assert_eq!(agent.exit().code(), Some(64));
    assert!(world.service.state().report.is_none());
    assert!(!world.path("scratch").exists());
}

#[test]
fn a_service_that_is_away_is_waited_for_at_every_step() {
    let world = World::new();
    let plan = world.script("echo hello; head -c 2000000 /dev/zero > large");
    let mishaps = [
        ("plan", Mishap::Status(503)),
        ("plan", Mishap::HangUp),
        ("plan", Mishap::LoseAnswer),
        ("upload", Mishap::Status(500)),
        ("upload", Mishap::HangUp),
        ("put", Mishap::HangUp),
        ("put", Mishap::Status(503)),
        ("report", Mishap::Status(502)),
        ("report", Mishap::HangUp),
        ("report", Mishap::LoseAnswer),
    ];
    world.service.change(|state| state.mishaps = mishaps.into());
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
    assert_eq!(world.service.state().puts, 1);
    assert!(world.service.state().mishaps.is_empty());
    assert_eq!(world.members()["Stdout"], b"hello\n");
}

#[test]
fn a_service_that_starts_after_its_agents_is_found() {
    let world = World::without_service();
    let agent = world.start(Some(world.script("echo hello")));
    world.service.listen();
    assert_eq!(agent.exit().code(), Some(0));
    assert_eq!(world.report().exit, Some(Exit::Code(0)));
}

#[test]
fn an_archive_whose_answer_was_lost_counts_as_stored() {
    for script in ["echo small", "head -c 2000000 /dev/zero > large"] {
        let world = World::new();
        world.service.change(|state| state.mishaps = [("put", Mishap::LoseAnswer)].into());
        let report = world.run(world.script(script));
        assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
        let archive = report.archive.unwrap();
        assert_eq!(archive.etag, "");
        assert_eq!(archive.manifest_sha256.len(), 64);
        assert_eq!(world.service.state().puts, 1);
    }
}

#[test]
fn a_small_archive_goes_where_the_plan_says_unless_that_comes_to_nothing() {
    for (script, mishaps, asked) in [
        ("echo small", vec![], 0),
        ("echo small", vec![("put", Mishap::Status(403))], 1),
        ("head -c 2000000 /dev/zero > large", vec![], 1),
    ] {
        let world = World::new();
        world.service.change(|state| state.mishaps = mishaps.into());
        let plan = Plan { upload: Some(upload()), ..world.script(script) };
        let report = world.run(plan);
        assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
        assert!(report.archive.is_some());
        let state = world.service.state();
        assert_eq!((state.puts, state.uploads.len()), (1, asked), "{script}");
    }
}

#[test]
fn an_archive_that_its_store_refuses_is_not_sent_for_ever() {
    for script in ["echo small", "head -c 2000000 /dev/zero > large"] {
        let world = World::new();
        let mishaps = [Mishap::Status(503), Mishap::Status(403), Mishap::HangUp];
        let all = mishaps.into_iter().chain([Mishap::Status(400), Mishap::Status(403)]);
        world.service.change(|state| state.mishaps = all.map(|mishap| ("put", mishap)).collect());
        let report = world.run(world.script(script));
        assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), Some(Cause::OutputFailed)));
        assert_eq!(report.message.unwrap(), "its store refuses it: answered with status 403");
        assert_eq!(report.archive, None);
        assert!(world.service.state().mishaps.is_empty());
    }
}

#[test]
fn what_the_service_says_for_good_is_not_asked_again() {
    for (verb, status, why) in [
        ("upload", 409, "the attempt no longer counts"),
        ("upload", 400, "it may not be stored: answered with status 400"),
        ("upload", 413, "bytes are too many"),
        ("put", 413, "bytes are too many"),
    ] {
        let world = World::new();
        world.service.change(|state| state.mishaps = [(verb, Mishap::Status(status))].into());
        let report = world.run(world.script("echo hello"));
        assert_eq!(report.cause, Some(Cause::OutputFailed), "{verb} {status}");
        let message = report.message.unwrap();
        assert!(message.ends_with(why), "{message}");
        assert_eq!(world.service.state().uploads.len(), usize::from(verb == "put"));
    }
}

#[test]
fn an_attempt_that_no_longer_counts_is_no_fault_of_the_agents() {
    let world = World::new();
    world.service.change(|state| state.mishaps = [("report", Mishap::Status(409))].into());
    let agent = world.start(Some(world.script("exit 0")));
    assert_eq!(agent.exit().code(), Some(0));
    assert!(world.service.state().report.is_none());
}

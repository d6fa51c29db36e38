//! How a process is ended, by whom, and what is left of it.

use std::{fs, path::Path};

use shared::{
    agent::{PlanInput, PlanSource},
    job::{Cause, Exit},
};

use crate::world::{World, heard, plain};

#[test]
fn a_process_that_ignores_term_is_killed_after_its_grace_and_collected() {
    let world = World::new();
    let ready = world.pipe("ready");
    let mut plan = world.script(&format!(
        "trap '' TERM; echo part > part; echo said; echo up > {}; while :; do sleep 60; done",
        ready.display()
    ));
    plan.grace_seconds = 1;
    let agent = world.start(Some(plan));
    assert_eq!(heard(&ready), "up\n");
    agent.signal("TERM");

    assert_eq!(agent.exit().code(), Some(0));
    let report = world.report();
    assert_eq!((report.exit, report.cause), (Some(Exit::Signal(9)), Some(Cause::Interrupted)));
    assert!(report.usage.wall_ms >= 1000);
    assert_eq!(plain(&report.stdout_tail), "said\n");
    assert_eq!(world.kept("part").unwrap(), "part\n");
}

#[test]
fn a_process_that_heeds_term_may_clean_up() {
    let world = World::new();
    let (ready, never) = (world.pipe("ready"), world.pipe("never"));
    let plan = world.script(&format!(
        "trap 'echo bye; exit 5' TERM; echo up > {}; read line < {}",
        ready.display(),
        never.display()
    ));
    let agent = world.start(Some(plan));
    heard(&ready);
    agent.signal("TERM");
    assert_eq!(agent.exit().code(), Some(0));
    let report = world.report();
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(5)), Some(Cause::Interrupted)));
    assert_eq!(plain(&report.stdout_tail), "bye\n");
}

#[test]
fn other_signals_are_the_processs_own_affair() {
    let world = World::new();
    let (ready, never) = (world.pipe("ready"), world.pipe("never"));
    let plan = world.script(&format!(
        "trap 'echo reread; exit 0' HUP; echo up > {}; read line < {}",
        ready.display(),
        never.display()
    ));
    let agent = world.start(Some(plan));
    heard(&ready);
    agent.signal("HUP");
    assert_eq!(agent.exit().code(), Some(0));
    let report = world.report();
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
    assert_eq!(plain(&report.stdout_tail), "reread\n");
}

#[test]
fn a_process_that_takes_too_long_is_timed_out() {
    let world = World::new();
    let mut plan = world.script("echo begun > begun; exec sleep 600");
    plan.timeout_seconds = 1;
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Signal(15)), Some(Cause::TimedOut)));
    assert_eq!(world.kept("begun").unwrap(), "begun\n");
}

#[test]
fn what_is_stopped_before_its_start_is_not_started() {
    let world = World::new();
    let mut plan = world.script("echo ran > ran");
    // Nobody answers this one.
    let source = PlanSource::Url("/objects/none".to_owned());
    plan.inputs = vec![PlanInput { path: world.text("work/in"), source, mode: 0o644 }];
    let agent = world.start(Some(plan));
    while !world.path("work/in").exists() {
        std::thread::yield_now();
    }
    agent.signal("TERM");
    assert_eq!(agent.exit().code(), Some(0));
    let report = world.report();
    assert_eq!((report.exit, report.cause), (None, Some(Cause::Interrupted)));
    assert!(!world.path("work/ran").exists());
}

#[test]
fn background_processes_neither_hold_up_the_end_nor_outlive_it() {
    let world = World::new();
    let plan = world.script(
        "sleep 600 & echo $! > one; setsid sleep 600 & echo $! > two; \
         (setsid sh -c 'sleep 600 & echo $! > three; wait' &); \
         while ! [ -s three ]; do :; done; echo done",
    );
    let report = world.run(plan);
    assert_eq!((report.exit, report.cause), (Some(Exit::Code(0)), None));
    assert_eq!(plain(&report.stdout_tail), "done\n");
    for name in ["one", "two", "three"] {
        let id = fs::read_to_string(world.path("work").join(name)).unwrap();
        assert!(!Path::new("/proc").join(id.trim()).exists(), "{name} is still there");
    }
}

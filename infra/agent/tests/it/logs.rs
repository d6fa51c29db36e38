//! Live logs.

use std::fs;

use data_encoding::BASE64;
use shared::agent::{LogBatch, Stream};

use crate::{service::Mishap, world::World};

/// What a follower makes of the batches of one stream, gaps left out.
fn followed(batches: &[LogBatch], stream: Stream) -> String {
    let mut text = Vec::new();
    for piece in batches.iter().flat_map(|batch| &batch.pieces) {
        if piece.stream == stream {
            let bytes = BASE64.decode(piece.data.as_bytes()).unwrap();
            assert!(bytes.len() <= 64 * 1024);
            text.resize(usize::try_from(piece.offset).unwrap(), b'?');
            text.extend_from_slice(&bytes);
        }
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn a_long_process_is_followed_while_it_runs_and_to_its_end() {
    let world = World::new();
    let go = world.pipe("go");
    let plan = world.script(&format!(
        "echo one; echo oops >&2; read line < {}; echo two; echo $line",
        go.display()
    ));
    // The first batch is lost, and repeated.
    world.service.change(|state| state.mishaps = [("logs", Mishap::Status(503))].into());
    let agent = world.start(Some(plan));
    let first = world.service.wait(|state| state.batches.first().cloned());
    assert_eq!(followed(std::slice::from_ref(&first), Stream::Stdout), "one\n");
    assert_eq!(followed(&[first], Stream::Stderr), "oops\n");
    fs::write(&go, "three\n").unwrap();
    assert_eq!(agent.exit().code(), Some(0));

    let batches = &world.service.state().batches;
    assert_eq!(followed(batches, Stream::Stdout), "one\ntwo\nthree\n");
    assert_eq!(followed(batches, Stream::Stderr), "oops\n");
}

#[test]
fn logs_end_at_their_limit_and_the_archive_has_all() {
    let world = World::new();
    let go = world.pipe("go");
    let mut plan = world
        .script(&format!("head -c 200000 /dev/zero | tr '\\0' x; read line < {}", go.display()));
    plan.log_limit = 150_000;
    let agent = world.start(Some(plan));
    world.service.wait(|state| state.batches.first().cloned());
    fs::write(&go, "\n").unwrap();
    assert_eq!(agent.exit().code(), Some(0));
    let followed = followed(&world.service.state().batches, Stream::Stdout);
    assert_eq!(followed, "x".repeat(150_000));
    assert_eq!(world.members()["Stdout"].len(), 200_000);
}

#[test]
fn a_short_process_sends_no_logs() {
    let world = World::new();
    world.run(world.script("echo hello"));
    assert!(world.service.state().batches.is_empty());
}

//! Packing what a job leaves behind, beside GNU tar. Both read the same files
//! and write to a pipe; ours takes every member's digest on the way.

use std::{
    fs,
    io::{self, Read, Write},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use shared::archive::{Facts, Gathering, Threads};
use tests::{
    report::{Figure, Quantity, Report, Unit},
    write_pattern,
};

use crate::load::Times;

const ROUNDS: usize = 7;

pub fn measure(report: &mut Report) {
    report.part("packing outputs");
    for (what, files, size) in
        [("4 files of 64 MiB", 4, 64 << 20), ("5,000 files of 4 KiB", 5_000, 4 << 10)]
    {
        let folder = tempfile::tempdir().expect("a folder can be made");
        fill(folder.path(), files, size).expect("files can be written");
        // By turns, so that what else the machine does is shared out evenly;
        // the first turn brings the files into memory.
        let turns = (0..=ROUNDS).map(|_| (ours(folder.path()), theirs(folder.path()))).skip(1);
        let (ours, theirs): (Vec<_>, Vec<_>) = turns.unzip();
        let (ours, theirs) = (Times::from_iter(ours), Times::from_iter(theirs));
        #[expect(clippy::cast_precision_loss, reason = "it is far from 2^52")]
        let mebibytes = (files * size) as f64 / f64::from(1 << 20);
        let rate = |times: &Times| mebibytes / times.median() * 1_000.0;
        report.figure(
            Figure::new(what, rate(&ours), Unit::MebibytesPerSecond)
                .beside("GNU tar", Quantity(rate(&theirs), Unit::MebibytesPerSecond)),
        );
        let ratio = rate(&ours) / rate(&theirs);
        report.figure(Figure::new("  over GNU tar", ratio, Unit::Times).at_least(1.0));
    }
}

/// Files of the pattern, in folders of a hundred.
fn fill(folder: &Path, files: u64, size: u64) -> io::Result<()> {
    for file in 0..files {
        let folder = folder.join(format!("{:03}", file / 100));
        fs::create_dir_all(&folder)?;
        write_pattern(size, &mut fs::File::create(folder.join(format!("{file:05}")))?)?;
    }
    Ok(())
}

/// How long it takes as the agent does it.
fn ours(folder: &Path) -> Duration {
    let began = Instant::now();
    let (reader, mut writer) = io::pipe().expect("a pipe can be made");
    let (read, length) = thread::scope(|scope| {
        let packing = scope.spawn(move || {
            let mut gathering = Gathering::new(Vec::new());
            gathering.outputs(vec![folder.to_owned()]);
            let facts = Facts {
                attempt: String::new(),
                image: String::new(),
                exit: None,
                started_at: None,
                ended_at: None,
            };
            let packing = gathering.finish(facts, shared::job::Layout::Native);
            let mut sink = |chunk: shared::archive::Chunk| writer.write_all(chunk.as_ref());
            packing.write(Threads::Two, &mut sink).expect("the pipe is read");
            packing.length()
        });
        let read = drain(reader);
        (read, packing.join().expect("packing does not panic"))
    });
    assert_eq!(read, length);
    began.elapsed()
}

/// How long it takes GNU tar.
fn theirs(folder: &Path) -> Duration {
    let began = Instant::now();
    let mut command = Command::new("tar");
    command.args(["-cf", "-", "-C"]).arg(folder).arg(".").stdout(Stdio::piped());
    let mut tar = command.spawn().expect("GNU tar can be run");
    let read = drain(tar.stdout.take().expect("it is piped"));
    let ended = tar.wait().expect("a child can be waited for");
    assert!(ended.success() && read > 0, "{ended}");
    began.elapsed()
}

/// Reads to the end, and counts.
fn drain(mut pipe: impl Read) -> u64 {
    let mut buffer = vec![0; 256 << 10];
    let mut count = 0;
    loop {
        match pipe.read(&mut buffer).expect("a pipe can be read") {
            0 => return count,
            read => count += read as u64,
        }
    }
}

//! What the file system remembers of an attempt: one file, which is at once
//! the agent's standard error, the proof that it lives, and a note of its pid.
//!
//! The file is locked before the agent is started and handed to it, so the
//! lock is held for exactly as long as the agent lives, whatever becomes of
//! the server, and the kernel lets it go. A server that dies right after the
//! start has not noted the pid; the lock still says that somebody lives, and
//! the process is then searched for.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    process::Pid,
};
use shared::job::{AttemptId, Resources};

/// The file's name in the attempt's folder.
const NAME: &str = "agent.log";

/// The first line's length. What the agent writes comes after it.
const LINE: usize = 64;

/// What a record says of an attempt's agent.
pub(super) enum Found {
    /// It lives.
    Alive(Pid, Resources),
    /// It has lived.
    Ended(Resources),
    /// It was never started, or ended unseen before its pid could be noted:
    /// nothing is lost by starting it (again), since it asks before it runs
    /// anything.
    Nothing,
}

/// A new record, locked, of an agent that is about to be started.
pub(super) fn open(folder: &Path, resources: Resources) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).open(folder.join(NAME))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    file.write_all(&line(None, resources))?;
    Ok(file)
}

/// Notes the pid of the agent that was started.
pub(super) fn note(file: &File, pid: Pid, resources: Resources) -> io::Result<()> {
    file.write_all_at(&line(Some(pid), resources), 0)
}

fn line(pid: Option<Pid>, resources: Resources) -> [u8; LINE] {
    let pid = pid.map_or(0, |pid| pid.as_raw_nonzero().get());
    let Resources { cpu_millis, memory_mib } = resources;
    let text = format!("1 {pid} {cpu_millis} {memory_mib}");
    let mut line = [b' '; LINE];
    line[..text.len()].copy_from_slice(text.as_bytes());
    line[LINE - 1] = b'\n';
    line
}

/// What the record in `folder` says.
pub(super) fn read(folder: &Path, attempt: AttemptId) -> io::Result<Found> {
    let mut file = match File::open(folder.join(NAME)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        opened => opened?,
    };
    let mut line = Vec::with_capacity(LINE);
    Read::by_ref(&mut file).take(LINE as u64).read_to_end(&mut line)?;
    let noted = parse(&line);
    let alive = flock(&file, FlockOperation::NonBlockingLockShared).is_err();
    let resources = noted.map_or(NOTHING, |(_, resources)| resources);
    let pid = noted.and_then(|(pid, _)| pid);
    if !alive {
        return Ok(if pid.is_some() { Found::Ended(resources) } else { Found::Nothing });
    }
    // A pid could by now be somebody else's, if what the agent has started
    // holds on to its standard error.
    let pid = match pid.filter(|pid| is_agent(*pid, attempt)) {
        Some(pid) => Some(pid),
        None => search(attempt)?,
    };
    Ok(pid.map_or(Found::Ended(resources), |pid| Found::Alive(pid, resources)))
}

const NOTHING: Resources = Resources { cpu_millis: 0, memory_mib: 0 };

fn parse(line: &[u8]) -> Option<(Option<Pid>, Resources)> {
    let text = str::from_utf8(line).ok()?;
    let mut words = text.split_whitespace();
    let version = words.next()?;
    let pid = Pid::from_raw(words.next()?.parse().ok().filter(|pid| *pid >= 0)?);
    let (cpu_millis, memory_mib) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (version == "1").then_some((pid, Resources { cpu_millis, memory_mib }))
}

/// Whether this process was started as the agent of `attempt`.
///
/// It is known by its arguments: its environment, which has the token, is
/// hidden from everybody but root.
pub(super) fn is_agent(pid: Pid, attempt: AttemptId) -> bool {
    let path = format!("/proc/{}/cmdline", pid.as_raw_nonzero());
    let wanted = attempt.to_string();
    let words = std::fs::read(path).unwrap_or_default();
    words.split(|byte| *byte == 0).any(|word| word == wanted.as_bytes())
}

fn search(attempt: AttemptId) -> io::Result<Option<Pid>> {
    for entry in std::fs::read_dir("/proc")? {
        let pid = entry?.file_name().to_str().and_then(|name| name.parse().ok());
        if let Some(pid) = pid.and_then(Pid::from_raw).filter(|pid| is_agent(*pid, attempt)) {
            return Ok(Some(pid));
        }
    }
    Ok(None)
}

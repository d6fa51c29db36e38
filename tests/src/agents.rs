//! Agents at work on this machine, containers' included, as the kernel lists
//! them.

use std::{fs, path::Path};

use rustix::process::{Pid, Signal, kill_process};

use crate::{Memory, Runtime, World, engine};

/// An agent's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent {
    pid: u32,
}

impl Agent {
    /// The agent of the first attempt of this job of one container, if it runs.
    pub fn of(world: &World, job: &str) -> Option<Self> {
        let attempt = first_attempt(job);
        match world.runtime {
            Runtime::Docker => engine::first_process(&attempt),
            Runtime::Process => {
                agents(world.data()).find(|pid| words(*pid).any(|word| word == attempt.as_bytes()))
            }
            // Somewhere else.
            Runtime::Aws => None,
        }
        .map(|pid| Agent { pid })
    }

    /// How much memory it holds; `None` once it is gone.
    pub fn memory(self) -> Option<Memory> {
        Memory::of(self.pid)
    }

    /// How many children it has that still run.
    pub fn children(self) -> usize {
        pids().filter(|pid| parent(*pid) == Some(self.pid)).count()
    }
}

/// The id of the first attempt of a job of one container.
pub(crate) fn first_attempt(job: &str) -> String {
    let hex = job.strip_prefix("job-").expect("it is a job's id");
    format!("att-{hex}-1-0-0-1")
}

/// The agents that the server over `data` has started as processes.
fn agents(data: &Path) -> impl Iterator<Item = u32> {
    let program = data.join("home/agent").into_os_string().into_encoded_bytes();
    pids().filter(move |pid| words(*pid).next() == Some(program.clone()))
}

/// The words that a process was started with.
fn words(pid: u32) -> impl Iterator<Item = Vec<u8>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect::<Vec<_>>().into_iter()
}

/// What runs in the folders of attempts, agents aside: name and arguments.
pub(crate) fn left_behind(data: &Path) -> Vec<String> {
    let attempts = data.join("attempts");
    let inside = |pid: &u32| {
        fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder.starts_with(&attempts))
    };
    let line =
        |pid| String::from_utf8_lossy(&words(pid).collect::<Vec<_>>().join(&b' ')).into_owned();
    pids().filter(inside).map(line).filter(|line| !line.is_empty()).collect()
}

/// Ends the agents that the server over `data` has started as processes, and
/// all their children: without their server they would wait for hours.
pub(crate) fn clear(data: &Path) {
    let mut doomed: Vec<u32> = agents(data).collect();
    let mut next = 0;
    while let Some(pid) = doomed.get(next).copied() {
        doomed.extend(pids().filter(|child| parent(*child) == Some(pid)));
        next += 1;
    }
    for pid in doomed {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn pids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The parent of a process that runs: what has ended and waits to be reaped
/// has none that counts.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; what follows is in order.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z").then_some(parent)
}

//! Running the user's process: from its start until nothing of it is left.

use std::{
    fs, io,
    os::{fd::OwnedFd, unix::process::CommandExt},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use nix::sys::resource::{UsageWho, getrusage};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait,
};
use shared::{
    agent::{Plan, Stream},
    job::{Cause, Exit},
};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep, sleep_until, timeout},
};

use crate::{
    Unstarted, clock,
    fetch::Fetched,
    logs,
    memory::Memory,
    program,
    service::Service,
    signals::{Heard, Signals},
    streams::{Spool, pipe, pump},
};

/// How long what was killed may take to be gone.
const DYING: Duration = Duration::from_secs(10);

/// Variables that a container's runtime sets for whoever it starts, and which
/// programs expect, though no image and no job names them.
const INHERITED: [&str; 3] = ["PATH", "HOME", "HOSTNAME"];

/// The process ran, and is over.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub exit: Exit,
    /// What went wrong.
    pub cause: Option<Cause>,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// In between, in milliseconds.
    pub wall_ms: u64,
    /// User and system time of it and its children, in milliseconds.
    pub cpu_ms: u64,
    /// The most memory held at one time, in bytes.
    pub peak_memory_bytes: u64,
    /// Standard output and standard error.
    pub spools: [Arc<Spool>; 2],
    /// Still sending the last of the logs.
    pub logs: JoinHandle<()>,
}

/// Runs the plan's process to its end.
pub async fn run(
    service: &Arc<Service>,
    plan: &Plan,
    fetched: Fetched,
    scratch: &Path,
    signals: &mut Signals,
) -> Result<Ran, Unstarted> {
    let spool = |stream| Spool::create(scratch, stream).map(Arc::new);
    let spools = [spool(Stream::Stdout), spool(Stream::Stderr)];
    let [Ok(stdout), Ok(stderr)] = spools else {
        let error = spools
            .into_iter()
            .find_map(Result::err)
            .map_or_else(String::new, |error| format!(": {}", program::plain(&error)));
        return Err(Unstarted::fault(format!("cannot write to {}{error}", scratch.display())));
    };
    let spools = [stdout, stderr];
    let container = Container::new();
    let ([out, err], [their_out, their_err]) = pipes().map_err(|error| {
        Unstarted::fault(format!("cannot open pipes: {}", program::plain(&error)))
    })?;

    let (started, started_at) = (Instant::now(), clock::now());
    let main = start(plan, fetched, [their_out, their_err], &container)?;
    let pumps = [
        tokio::spawn(pump(out, Arc::clone(&spools[0]))),
        tokio::spawn(pump(err, Arc::clone(&spools[1]))),
    ];
    let (over, is_over) = oneshot::channel();
    let follow = logs::follow(Arc::clone(service), spools.clone(), plan.log_limit, is_over);
    let logs = tokio::spawn(follow);

    let timeout_at = started + Duration::from_secs(plan.timeout_seconds.into());
    let grace = Duration::from_secs(plan.grace_seconds.into());
    let (exit, stopped) = container.attend(main, timeout_at, grace, signals).await;
    let (ended, ended_at) = (Instant::now(), clock::now());

    container.clear(main, signals).await;
    for pump in pumps {
        // What cannot be killed may hold a stream open, but not us.
        timeout(DYING, pump).await.ok();
    }
    over.send(()).ok();
    let (cpu_ms, largest) = children();
    Ok(Ran {
        exit,
        cause: container.cause(exit, stopped),
        started_at,
        ended_at,
        wall_ms: u64::try_from((ended - started).as_millis()).unwrap_or(u64::MAX),
        cpu_ms,
        peak_memory_bytes: container.peak().unwrap_or(largest),
        spools,
        logs,
    })
}

type Ends<T> = [T; 2];

fn pipes() -> io::Result<(Ends<tokio::net::unix::pipe::Receiver>, Ends<OwnedFd>)> {
    let ((out, their_out), (err, their_err)) = (pipe()?, pipe()?);
    Ok(([out, err], [their_out, their_err]))
}

fn start(
    plan: &Plan,
    fetched: Fetched,
    [stdout, stderr]: Ends<OwnedFd>,
    container: &Container,
) -> Result<Pid, Unstarted> {
    let fail = |why: String| Unstarted::because(Cause::StartFailed, why);
    // The agent goes there itself, so that the child need not: its start can
    // then do without a copy of the agent.
    fs::create_dir_all(&plan.workdir)
        .and_then(|()| std::env::set_current_dir(&plan.workdir))
        .map_err(|error| fail(format!("workdir {}: {}", plan.workdir, program::plain(&error))))?;
    let name = plan.argv.first().map_or("", String::as_str);
    let inherited = INHERITED
        .iter()
        .filter(|name| container.is_first_process && !plan.env.contains_key(**name));
    let inherited: Vec<_> =
        inherited.filter_map(|name| Some((*name, std::env::var_os(name)?))).collect();
    let path = plan.env.get("PATH").map(String::as_str);
    let theirs =
        inherited.iter().find(|(name, _)| *name == "PATH").and_then(|(_, path)| path.to_str());
    let program = program::find(name, path.or(theirs))?;

    let mut command = Command::new(&program);
    command
        .arg0(name)
        .args(plan.argv.iter().skip(1))
        .env_clear()
        .envs(inherited)
        .envs(&plan.env)
        .stdin(fetched.stdin.map_or_else(Stdio::null, Stdio::from))
        .stdout(stdout)
        .stderr(stderr)
        .process_group(0);
    let child = command.spawn().map_err(|error| program::not_started(&program, &error))?;
    // If memory runs out, it is the user's process that goes, not the agent.
    fs::write(format!("/proc/{}/oom_score_adj", child.id()), "1000").ok();
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| Unstarted::fault("the process has no id".to_owned()))
}

/// What the agent and the user's process run in: a container of their own, or
/// else just a tree of processes.
struct Container {
    is_first_process: bool,
    memory: Option<Memory>,
    kills_before: Option<u64>,
}

impl Container {
    fn new() -> Container {
        let is_first_process = rustix::process::getpid().is_init();
        if !is_first_process {
            // What its parent leaves behind comes to us, as it does to a first process.
            rustix::process::set_child_subreaper(Some(rustix::process::getpid())).ok();
        }
        let memory = Memory::find();
        let kills_before = memory.as_ref().and_then(Memory::kills);
        Container { is_first_process, memory, kills_before }
    }

    /// Waits for the process's end, passes signals on to it, and sees to it
    /// that it ends. Tells how it ended, and why it was told to, if it was.
    async fn attend(
        &self,
        main: Pid,
        timeout_at: Instant,
        grace: Duration,
        signals: &mut Signals,
    ) -> (Exit, Option<Cause>) {
        let mut stopped = None;
        let mut alarm = timeout_at;
        let mut killed = false;
        loop {
            let heard = tokio::select! {
                biased;
                heard = signals.next() => Some(heard),
                () = sleep_until(alarm), if !killed => None,
            };
            match (heard, stopped) {
                (Some(Heard::Child), _) => {
                    if let Reaped::Main(exit) = reap(main) {
                        return (exit, stopped);
                    }
                }
                (Some(Heard::Other(signal)), _) => signal_group(main, signal),
                (Some(Heard::Stop) | None, None) => {
                    let told = heard.is_some();
                    stopped = Some(if told { Cause::Interrupted } else { Cause::TimedOut });
                    alarm = Instant::now() + grace;
                    signal_group(main, Signal::TERM);
                }
                (Some(Heard::Stop), Some(_)) => {}
                (None, Some(_)) => {
                    killed = true;
                    self.kill(main);
                }
            }
        }
    }

    /// Ends whatever the process has left behind, so that the streams and the
    /// outputs change no more.
    async fn clear(&self, main: Pid, signals: &mut Signals) {
        let until = Instant::now() + DYING;
        while Instant::now() < until {
            if let Reaped::Nobody = reap(main) {
                return;
            }
            self.kill(main);
            // Children of children come to us one generation at a time.
            tokio::select! {
                _ = signals.next() => {}
                () = sleep(Duration::from_millis(20)) => {}
            }
        }
    }

    fn kill(&self, main: Pid) {
        if self.is_first_process {
            // `kill(-1)`: all that this container has, but for ourselves. In
            // no other place would we dare to say it.
            kill_process_group(Pid::INIT, Signal::KILL).ok();
            return;
        }
        signal_group(main, Signal::KILL);
        let own = std::process::id();
        let children = fs::read_to_string(format!("/proc/self/task/{own}/children"));
        for child in children.unwrap_or_default().split_whitespace() {
            if let Some(child) = child.parse().ok().and_then(Pid::from_raw) {
                kill_process(child, Signal::KILL).ok();
            }
        }
    }

    fn cause(&self, exit: Exit, stopped: Option<Cause>) -> Option<Cause> {
        let is_killed = exit.code() == Exit::Signal(Signal::KILL.as_raw()).code();
        match exit {
            _ if stopped.is_some() => stopped,
            Exit::Code(0) => None,
            // In a container of its own, a kill for memory explains any failure:
            // most programs fail when the kernel takes one of their workers.
            _ if self.has_killed() && (is_killed || self.is_first_process) => {
                Some(Cause::OutOfMemory)
            }
            Exit::Signal(_) => Some(Cause::Signalled),
            Exit::Code(_) => Some(Cause::Exited),
        }
    }

    fn has_killed(&self) -> bool {
        let now = self.memory.as_ref().and_then(Memory::kills);
        now.zip(self.kills_before).is_some_and(|(now, before)| now > before)
    }

    /// The group of a tree of processes is somebody else's as well.
    fn peak(&self) -> Option<u64> {
        self.memory.as_ref().filter(|_| self.is_first_process)?.peak()
    }
}

/// What became of the children.
enum Reaped {
    /// The process itself has ended.
    Main(Exit),
    /// Some are left.
    Some,
    /// None are.
    Nobody,
}

/// Takes note of every child that has ended.
fn reap(main: Pid) -> Reaped {
    let mut ended = None;
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) if pid == main => ended = exit_of(status),
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return ended.map_or(Reaped::Some, Reaped::Main),
            Err(_) => return ended.map_or(Reaped::Nobody, Reaped::Main),
        }
    }
}

fn exit_of(status: WaitStatus) -> Option<Exit> {
    status.exit_status().map(Exit::Code).or_else(|| status.terminating_signal().map(Exit::Signal))
}

/// The group outlives the process itself, and may be gone; both are fine.
fn signal_group(main: Pid, signal: Signal) {
    kill_process_group(main, signal).ok();
}

/// Processor time of all that has ended, in milliseconds, and the most memory
/// that one of them held.
fn children() -> (u64, u64) {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return (0, 0) };
    let spent = usage.user_time() + usage.system_time();
    let millis = spent.tv_sec() * 1000 + spent.tv_usec() / 1000;
    let kib = u64::try_from(usage.max_rss()).unwrap_or(0);
    (u64::try_from(millis).unwrap_or(0), kib * 1024)
}

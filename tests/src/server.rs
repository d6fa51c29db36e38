//! The server as a process: started, found ready, killed, started again.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader},
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;

use crate::{Cpu, Memory, Runtime, program};

/// How a server is started, other than where.
#[derive(Clone, Debug)]
pub struct Options {
    /// CPUs that jobs may use in all: more than there are, since stories are
    /// told of queues and processes, not of one machine's size.
    pub cpus: f64,
    /// MiB that jobs may use in all.
    pub memory_mib: u32,
    /// What else stands on its command line.
    pub more: Vec<String>,
    /// Whether it runs as a user of no rights, where that can be chosen.
    pub unprivileged: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { cpus: 64.0, memory_mib: 64 << 10, more: Vec::new(), unprivileged: false }
    }
}

/// A server that runs.
pub(crate) struct Server {
    child: Child,
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: String,
}

impl Server {
    /// Starts a server over `data`, at `address` or at any free one, and waits
    /// until it is ready.
    pub fn start(
        runtime: Runtime,
        options: &Options,
        data: &Path,
        address: Option<&str>,
    ) -> Result<Self, String> {
        let log = OpenOptions::new().create(true).append(true).open(log_file(data));
        let log = log.map_err(|error| format!("{}: {error}", data.display()))?;
        let mut command = Command::new(program::tarpon());
        if options.unprivileged && geteuid().is_root() {
            command = as_nobody(data).map_err(|error| format!("as nobody: {error}"))?;
        }
        command
            .arg("serve")
            .args(["--listen", address.unwrap_or("127.0.0.1:0")])
            .arg("--data")
            .arg(data)
            .args(["--runtime", runtime.word()])
            .args(["--cpus", &options.cpus.to_string()])
            .args(["--memory", &options.memory_mib.to_string()])
            .args(&options.more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        for (variable, _) in std::env::vars_os() {
            // Whoever tells stories may have settings of their own.
            if variable.to_string_lossy().starts_with("TARPON_") {
                command.env_remove(variable);
            }
        }
        let mut child = command.spawn().map_err(|error| format!("tarpon serve: {error}"))?;
        let stdout = child.stdout.take().expect("it is piped");
        let mut line = String::new();
        // The pipe closes when the server dies, so this ends either way.
        let read = BufReader::new(stdout).read_line(&mut line);
        let ready = read.ok().and_then(|_| serde_json::from_str::<Value>(&line).ok());
        let address = ready.as_ref().and_then(|ready| {
            Some(ready["listening"].as_str()?.strip_prefix("http://")?.to_owned())
        });
        let Some(address) = address else {
            let _ = child.kill();
            let status = child.wait();
            return Err(format!("it said {line:?} and ended: {status:?}\n{}", log_of(data)));
        };
        Ok(Server { child, address })
    }

    /// How much memory it holds.
    pub fn memory(&self) -> Memory {
        Memory::of(self.child.id()).expect("the server runs")
    }

    /// How much processor time it and its children have used.
    pub fn cpu(&self) -> Cpu {
        Cpu::of(self.child.id()).expect("the server runs")
    }

    /// Ends it at once, as a power cut would.
    pub fn kill9(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Asks it to end, and waits until it has: whether by itself and well.
    pub fn stop(mut self) -> bool {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let _ = kill_process(pid.expect("a child has a pid"), Signal::TERM);
        self.child.wait().is_ok_and(|status| status.success())
    }
}

/// The user that has no rights anywhere.
const NOBODY: u32 = 65_534;

/// The program as that user, in a place that it can get at.
fn as_nobody(data: &Path) -> std::io::Result<Command> {
    let folder = data.parent().expect("data is in a folder of the story's own");
    let copy = folder.join("tarpon");
    if !copy.exists() {
        let program = program::tarpon();
        std::fs::copy(&program, &copy)?;
        // A build that has no agent within looks for one beside itself.
        let agent = program.with_file_name("tarpon-agent");
        if agent.exists() {
            std::fs::copy(agent, folder.join("tarpon-agent"))?;
        }
        chown(folder, Some(NOBODY), Some(NOBODY))?;
    }
    let mut command = Command::new(copy);
    command.uid(NOBODY).gid(NOBODY);
    Ok(command)
}

/// Where the server's log is kept: beside its data, not in it.
fn log_file(data: &Path) -> PathBuf {
    data.with_extension("log")
}

/// What servers over `data` have logged.
pub(crate) fn log_of(data: &Path) -> String {
    let log = std::fs::read(log_file(data)).unwrap_or_default();
    String::from_utf8_lossy(&log).into_owned()
}

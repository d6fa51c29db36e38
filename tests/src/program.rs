//! Which programs the stories are told with, and how one is run to its end.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use tokio::{io::AsyncWriteExt, process::Command};

/// The program under test: `TARPON_BINARY`, or the workspace's release build.
pub fn tarpon() -> PathBuf {
    let named = std::env::var_os("TARPON_BINARY").map(PathBuf::from);
    there(named.unwrap_or_else(|| target().join("release/tarpon")), "make build")
}

/// The program that jobs of the stories run: `TARPON_PROBE`, or the
/// workspace's static build.
pub fn probe() -> PathBuf {
    let named = std::env::var_os("TARPON_PROBE").map(PathBuf::from);
    there(named.unwrap_or_else(static_probe), "make probe")
}

/// A Python that has the library of Standard Webhooks.
pub fn webhooks_python() -> PathBuf {
    there(target().join("webhooks/bin/python"), "make testers")
}

/// A Python that has the vendors' own clients.
pub fn clients_python() -> PathBuf {
    there(target().join("clients/bin/python"), "make testers")
}

fn static_probe() -> PathBuf {
    // The folder is named for the platform, and there is but one that runs here.
    let built = |entry: std::io::Result<std::fs::DirEntry>| {
        Some(entry.ok()?.path().join("static/probe")).filter(|path| path.exists())
    };
    let found = std::fs::read_dir(target()).into_iter().flatten().find_map(built);
    found.unwrap_or_else(|| target().join("static/probe"))
}

fn there(path: PathBuf, made_by: &str) -> PathBuf {
    assert!(path.exists(), "{} is not there: `{made_by}` builds it", path.display());
    path
}

fn target() -> PathBuf {
    workspace().join("target")
}

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("this crate is in the workspace").to_owned()
}

/// How a program ended, and what it wrote.
#[derive(Clone, Debug)]
pub struct Said {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Said {
    /// Standard output as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).expect("stdout is text")
    }

    /// Standard output as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The same, once it ended with this code.
    #[expect(clippy::return_self_not_must_use, reason = "the assertion may be all that is wanted")]
    pub fn expect(self, code: i32) -> Self {
        let stdout = String::from_utf8_lossy(&self.stdout);
        assert_eq!(self.code, Some(code), "stdout: {stdout}\nstderr: {}", self.stderr);
        self
    }
}

/// Runs a command to its end, with `stdin` to read.
pub async fn run(command: &mut Command, stdin: &[u8]) -> std::io::Result<Said> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn()?;
    let mut pipe = child.stdin.take().expect("it is piped");
    let feed = async {
        // A program need not read what it is given.
        let _ = pipe.write_all(stdin).await;
        drop(pipe);
    };
    let ((), output) = tokio::join!(feed, child.wait_with_output());
    let Output { status, stdout, stderr } = output?;
    let stderr = String::from_utf8_lossy(&stderr).into_owned();
    Ok(Said { code: status.code(), stdout, stderr })
}

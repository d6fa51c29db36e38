//! The steps that the probe can take, one after the other.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::{SocketAddr, TcpStream},
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Signal, getgid, getpid, getuid, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::pattern::write_pattern;

/// Why a step was not taken.
#[derive(Debug)]
pub struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Failed(error.to_string())
    }
}

/// Takes all the steps, which are told apart by the word `then`.
pub fn steps(words: &[String]) -> Result<(), Failed> {
    for step in words.split(|word| word == "then") {
        let step: Vec<&str> = step.iter().map(String::as_str).collect();
        take(&step).map_err(|Failed(why)| Failed(format!("{}: {why}", step.join(" "))))?;
    }
    Ok(())
}

fn take(step: &[&str]) -> Result<(), Failed> {
    match *step {
        ["exit", code] => std::process::exit(number(code)?),
        ["sleep", seconds] => sleep(Duration::from_secs_f64(number(seconds)?)),
        ["await", file] => await_file(Path::new(file)),
        ["say", text] => say(io::stdout(), text)?,
        ["say", text, "--stderr"] => say(io::stderr(), text)?,
        ["spew", bytes] => write_pattern(number(bytes)?, &mut io::stdout().lock())?,
        ["spew", bytes, "--stderr"] => write_pattern(number(bytes)?, &mut io::stderr().lock())?,
        ["write", path, text] => fs::write(made_for(path)?, text)?,
        ["fill", path, bytes] => {
            write_pattern(number(bytes)?, &mut File::create(made_for(path)?)?)?;
        }
        ["link", target, path] => symlink(target, made_for(path)?)?,
        ["pipe", path] => pipe(made_for(path)?)?,
        ["read", path] => copy(File::open(path)?, io::stdout())?,
        ["read", path, "--stderr"] => copy(File::open(path)?, io::stderr())?,
        ["mode", path] => {
            let bits = fs::metadata(path)?.permissions().mode() & 0o7777;
            say(io::stdout(), &format!("{bits:04o}"))?;
        }
        ["cat"] => copy(io::stdin().lock(), io::stdout().lock())?,
        ["keep", path] => copy(io::stdin().lock(), File::create(made_for(path)?)?)?,
        ["trap", file] => trap(made_for(file)?, false)?,
        ["trap", file, "--ignore"] => trap(made_for(file)?, true)?,
        ["eat", mib] => eat(number(mib)?),
        ["segv"] => segv()?,
        ["abort"] => std::process::abort(),
        ["orphan", seconds] => orphan(seconds)?,
        ["env"] => environment()?,
        ["args", ..] => say(io::stdout(), &step.join("\n"))?,
        ["id"] => {
            let folder = std::env::current_dir()?;
            let (user, group) = (getuid().as_raw(), getgid().as_raw());
            say(io::stdout(), &format!("{user} {group} {}", folder.display()))?;
        }
        ["dial", address] => dial(address)?,
        ["stamp", file, label] => stamp(made_for(file)?, label)?,
        _ => return Err(Failed("there is no such step".into())),
    }
    Ok(())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, Failed> {
    text.parse().map_err(|_| Failed(format!("`{text}` is no such number")))
}

/// The path, once the folder that it is in is there.
fn made_for(path: &str) -> io::Result<&Path> {
    let path = Path::new(path);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(path)
}

/// One write a line, so that lines of several writers do not mix.
fn say(mut to: impl Write, text: &str) -> io::Result<()> {
    to.write_all(format!("{text}\n").as_bytes())?;
    to.flush()
}

fn copy(mut from: impl io::Read, mut to: impl Write) -> io::Result<()> {
    io::copy(&mut from, &mut to)?;
    to.flush()
}

fn await_file(file: &Path) {
    while !file.exists() {
        sleep(Duration::from_millis(5));
    }
}

fn pipe(path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    Ok(mknodat(CWD, path, FileType::Fifo, Mode::RWXU, 0)?)
}

/// Notes in `file` and on stdout that it has started, and that TERM came.
fn trap(file: &Path, ignore: bool) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terms = signal(SignalKind::terminate())?;
        let note = |text| {
            say(OpenOptions::new().append(true).create(true).open(file)?, text)?;
            say(io::stdout(), text)
        };
        note("started")?;
        loop {
            terms.recv().await;
            note("TERM seen")?;
            if !ignore {
                return Ok(());
            }
        }
    })
}

/// A page is only taken once it is written to.
fn eat(mib: usize) {
    let mut all = Vec::new();
    for _ in 0..mib {
        all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
    }
}

/// To be left behind is what the child is for: nobody waits for it.
fn orphan(seconds: &str) -> io::Result<()> {
    let mut child = Command::new(std::env::current_exe()?);
    child.args(["sleep", seconds]).stdin(Stdio::null()).spawn()?;
    Ok(())
}

fn environment() -> io::Result<()> {
    let mut all: Vec<_> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    all.sort();
    say(io::stdout(), &all.join("\n"))
}

fn dial(address: &str) -> Result<(), Failed> {
    let address: SocketAddr = number(address)?;
    let said = match TcpStream::connect_timeout(&address, Duration::from_secs(2)) {
        Ok(_) => "reached".to_owned(),
        Err(error) => format!("not reached: {:?}", error.kind()),
    };
    Ok(say(io::stdout(), &said)?)
}

/// Twice, since the standard library looks at the first for an overflown stack,
/// and then lets go.
fn segv() -> io::Result<()> {
    kill_process(getpid(), Signal::SEGV)?;
    Ok(kill_process(getpid(), Signal::SEGV)?)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the probe is outside of the service: it has no clock"
)]
fn stamp(file: &Path, label: &str) -> Result<(), Failed> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let line = format!("{} {label}", now.as_nanos());
    Ok(say(OpenOptions::new().append(true).create(true).open(file)?, &line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Result<(), Failed> {
        steps(&text.split(' ').map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn a_step_that_is_none_is_named() {
        let why = told("say hello then jump high").unwrap_err().to_string();
        assert_eq!(why, "jump high: there is no such step");
        assert!(told("sleep long").unwrap_err().to_string().contains("`long`"));
    }
}

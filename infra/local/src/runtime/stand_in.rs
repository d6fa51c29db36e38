//! A stand-in for the agent: says when it is up, then does what its token says.
//!
//! A shell script on a static `busybox`, so that it runs in an empty image as
//! well as on the machine itself.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, Mode, mkfifoat};
use shared::{conformance::runtime::Act, job::AttemptId};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    net::unix::pipe,
};

/// What it does is the token itself, as shell code with these two words:
/// `say TEXT`, and `forever`.
const SCRIPT: &str = r#"
home=${0%/*}
say() { echo "$TARPON_ATTEMPT $*" 1<>"$home/said"; }
forever() { while :; do read -r _ 0<>"$home/silence"; done; }
eval "$TARPON_TOKEN"
"#;

/// The folder with the script, and what comes from those who run it.
pub(super) struct StandIn {
    home: PathBuf,
    said: Lines<BufReader<pipe::Receiver>>,
}

impl StandIn {
    /// In the folder `home`, which those who run it see as `seen_as`.
    pub(super) fn in_(home: &Path, seen_as: &Path) -> Self {
        fs::create_dir(home).unwrap();
        fs::set_permissions(home, fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(busybox(), home.join("busybox")).unwrap();
        let script = format!("#!{} sh\n{SCRIPT}", seen_as.join("busybox").display());
        fs::write(home.join("agent"), script).unwrap();
        fs::set_permissions(home.join("agent"), fs::Permissions::from_mode(0o755)).unwrap();
        for fifo in ["said", "silence"] {
            mkfifoat(CWD, home.join(fifo), Mode::empty()).unwrap();
            fs::set_permissions(home.join(fifo), fs::Permissions::from_mode(0o666)).unwrap();
        }
        let said = pipe::OpenOptions::new().read_write(true).open_receiver(home.join("said"));
        StandIn { home: home.to_owned(), said: BufReader::new(said.unwrap()).lines() }
    }

    /// The folder.
    pub(super) fn home(&self) -> &Path {
        &self.home
    }

    /// The token that makes it do this.
    pub(super) fn token(act: Act) -> String {
        match act {
            Act::Exit(code) => format!("say up; exit {code}"),
            Act::UntilTerm => "trap 'exit 0' TERM; say up; forever".to_owned(),
            Act::Stubborn => "trap '' TERM; say up; forever".to_owned(),
            Act::Greedy => "say up; exec $home/busybox tail /dev/zero".to_owned(),
        }
    }

    /// Waits for the next thing that one of them says.
    pub(super) async fn said(&mut self) -> (AttemptId, String) {
        let line = self.said.next_line().await.unwrap().unwrap();
        let (attempt, text) = line.split_once(' ').unwrap();
        (attempt.parse().unwrap(), text.to_owned())
    }
}

/// A static one; in a container there is nothing to link with.
fn busybox() -> PathBuf {
    let places = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
    let found = places.into_iter().find(|place| place.exists());
    let found: io::Result<PathBuf> = found.ok_or_else(|| io::Error::other("no busybox here"));
    found.expect("the tests need Debian's package busybox-static")
}

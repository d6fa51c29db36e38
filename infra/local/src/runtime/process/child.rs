//! A process that may be somebody else's child: its end, its signals.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
};

use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, kill_process, pidfd_open,
    pidfd_send_signal, waitid,
};
use tokio::io::{Interest, unix::AsyncFd};

/// A process, held by a descriptor that no later process can be mistaken for.
pub(super) struct Child {
    pid: Pid,
    handle: AsyncFd<OwnedFd>,
}

impl Child {
    /// The process `pid`, which lives or has not been waited for.
    pub(super) fn of(pid: Pid) -> io::Result<Self> {
        let handle = pidfd_open(pid, PidfdFlags::NONBLOCK)?;
        #[expect(
            deprecated,
            reason = "the successor is unsafe, for types that may change their descriptor; an \
                      owned one cannot"
        )]
        let handle = AsyncFd::with_interest(handle, Interest::READABLE)?;
        Ok(Child { pid, handle })
    }

    /// Waits until it has ended. No thread waits, and nothing is polled.
    pub(super) async fn ended(&self) -> io::Result<()> {
        // Once readable, always readable: the readiness is never taken back.
        self.handle.readable().await.map(|_| ())
    }

    /// How it ended, as a shell would say it; of a process that an earlier
    /// server started nobody can tell.
    pub(super) fn reap(&self) -> Option<i32> {
        let id = WaitId::PidFd(self.handle.get_ref().as_fd());
        let status = waitid(id, WaitIdOptions::EXITED | WaitIdOptions::NOHANG).ok()??;
        code(&status)
    }

    /// Asks it to end; one that has ended is fine.
    pub(super) fn terminate(&self) -> io::Result<()> {
        self.signal(Signal::TERM)
    }

    /// Ends it and all that it has started and not let go of.
    pub(super) fn kill(&self) -> io::Result<()> {
        // Stopped first, so that it starts nothing more while we look.
        self.signal(Signal::STOP)?;
        let mut below = Vec::new();
        descend(self.pid, &mut below);
        self.signal(Signal::KILL)?;
        for pid in below {
            let _ = kill_process(pid, Signal::KILL);
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(self.handle.get_ref(), signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            sent => Ok(sent?),
        }
    }
}

fn code(status: &WaitIdStatus) -> Option<i32> {
    let signal = status.terminating_signal();
    status.exit_status().or(signal.map(|signal| 128 + signal))
}

fn descend(pid: Pid, below: &mut Vec<Pid>) {
    let threads = fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()));
    for thread in threads.into_iter().flatten().flatten() {
        let children = fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| pid.parse().ok());
        for child in children.filter_map(Pid::from_raw) {
            below.push(child);
            descend(child, below);
        }
    }
}

//! The signals that the agent hears.
//!
//! As a container's first process it is sent only those that it listens to, so
//! it listens from its start on, to all that mean something to a program.

use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};

/// Signals of all kinds, queued from now on.
#[derive(Debug)]
pub struct Signals {
    child: unix::Signal,
    stop: [unix::Signal; 2],
    others: [(Signal, unix::Signal); 5],
}

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A child ended, perhaps several.
    Child,
    /// The container is to stop.
    Stop,
    /// One for the user's process.
    Other(Signal),
}

impl Signals {
    /// Listens from here on.
    pub fn listen() -> io::Result<Signals> {
        Ok(Signals {
            child: signal(SignalKind::child())?,
            stop: [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?],
            others: [
                (Signal::HUP, signal(SignalKind::hangup())?),
                (Signal::QUIT, signal(SignalKind::quit())?),
                (Signal::USR1, signal(SignalKind::user_defined1())?),
                (Signal::USR2, signal(SignalKind::user_defined2())?),
                (Signal::WINCH, signal(SignalKind::window_change())?),
            ],
        })
    }

    /// The next signal. A child's end comes first: what has ended is not told
    /// to stop.
    pub async fn next(&mut self) -> Heard {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Waits until the container is to stop.
    pub async fn stop(&mut self) {
        while self.next().await != Heard::Stop {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Heard> {
        if self.child.poll_recv(cx).is_ready() {
            return Poll::Ready(Heard::Child);
        }
        for stop in &mut self.stop {
            if stop.poll_recv(cx).is_ready() {
                return Poll::Ready(Heard::Stop);
            }
        }
        for (which, other) in &mut self.others {
            if other.poll_recv(cx).is_ready() {
                return Poll::Ready(Heard::Other(*which));
            }
        }
        Poll::Pending
    }
}

//! How much processor time a process has used, as the kernel counts it.

use std::time::Duration;

/// How long one of the kernel's ticks is, as it tells them to programs.
const TICK: Duration = Duration::from_millis(10);

/// What `/proc/PID/stat` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cpu {
    /// Used by the process itself, in all its threads.
    pub own: Duration,
    /// Used by its children that have ended and been waited for, and by theirs.
    pub children: Duration,
}

impl Cpu {
    /// Of this process; `None` once it is gone.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything; what follows is in order.
        let fields = stat.rsplit_once(')')?.1.split_whitespace();
        let ticks: Option<Vec<u32>> = fields.skip(11).take(4).map(|n| n.parse().ok()).collect();
        match ticks?.as_slice() {
            [user, system, theirs, their_system] => {
                Some(Cpu { own: TICK * (user + system), children: TICK * (theirs + their_system) })
            }
            _ => None,
        }
    }

    /// What was used after `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Cpu {
            own: self.own.saturating_sub(earlier.own),
            children: self.children.saturating_sub(earlier.children),
        }
    }
}

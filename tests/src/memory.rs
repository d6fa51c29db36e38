//! How much memory a process holds, as the kernel has it.

/// What `/proc/PID/status` says, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Held now.
    pub now: u64,
    /// The most that was ever held.
    pub peak: u64,
}

impl Memory {
    /// Of this process; `None` once it is gone.
    pub fn of(pid: u32) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            let kib = line.split_whitespace().nth(1)?.parse::<u64>().ok()?;
            Some(kib << 10)
        };
        Some(Memory { now: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

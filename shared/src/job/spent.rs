//! What attempts used, added up as they end.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Attempt, Usage};

/// A container is charged for at least so many seconds.
const LEAST_SECONDS: u64 = 60;

/// What attempts used together, those included that failed. Stored as a list of
/// numbers: there is one with every chunk of every wide task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u64; 6]", into = "[u64; 6]")]
pub struct Spent {
    /// What they used, as their agents measured it: sums, but for memory, which
    /// is the most that one of them held.
    pub usage: Usage,
    /// Seconds that their containers are charged for, as Fargate counts them.
    pub container_seconds: u64,
}

impl Spent {
    /// What an attempt used that ends at `at`. Who has not started a process is
    /// charged nothing.
    pub(super) fn of(attempt: &Attempt, usage: Option<Usage>, at: Timestamp) -> Spent {
        let ran = attempt.started_at.map(|_| container_seconds(attempt.claimed_at, at));
        Spent { usage: usage.unwrap_or_default(), container_seconds: ran.unwrap_or_default() }
    }

    /// Whether that is nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Spent::default()
    }
}

/// Seconds that a container is charged for, from being claimed to its end: begun
/// ones count whole.
pub fn container_seconds(claimed_at: Timestamp, ended_at: Timestamp) -> u64 {
    let ms = u64::try_from(ended_at.duration_since(claimed_at).as_millis()).unwrap_or(0);
    ms.div_ceil(1_000).max(LEAST_SECONDS)
}

impl std::ops::Add for Spent {
    type Output = Spent;

    fn add(self, other: Spent) -> Spent {
        let (one, two) = (self.usage, other.usage);
        // Agents say what they like: no sum is worth a panic.
        let usage = Usage {
            wall_ms: one.wall_ms.saturating_add(two.wall_ms),
            cpu_ms: one.cpu_ms.saturating_add(two.cpu_ms),
            peak_memory_bytes: one.peak_memory_bytes.max(two.peak_memory_bytes),
            input_bytes: one.input_bytes.saturating_add(two.input_bytes),
            output_bytes: one.output_bytes.saturating_add(two.output_bytes),
        };
        let seconds = self.container_seconds.saturating_add(other.container_seconds);
        Spent { usage, container_seconds: seconds }
    }
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Spent) {
        *self = *self + other;
    }
}

impl std::iter::Sum for Spent {
    fn sum<I: Iterator<Item = Spent>>(all: I) -> Spent {
        all.fold(Spent::default(), std::ops::Add::add)
    }
}

impl From<[u64; 6]> for Spent {
    fn from(numbers: [u64; 6]) -> Spent {
        let [wall_ms, cpu_ms, peak_memory_bytes, input_bytes, output_bytes, container_seconds] =
            numbers;
        let usage = Usage { wall_ms, cpu_ms, peak_memory_bytes, input_bytes, output_bytes };
        Spent { usage, container_seconds }
    }
}

impl From<Spent> for [u64; 6] {
    fn from(spent: Spent) -> [u64; 6] {
        let Spent { usage, container_seconds } = spent;
        let Usage { wall_ms, cpu_ms, peak_memory_bytes, input_bytes, output_bytes } = usage;
        [wall_ms, cpu_ms, peak_memory_bytes, input_bytes, output_bytes, container_seconds]
    }
}

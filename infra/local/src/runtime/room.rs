//! How much of the machine is taken, and by whom.

use std::{collections::HashMap, fmt, sync::Mutex};

use shared::{
    job::{AttemptKey, ProjectId, Resources},
    keyed::guard,
    platform::Admission,
};
use tokio::sync::watch;

/// CPUs and memory, shared out to attempts until these are forgotten.
pub struct Room {
    total: Resources,
    taken: Mutex<Taken>,
    freed: watch::Sender<u64>,
}

#[derive(Default)]
struct Taken {
    by: HashMap<AttemptKey, Resources>,
    all: Sum,
    of: HashMap<ProjectId, Sum>,
    /// Who is to have the next room, whatever comes first.
    kept_for: Option<AttemptKey>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Sum {
    cpu_millis: u64,
    memory_mib: u64,
}

impl Room {
    /// All of `total`, and nobody in it.
    pub fn new(total: Resources) -> Self {
        Room { total, taken: Mutex::default(), freed: watch::Sender::new(0) }
    }

    /// All of this machine.
    pub fn of_this_machine() -> Resources {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let memory = rustix::system::sysinfo();
        let bytes = memory.totalram.saturating_mul(u64::from(memory.mem_unit.max(1)));
        Resources {
            cpu_millis: u32::try_from(cpus).unwrap_or(u32::MAX).saturating_mul(1_000),
            memory_mib: u32::try_from(bytes >> 20).unwrap_or(u32::MAX),
        }
    }

    /// Takes room for `attempt` if there is enough; it may have it already.
    pub fn admit(&self, attempt: AttemptKey, asked: Resources) -> Admission {
        if let Some(excess) = self.excess(asked) {
            return Admission::TooLarge(excess);
        }
        let mut taken = guard(&self.taken);
        if taken.by.contains_key(&attempt) {
            return Admission::Admitted;
        }
        if taken.kept_for.is_some_and(|first| first != attempt) {
            return Admission::Full;
        }
        let with = taken.all.with(asked);
        let fits = with.cpu_millis <= self.total.cpu_millis.into()
            && with.memory_mib <= self.total.memory_mib.into();
        if !fits {
            return Admission::Full;
        }
        taken.add(attempt, asked);
        taken.kept_for = None;
        Admission::Admitted
    }

    /// Keeps what room there is for one attempt, until that has it or it is
    /// kept for another. Tells whether it was not kept for this one before.
    pub fn keep(&self, attempt: Option<AttemptKey>) -> bool {
        std::mem::replace(&mut guard(&self.taken).kept_for, attempt) != attempt
    }

    /// Takes room for what runs already, whether there is enough or not.
    pub fn hold(&self, attempt: AttemptKey, used: Resources) {
        let mut taken = guard(&self.taken);
        if !taken.by.contains_key(&attempt) {
            taken.add(attempt, used);
        }
    }

    /// Gives back what `attempt` has taken, if anything.
    pub fn free(&self, attempt: AttemptKey) {
        if guard(&self.taken).remove(attempt) {
            self.freed.send_modify(|times| *times += 1);
        }
    }

    /// Changes whenever room was freed.
    pub fn freed(&self) -> watch::Receiver<u64> {
        self.freed.subscribe()
    }

    /// What the project has of all there is, in millionths: of CPUs or of
    /// memory, whichever it has more of.
    pub fn share(&self, project: ProjectId) -> u64 {
        let sum = guard(&self.taken).of.get(&project).copied().unwrap_or_default();
        let part = |taken: u64, total: u32| taken * 1_000_000 / u64::from(total.max(1));
        let Resources { cpu_millis, memory_mib } = self.total;
        part(sum.cpu_millis, cpu_millis).max(part(sum.memory_mib, memory_mib))
    }

    /// What of it is more than there is in all, if anything.
    pub fn excess(&self, asked: Resources) -> Option<String> {
        if asked.cpu_millis > self.total.cpu_millis {
            let (asked, total) = (Cpus(asked.cpu_millis), Cpus(self.total.cpu_millis));
            return Some(format!("asks for {asked}, and this machine has {total}"));
        }
        (asked.memory_mib > self.total.memory_mib).then(|| {
            let (asked, total) = (asked.memory_mib, self.total.memory_mib);
            format!("asks for {asked} MiB of memory, and this machine has {total}")
        })
    }
}

impl Taken {
    fn add(&mut self, attempt: AttemptKey, used: Resources) {
        self.by.insert(attempt, used);
        self.all = self.all.with(used);
        let of = self.of.entry(attempt.project).or_default();
        *of = of.with(used);
    }

    fn remove(&mut self, attempt: AttemptKey) -> bool {
        let Some(used) = self.by.remove(&attempt) else { return false };
        self.all = self.all.without(used);
        if let Some(of) = self.of.get_mut(&attempt.project) {
            *of = of.without(used);
            if *of == Sum::default() {
                self.of.remove(&attempt.project);
            }
        }
        true
    }
}

impl Sum {
    fn with(self, used: Resources) -> Self {
        Sum {
            cpu_millis: self.cpu_millis + u64::from(used.cpu_millis),
            memory_mib: self.memory_mib + u64::from(used.memory_mib),
        }
    }

    fn without(self, used: Resources) -> Self {
        Sum {
            cpu_millis: self.cpu_millis - u64::from(used.cpu_millis),
            memory_mib: self.memory_mib - u64::from(used.memory_mib),
        }
    }
}

/// Thousandths of a CPU, as people say it: `1 CPU`, `0.25 CPUs`, `64 CPUs`.
struct Cpus(u32);

impl fmt::Display for Cpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = if self.0 == 1_000 { "CPU" } else { "CPUs" };
        write!(f, "{} {unit}", f64::from(self.0) / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use shared::job::{AttemptId, JobId, ProjectId};

    use super::*;

    fn attempt(number: u32) -> AttemptKey {
        let job = JobId::from_bits(7);
        AttemptKey {
            project: ProjectId::new([1; 16]),
            attempt: AttemptId { job, run: 1, task: 0, instance: 0, number },
        }
    }

    fn room() -> Room {
        Room::new(Resources { cpu_millis: 2_000, memory_mib: 1_024 })
    }

    fn asks(cpu_millis: u32, memory_mib: u32) -> Resources {
        Resources { cpu_millis, memory_mib }
    }

    #[test]
    fn room_is_taken_once_per_attempt_and_given_back_once() {
        let room = room();
        assert_eq!(room.admit(attempt(1), asks(1_500, 100)), Admission::Admitted);
        assert_eq!(room.admit(attempt(1), asks(1_500, 100)), Admission::Admitted);
        assert_eq!(room.admit(attempt(2), asks(600, 100)), Admission::Full);
        assert_eq!(room.admit(attempt(3), asks(500, 924)), Admission::Admitted);
        assert_eq!(room.admit(attempt(4), asks(0, 1)), Admission::Full);

        let freed = room.freed();
        room.free(attempt(1));
        room.free(attempt(1));
        assert_eq!(*freed.borrow(), 1);
        assert_eq!(room.admit(attempt(2), asks(1_500, 100)), Admission::Admitted);
    }

    #[test]
    fn room_that_is_kept_for_one_is_for_nobody_else() {
        let room = room();
        assert_eq!(room.admit(attempt(1), asks(1_500, 100)), Admission::Admitted);
        assert_eq!(room.admit(attempt(2), asks(1_000, 100)), Admission::Full);
        assert!(room.keep(Some(attempt(2))));
        assert!(!room.keep(Some(attempt(2))));
        assert_eq!(room.admit(attempt(3), asks(100, 100)), Admission::Full);
        assert_eq!(room.admit(attempt(1), asks(1_500, 100)), Admission::Admitted, "it has it");
        room.free(attempt(1));
        assert_eq!(room.admit(attempt(3), asks(100, 100)), Admission::Full);
        assert_eq!(room.admit(attempt(2), asks(1_000, 100)), Admission::Admitted);
        assert_eq!(room.admit(attempt(3), asks(100, 100)), Admission::Admitted);
        room.keep(Some(attempt(4)));
        room.keep(None);
        assert_eq!(room.admit(attempt(5), asks(100, 100)), Admission::Admitted);
    }

    #[test]
    fn a_projects_share_is_of_what_it_has_most_of() {
        let room = room();
        let other =
            |attempt: AttemptKey| AttemptKey { project: ProjectId::new([2; 16]), ..attempt };
        let shares = || [[1; 16], [2; 16], [3; 16]].map(|id| room.share(ProjectId::new(id)));
        assert_eq!(shares(), [0, 0, 0]);
        room.admit(attempt(1), asks(500, 512));
        room.hold(other(attempt(2)), asks(1_000, 256));
        room.hold(other(attempt(2)), asks(1_000, 256));
        assert_eq!(shares(), [500_000, 500_000, 0]);
        room.free(other(attempt(2)));
        room.hold(attempt(3), asks(1_000, 0));
        assert_eq!(shares(), [750_000, 0, 0]);
        room.free(attempt(1));
        room.free(attempt(3));
        assert_eq!(shares(), [0, 0, 0]);
    }

    #[test]
    fn what_runs_already_counts_even_where_it_does_not_fit() {
        let room = room();
        room.hold(attempt(1), asks(9_000, 9_000));
        assert_eq!(room.admit(attempt(2), asks(1, 1)), Admission::Full);
        room.free(attempt(1));
        assert_eq!(room.admit(attempt(2), asks(1, 1)), Admission::Admitted);
    }

    #[test]
    fn what_can_never_fit_is_told_so_with_both_numbers() {
        let said = |asked| match room().admit(attempt(1), asked) {
            Admission::TooLarge(said) => said,
            other => panic!("{other:?}"),
        };
        assert_eq!(said(asks(64_000, 1)), "asks for 64 CPUs, and this machine has 2 CPUs");
        assert_eq!(said(asks(2_500, 1)), "asks for 2.5 CPUs, and this machine has 2 CPUs");
        assert_eq!(said(asks(1, 4_096)), "asks for 4096 MiB of memory, and this machine has 1024");
    }

    #[test]
    fn this_machine_has_something() {
        let machine = Room::of_this_machine();
        assert!(machine.cpu_millis >= 1_000 && machine.memory_mib > 0, "{machine:?}");
    }
}

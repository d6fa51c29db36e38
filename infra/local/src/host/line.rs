//! Whose turn it is, when queues of several projects want the same machine.
//!
//! The project that has the least of it comes first: by whatever it has most
//! of, CPUs or memory, in proportion to all there is. So each gets the same
//! share as long as it has use for it, and what one leaves is for the others.
//! Among queues that are alike in that, whichever has waited longest.
//!
//! Where the first of a queue finds no room, the room is kept for it: nobody
//! else is served until it has found its place, in whatever queue or project.
//! Else the small jobs of all others would keep a big one waiting for good.

use std::collections::VecDeque;

use shared::{job::ProjectId, ops::rows::QueueKey, platform::Key};

/// Queues that may be able to start something.
#[derive(Debug, Default)]
pub struct WaitingLine {
    queues: VecDeque<QueueKey>,
    first: Option<First>,
}

/// The queue that room is kept for.
#[derive(Debug)]
struct First {
    queue: QueueKey,
    /// The row of the job, or of the part of it, that is to have it.
    row: Option<Key>,
    /// Whether there is a reason to try again.
    again: bool,
}

/// A queue that is to be served.
#[derive(Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which.
    pub queue: QueueKey,
    /// Whether other projects wait for theirs.
    pub contended: bool,
}

impl WaitingLine {
    /// Adds a queue. Tells whether there is a reason to look whose turn it is.
    pub fn join(&mut self, queue: QueueKey) -> bool {
        if let Some(first) = self.first.as_mut().filter(|first| first.queue == queue) {
            return !std::mem::replace(&mut first.again, true);
        }
        if self.queues.contains(&queue) {
            return false;
        }
        self.queues.push_back(queue);
        self.first.is_none()
    }

    /// A row has changed: what room is kept for may no longer want it. Tells
    /// whether there is a reason to look.
    pub fn changed(&mut self, row: &Key) -> bool {
        match &mut self.first {
            Some(first) if first.row.as_ref() == Some(row) => {
                !std::mem::replace(&mut first.again, true)
            }
            _ => false,
        }
    }

    /// Room was freed.
    pub fn freed(&mut self) {
        if let Some(first) = &mut self.first {
            first.again = true;
        }
    }

    /// Whose turn it is now; `share` tells what a project has of the machine.
    pub fn next(&mut self, share: impl Fn(ProjectId) -> u64) -> Option<Turn> {
        let queue = match self.first.take() {
            Some(first) if !first.again => {
                self.first = Some(first);
                return None;
            }
            Some(first) => first.queue,
            None => {
                let queues = self.queues.iter().enumerate();
                let (place, _) = queues.min_by_key(|(place, q)| (share(q.project), *place))?;
                self.queues.remove(place)?
            }
        };
        let contended = self.queues.iter().any(|other| other.project != queue.project);
        Some(Turn { queue, contended })
    }

    /// The first of the queue has found no room: it is kept until there is.
    pub fn keep_room(&mut self, queue: QueueKey, row: Option<Key>) {
        self.queues.retain(|other| *other != queue);
        self.first = Some(First { queue, row, again: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(project: u8, name: &str) -> QueueKey {
        QueueKey { project: ProjectId::new([project; 16]), name: name.parse().unwrap() }
    }

    /// A line of these queues, in this order.
    fn line(queues: &[(u8, &str)]) -> WaitingLine {
        let mut line = WaitingLine::default();
        for (project, name) in queues {
            assert!(line.join(queue(*project, name)));
        }
        line
    }

    fn served(line: &mut WaitingLine, shares: &[u64]) -> Vec<QueueKey> {
        let share = |project: ProjectId| {
            let of = |n: &usize| ProjectId::new([u8::try_from(*n).unwrap(); 16]) == project;
            shares[(0..shares.len()).find(of).unwrap()]
        };
        std::iter::from_fn(|| line.next(share).map(|turn| turn.queue)).collect()
    }

    #[test]
    fn who_has_least_comes_first_and_then_who_has_waited_longest() {
        let mut line = line(&[(0, "a"), (1, "a"), (0, "b"), (2, "a"), (1, "b")]);
        let expected = [(2, "a"), (1, "a"), (1, "b"), (0, "a"), (0, "b")];
        assert_eq!(served(&mut line, &[9, 5, 0]), expected.map(|(p, name)| queue(p, name)));
        assert_eq!(line.next(|_| 0), None);
    }

    #[test]
    fn a_queue_waits_once_however_often_it_joins() {
        let mut line = line(&[(0, "a")]);
        assert!(!line.join(queue(0, "a")));
        assert_eq!(served(&mut line, &[0]), [queue(0, "a")]);
        assert!(line.join(queue(0, "a")));
    }

    #[test]
    fn only_others_of_other_projects_are_contenders() {
        let mut line = line(&[(0, "a"), (0, "b"), (1, "a")]);
        let contended: Vec<bool> =
            std::iter::from_fn(|| line.next(|_| 0).map(|turn| turn.contended)).collect();
        assert_eq!(contended, [true, true, false]);
    }

    #[test]
    fn nobody_is_served_while_room_is_kept_for_another() {
        let row = Key::new("jobs", "big");
        let mut line = line(&[(0, "a"), (1, "a")]);
        let big = line.next(|_| 0).unwrap().queue;
        line.keep_room(big.clone(), Some(row.clone()));
        assert!(!line.join(queue(2, "a")), "it has to wait");
        assert_eq!(line.next(|_| 0), None);
        line.freed();
        let turn = line.next(|_| 0).unwrap();
        assert_eq!(turn, Turn { queue: big.clone(), contended: true });
        line.keep_room(big.clone(), Some(row.clone()));

        // It was cancelled, say, or something came before it.
        assert!(!line.changed(&Key::new("jobs", "other")));
        assert!(line.changed(&row));
        assert!(!line.changed(&row), "once is enough");
        assert_eq!(line.next(|_| 0).unwrap().queue, big);
        line.keep_room(big.clone(), None);
        assert!(line.join(big.clone()));
        assert_eq!(line.next(|_| 0).unwrap().queue, big);

        // It has found its place: the others go on.
        assert_eq!(served(&mut line, &[0, 0, 0]), [queue(1, "a"), queue(2, "a")]);
    }
}

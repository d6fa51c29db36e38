//! The one thread that writes: all that waits goes into one transaction and under one fsync.
//!
//! There is no delay to gather more: while one fsync runs, the next batch
//! gathers by itself, and a lone writer never waits for company.
//!
//! After a crash the whole file is read to find out which of its pages are
//! free. Noting that down with each commit would cost a second fsync; it is
//! done once whenever the writer falls idle, so that only a crash in the middle
//! of writing makes for a slow start.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use redb::{Error, WriteTransaction};

use super::file::{Chore, File, StoreError};

/// How much one fsync may answer for: bounds the memory of uncommitted pages.
const LARGEST_BATCH: usize = 256;

/// How long the writer is idle before it does chores.
const IDLE: Duration = Duration::from_secs(5);

/// After how many batches it does chores though it is never idle.
const BUSY: u32 = 512;

/// What the writer is asked to do.
pub(super) enum Work {
    Write(Box<dyn Write>),
    Chore(Chore),
}

/// A change that somebody waits for.
pub(super) trait Write: Send {
    /// Makes it, and says whether it changed anything; an error spoils the transaction.
    fn apply(&mut self, transaction: &WriteTransaction) -> Result<bool, Error>;

    /// Tells whoever waits.
    fn settle(self: Box<Self>, durable: Result<(), StoreError>);
}

/// The change that a pair of closures makes and answers.
pub(super) struct Job<A, S, T, E> {
    apply: Option<A>,
    outcome: Option<Result<T, E>>,
    settle: S,
}

impl<A, S, T, E> Job<A, S, T, E> {
    pub(super) fn new(apply: A, settle: S) -> Self {
        Job { apply: Some(apply), outcome: None, settle }
    }
}

impl<A, S, T, E> Write for Job<A, S, T, E>
where
    A: FnOnce(&WriteTransaction) -> Result<Result<T, E>, Error> + Send,
    S: FnOnce(Result<Result<T, E>, StoreError>) + Send,
    T: Send,
    E: Send,
{
    fn apply(&mut self, transaction: &WriteTransaction) -> Result<bool, Error> {
        let Some(apply) = self.apply.take() else { return Ok(false) };
        let outcome = apply(transaction)?;
        let changed = outcome.is_ok();
        self.outcome = Some(outcome);
        Ok(changed)
    }

    fn settle(self: Box<Self>, durable: Result<(), StoreError>) {
        let Job { outcome, settle, .. } = *self;
        settle(durable.and_then(|()| outcome.ok_or(StoreError::Closed)));
    }
}

/// Writes until the last sender is gone.
pub(super) fn run(file: &File, queue: &Receiver<Work>) {
    let mut writer = Writer { file, chores: Vec::new(), sound: true, settled: false };
    let mut patience = IDLE;
    let mut since_chores = 0;
    loop {
        match queue.recv_timeout(patience) {
            Ok(first) => {
                let rest = std::iter::from_fn(|| queue.try_recv().ok());
                let known = writer.chores.len();
                writer.write(std::iter::once(first).chain(rest).take(LARGEST_BATCH));
                since_chores += 1;
                if since_chores < BUSY && writer.chores.len() == known {
                    continue;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        let idle = since_chores == 0;
        since_chores = 0;
        patience = if writer.do_chores() { Duration::ZERO } else { IDLE };
        if idle && patience == IDLE {
            writer.settle();
        }
    }
}

struct Writer<'a> {
    file: &'a File,
    chores: Vec<Chore>,
    /// Whether the file has not failed since it was last opened.
    sound: bool,
    /// Whether the free pages are noted as of the latest commit.
    settled: bool,
}

impl Writer<'_> {
    fn write(&mut self, work: impl Iterator<Item = Work>) {
        let mut batch = Vec::new();
        for work in work {
            match work {
                Work::Write(write) => batch.push(write),
                Work::Chore(chore) => self.chores.push(chore),
            }
        }
        let durable = self.transact(|transaction| {
            let mut changed = false;
            for write in &mut batch {
                changed |= write.apply(transaction)?;
            }
            Ok(changed)
        });
        let durable = durable.map(|_| ()).map_err(StoreError::from);
        for write in batch {
            write.settle(durable.clone());
        }
    }

    /// Does every chore once, and says whether any of them found something.
    fn do_chores(&mut self) -> bool {
        let mut chores = std::mem::take(&mut self.chores);
        let done = self.transact(|transaction| {
            let mut changed = false;
            for chore in &mut chores {
                changed |= chore(transaction)?;
            }
            Ok(changed)
        });
        self.chores = chores;
        done.unwrap_or_else(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "housekeeping failed");
            false
        })
    }

    /// Notes which pages are free.
    fn settle(&mut self) {
        if self.settled {
            return;
        }
        let noted = self.transact(|transaction| {
            transaction.set_quick_repair(true);
            Ok(true)
        });
        match noted {
            Ok(_) => self.settled = true,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "housekeeping failed");
            }
        }
    }

    fn transact(
        &mut self,
        change: impl FnOnce(&mut WriteTransaction) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        if !self.sound {
            self.file.reopen()?;
            self.sound = true;
        }
        let done = self.file.write(|mut transaction| {
            let changed = change(&mut transaction)?;
            if changed {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok(changed)
        });
        self.sound = done.is_ok();
        self.settled &= matches!(done, Ok(false));
        done
    }
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::{
            Arc,
            atomic::{AtomicBool, Ordering},
        },
    };

    use redb::{Builder, Database, TableDefinition};

    use super::*;

    const NUMBERS: TableDefinition<u32, u32> = TableDefinition::new("numbers");

    /// Whether a server that starts with the file as it lies there has to repair it.
    fn is_slow_to_open(path: &Path) -> bool {
        let copy = path.with_extension("copy");
        std::fs::copy(path, &copy).unwrap();
        let repaired = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&repaired);
        let mut builder = Builder::new();
        builder.set_repair_callback(move |_| told.store(true, Ordering::Relaxed));
        drop(builder.open(copy).unwrap());
        repaired.load(Ordering::Relaxed)
    }

    #[test]
    fn a_crash_of_an_idle_server_does_not_make_the_next_start_slow() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let theirs = path.clone();
        let file = File::open(move || Database::create(&theirs)).unwrap();
        let mut writer = Writer { file: &file, chores: Vec::new(), sound: true, settled: false };
        let mut insert = |number: u32| {
            let insert = move |transaction: &WriteTransaction| {
                transaction.open_table(NUMBERS)?.insert(number, number)?;
                Ok(Ok::<(), StoreError>(()))
            };
            let job = Job::new(insert, |outcome: Result<Result<(), _>, _>| {
                outcome.unwrap().unwrap();
            });
            writer.write(std::iter::once(Work::Write(Box::new(job))));
            let busy = is_slow_to_open(&path);
            writer.settle();
            (busy, is_slow_to_open(&path))
        };
        assert_eq!([insert(1), insert(2)], [(true, false), (true, false)]);
    }
}

//! The one thread that writes: all that waits goes into one transaction and under one fsync.
//!
//! There is no delay to gather more: while one fsync runs, the next batch
//! gathers by itself, and a lone writer never waits for company.

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
    let mut writer = Writer { file, chores: Vec::new(), sound: true };
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
        since_chores = 0;
        patience = if writer.do_chores() { Duration::ZERO } else { IDLE };
    }
}

struct Writer<'a> {
    file: &'a File,
    chores: Vec<Chore>,
    /// Whether the file has not failed since it was last opened.
    sound: bool,
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

    fn transact(
        &mut self,
        change: impl FnOnce(&WriteTransaction) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        if !self.sound {
            self.file.reopen()?;
            self.sound = true;
        }
        let done = self.file.write(|transaction| {
            let changed = change(&transaction)?;
            if changed {
                transaction.commit()?;
            } else {
                transaction.abort()?;
            }
            Ok(changed)
        });
        self.sound = done.is_ok();
        done
    }
}

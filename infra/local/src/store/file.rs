//! The store's file: opened by one process, read by many tasks, written through one thread.

use std::{
    io::{Error as IoError, ErrorKind},
    path::{Path, PathBuf},
    sync::{
        Arc, PoisonError, RwLock,
        mpsc::{self, Sender},
    },
    thread::{self, JoinHandle},
};

use redb::{
    Builder, Database, DatabaseError, Error, ReadTransaction, ReadableDatabase, StorageError,
    WriteTransaction,
};
use tokio::sync::oneshot;

use super::writer::{self, Job, Work};

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file is locked.
    #[error("another server is using {}", .0.display())]
    InUse(PathBuf),
    /// The file's format is not one that this program reads.
    #[error("{} was written by another version of tarpon (file format {found})", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u8,
    },
    /// The file is not what was written.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Error,
    },
    /// The file was opened, and failed at its first use.
    #[error("{} cannot be used", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: StoreError,
    },
    /// The file cannot be read or written.
    #[error("{} cannot be opened", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: Error,
    },
}

/// The store did not do what was asked, and whether it was done is not known.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The file could not be read or written.
    #[error("the store's file failed")]
    File(#[source] Arc<Error>),
    /// The store is being closed.
    #[error("the store is closed")]
    Closed,
}

impl<E: Into<Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        StoreError::File(Arc::new(error.into()))
    }
}

/// Small work that the writer does when there is nothing else to do. Answers
/// whether it changed anything, and so should be called again.
pub type Chore = Box<dyn FnMut(&WriteTransaction) -> Result<bool, Error> + Send>;

/// The open file. Dropping it finishes what was handed in, then closes the file.
pub struct Store {
    file: Arc<File>,
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Store {
    /// Opens the file at `path`, or creates it.
    ///
    /// `cache_bytes` bounds what is kept in memory of it. A file that was not
    /// closed is checked and repaired, which reads all of it.
    pub fn open(path: &Path, cache_bytes: usize) -> Result<Store, OpenError> {
        let builder = move || {
            let mut builder = Builder::new();
            builder.set_cache_size(cache_bytes);
            builder
        };
        let file = path.to_owned();
        Store::open_with(path, move || builder().create(&file))
    }

    /// Opens the file as `open` does; it is called again after a failed write.
    fn open_with(
        path: &Path,
        open: impl Fn() -> Result<Database, DatabaseError> + Send + Sync + 'static,
    ) -> Result<Store, OpenError> {
        let database = open().map_err(|error| OpenError::new(path, error))?;
        let file = Arc::new(File { open: Box::new(open), database: RwLock::new(Some(database)) });
        let (work, queue) = mpsc::channel();
        let theirs = Arc::clone(&file);
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer::run(&theirs, &queue))
            .map_err(|source| OpenError::Unreadable {
                path: path.to_owned(),
                source: source.into(),
            })?;
        Ok(Store { file, work: Some(work), thread: Some(thread) })
    }

    /// The state as of the latest durable write.
    pub fn read(&self) -> Result<ReadTransaction, StoreError> {
        self.file.read()
    }

    /// Has `apply` change the state, together with whatever else is waiting to
    /// be written, and returns when that is durable.
    ///
    /// An inner error of `apply` is a refusal, which promises that it changed
    /// nothing; it too is answered only once what it was judged against is durable.
    pub async fn write<T, E>(
        &self,
        apply: impl FnOnce(&WriteTransaction) -> Result<Result<T, E>, Error> + Send + 'static,
    ) -> Result<Result<T, E>, StoreError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        // Nobody waits for the answer any more when the caller was cancelled.
        self.submit(apply, move |outcome| drop(answer.send(outcome)));
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// The same for callers that may block, such as at start, and never refuse.
    pub fn write_blocking<T: Send + 'static>(
        &self,
        apply: impl FnOnce(&WriteTransaction) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = mpsc::sync_channel(1);
        self.submit(
            |transaction| apply(transaction).map(Ok::<T, StoreError>),
            move |outcome| drop(answer.send(outcome)),
        );
        answered.recv().unwrap_or(Err(StoreError::Closed))?
    }

    /// The same without waiting: `settle` is told the outcome, on the writer's
    /// thread, in the order in which the writes took effect. It is dropped
    /// uncalled if the store is closed.
    pub fn submit<T, E>(
        &self,
        apply: impl FnOnce(&WriteTransaction) -> Result<Result<T, E>, Error> + Send + 'static,
        settle: impl FnOnce(Result<Result<T, E>, StoreError>) + Send + 'static,
    ) where
        T: Send + 'static,
        E: Send + 'static,
    {
        self.send(Work::Write(Box::new(Job::new(apply, settle))));
    }

    /// Gives the writer something to do now, and whenever it is idle.
    pub fn add_chore(&self, chore: Chore) {
        self.send(Work::Chore(chore));
    }

    fn send(&self, work: Work) {
        // Without a receiver the thread is gone; dropping the work tells its sender.
        if let Some(queue) = &self.work {
            drop(queue.send(work));
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.work.take());
        if let Some(thread) = self.thread.take() {
            // The last handle may go down with work that the writer itself drops.
            if thread.thread().id() != thread::current().id() {
                drop(thread.join());
            }
        }
    }
}

/// The database, which is replaced after it failed.
pub(super) struct File {
    open: Box<dyn Fn() -> Result<Database, DatabaseError> + Send + Sync>,
    database: RwLock<Option<Database>>,
}

impl File {
    /// Calls `write` with a new transaction.
    pub(super) fn write<T>(
        &self,
        write: impl FnOnce(WriteTransaction) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        write(database.as_ref().ok_or_else(closed)?.begin_write()?)
    }

    /// Closes the database and opens it again: after an I/O error, such as a
    /// full disk, redb wants its file to be looked at afresh.
    pub(super) fn reopen(&self) -> Result<(), Error> {
        let mut database = self.database.write().unwrap_or_else(PoisonError::into_inner);
        // The old one holds the lock on the file.
        *database = None;
        *database = Some((self.open)()?);
        Ok(())
    }

    fn read(&self) -> Result<ReadTransaction, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        Ok(database.as_ref().ok_or_else(closed)?.begin_read()?)
    }
}

fn closed() -> Error {
    Error::Io(IoError::new(ErrorKind::NotConnected, "the file could not be opened again"))
}

impl OpenError {
    fn new(path: &Path, error: DatabaseError) -> OpenError {
        let path = path.to_owned();
        match error {
            DatabaseError::DatabaseAlreadyOpen => {
                OpenError::InUse(path.parent().map_or(path.clone(), Path::to_owned))
            }
            DatabaseError::UpgradeRequired(found) => OpenError::OtherVersion { path, found },
            DatabaseError::Storage(StorageError::Io(error))
                if error.kind() != ErrorKind::InvalidData
                    && error.kind() != ErrorKind::UnexpectedEof =>
            {
                OpenError::Unreadable { path, source: error.into() }
            }
            damaged => OpenError::Damaged { path, source: damaged.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use redb::{ReadableTable, StorageBackend, TableDefinition, backends::FileBackend};

    use super::*;

    const NUMBERS: TableDefinition<u32, u32> = TableDefinition::new("numbers");

    /// A disk that is full whenever the test says so.
    #[derive(Debug)]
    struct Disk {
        file: FileBackend,
        full: Arc<AtomicBool>,
    }

    impl Disk {
        fn check(&self) -> Result<(), IoError> {
            if self.full.load(Ordering::Relaxed) {
                return Err(ErrorKind::StorageFull.into());
            }
            Ok(())
        }
    }

    impl StorageBackend for Disk {
        fn len(&self) -> Result<u64, IoError> {
            self.file.len()
        }

        fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), IoError> {
            self.file.read(offset, out)
        }

        fn set_len(&self, len: u64) -> Result<(), IoError> {
            self.check()?;
            self.file.set_len(len)
        }

        fn sync_data(&self) -> Result<(), IoError> {
            self.file.sync_data()
        }

        fn write(&self, offset: u64, data: &[u8]) -> Result<(), IoError> {
            self.check()?;
            self.file.write(offset, data)
        }
    }

    fn open_on(path: &Path, full: &Arc<AtomicBool>) -> Store {
        let (file, full) = (path.to_owned(), Arc::clone(full));
        let open = move || {
            let mut options = std::fs::OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).open(&file)?;
            let disk = Disk { file: FileBackend::new(file)?, full: Arc::clone(&full) };
            Builder::new().set_cache_size(1 << 20).create_with_backend(disk)
        };
        Store::open_with(path, open).unwrap()
    }

    async fn insert(store: &Store, number: u32) -> Result<(), StoreError> {
        let insert = move |transaction: &WriteTransaction| {
            transaction.open_table(NUMBERS)?.insert(number, number)?;
            Ok(Ok::<_, StoreError>(()))
        };
        store.write(insert).await?
    }

    fn numbers(store: &Store) -> Vec<u32> {
        let table = store.read().unwrap().open_table(NUMBERS).unwrap();
        table.iter().unwrap().map(|entry| entry.unwrap().0.value()).collect()
    }

    #[tokio::test]
    async fn a_full_disk_is_survived() {
        let folder = tempfile::tempdir().unwrap();
        let full = Arc::new(AtomicBool::new(false));
        let store = open_on(&folder.path().join("store"), &full);
        insert(&store, 1).await.unwrap();

        full.store(true, Ordering::Relaxed);
        for _ in 0..3 {
            assert!(matches!(insert(&store, 2).await, Err(StoreError::File(_))));
        }
        full.store(false, Ordering::Relaxed);

        insert(&store, 3).await.unwrap();
        assert_eq!(numbers(&store), [1, 3]);
    }

    #[tokio::test]
    async fn writes_that_are_refused_leave_the_others_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), 1 << 20).unwrap();
        let refuse = |_: &WriteTransaction| Ok(Err::<(), _>("no"));
        let outcomes = futures::join!(
            insert(&store, 1),
            store.write(refuse),
            insert(&store, 2),
            store.write(refuse),
        );
        assert!(matches!(outcomes, (Ok(()), Ok(Err("no")), Ok(()), Ok(Err("no")))));
        assert_eq!(numbers(&store), [1, 2]);
    }

    #[test]
    fn what_was_handed_in_is_written_before_the_file_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store");
        let store = Store::open(&path, 1 << 20).unwrap();
        for number in 0..100 {
            let insert = move |transaction: &WriteTransaction| {
                transaction.open_table(NUMBERS)?.insert(number, number)?;
                Ok(Ok::<_, StoreError>(()))
            };
            store.submit(insert, drop);
        }
        drop(store);
        let store = Store::open(&path, 1 << 20).unwrap();
        assert_eq!(numbers(&store), Vec::from_iter(0..100));
    }

    #[test]
    fn chores_are_done_until_there_is_nothing_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store"), 1 << 20).unwrap();
        let (done, seen) = mpsc::channel();
        let mut left = 3_u32;
        store.add_chore(Box::new(move |transaction| {
            transaction.open_table(NUMBERS)?.insert(left, left)?;
            let more = left > 0;
            left = left.saturating_sub(1);
            done.send(more).ok();
            Ok(more)
        }));
        let seen: Vec<bool> = seen.iter().take(4).collect();
        assert_eq!(seen, [true, true, true, false]);
        // What the last one did went nowhere: it said that it did nothing.
        assert_eq!(numbers(&store), [1, 2, 3]);
    }
}

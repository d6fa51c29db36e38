//! The objects port on the store and a folder of files.
//!
//! A small object lies in the store: one commit, which it shares with whatever
//! else is being written. A large one is a file, and is made in three steps: the
//! file's number is noted as loose; the file is written and made durable; the
//! index comes to speak of it, and it is loose no longer. After a crash at any
//! point, what is still loose is removed at the next start.

use std::{ops, path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use jiff::Timestamp;
use redb::Error;
use shared::{
    ops::triggers::ObjectCreated,
    platform::{
        ByteStream, Clock, Grant, ObjectInfo, ObjectKey, ObjectPage, Objects, ObjectsError, Put,
        Range, SignedUrl, Source, StoredObject, one_chunk,
    },
};
use tokio::{
    sync::{Notify, oneshot},
    task::{coop::consume_budget, spawn_blocking},
};

use super::{
    blobs::{BlobId, Blobs},
    index::{self, Entry, Taken},
    loose::{self, Loose, Place},
    news::{self, NewsId},
    sign::{NotPermitted, Signer},
};
use crate::store::{OpenError, Store, StoreError};

/// Objects up to this size lie in the store: writing a file and its folder
/// takes several times as long as a part in a common fsync. With its name it
/// fits in 32 KiB, and so does what the others in the same batch wait for.
const SMALL: usize = 30 << 10;

/// Bytes of a name.
const LONGEST_NAME: usize = 1024;

/// Objects of a page.
const MOST_LISTED: usize = 1000;

/// How often a reader looks again when the object is replaced under its eyes.
const LOOKS: usize = 10;

/// The objects of one machine.
pub struct FileObjects {
    place: Arc<Place>,
    signer: Signer,
    clock: Arc<dyn Clock>,
    written: Arc<Notify>,
}

impl FileObjects {
    /// Objects with their index in `store` and large ones in files under
    /// `folder`, which nobody else writes to.
    pub fn open(
        folder: &Path,
        store: Arc<Store>,
        signer: Signer,
        clock: Arc<dyn Clock>,
    ) -> Result<FileObjects, OpenError> {
        let blobs = Blobs::open(folder).map_err(|error| OpenError::Unreadable {
            path: folder.to_owned(),
            source: error.into(),
        })?;
        let place = Place { store, blobs };
        place
            .store
            .write_blocking(|transaction| {
                news::create(transaction)?;
                index::create(transaction)
            })
            .and_then(|loose| loose::collect(&place, loose))
            .map_err(|source| OpenError::Unusable { path: folder.to_owned(), source })?;
        Ok(FileObjects { place: Arc::new(place), signer, clock, written: Arc::default() })
    }

    /// Up to `limit` pieces of news of users' objects, after that one.
    pub fn news(
        &self,
        after: Option<NewsId>,
        limit: usize,
    ) -> Result<Vec<(NewsId, ObjectCreated)>, ObjectsError> {
        let found = self.place.store.read().and_then(|read| Ok(news::read(&read, after, limit)?));
        found.map_err(unavailable)
    }

    /// Drops news that have been seen to.
    pub async fn forget_news(&self, seen: Vec<NewsId>) -> Result<(), ObjectsError> {
        if seen.is_empty() {
            return Ok(());
        }
        let forget = move |transaction: &_| news::forget(transaction, &seen).map(Ok);
        let done: Result<Result<(), StoreError>, _> = self.place.store.write(forget).await;
        done.and_then(|done| done).map_err(unavailable)
    }

    /// Waits until there may be news that have not been read.
    pub async fn news_come(&self) {
        self.written.notified().await;
    }

    /// What a request for a signed path may do.
    pub fn verify(
        &self,
        method: &str,
        path_and_query: &str,
        now: Timestamp,
    ) -> Result<Grant, NotPermitted> {
        self.signer.verify(method, path_and_query, now)
    }

    fn entry(&self, key: &ObjectKey) -> Result<Option<Entry>, ObjectsError> {
        let found = self.place.store.read().and_then(|read| Ok(index::get(&read, key)?));
        found.map_err(unavailable)
    }

    /// Has the index speak of an object, whose bytes are `small` or in `file`.
    async fn publish(
        &self,
        key: &ObjectKey,
        entry: Entry,
        small: Vec<u8>,
        file: Option<Loose>,
        if_absent: bool,
    ) -> Result<ObjectInfo, ObjectsError> {
        let (answer, answered) = oneshot::channel();
        let (name, published, place) = (key.clone(), entry.clone(), Arc::clone(&self.place));
        let written = Arc::clone(&self.written);
        self.place.store.submit(
            move |transaction| {
                let put = index::put(transaction, &name, &published, &small, if_absent)?;
                if put.is_ok() {
                    // In the same commit: an object is never there without its news.
                    news::note(transaction, published.etag, &published.clone().info(&name))?;
                }
                Ok(put)
            },
            // Not left to the caller, who may be cancelled at any moment: the file is
            // the object's as soon as this is durable, and the one before it is loose.
            move |outcome| {
                let keep = |file: Option<Loose>| file.map_or((), Loose::leave);
                let mut unwanted = None;
                match &outcome {
                    Ok(Ok(replaced)) => {
                        keep(file);
                        written.notify_one();
                        unwanted = replaced.map(|id| Loose::new(&place, id));
                    }
                    Ok(Err(Taken)) => unwanted = file,
                    Err(_) => keep(file),
                }
                drop(answer.send((outcome, unwanted)));
            },
        );
        // What is unwanted goes when it goes out of scope here.
        let (outcome, _unwanted) = answered.await.map_err(|_| unavailable(StoreError::Closed))?;
        match outcome.map_err(unavailable)? {
            Ok(_) => Ok(entry.info(key)),
            Err(Taken) => Err(ObjectsError::Exists(key.clone())),
        }
    }

    /// Writes the rest of a large object's body to a file that nothing speaks of yet.
    async fn write(
        &self,
        id: BlobId,
        start: &[u8],
        body: &mut Body,
    ) -> Result<Loose, ObjectsError> {
        let note = move |transaction: &_| index::loosen(transaction, id).map(Ok);
        let noted: Result<Result<(), StoreError>, _> = self.place.store.write(note).await;
        noted.and_then(|noted| noted).map_err(unavailable)?;
        let (place, loose) = (Arc::clone(&self.place), Loose::new(&self.place, id));
        // Goes together: a file must not come into being after it was removed.
        let create = move || Ok((place.blobs.create(id)?, loose));
        let created: std::io::Result<_> = spawn_blocking(create).await.map_err(unavailable)?;
        let (mut file, loose) = created.map_err(unavailable)?;
        file.write(start).await.map_err(unavailable)?;
        while let Some(bytes) = body.next().await? {
            file.write(&bytes).await.map_err(unavailable)?;
        }
        file.finish().await.map_err(unavailable)?;
        Ok(loose)
    }

    /// The object's entry and the wanted part of its bytes, or `None` if they
    /// went while they were looked for.
    async fn look(
        &self,
        key: &ObjectKey,
        range: Option<Range>,
    ) -> Result<Option<Option<StoredObject>>, ObjectsError> {
        let read = self.place.store.read().map_err(unavailable)?;
        let Some(entry) = index::get(&read, key).map_err(unavailable)? else {
            return Ok(Some(None));
        };
        let part = part(range, entry.size)?;
        let body = match entry.file {
            None => one_chunk(small(&read, key, &part).map_err(unavailable)?),
            Some(file) => {
                // Pages that a reader may want are not reused: let go before it waits.
                drop(read);
                match self.place.blobs.read(file, part.clone()).await {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                    opened => opened.map_err(unavailable)?,
                }
            }
        };
        Ok(Some(Some(StoredObject { info: entry.info(key), part, body })))
    }
}

#[async_trait]
impl Objects for FileObjects {
    async fn put(
        &self,
        key: &ObjectKey,
        body: ByteStream,
        put: Put,
    ) -> Result<ObjectInfo, ObjectsError> {
        if key.as_str().len() > LONGEST_NAME {
            return Err(unavailable("an object's name has at most 1,024 bytes"));
        }
        // Decided for good when it is published; this saves the body's way here.
        if put.if_absent && self.entry(key)?.is_some() {
            return Err(ObjectsError::Exists(key.clone()));
        }
        let etag = self.clock.random();
        let mut body = Body { stream: body, wanted: put.length, found: 0 };
        let mut start = Vec::new();
        let mut ended = false;
        while start.len() <= SMALL && !ended {
            match body.next().await? {
                Some(bytes) => start.extend_from_slice(&bytes),
                None => ended = true,
            }
        }
        let file = if ended { None } else { Some(self.write(etag, &start, &mut body).await?) };
        let entry = Entry {
            file: file.as_ref().map(|_| etag),
            etag,
            size: body.found,
            modified_at: self.clock.now(),
            content_type: put.content_type.filter(|text| !text.is_empty()),
        };
        let small = if ended { start } else { Vec::new() };
        self.publish(key, entry, small, file, put.if_absent).await
    }

    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<Range>,
    ) -> Result<Option<StoredObject>, ObjectsError> {
        // Finding a small one never waits: whoever does it in a loop has to let others run.
        consume_budget().await;
        for _ in 0..LOOKS {
            if let Some(found) = self.look(key, range).await? {
                return Ok(found);
            }
        }
        Err(unavailable(format!("the file of object {key} is not there")))
    }

    async fn info(&self, key: &ObjectKey) -> Result<Option<ObjectInfo>, ObjectsError> {
        consume_budget().await;
        Ok(self.entry(key)?.map(|entry| entry.info(key)))
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectsError> {
        let (answer, answered) = oneshot::channel();
        let (name, place) = (key.clone(), Arc::clone(&self.place));
        self.place.store.submit(
            move |transaction| index::remove(transaction, &name).map(Ok::<_, StoreError>),
            move |outcome| {
                let outcome = outcome.and_then(|removed| removed);
                let unwanted = outcome.map(|file| file.map(|id| Loose::new(&place, id)));
                drop(answer.send(unwanted));
            },
        );
        let outcome = answered.await.unwrap_or(Err(StoreError::Closed));
        outcome.map(drop).map_err(unavailable)
    }

    async fn list(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ObjectPage, ObjectsError> {
        let limit = limit.clamp(1, MOST_LISTED);
        let (store, prefix, cursor) =
            (Arc::clone(&self.place.store), prefix.to_owned(), cursor.map(str::to_owned));
        let list = move || Ok(index::list(&store.read()?, &prefix, cursor.as_deref(), limit)?);
        let page: Result<_, StoreError> = spawn_blocking(list).await.map_err(unavailable)?;
        page.map_err(unavailable)
    }

    async fn sign(&self, grant: &Grant) -> Result<SignedUrl, ObjectsError> {
        Ok(self.signer.sign(grant))
    }
}

/// A body on its way in, counted.
struct Body {
    stream: ByteStream,
    wanted: Option<u64>,
    found: u64,
}

impl Body {
    async fn next(&mut self) -> Result<Option<Bytes>, ObjectsError> {
        let bytes = self.stream.next().await.transpose().map_err(ObjectsError::Body)?;
        self.found += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        match self.wanted {
            Some(wanted) if self.found > wanted || (bytes.is_none() && self.found < wanted) => {
                Err(ObjectsError::WrongLength { wanted, found: self.found })
            }
            Some(_) | None => Ok(bytes),
        }
    }
}

/// What `range` means for an object of this size.
fn part(range: Option<Range>, size: u64) -> Result<ops::Range<u64>, ObjectsError> {
    let Some(Range { start, end }) = range else { return Ok(0..size) };
    if start >= size {
        return Err(ObjectsError::OutOfRange { size });
    }
    Ok(start..end.unwrap_or(size).clamp(start, size))
}

fn small(
    read: &redb::ReadTransaction,
    key: &ObjectKey,
    part: &ops::Range<u64>,
) -> Result<Vec<u8>, Error> {
    let place = |at| usize::try_from(at).map_err(|_| Error::ValueTooLarge(usize::MAX));
    index::small(read, key, place(part.start)?..place(part.end)?)
}

fn unavailable(error: impl Into<Source>) -> ObjectsError {
    ObjectsError::Unavailable(error.into())
}

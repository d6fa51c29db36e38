//! Objects in memory.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::HEXLOWER;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::platform::{
    ByteStream, Clock, Grant, GrantMethod, ObjectInfo, ObjectKey, ObjectPage, Objects,
    ObjectsError, Put, Range, SignedUrl, StoredObject,
};

/// How much of an object is handed over at once.
const CHUNK: usize = 64 << 10;

/// Objects in memory.
pub struct MemoryObjects {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Stored>,
    grants: Vec<Grant>,
    looks: u32,
}

#[derive(Clone)]
struct Stored {
    bytes: Bytes,
    content_type: Option<String>,
    modified_at: Timestamp,
}

impl MemoryObjects {
    /// None yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        MemoryObjects { clock, state: Mutex::default() }
    }

    /// Every object's name: for a test to look at what is left.
    pub fn names(&self) -> Vec<String> {
        self.state().objects.keys().cloned().collect()
    }

    /// How often it was read from or listed: for a test of what something costs.
    pub fn looks(&self) -> u32 {
        self.state().looks
    }

    /// What a signed URL permits, as long as it does.
    pub fn granted(&self, url: &str) -> Option<Grant> {
        let (path, place) = url.split_once("?grant=")?;
        let grant = self.state().grants.get(place.parse::<usize>().ok()?)?.clone();
        (path == path_of(&grant.key) && grant.expires_at > self.clock.now()).then_some(grant)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The path of an object's signed URLs.
fn path_of(key: &ObjectKey) -> String {
    format!("/granted/{}", HEXLOWER.encode(key.as_str().as_bytes()))
}

impl Stored {
    fn info(&self, key: &str) -> ObjectInfo {
        ObjectInfo {
            key: ObjectKey::stored(key),
            size: self.bytes.len() as u64,
            etag: HEXLOWER.encode(&Sha256::digest(&self.bytes)[..16]),
            content_type: self.content_type.clone(),
            modified_at: self.modified_at,
        }
    }
}

#[async_trait]
impl Objects for MemoryObjects {
    async fn put(
        &self,
        key: &ObjectKey,
        mut body: ByteStream,
        put: Put,
    ) -> Result<ObjectInfo, ObjectsError> {
        let mut bytes = Vec::new();
        while let Some(piece) = body.next().await {
            bytes.extend_from_slice(&piece.map_err(ObjectsError::Body)?);
            let found = bytes.len() as u64;
            if let Some(wanted) = put.length.filter(|wanted| found > *wanted) {
                return Err(ObjectsError::WrongLength { wanted, found });
            }
        }
        let found = bytes.len() as u64;
        if let Some(wanted) = put.length.filter(|wanted| found != *wanted) {
            return Err(ObjectsError::WrongLength { wanted, found });
        }
        let stored = Stored {
            bytes: bytes.into(),
            content_type: put.content_type,
            modified_at: self.clock.now(),
        };
        let info = stored.info(key.as_str());
        let mut state = self.state();
        if put.if_absent && state.objects.contains_key(key.as_str()) {
            return Err(ObjectsError::Exists(key.clone()));
        }
        state.objects.insert(key.as_str().to_owned(), stored);
        Ok(info)
    }

    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<Range>,
    ) -> Result<Option<StoredObject>, ObjectsError> {
        let mut state = self.state();
        state.looks += 1;
        let Some(stored) = state.objects.get(key.as_str()).cloned() else {
            return Ok(None);
        };
        drop(state);
        let info = stored.info(key.as_str());
        let part = match range {
            None => 0..info.size,
            Some(Range { start, .. }) if start >= info.size => {
                return Err(ObjectsError::OutOfRange { size: info.size });
            }
            Some(Range { start, end }) => start..end.unwrap_or(info.size).clamp(start, info.size),
        };
        // What is in memory has a length that memory can be addressed by.
        let within = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let bytes = stored.bytes.slice(within(part.start)..within(part.end));
        let chunks = (0..bytes.len()).step_by(CHUNK);
        let body = stream::iter(
            chunks.map(move |from| Ok(bytes.slice(from..(from + CHUNK).min(bytes.len())))),
        );
        Ok(Some(StoredObject { info, part, body: body.boxed() }))
    }

    async fn info(&self, key: &ObjectKey) -> Result<Option<ObjectInfo>, ObjectsError> {
        Ok(self.state().objects.get(key.as_str()).map(|stored| stored.info(key.as_str())))
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectsError> {
        self.state().objects.remove(key.as_str());
        Ok(())
    }

    async fn list(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ObjectPage, ObjectsError> {
        let mut state = self.state();
        state.looks += 1;
        let from = match cursor {
            Some(last) if last >= prefix => Bound::Excluded(last),
            _ => Bound::Included(prefix),
        };
        let mut named = state
            .objects
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix));
        let limit = limit.clamp(1, 1_000);
        let objects: Vec<_> =
            named.by_ref().take(limit).map(|(key, stored)| stored.info(key)).collect();
        let more = named.next().is_some();
        let cursor = objects.last().filter(|_| more).map(|last| last.key.as_str().to_owned());
        Ok(ObjectPage { objects, cursor })
    }

    async fn sign(&self, grant: &Grant) -> Result<SignedUrl, ObjectsError> {
        let mut state = self.state();
        let url = format!("{}?grant={}", path_of(&grant.key), state.grants.len());
        state.grants.push(grant.clone());
        let headers = match grant.method {
            GrantMethod::Put { if_absent: true, .. } => vec![("if-none-match".into(), "*".into())],
            GrantMethod::Put { if_absent: false, .. } | GrantMethod::Get => Vec::new(),
        };
        Ok(SignedUrl { url, headers })
    }
}

//! Objects: in memory, and as unreliable as the store they stand for.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::BytesMut;
use futures::StreamExt;
use shared::{
    conformance::memory::MemoryObjects,
    platform::{
        ByteStream, Clock, Grant, ObjectInfo, ObjectKey, ObjectPage, Objects, ObjectsError, Put,
        Range, SignedUrl, StoredObject, one_chunk,
    },
};

use crate::{executor::Sim, sabotage::Sabotage};

/// A store of objects in the world.
pub struct SimObjects {
    sim: Arc<Sim>,
    inner: MemoryObjects,
}

impl SimObjects {
    /// None yet.
    pub fn new(sim: Arc<Sim>, clock: Arc<dyn Clock>) -> Self {
        SimObjects { sim, inner: MemoryObjects::new(clock) }
    }

    /// The store itself, for who looks from outside.
    pub fn inner(&self) -> &MemoryObjects {
        &self.inner
    }

    /// Keeps what there is of a body that breaks off, as no store may.
    async fn torn(
        &self,
        key: &ObjectKey,
        mut body: ByteStream,
    ) -> Result<ObjectInfo, ObjectsError> {
        let mut bytes = BytesMut::new();
        let mut broke = None;
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => bytes.extend_from_slice(&piece),
                Err(error) => broke = Some(error),
            }
        }
        let stored = self.inner.put(key, one_chunk(bytes.freeze()), Put::default()).await?;
        broke.map_or(Ok(stored), |error| Err(ObjectsError::Body(error)))
    }
}

#[async_trait]
impl Objects for SimObjects {
    async fn put(
        &self,
        key: &ObjectKey,
        body: ByteStream,
        put: Put,
    ) -> Result<ObjectInfo, ObjectsError> {
        let taken = self.inner.info(key).await?.is_some();
        if self.sim.is_broken(Sabotage::TornObjects) && !taken {
            return self.torn(key, body).await;
        }
        self.sim.log(|| format!("put {key}"));
        let stored = self.inner.put(key, body, put);
        self.sim.call("put", ObjectsError::Unavailable, stored).await
    }

    async fn get(
        &self,
        key: &ObjectKey,
        range: Option<Range>,
    ) -> Result<Option<StoredObject>, ObjectsError> {
        self.sim.call("read", ObjectsError::Unavailable, self.inner.get(key, range)).await
    }

    async fn info(&self, key: &ObjectKey) -> Result<Option<ObjectInfo>, ObjectsError> {
        self.sim.call("info", ObjectsError::Unavailable, self.inner.info(key)).await
    }

    async fn delete(&self, key: &ObjectKey) -> Result<(), ObjectsError> {
        self.sim.call("delete", ObjectsError::Unavailable, self.inner.delete(key)).await
    }

    async fn list(
        &self,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<ObjectPage, ObjectsError> {
        let listed = self.inner.list(prefix, cursor, limit);
        self.sim.call("list objects", ObjectsError::Unavailable, listed).await
    }

    async fn sign(&self, grant: &Grant) -> Result<SignedUrl, ObjectsError> {
        self.sim.call("sign", ObjectsError::Unavailable, self.inner.sign(grant)).await
    }
}

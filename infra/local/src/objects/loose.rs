//! Files that no entry speaks of are removed, whatever becomes of who made them.

use std::sync::Arc;

use redb::Error;
use tokio::runtime::Handle;

use super::{
    blobs::{BlobId, Blobs},
    index,
};
use crate::store::{Store, StoreError};

/// A file that is noted as loose; removed when this is dropped.
pub(super) struct Loose {
    place: Arc<Place>,
    id: Option<BlobId>,
}

/// Where files are noted, kept and removed.
pub(super) struct Place {
    pub(super) store: Arc<Store>,
    pub(super) blobs: Blobs,
}

impl Loose {
    /// A file that has just been noted as loose.
    pub(super) fn new(place: &Arc<Place>, id: BlobId) -> Self {
        Loose { place: Arc::clone(place), id: Some(id) }
    }

    /// The file is an object's from now on; or nobody knows whether it is, and
    /// it is for the next start to find out.
    pub(super) fn leave(mut self) {
        self.id = None;
    }
}

impl Place {
    fn remove(&self, id: BlobId) {
        match self.blobs.remove(id) {
            Ok(()) => {
                let forget = move |transaction: &_| index::forget(transaction, &[id]).map(Ok);
                // If the note outlives the file, the next start drops it.
                self.store.submit(forget, |_: Result<Result<(), StoreError>, StoreError>| {});
            }
            // So it is if the file outlives this.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a file was not removed");
            }
        }
    }
}

impl Drop for Loose {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let place = Arc::clone(&self.place);
        // Removing a large file takes a while.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || place.remove(id))),
            Err(_) => place.remove(id),
        }
    }
}

/// Removes what a crash left behind.
pub(super) fn collect(place: &Place, loose: Vec<BlobId>) -> Result<(), StoreError> {
    if loose.is_empty() {
        return Ok(());
    }
    for id in &loose {
        place.blobs.remove(*id).map_err(Error::from)?;
    }
    place.store.write_blocking(move |transaction| index::forget(transaction, &loose))
}

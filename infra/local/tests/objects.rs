//! The local objects are objects, and what else they promise.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use common::{CACHE, SystemClock};
use jiff::Timestamp;
use shared::{
    conformance::objects::{Call, Caller, Subject},
    platform::{GrantMethod, Objects, ObjectsError, Put, collect, one_chunk},
};
use tarpon::{
    objects::{FileObjects, Signer},
    store::Store,
};
use tempfile::TempDir;

mod common;

fn open(folder: &Path) -> FileObjects {
    let store = Store::open(&folder.join("state.redb"), CACHE).unwrap();
    let (store, signer) = (Arc::new(store), Signer::new([7; 32]));
    FileObjects::open(&folder.join("objects"), store, signer, Arc::new(SystemClock)).unwrap()
}

/// Does with a signed path what the gateway does.
struct Gateway(Arc<FileObjects>);

#[async_trait]
impl Caller for Gateway {
    async fn call(&self, call: Call) -> (u16, Bytes) {
        let Call { method, url, range, body } = call;
        let Ok(grant) = self.0.verify(method, &url.url, Timestamp::now()) else {
            return (403, Bytes::new());
        };
        match grant.method {
            GrantMethod::Get => match self.0.get(&grant.key, range).await.unwrap() {
                Some(stored) => {
                    let status = if range.is_some() { 206 } else { 200 };
                    (status, collect(stored.body).await.unwrap())
                }
                None => (404, Bytes::new()),
            },
            GrantMethod::Put { if_absent, length } => {
                let put = Put { if_absent, length, content_type: None };
                match self.0.put(&grant.key, one_chunk(body), put).await {
                    Ok(_) => (200, Bytes::new()),
                    Err(ObjectsError::Exists(_)) => (412, Bytes::new()),
                    Err(ObjectsError::WrongLength { .. }) => (400, Bytes::new()),
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
    }
}

async fn subject() -> (Box<Subject>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let objects = Arc::new(open(folder.path()));
    let caller = Arc::new(Gateway(Arc::clone(&objects)));
    (Box::new(Subject { objects, caller }), folder)
}

shared::objects_suite!(subject);

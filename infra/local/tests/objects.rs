//! The local objects are objects, and what else they promise.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use common::{CACHE, SystemClock};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use shared::{
    conformance::objects::{Call, Caller, Subject},
    platform::{GrantMethod, ObjectKey, Objects, ObjectsError, Put, collect, one_chunk},
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

#[tokio::test]
async fn a_cancelled_upload_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let objects = open(folder.path());
    let key = ObjectKey::stored("a");
    for pieces in [1, 5] {
        // It goes on for ever, and is dropped once it is well under way.
        let (under_way, mut seen) = tokio::sync::mpsc::channel(1);
        let endless =
            stream::repeat_with(|| Ok(Bytes::from(vec![1; 1 << 20]))).then(move |piece| {
                let under_way = under_way.clone();
                async move {
                    under_way.send(()).await.ok();
                    piece
                }
            });
        let put = objects.put(&key, endless.boxed(), Put::default());
        let enough = async {
            for _ in 0..pieces {
                seen.recv().await;
            }
        };
        tokio::select! {
            _ = put => panic!("an endless upload ended"),
            () = enough => {}
        }
    }
    until_there_are_files(folder.path(), 0).await;
    assert!(objects.info(&key).await.unwrap().is_none());
}

#[tokio::test]
async fn files_go_with_their_objects() {
    let folder = tempfile::tempdir().unwrap();
    let objects = open(folder.path());
    let large = || one_chunk(vec![1; 100 << 10]);
    let [a, b] = ["a", "b"].map(ObjectKey::stored);
    objects.put(&a, large(), Put::default()).await.unwrap();
    objects.put(&b, large(), Put::default()).await.unwrap();
    until_there_are_files(folder.path(), 2).await;

    objects.put(&a, large(), Put::default()).await.unwrap();
    until_there_are_files(folder.path(), 2).await;
    objects.put(&a, one_chunk("small"), Put::default()).await.unwrap();
    until_there_are_files(folder.path(), 1).await;
    objects.delete(&b).await.unwrap();
    until_there_are_files(folder.path(), 0).await;
}

#[tokio::test]
async fn losers_of_a_race_leave_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let objects = open(folder.path());
    let key = ObjectKey::stored("a");
    let put = || {
        let put = Put { if_absent: true, ..Put::default() };
        objects.put(&key, one_chunk(vec![1; 100 << 10]), put)
    };
    let outcomes = futures::future::join_all((0..8).map(|_| put())).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    until_there_are_files(folder.path(), 1).await;
}

#[tokio::test]
async fn who_reads_may_finish_though_the_object_goes() {
    let folder = tempfile::tempdir().unwrap();
    let objects = open(folder.path());
    let key = ObjectKey::stored("a");
    let body = vec![1; 3 << 20];
    objects.put(&key, one_chunk(body.clone()), Put::default()).await.unwrap();
    let stored = objects.get(&key, None).await.unwrap().unwrap();
    objects.delete(&key).await.unwrap();
    until_there_are_files(folder.path(), 0).await;
    assert!(collect(stored.body).await.unwrap() == body);
}

#[tokio::test]
async fn an_endless_name_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let objects = open(folder.path());
    let key = ObjectKey::stored("x".repeat(1025));
    let refused = objects.put(&key, one_chunk("x"), Put::default()).await;
    assert!(matches!(refused, Err(ObjectsError::Unavailable(_))));
}

/// Files are removed behind the caller's back.
async fn until_there_are_files(folder: &Path, expected: usize) {
    let count = || {
        let inside = |folder: &Path| std::fs::read_dir(folder).unwrap().flatten();
        inside(&folder.join("objects")).flat_map(|entry| inside(&entry.path())).count()
    };
    let settled = async {
        while count() != expected {
            tokio::task::yield_now().await;
        }
    };
    let settled = tokio::time::timeout(Duration::from_secs(20), settled).await;
    assert!(settled.is_ok(), "{} files instead of {expected}", count());
}

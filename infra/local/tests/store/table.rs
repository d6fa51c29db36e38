//! The local table is a table, and what else it promises.

use std::{
    collections::BTreeMap,
    future::{Ready, ready},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use jiff::SignedDuration;
use shared::platform::{Clock, Expect, Index, Key, Mark, Op, Query, Table, TableError, Wanted};
use tarpon::{
    clock::SystemClock,
    store::OpenError,
    table::{Change, ChangeKind, RedbTable},
};
use tempfile::TempDir;
use tokio::sync::broadcast::error::RecvError;

use super::CACHE;

fn table() -> Ready<(Arc<dyn Table>, TempDir)> {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&folder);
    ready((Arc::new(table), folder))
}

fn open(folder: &TempDir) -> RedbTable {
    RedbTable::open(&folder.path().join("state.redb"), CACHE, Arc::new(SystemClock)).unwrap()
}

shared::table_suite!(table);

fn put(sort: &str, expect: Expect, wanted: Wanted) -> Op {
    Op::Put(Key::new("p", sort), expect, wanted)
}

fn plain() -> Wanted {
    Wanted { body: "x".into(), marks: BTreeMap::new(), expires_at: None }
}

fn marked(sort: &str) -> Wanted {
    let mark = Mark { partition: "m".to_owned(), sort: sort.to_owned() };
    Wanted { marks: BTreeMap::from([(Index::Due, mark)]), ..plain() }
}

#[tokio::test]
async fn only_one_server_uses_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&folder);
    let path = folder.path().join("state.redb");

    let refused = RedbTable::open(&path, CACHE, Arc::new(SystemClock)).err().unwrap();

    let expected = format!("another server is using {}", folder.path().display());
    assert_eq!(refused.to_string(), expected);
    drop(table);
    open(&folder);
}

#[test]
fn a_file_that_is_no_store_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    for text in ["short", &"not a store ".repeat(1000)] {
        std::fs::write(&path, text).unwrap();
        let refused = RedbTable::open(&path, CACHE, Arc::new(SystemClock)).err().unwrap();
        assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}");
        assert_eq!(refused.to_string(), format!("{} is damaged", path.display()));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    }
    let nowhere = folder.path().join("no/such/folder");
    let refused = RedbTable::open(&nowhere, CACHE, Arc::new(SystemClock)).err().unwrap();
    assert!(matches!(refused, OpenError::Unreadable { .. }), "{refused:?}");
}

#[tokio::test]
async fn rows_are_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&folder);
    let join = Op::Join { key: Key::new("s", "s"), member: "m".to_owned(), limit: 1.into() };
    table.commit(vec![put("a", Expect::Absent, marked("1")), join]).await.unwrap();
    drop(table);

    let table = open(&folder);

    assert_eq!(table.query(&Query::index(Index::Due, "m")).await.unwrap().rows.len(), 1);
    assert_eq!(table.members(&Key::new("s", "s")).await.unwrap(), ["m"]);
}

#[tokio::test]
async fn the_feed_tells_every_change_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&folder);
    let mut feed = table.feed();
    let set = Key::new("s", "s");
    let member = || "m".to_owned();
    let commits = [
        vec![
            put("a", Expect::Absent, marked("1")),
            Op::Check(Key::new("p", "c"), Expect::Absent),
            Op::Join { key: set.clone(), member: member(), limit: 1.into() },
        ],
        // Changes that change nothing.
        vec![
            Op::Join { key: set.clone(), member: member(), limit: 1.into() },
            Op::Delete(Key::new("p", "b"), Expect::Anything),
        ],
        vec![Op::Leave { key: set.clone(), member: member() }],
        vec![Op::Delete(Key::new("p", "a"), Expect::Version(1))],
    ];
    for commit in commits {
        table.commit(commit).await.unwrap();
    }
    let refused = table.commit(vec![put("a", Expect::Version(9), plain())]).await;
    assert!(refused.is_err());
    table.commit(vec![put("z", Expect::Absent, plain())]).await.unwrap();

    let change = |key: &Key, kind, marks| Change { key: key.clone(), kind, marks };
    let row = Key::new("p", "a");
    for expected in [
        vec![
            change(&row, ChangeKind::Put, marked("1").marks),
            change(&set, ChangeKind::Joined, BTreeMap::new()),
        ],
        vec![change(&set, ChangeKind::Left, BTreeMap::new())],
        vec![change(&row, ChangeKind::Deleted, BTreeMap::new())],
        vec![change(&Key::new("p", "z"), ChangeKind::Put, BTreeMap::new())],
    ] {
        assert_eq!(feed.recv().await.unwrap()[..], expected[..]);
    }
}

#[tokio::test]
async fn what_the_feed_tells_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&folder);
    let mut feed = table.feed();
    let writing = async {
        for version in 0..50 {
            let expect = if version == 0 { Expect::Absent } else { Expect::Version(version) };
            table.commit(vec![put("a", expect, plain())]).await.unwrap();
        }
    };
    let reading = async {
        for version in 1..=50 {
            let changes = feed.recv().await.unwrap();
            let row = table.get(&changes[0].key).await.unwrap().unwrap();
            assert!(row.version >= version, "the feed is ahead of the table");
        }
    };
    futures::join!(writing, reading);
}

#[tokio::test]
async fn who_falls_behind_the_feed_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&folder);
    let mut feed = table.feed();
    let writes = (0..5000).map(|n| {
        let (table, op) = (&table, put(&n.to_string(), Expect::Anything, plain()));
        async move { table.commit(vec![op]).await.unwrap() }
    });
    futures::future::join_all(writes).await;
    assert!(matches!(feed.recv().await, Err(RecvError::Lagged(_))));
    assert!(feed.recv().await.is_ok());
}

#[tokio::test]
async fn a_change_is_told_though_its_writer_was_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&folder);
    let mut feed = table.feed();
    let key = Key::new("p", "a");
    let waiting = table.changed(&key, None, Duration::from_secs(30));
    let cancelled = async {
        // Polled once, so that the commit is on its way, and dropped.
        let commit = table.commit(vec![put("a", Expect::Absent, plain())]);
        assert!(commit.now_or_never().is_none());
        feed.recv().await.unwrap()
    };
    let (row, changes) = futures::join!(waiting, cancelled);
    assert_eq!(row.unwrap().unwrap().version, 1);
    assert_eq!(changes[0].key, key);
}

#[tokio::test]
async fn an_expiry_wakes_who_waits() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&folder);
    let expires_at = SystemClock.now() + SignedDuration::from_millis(100);
    let wanted = Wanted { expires_at: Some(expires_at), ..plain() };
    table.commit(vec![put("a", Expect::Absent, wanted)]).await.unwrap();
    let key = Key::new("p", "a");
    let waiting = table.changed(&key, Some(1), Duration::from_secs(30));
    assert_eq!(waiting.await.unwrap(), None);
    assert!(SystemClock.now() < expires_at + SignedDuration::from_secs(20));
}

#[tokio::test]
async fn a_commit_that_no_table_can_take_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let table = open(&folder);
    let op = |sort: &str| put(sort, Expect::Anything, plain());
    let large = Wanted { body: vec![0; (1 << 20) + 1].into(), ..plain() };
    for ops in [
        vec![],
        (0..101).map(|n| op(&n.to_string())).collect(),
        vec![op("a"), op("b"), op("a")],
        vec![op("nul\0")],
        vec![op(&"x".repeat(513))],
        vec![put("a", Expect::Anything, marked("\0"))],
        vec![put("a", Expect::Anything, marked(&"x".repeat(513)))],
        vec![put("a", Expect::Anything, large)],
        vec![Op::Join { key: Key::new("s", "s"), member: "\0".to_owned(), limit: 1.into() }],
    ] {
        assert!(matches!(table.commit(ops).await, Err(TableError::Refused(_))));
    }
    assert_eq!(table.query(&Query::partition("p")).await.unwrap().rows, []);
    let query = Query { cursor: Some("%".to_owned()), ..Query::partition("p") };
    assert!(matches!(table.query(&query).await, Err(TableError::Refused(_))));
}

//! A server that is killed loses nothing that it has acknowledged, and leaves nothing behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use bytes::Bytes;
use shared::platform::{
    Expect, Index, Key, Mark, ObjectKey, Objects, Op, Put, Query, Table, Wanted, collect, one_chunk,
};
use tarpon::{
    clock::SystemClock,
    objects::{FileObjects, Signer},
    store::Store,
    table::RedbTable,
};

use super::CACHE;

/// Where the killed process works.
const FOLDER: &str = "TARPON_CRASH_FOLDER";

/// How many acknowledgements it gives before it is killed.
const ROUNDS: [usize; 3] = [150, 400, 700];

fn open(folder: &Path) -> (Arc<RedbTable>, Arc<FileObjects>) {
    let store = Arc::new(Store::open(&folder.join("state.redb"), CACHE).unwrap());
    let table = RedbTable::new(Arc::clone(&store), Arc::new(SystemClock)).unwrap();
    let signer = Signer::new([7; 32]);
    let clock = Arc::new(SystemClock);
    let objects = FileObjects::open(&folder.join("objects"), store, signer, clock).unwrap();
    (Arc::new(table), Arc::new(objects))
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    for round in ROUNDS {
        let told = killed_after(round, folder.path());
        assert!(told.len() >= round);
        let (table, objects) = open(folder.path());
        for line in told {
            let (kind, name) = line.split_once(' ').unwrap();
            match kind {
                "row" => assert_row(&table, name).await,
                "object" => assert_object(&*objects, name).await,
                _ => panic!("{line}"),
            }
        }
        assert_whole(&table).await;
        assert_eq!(files(folder.path()), spoken_of(&*objects).await);
    }
}

/// Has a process work in the folder, and kills it in the middle of that.
fn killed_after(acknowledgements: usize, folder: &Path) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::works_until_it_is_killed", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let told = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut lines = Vec::new();
    for line in told {
        // What it says between being killed and being dead counts as well; half a line does not.
        let Ok(line) = line else { break };
        lines.extend(
            line.strip_prefix("done ").and_then(|l| l.strip_suffix('.')).map(str::to_owned),
        );
        if lines.len() == acknowledgements {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    lines
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "runs until it is killed, for the test above"]
async fn works_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let (table, objects) = open(Path::new(&folder));
    let run = std::process::id();
    let rows = (0..12).map(|n| tokio::spawn(write_rows(Arc::clone(&table), format!("{run}-{n}"))));
    let sizes = [100, 20_000, 30_000, 100_000, 3_000_000];
    let bodies = sizes.map(|size| {
        tokio::spawn(write_objects(Arc::clone(&objects), format!("{run}/{size}"), size))
    });
    futures::future::join_all(rows.chain(bodies)).await;
}

/// Two rows and a member at a time.
async fn write_rows(table: Arc<RedbTable>, name: String) {
    for n in 0.. {
        let name = format!("{name}-{n}");
        let mark = Mark { partition: "all".to_owned(), sort: name.clone() };
        let marked = |marks| Wanted { body: Bytes::from(name.clone()), marks, expires_at: None };
        let ops = vec![
            Op::Put(
                place("a", &name),
                Expect::Absent,
                marked(BTreeMap::from([(Index::Open, mark)])),
            ),
            Op::Put(place("b", &name), Expect::Absent, marked(BTreeMap::new())),
            Op::Join { key: Key::new("s", "s"), member: name.clone(), limit: u32::MAX.into() },
        ];
        table.commit(ops).await.unwrap();
        println!("done row {name}.");
    }
}

/// Objects that stay, next to one that is written over and over and one that comes and goes.
async fn write_objects(objects: Arc<FileObjects>, name: String, size: usize) {
    let body = |n: usize| one_chunk(vec![u8::try_from(n % 251).unwrap(); size + n]);
    for n in 0.. {
        let [stays, changes, goes] = ["stays", "changes", "goes"].map(|kind| match kind {
            "stays" => ObjectKey::stored(format!("o/{name}/{n}")),
            kind => ObjectKey::stored(format!("o/{name}/{kind}")),
        });
        objects.put(&changes, body(n), Put::default()).await.unwrap();
        objects.put(&goes, body(n), Put::default()).await.unwrap();
        objects.put(&stays, body(n), Put { if_absent: true, ..Put::default() }).await.unwrap();
        println!("done object {size} {n} {stays}.");
        objects.delete(&goes).await.unwrap();
    }
}

async fn assert_row(table: &RedbTable, name: &str) {
    for kind in ["a", "b"] {
        let row = table.get(&place(kind, name)).await.unwrap();
        assert_eq!(row.unwrap_or_else(|| panic!("row {name} is lost")).body, name);
    }
}

async fn assert_object(objects: &dyn Objects, told: &str) {
    let [size, n, key] = told.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
    let (size, n): (usize, usize) = (size.parse().unwrap(), n.parse().unwrap());
    let stored = objects.get(&ObjectKey::stored(key), None).await.unwrap();
    let stored = stored.unwrap_or_else(|| panic!("object {key} is lost"));
    let body = collect(stored.body).await.unwrap();
    assert!(body == vec![u8::try_from(n % 251).unwrap(); size + n], "object {key} is damaged");
}

/// Every commit is there whole or not at all, also those that nobody was told of.
async fn assert_whole(table: &RedbTable) {
    let members: BTreeSet<String> =
        table.members(&Key::new("s", "s")).await.unwrap().into_iter().collect();
    for query in [Query::partition("a"), Query::partition("b"), Query::index(Index::Open, "all")] {
        let mut query = Query { limit: 1000, ..query };
        let mut names = BTreeSet::new();
        loop {
            let page = table.query(&query).await.unwrap();
            names.extend(page.rows.into_iter().map(|row| row.key.sort));
            query.cursor = page.cursor;
            if query.cursor.is_none() {
                break;
            }
        }
        assert!(names == members, "{} names, {} members", names.len(), members.len());
    }
}

/// The etags of all objects that are too large to lie in the store; each can be read.
async fn spoken_of(objects: &dyn Objects) -> BTreeSet<String> {
    let mut etags = BTreeSet::new();
    let mut cursor = None;
    loop {
        let page = objects.list("", cursor.as_deref(), 1000).await.unwrap();
        for object in page.objects {
            let stored = objects.get(&object.key, None).await.unwrap().unwrap();
            assert_eq!(collect(stored.body).await.unwrap().len() as u64, object.size);
            if object.size > 30_720 {
                etags.insert(object.etag);
            }
        }
        cursor = page.cursor;
        if cursor.is_none() {
            return etags;
        }
    }
}

fn files(folder: &Path) -> BTreeSet<String> {
    let inside = |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    inside(folder.join("objects"))
        .flat_map(|subfolder| inside(subfolder.path()))
        .map(|file| file.file_name().into_string().unwrap())
        .collect()
}

fn place(kind: &str, name: &str) -> Key {
    Key::new(kind, name)
}

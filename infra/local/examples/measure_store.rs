//! Measures the local table and objects: what is durable a second and its CPU, next to a bare write and fsync.
//!
//! `cargo run --release -p tarpon --example measure_store -- FOLDER [SECONDS [JOBS]]`
//!
//! With JOBS, so many jobs' worth of rows and archives are written first, and
//! the time that it takes to open the file after a crash is measured.

use std::{
    collections::BTreeMap,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use shared::platform::{
    Clock, Expect, Index, Key, Mark, ObjectKey, Objects, Op, Put, Query, Table, Wanted, one_chunk,
};
use tarpon::{
    clock::SystemClock,
    objects::{FileObjects, Signer},
    store::Store,
    table::RedbTable,
};

type Fallible<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Fallible {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let seconds = arguments.next().map_or(Ok(3), |n| n.parse())?;
    let lasting = Duration::from_secs(seconds);
    let jobs: u32 = arguments.next().map_or(Ok(0), |n| n.parse())?;
    let folder = tempfile::tempdir_in(folder)?;
    bare(folder.path(), lasting)?;
    let (table, objects) = open(folder.path())?;
    if jobs > 0 {
        keep(&table, &objects, jobs).await?;
        crash(folder.path())?;
    }
    for writers in [1, 4, 16, 64] {
        replace(&table, writers, lasting).await?;
    }
    lives(&table, 16, lasting).await?;
    read(&table, lasting).await?;
    for size in [10 << 10, 30 << 10, 32 << 10] {
        for writers in [1, 16] {
            store(&objects, writers, size, lasting).await?;
        }
    }
    stream(&objects).await?;
    Ok(())
}

fn open(folder: &Path) -> Fallible<(Arc<RedbTable>, Arc<FileObjects>)> {
    let clock = Arc::new(SystemClock);
    let store = Arc::new(Store::open(&folder.join("state.redb"), 8 << 20)?);
    let table = RedbTable::new(Arc::clone(&store), Arc::clone(&clock) as Arc<dyn Clock>)?;
    let signer = Signer::new([7; 32]);
    let objects = FileObjects::open(&folder.join("objects"), store, signer, clock)?;
    Ok((Arc::new(table), Arc::new(objects)))
}

/// What jobs leave behind: two rows and a small archive each.
async fn keep(table: &Arc<RedbTable>, objects: &Arc<FileObjects>, jobs: u32) -> Fallible {
    const WRITERS: u32 = 32;
    let meter = Meter::start()?;
    let writing = (0..WRITERS).map(|writer| {
        let (table, objects) = (Arc::clone(table), Arc::clone(objects));
        tokio::spawn(async move {
            for n in 0..jobs / WRITERS {
                let id = format!("{:016x}{writer:02}{n}", SystemClock.now().as_microsecond());
                let ops = ["spec", "project#2024-12"].map(|partition| {
                    let wanted = Wanted { marks: BTreeMap::new(), ..row(0) };
                    Op::Put(Key::new(partition, &id), Expect::Absent, wanted)
                });
                table.commit(ops.into()).await?;
                let key = ObjectKey::stored(format!("project/job/{id}/{id}-1-0-0-1.tar"));
                objects.put(&key, one_chunk(vec![7; 10 << 10]), Put::default()).await?;
            }
            Fallible::Ok(())
        })
    });
    for writer in futures::future::join_all(writing).await {
        writer??;
    }
    meter.report("keeping a job, 32 writers", jobs)?;
    Ok(())
}

/// Opens a copy of the file, as it lies there in the middle of its use.
fn crash(folder: &Path) -> Fallible {
    let copy = folder.join("copy.redb");
    let bytes = std::fs::copy(folder.join("state.redb"), &copy)?;
    let meter = Meter::start()?;
    drop(Store::open(&copy, 8 << 20)?);
    meter.report(&format!("opening {} MiB after a crash", bytes >> 20), 1)?;
    let meter = Meter::start()?;
    drop(Store::open(&copy, 8 << 20)?);
    meter.report("opening it after it was closed", 1)?;
    std::fs::remove_file(copy)?;
    Ok(())
}

/// Objects of one size, each under a new name.
async fn store(
    objects: &Arc<FileObjects>,
    writers: usize,
    size: usize,
    lasting: Duration,
) -> Fallible {
    let meter = Meter::start()?;
    let until = meter.started + lasting;
    let writing = (0..writers).map(|writer| {
        let objects = Arc::clone(objects);
        tokio::spawn(async move {
            let mut count = 0_u32;
            while Instant::now() < until {
                let key = ObjectKey::stored(format!("{size}/{count:08}/{writer}-of-{writers}"));
                objects.put(&key, one_chunk(vec![7; size]), Put::default()).await?;
                count += 1;
            }
            Fallible::Ok(count)
        })
    });
    let mut count = 0;
    for writer in futures::future::join_all(writing).await {
        count += writer??;
    }
    meter.report(&format!("storing {} KiB, {writers} writers", size >> 10), count)
}

/// A large object in and out.
async fn stream(objects: &Arc<FileObjects>) -> Fallible {
    const MEBIBYTES: u32 = 1024;
    let key = ObjectKey::stored("large");
    let piece = Bytes::from(vec![7; 64 << 10]);
    let pieces = (0..MEBIBYTES * 16).map(move |_| Ok(piece.clone()));
    let before = resident()?;
    let meter = Meter::start()?;
    objects.put(&key, futures::stream::iter(pieces).boxed(), Put::default()).await?;
    meter.report("storing a MiB of 1 GiB", MEBIBYTES)?;
    for _ in 0..2 {
        let meter = Meter::start()?;
        let mut stored = objects.get(&key, None).await?.ok_or("the object is gone")?;
        let mut read = 0;
        while let Some(bytes) = stored.body.try_next().await? {
            read += bytes.len() as u64;
        }
        assert_eq!(read, stored.info.size);
        meter.report("reading a MiB of 1 GiB", MEBIBYTES)?;
    }
    println!("memory that this took: {} KiB", resident()?.saturating_sub(before) >> 10);
    Ok(())
}

/// A page written and made durable, one after the other.
fn bare(folder: &Path, lasting: Duration) -> Fallible {
    let file = std::fs::File::create(folder.join("bare"))?;
    file.write_all_at(&vec![0; 16 << 20], 0)?;
    file.sync_all()?;
    let meter = Meter::start()?;
    let mut count = 0_u32;
    while meter.started.elapsed() < lasting {
        file.write_all_at(&[1; 4096], u64::from(count % 4096) * 4096)?;
        file.sync_data()?;
        count += 1;
    }
    meter.report("bare 4 KiB write and fdatasync", count)
}

/// Each writer replaces a marked row of 1 KiB by its version, over and over.
async fn replace(table: &Arc<RedbTable>, writers: usize, lasting: Duration) -> Fallible {
    let meter = Meter::start()?;
    let until = meter.started + lasting;
    let writing = (0..writers).map(|writer| {
        let table = Arc::clone(table);
        tokio::spawn(async move {
            let key = Key::new(format!("replace-{writers}"), format!("{writer}"));
            let mut count = 0_u32;
            while Instant::now() < until {
                let expect = match count {
                    0 => Expect::Absent,
                    version => Expect::Version(u64::from(version)),
                };
                table.commit(vec![Op::Put(key.clone(), expect, row(count))]).await?;
                count += 1;
            }
            Fallible::Ok(count)
        })
    });
    let mut count = 0;
    for writer in futures::future::join_all(writing).await {
        count += writer??;
    }
    meter.report(&format!("replacing a 1 KiB row, {writers} writers"), count)
}

/// Each writer takes rows through a life like a job's: spec and record put,
/// record replaced four times with its mark moving and a slot taken and left.
async fn lives(table: &Arc<RedbTable>, writers: usize, lasting: Duration) -> Fallible {
    let meter = Meter::start()?;
    let until = meter.started + lasting;
    let writing = (0..writers).map(|writer| {
        let table = Arc::clone(table);
        tokio::spawn(async move {
            let mut count = 0_u32;
            let slots = Key::new("slots", "queue");
            while Instant::now() < until {
                let id = format!("{:016x}{writer:02}", SystemClock.now().as_microsecond());
                let record = Key::new("project#2025-01", &id);
                let spec = Key::new("spec", &id);
                table
                    .commit(vec![
                        Op::Put(spec, Expect::Absent, Wanted { marks: BTreeMap::new(), ..row(0) }),
                        Op::Put(record.clone(), Expect::Absent, row(0)),
                    ])
                    .await?;
                for version in 1..=4_u32 {
                    let expect = Expect::Version(version.into());
                    let put = Op::Put(record.clone(), expect, row(version));
                    let (key, member) = (slots.clone(), id.clone());
                    let ops = match version {
                        1 => vec![Op::Join { key, member, limit: 1000.into() }, put],
                        4 => vec![put, Op::Leave { key, member }],
                        _ => vec![put],
                    };
                    table.commit(ops).await?;
                }
                count += 5;
            }
            Fallible::Ok(count)
        })
    });
    let mut count = 0;
    for writer in futures::future::join_all(writing).await {
        count += writer??;
    }
    meter.report(&format!("lives of jobs, {writers} writers"), count)
}

async fn read(table: &Arc<RedbTable>, lasting: Duration) -> Fallible {
    let key = Key::new("replace-16", "3");
    let meter = Meter::start()?;
    let mut count = 0_u32;
    while meter.started.elapsed() < lasting {
        table.get(&key).await?.ok_or("the row is gone")?;
        count += 1;
    }
    meter.report("reading a 1 KiB row", count)?;
    for limit in [20, 100, 1000] {
        let query = Query { limit, backwards: true, ..Query::partition("project#2025-01") };
        let meter = Meter::start()?;
        let mut count = 0_u32;
        while meter.started.elapsed() < lasting {
            table.query(&query).await?;
            count += 1;
        }
        meter.report(&format!("reading a page of {limit}"), count)?;
    }
    Ok(())
}

fn row(count: u32) -> Wanted {
    let sort = format!("{count:08}");
    let mark = Mark { partition: format!("shard-{}", count % 8), sort };
    Wanted {
        body: Bytes::from(vec![7; 1024]),
        marks: BTreeMap::from([(Index::Due, mark)]),
        expires_at: None,
    }
}

struct Meter {
    started: Instant,
    cpu: Duration,
}

impl Meter {
    fn start() -> Fallible<Meter> {
        Ok(Meter { started: Instant::now(), cpu: cpu()? })
    }

    fn report(&self, what: &str, count: u32) -> Fallible {
        let (took, cpu) = (self.started.elapsed(), cpu()?.saturating_sub(self.cpu));
        let rate = f64::from(count) / took.as_secs_f64();
        let (took, cpu, resident) = (took / count, cpu / count, resident()? >> 20);
        println!("{what}: {rate:.0}/s, {took:?} each, {cpu:?} of CPU each; {resident} MiB");
        Ok(())
    }
}

/// User and system time of this process.
fn cpu() -> Fallible<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().ok_or("no stat")?;
    let ticks: u64 =
        after_name.split_whitespace().skip(11).take(2).map(|n| n.parse().unwrap_or(0)).sum::<u64>();
    Ok(Duration::from_millis(ticks * 10))
}

fn resident() -> Fallible<u64> {
    let pages = std::fs::read_to_string("/proc/self/statm")?;
    let resident: u64 = pages.split(' ').nth(1).ok_or("no statm")?.parse()?;
    Ok(resident * 4096)
}

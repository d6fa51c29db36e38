//! Measures the local table: durable commits a second and CPU for each, next to a bare write and fsync.
//!
//! `cargo run --release -p tarpon --example measure_table -- FOLDER [SECONDS]`

use std::{
    collections::BTreeMap,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use jiff::Timestamp;
use shared::platform::{Clock, Expect, Index, Key, Mark, Op, Query, Table, Wanted};
use tarpon::table::RedbTable;

type Fallible<T = ()> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        drop(getrandom::fill(bytes));
    }
}

#[tokio::main]
async fn main() -> Fallible {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("which folder?")?;
    let seconds = arguments.next().map_or(Ok(3), |n| n.parse())?;
    let lasting = Duration::from_secs(seconds);
    let folder = tempfile::tempdir_in(folder)?;
    bare(folder.path(), lasting)?;
    let clock = Arc::new(SystemClock);
    let table = Arc::new(RedbTable::open(&folder.path().join("state.redb"), 8 << 20, clock)?);
    for writers in [1, 4, 16, 64] {
        replace(&table, writers, lasting).await?;
    }
    lives(&table, 16, lasting).await?;
    read(&table, lasting).await?;
    println!("resident: {} MiB", resident()? >> 20);
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
                let id = format!("{:016x}{writer:02}", Timestamp::now().as_microsecond());
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
                        1 => vec![Op::Join { key, member, limit: 1000 }, put],
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
        let (took, cpu) = (self.started.elapsed(), cpu()? - self.cpu);
        let rate = f64::from(count) / took.as_secs_f64();
        println!("{what}: {rate:.0}/s, {:?} each, {:?} of CPU each", took / count, cpu / count);
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

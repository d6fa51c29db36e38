//! A page of a list, with few jobs behind it and with very many.
//!
//! The jobs are copies of one that was run, each with an id of its own, put
//! into the table of a server that is stopped: running a million takes an hour.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use jiff::SignedDuration;
use shared::{
    job::{Job, JobId, JobKey},
    ops::rows,
    platform::{Expect, Op, Table},
};
use tarpon::{clock::SystemClock, table::RedbTable};
use tests::{
    Runtime, World,
    report::{Figure, Quantity, Report, Unit},
};

use crate::{
    finished::mebibytes,
    load::{Times, millis},
};

const FEW: u64 = 1_000;
const MANY: u64 = 1_000_000;
const ROUNDS: usize = 300;
const WARM: usize = 30;

/// However slow it is, it comes to an end.
const LONGEST: Duration = Duration::from_secs(80);

/// The most changes of one commit.
const BATCH: u64 = 100;

/// How many commits wait at a time.
const AT_ONCE: usize = 128;

pub async fn measure(report: &mut Report) {
    report.part("a page of 25 jobs");
    let (few, there) = world(FEW).await;
    assert_eq!(there, FEW, "a thousand jobs are put in at once");
    let began = Instant::now();
    let (many, there) = world(MANY).await;
    if there < MANY {
        report.note(format!("there was time to put in {there} of {MANY} jobs"));
    }
    let took = millis(began.elapsed()) / 1_000.0;
    report.note(format!("putting in {there} jobs, and starting over them, took {took:.0} s"));
    let (mut of_few, mut of_many) = (Times::default(), Times::default());
    // By turns, so that what else the machine does is shared out evenly.
    for round in 0..WARM + ROUNDS {
        let (a, b) = (page(&few).await, page(&many).await);
        if round >= WARM {
            of_few.push(a);
            of_many.push(b);
        }
    }
    for (name, percent) in [("half", 50), ("99 of 100", 99)] {
        let what = format!("{there} jobs: {name} are answered within");
        report.figure(Figure::new(what, of_many.quantile(percent), Unit::Milliseconds).beside(
            format!("{FEW} jobs:"),
            Quantity(of_few.quantile(percent), Unit::Milliseconds),
        ));
    }
    let ratio = of_many.median() / of_few.median();
    report.figure(Figure::new(format!("  over {FEW} jobs"), ratio, Unit::Times).at_most(1.1));
    report.figure(
        Figure::new(format!("{there} jobs: memory"), mebibytes(many.memory().now), Unit::Mebibytes)
            .beside(format!("{FEW} jobs:"), Quantity(mebibytes(few.memory().now), Unit::Mebibytes)),
    );
}

/// How long the newest page takes.
async fn page(world: &World) -> Duration {
    let began = Instant::now();
    let page = world.client.page("jobs", "limit=25", None).await;
    let took = began.elapsed();
    assert_eq!(page.items.len(), 25);
    took
}

/// A server over so many jobs, or as many as there was time for.
async fn world(count: u64) -> (World, u64) {
    let mut world = World::start(Runtime::Process);
    let job = world.client.submit(world.probe("exit 0")).await;
    world.client.finish_as(&job, "succeeded").await;
    world.nothing_owed().await;
    world.stop();
    let key = JobKey {
        project: world.client.credentials.project.parse().expect("a project's id is one"),
        job: job.parse().expect("a job's id is one"),
    };
    let copies = copy(&world.data().join("table.redb"), key, count - 1).await;
    world.restart();
    (world, copies + 1)
}

/// Puts copies of a job into the table; how many there was time for.
async fn copy(path: &Path, key: JobKey, count: u64) -> u64 {
    let table = RedbTable::open(path, 256 << 20, Arc::new(SystemClock)).expect("a table");
    let row = table.get(&rows::job(key)).await.expect("a table").expect("the job is there");
    let job: Job = rows::read(&row).expect("it is a job");
    let (began, done) = (Instant::now(), AtomicU64::new(0));
    let batches = (0..count).step_by(100).take_while(|_| began.elapsed() < LONGEST);
    let put = async |first: u64| {
        let numbers = first..(first + BATCH).min(count);
        let copies = numbers.end - numbers.start;
        table.commit(numbers.map(|number| older(&job, number)).collect()).await.expect("room");
        done.fetch_add(copies, Ordering::Relaxed);
    };
    stream::iter(batches).map(put).buffer_unordered(AT_ONCE).count().await;
    done.into_inner()
}

/// The same job, made so many milliseconds earlier.
fn older(job: &Job, number: u64) -> Op {
    let earlier = i64::try_from(number + 1).map(SignedDuration::from_millis).unwrap_or_default();
    let mut entropy = [0; 10];
    entropy[..8].copy_from_slice(&number.to_be_bytes());
    let copy = Job { id: JobId::new(job.id.created_at() - earlier, entropy), ..job.clone() };
    Op::Put(rows::job(copy.key()), Expect::Absent, rows::job_row(&copy))
}

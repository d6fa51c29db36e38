//! Durable submits, with nothing run: the queue is paused.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;
use tests::{
    Runtime, World,
    report::{Figure, Quantity, Report, Unit},
};

use crate::load::{Times, many, per_second};

const LASTING: Duration = Duration::from_secs(4);

pub async fn measure(report: &mut Report) {
    report.part("durable submits to a paused queue");
    let mut world = World::start(Runtime::Process);
    let client = world.client.clone();
    client.queue("held", json!({"paused": true})).await;
    let job = world.probe("exit 0").with("queue", "held").into();
    let submit = async || {
        client.post("/v1/jobs", &job).await.expect(202);
    };
    many(1, 50, LASTING, submit).await;
    for clients in [1, 16] {
        // Anew each time: what else the disk does changes from moment to moment.
        let bare = bare(&world.beside("bare"));
        let (times, took) = many(clients, usize::MAX, LASTING, submit).await;
        let rate = per_second(times.count(), took);
        let who = if clients == 1 { "1 client".to_owned() } else { format!("{clients} clients") };
        let beside = "bare write and fdatasync";
        let per_sync = per_second(bare.count(), BARE);
        report.figure(
            Figure::new(format!("{who}: submits"), rate, Unit::PerSecond)
                .beside(beside, Quantity(per_sync, Unit::PerSecond)),
        );
        for (name, percent) in [("half", 50), ("99 of 100", 99)] {
            let what = format!("{who}: {name} are answered within");
            report.figure(
                Figure::new(what, times.quantile(percent), Unit::Milliseconds)
                    .beside(beside, Quantity(bare.quantile(percent), Unit::Milliseconds)),
            );
        }
    }
    // What waits is not to be run.
    world.kill9();
}

const BARE: Duration = Duration::from_secs(1);

/// A page written and made durable, one after the other.
fn bare(path: &Path) -> Times {
    const PAGES: u64 = 1_024;
    let folder = path.parent().expect("the file is in a folder");
    fs::create_dir_all(folder).expect("a folder can be made");
    let file = File::create(path).expect("a file can be made");
    file.write_all_at(&vec![0; 4_096 * 1_024], 0).expect("it can be written");
    file.sync_all().expect("it can be synced");
    let mut times = Times::default();
    let began = Instant::now();
    let mut page = 0;
    while began.elapsed() < BARE {
        let began = Instant::now();
        file.write_all_at(&[1; 4_096], page % PAGES * 4_096).expect("it can be written");
        file.sync_data().expect("it can be synced");
        times.push(began.elapsed());
        page += 1;
    }
    times
}

//! How large a job is as it is stored, and how long a change takes.

use std::time::Instant;

use crate::job::{
    tests::{walk::*, wide::*},
    *,
};

fn json(job: &Job) -> usize {
    serde_json::to_vec(job).unwrap().len()
}

/// A job of this many tasks, each after the one listed behind it.
fn reversed_chain(tasks: u32) -> JobSpec {
    job((0..tasks).map(|n| {
        task(&format!("step-{n}")).with(|task| {
            let next = (n + 1 < tasks).then_some(n + 1);
            task.after =
                next.into_iter().map(|task| Edge { task, when: When::Succeeded }).collect();
        })
    }))
}

fn loose(tasks: u32) -> JobSpec {
    job((0..tasks).map(|n| task(&format!("task-{n}"))))
}

fn all_succeeded(instances: u32) -> Walk {
    let mut walk = Walk::new(&job([array("a", instances)]));
    for instance in 0..instances {
        walk.run(0, instance, 0);
    }
    walk
}

#[test]
fn an_ordinary_job_is_small_and_the_largest_fits_an_item() {
    let one = all_succeeded(1);
    assert!(json(&one.job) <= 1_800, "{}", json(&one.job));
    assert!(json(&all_succeeded(128).job) <= 20_000);
    assert!(json(&Walk::new(&loose(1_000)).job) <= 400_000);
    let full = job((0..8).map(|n| array(&format!("t{n}"), 128)));
    assert!(json(&Walk::new(&full).job) <= 200_000);
    let widest = (0..1_000).map(|n| array(&format!("task-{n}"), if n < 710 { 129 } else { 2 }));
    assert!(json(&Walk::new(&job(widest)).job) <= 900_000);
}

/// `cargo test -p shared --release figures -- --ignored --nocapture`
#[test]
#[ignore = "prints figures, and takes its time for them"]
fn figures() {
    let one = Walk::new(&job([task("a")]));
    let mut live = one.clone();
    live.start(0, 0);
    let mut cancelled = Walk::new(&job([array("a", 128)]));
    for instance in 0..128 {
        cancelled.start(0, instance);
    }
    cancelled.cancel();
    let mut full = Walk::new(&job((0..8).map(|n| array(&format!("t{n}"), 128))));
    (0..8).for_each(|task| (0..128).for_each(|instance| drop_result(full.start(task, instance))));
    let mut wide = Wide::new(&job([array("a", 10_000)]));
    wide.sync();
    for (name, job) in [
        ("1 instance, queued", &one.job),
        ("1 instance, running", &live.job),
        ("1 instance, succeeded", &all_succeeded(1).job),
        ("128 instances, queued", &Walk::new(&job([array("a", 128)])).job),
        ("128 instances, all succeeded", &all_succeeded(128).job),
        ("128 instances, all to stop", &cancelled.job),
        ("8 × 128 instances, all running", &full.job),
        ("1,000 tasks, queued", &Walk::new(&loose(1_000)).job),
        ("10,000 instances, queued", wide.job()),
    ] {
        println!("{:>9} bytes  {name}", json(job));
    }
    println!("{:>9} bytes  a chunk of them", serde_json::to_vec(wide.chunk(0)).unwrap().len());

    let claim = |walk: &Walk, task| Event::Attempt(walk.attempt(task, 0, 1), AttemptEvent::Claimed);
    time("claim of 1 instance", &one, &claim(&one, 0));
    let report = Event::Attempt(live.attempt(0, 0, 0), AttemptEvent::Ended(exit(0)));
    time("report of 1 instance", &live, &report);
    let loose = Walk::new(&loose(1_000));
    time("claim, 1,000 loose tasks", &loose, &claim(&loose, 999));
    let mut chain = Walk::new(&reversed_chain(1_000));
    chain.start(999, 0);
    let failed = Event::Attempt(chain.attempt(999, 0, 0), AttemptEvent::Ended(exit(1)));
    time("failure, 999 skipped in a reversed chain", &chain, &failed);
    let done = Event::Attempt(chain.attempt(999, 0, 0), AttemptEvent::Ended(exit(0)));
    time("success, next of a reversed chain", &chain, &done);
    let report = Event::Attempt(full.attempt(7, 127, 0), AttemptEvent::Ended(exit(0)));
    time("report, 8 × 128 instances", &full, &report);
    time("tick, 8 × 128 instances", &full, &Event::Ticked);
    let stored = serde_json::to_vec(&full.job).unwrap();
    measure("owes, 8 × 128 instances", || full.job.owes().len());
    measure("read, 8 × 128 instances", || serde_json::from_slice::<Job>(&stored).unwrap().run);
    measure("write, 8 × 128 instances", || json(&full.job));
    let stored = serde_json::to_vec(&live.job).unwrap();
    measure("owes, 1 instance", || live.job.owes().len());
    measure("read, 1 instance", || serde_json::from_slice::<Job>(&stored).unwrap().run);
    measure("write, 1 instance", || json(&live.job));
}

fn drop_result<T>(_: T) {}

fn time(name: &str, walk: &Walk, event: &Event) {
    measure(name, || walk.job.after(event, walk.now).unwrap());
}

/// The best of many: what it costs when nothing else runs.
fn measure<T>(name: &str, go: impl Fn() -> T) {
    let once = |_| {
        let start = Instant::now();
        std::hint::black_box(go());
        start.elapsed()
    };
    let best = (0..2_000).map(once).min().unwrap_or_default();
    println!("{:>9.1} µs     {name}", best.as_secs_f64() * 1e6);
}

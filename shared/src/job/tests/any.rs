//! Any job, and anything that can happen to one.

use proptest::{prelude::*, sample::Index};

use crate::job::{tests::walk::*, *};

/// One thing that happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// One of the duties that are owed is done, in one of several ways.
    Duty(Index, u8),
    /// One of the attempts there ever were, or the next one, is heard of.
    News(Index, News),
    /// An event that was sent before is sent again.
    Again(Index),
    /// An image is told about, asked for or not.
    Image(Index, Option<Cause>),
    Pass(u16),
    Tick,
    Cancel,
    /// One of the instances of one of the tasks is called off.
    Stop(Index, Index),
    Retry(bool),
    Delete,
    Told(u8),
    TellFailed(u8, Option<u32>),
    TellSpared(u8),
}

#[derive(Clone, Debug)]
pub enum News {
    Claimed,
    Launched,
    PlanRead,
    Collecting(i32),
    Ended(Ended),
    /// An equal is told of, by one of three events.
    Equal(u8),
}

fn causes() -> impl Strategy<Value = Cause> {
    prop::sample::select(Cause::ALL.to_vec())
}

fn endings() -> impl Strategy<Value = Ended> {
    let exit = prop_oneof![
        (-1..3).prop_map(Exit::Code),
        prop::sample::select(vec![9, 15, i32::MAX]).prop_map(Exit::Signal),
    ];
    (prop::option::of(exit), prop::option::of(causes()), prop::option::of(0..9_u64)).prop_map(
        |(exit, cause, archive_bytes)| Ended { exit, cause, archive_bytes, usage: None, key: None },
    )
}

fn news() -> impl Strategy<Value = News> {
    prop_oneof![
        2 => Just(News::Claimed),
        1 => Just(News::Launched),
        3 => Just(News::PlanRead),
        1 => (0..2).prop_map(News::Collecting),
        3 => endings().prop_map(News::Ended),
        1 => any::<u8>().prop_map(News::Equal),
    ]
}

pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        90 => (any::<Index>(), any::<u8>()).prop_map(|(which, how)| Step::Duty(which, how)),
        60 => (any::<Index>(), news()).prop_map(|(which, news)| Step::News(which, news)),
        15 => any::<Index>().prop_map(Step::Again),
        2 => (any::<Index>(), prop::option::of(causes())).prop_map(|(i, c)| Step::Image(i, c)),
        15 => (0..60_u16).prop_map(Step::Pass),
        10 => Just(Step::Tick),
        1 => Just(Step::Cancel),
        2 => (any::<Index>(), any::<Index>()).prop_map(|(task, one)| Step::Stop(task, one)),
        6 => any::<bool>().prop_map(Step::Retry),
        1 => Just(Step::Delete),
        1 => (0..4_u8).prop_map(Step::Told),
        3 => (0..4_u8, prop::option::of(0..90_u32)).prop_map(|(r, s)| Step::TellFailed(r, s)),
        1 => (0..4_u8).prop_map(Step::TellSpared),
    ];
    prop::collection::vec(step, 0..150)
}

fn tasks() -> impl Strategy<Value = Vec<TaskSpec>> {
    let whens = [When::Succeeded, When::Partly, When::Failed, When::Finished];
    (1..=8_usize).prop_flat_map(move |size| {
        let edge = (0..size, 0..size, prop::sample::select(whens.to_vec()));
        let edges = prop::collection::vec(edge, 0..size * 2);
        let places = Just((0..size).collect::<Vec<_>>()).prop_shuffle();
        (prop::collection::vec(a_task(), size), edges, places).prop_map(|(tasks, edges, places)| {
            let name = |(n, task): (usize, TaskSpec)| {
                task.with(|task| task.name = format!("t{n}").parse().unwrap())
            };
            let mut tasks: Vec<_> = tasks.into_iter().enumerate().map(name).collect();
            for (a, b, when) in edges.into_iter().filter(|(a, b, _)| a != b) {
                let task = u32::try_from(places[a.min(b)]).unwrap();
                tasks[places[a.max(b)]].after.push(Edge { task, when });
            }
            tasks
        })
    })
}

fn a_task() -> impl Strategy<Value = TaskSpec> {
    let instances = prop_oneof![40 => 1..=5_u32, 1 => 129..=140_u32];
    let seconds = || prop_oneof![1 => 0..40_u32, 4 => 40..1_000_u32];
    let deadlines = (seconds(), seconds(), seconds(), 0..20_u32, 0..20_u32).prop_map(
        |(waiting, starting, running, grace, collecting)| Deadlines {
            waiting,
            starting,
            running,
            grace,
            collecting,
        },
    );
    let retry = (1..4_u32, prop::collection::vec(0..3, 0..2), 0..50_u32).prop_map(
        |(max_attempts, exit_codes, delay_seconds)| RetryRules {
            max_attempts,
            exit_codes,
            delay_seconds,
        },
    );
    let caches = prop::bool::weighted(0.3);
    (instances, prop::option::of(0..4_u32), deadlines, retry, any::<bool>(), caches).prop_map(
        |(instances, max_concurrent, deadlines, retry, other, caches)| TaskSpec {
            image: if other { "other" } else { "one" }.parse().unwrap(),
            ..array("t", instances).with(|task| {
                (task.max_concurrent, task.deadlines, task.retry) =
                    (max_concurrent, deadlines, retry);
                task.cache = caches.then(CacheRule::default);
            })
        },
    )
}

pub fn specs() -> impl Strategy<Value = JobSpec> {
    let deadline = prop_oneof![3 => Just(None), 1 => (0..1_000_u32).prop_map(Some)];
    (tasks(), prop::bool::weighted(0.3), deadline, any::<bool>()).prop_map(
        |(tasks, fail_fast, deadline_seconds, told)| JobSpec {
            fail_fast,
            deadline_seconds,
            retain_days: 1,
            callback: told.then(|| told_at("https://example.com/hook")),
            ..job(tasks)
        },
    )
}

/// What may be found of an equal.
pub fn equal(how: u8) -> AttemptEvent {
    match how % 3 {
        0 => AttemptEvent::Awaits { key: "key".to_owned(), again_seconds: 5 },
        1 => AttemptEvent::Leads { key: (how > 9).then(|| "key".to_owned()) },
        _ => AttemptEvent::Recalled(recalled()),
    }
}

impl News {
    pub fn event(&self) -> AttemptEvent {
        match self {
            News::Claimed => AttemptEvent::Claimed,
            News::Launched => AttemptEvent::Launched { handle: Some("h".to_owned()) },
            News::PlanRead => AttemptEvent::PlanRead,
            News::Collecting(code) => AttemptEvent::Collecting { exit: Exit::Code(*code) },
            News::Ended(ended) => AttemptEvent::Ended(ended.clone()),
            News::Equal(how) => equal(*how),
        }
    }
}

//! Wide tasks: their chunks are created, claimed from, told, folded and swept,
//! whoever dies when.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use shared::{
    agent::Report,
    conformance::memory::{Memory, World},
    job::{AttemptKey, Cause, Counts, Ending, Event, Exit, Job, JobId},
    ops::{
        attempts, chunks, dispatch, duties, jobs,
        queues::{self, QueueChange},
        record,
        rows::{self, ChunkKey, QueueKey},
        sweep,
    },
    platform::{Expect, Op, Row, Table, Wanted},
};

use super::staged::{self, Stepwise, succeeded};

fn counts(waiting: u32, live: u32, succeeded: u32, failed: u32, stopped: u32) -> Counts {
    Counts { waiting, live, succeeded, failed, stopped }
}

async fn limit(world: &World, limit: u32) -> QueueKey {
    let key = QueueKey { project: world.project, name: "default".parse().unwrap() };
    let change = QueueChange { limit: Some(limit), ..QueueChange::default() };
    queues::put(&world.service, &key, change).await.unwrap();
    key
}

/// What agents do of what runs: each ends with the code that `code` says.
async fn agents(world: &World, job: JobId, code: impl Fn(AttemptKey) -> i32) {
    let live = world.live(job).await;
    let run = async |attempt: AttemptKey| {
        attempts::read_plan(&world.service, attempt).await.unwrap();
        let code = code(attempt);
        let mut report = succeeded("by the agent");
        if code != 0 {
            report.exit = Some(shared::job::Exit::Code(code));
            report.cause = Some(Cause::Exited);
        }
        attempts::report(&world.service, attempt, report).await.unwrap();
        world.memory.runtime.exit(attempt, 0, false);
    };
    join_all(live.into_iter().map(run)).await;
}

/// The job, run to its end.
async fn run(world: &World, job: JobId, code: impl Fn(AttemptKey) -> i32) -> Job {
    for _ in 0..400 {
        world.settle().await;
        agents(world, job, &code).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.settle().await;
        let now = world.job(job).await;
        if now.ending().is_some() {
            return now;
        }
    }
    panic!("it does not end: {:?}", world.job(job).await)
}

fn ending(job: &Job) -> Option<Ending> {
    job.ending().map(|(ending, _)| ending)
}

#[tokio::test(start_paused = true)]
async fn a_wide_job_ends_with_the_counts_of_all_its_instances() {
    let world = World::new().await;
    let queue = limit(&world, 40).await;
    let job = world.submit(r#"{"image": "a", "instances": 300}"#).await;
    let fails = |attempt: AttemptKey| i32::from([7, 200].contains(&attempt.attempt.instance));
    let job = run(&world, job.id, fails).await;
    assert_eq!(ending(&job), Some(Ending::PartlyFailed));
    assert_eq!(job.tasks[0].members.counts(), counts(0, 0, 298, 2, 0));
    assert_eq!(queues::live(&world.service, &queue).await.unwrap(), [""; 0]);
    assert!(world.memory.runtime.launched().is_empty(), "containers are left");
}

#[tokio::test(start_paused = true)]
async fn a_process_is_told_its_index_and_how_many_there_are() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a", "instances": 300}"#).await;
    world.settle().await;
    let live = world.live(job.id).await;
    assert_eq!(live.len(), 300);
    for place in [0, 128, 299] {
        let plan = attempts::read_plan(&world.service, live[place]).await.unwrap();
        assert_eq!(plan.env["TARPON_INSTANCE_INDEX"], place.to_string());
        assert_eq!(plan.env["TARPON_INSTANCE_COUNT"], "300");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_wide_task_may_have_at_once_is_never_passed() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a", "instances": 140, "max_concurrent": 9}"#).await.id;
    let mut most = 0;
    while world.job(job).await.ending().is_none() {
        world.settle().await;
        most = most.max(world.live(job).await.len());
        agents(&world, job, |_| 0).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.settle().await;
    }
    assert_eq!(most, 9);
    assert_eq!(ending(&world.job(job).await), Some(Ending::Succeeded));
}

#[tokio::test(start_paused = true)]
async fn a_queues_limit_holds_for_chunks_as_for_jobs() {
    let world = World::new().await;
    let queue = limit(&world, 5).await;
    let wide = world.submit(r#"{"image": "a", "instances": 200}"#).await.id;
    let other = world.submit(r#"{"image": "a", "priority": 9}"#).await.id;
    world.settle().await;
    assert_eq!(queues::live(&world.service, &queue).await.unwrap().len(), 5);
    assert_eq!((world.live(other).await.len(), world.live(wide).await.len()), (1, 4));
    limit(&world, 0).await;
    agents(&world, wide, |_| 0).await;
    world.settle().await;
    assert_eq!(world.live(wide).await, []);
}

#[tokio::test(start_paused = true)]
async fn cancelling_stops_what_runs_and_what_waits() {
    let world = World::new().await;
    let queue = limit(&world, 10).await;
    let job = world.submit(r#"{"image": "a", "instances": 300}"#).await.id;
    world.settle().await;
    let live = world.live(job).await;
    attempts::read_plan(&world.service, live[0]).await.unwrap();
    jobs::cancel(&world.service, world.of(job)).await.unwrap();
    // The chunks have not been told yet, and no user code starts all the same.
    let refused = attempts::read_plan(&world.service, live[1]).await;
    assert!(refused.unwrap_err().to_string().contains("is to stop"));
    world.settle().await;
    assert!(live.iter().all(|attempt| world.memory.runtime.is_stopped(*attempt)));
    for attempt in &live {
        world.report(*attempt, 143, Some(Cause::Interrupted), None).await;
    }
    let job = world.job(job).await;
    assert_eq!(ending(&job), Some(Ending::Cancelled));
    assert_eq!(job.tasks[0].members.counts(), counts(0, 0, 0, 0, 300));
    assert_eq!(queues::live(&world.service, &queue).await.unwrap(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_wide_job_of_which_nothing_is_heard() {
    let world = World::new().await;
    limit(&world, 10).await;
    let json = r#"{"image": "a", "instances": 300, "deadline_seconds": 60}"#;
    let job = world.submit(json).await.id;
    world.settle().await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_hours(1)).await;
        world.settle().await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.settle().await;
    let job = world.job(job).await;
    assert_eq!(ending(&job), Some(Ending::TimedOut));
    assert_eq!(job.tasks[0].members.counts(), counts(0, 0, 0, 0, 300));
}

#[tokio::test(start_paused = true)]
async fn the_first_failure_stops_the_other_chunks_of_a_job_that_fails_fast() {
    let world = World::new().await;
    limit(&world, 130).await;
    let json = r#"{"fail_fast": true, "tasks": [{"name": "t", "image": "a", "instances": 400}]}"#;
    let job = world.submit(json).await.id;
    world.settle().await;
    let live = world.live(job).await;
    let failing = live[129];
    attempts::read_plan(&world.service, failing).await.unwrap();
    world.report(failing, 1, Some(Cause::Exited), None).await;
    world.settle().await;
    let others = live.iter().filter(|attempt| **attempt != failing);
    assert!(others.clone().all(|attempt| world.memory.runtime.is_stopped(*attempt)));
    for attempt in others {
        let report = succeeded("too late to be stopped");
        attempts::report(&world.service, *attempt, report).await.unwrap();
        world.memory.runtime.exit(*attempt, 0, false);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.settle().await;
    let job = world.job(job).await;
    assert_eq!(job.tasks[0].members.counts(), counts(0, 0, 129, 1, 270));
    assert_eq!(ending(&job), Some(Ending::PartlyFailed));
}

#[tokio::test(start_paused = true)]
async fn instances_of_a_chunk_are_tried_again_by_cause() {
    let world = World::new().await;
    let retry = r#"{"max_attempts": 3, "exit_codes": [75], "delay_seconds": 10}"#;
    let json = format!(r#"{{"image": "a", "instances": 130, "retry": {retry}}}"#);
    let job = world.submit(&json).await.id;
    let code = |attempt: AttemptKey| match (attempt.attempt.instance, attempt.attempt.number) {
        (0, _) => 1,
        (1, 1 | 2) | (129, _) => 75,
        _ => 0,
    };
    let job = run(&world, job, code).await;
    assert_eq!(job.tasks[0].members.counts(), counts(0, 0, 128, 2, 0));
    for (instance, tried) in [(0, 1), (1, 3), (129, 3)] {
        let of = job.attempt_id(0, instance, 0);
        let held = chunks::held(&world.service, AttemptKey { project: world.project, attempt: of });
        assert_eq!(held.await.unwrap().unwrap().instance(of).unwrap().attempts, tried);
    }
}

#[tokio::test(start_paused = true)]
async fn containers_of_chunks_that_are_gone_or_never_came_up_are_seen_to() {
    let world = World::new().await;
    limit(&world, 3).await;
    let job = world.submit(r#"{"image": "a", "instances": 130}"#).await;
    for _ in 0..2 {
        duties::perform(&world.service, job.key()).await.unwrap();
    }
    let queue = QueueKey::of(&job);
    // Claimed by who dies before the launch.
    dispatch::claim(&world.service, &queue, dispatch::BATCH).await.unwrap();
    let live = world.live(job.id).await;
    assert_eq!((live.len(), world.memory.runtime.launched().len()), (3, 0));
    tokio::time::sleep(Duration::from_secs(61)).await;
    world.settle().await;
    assert_eq!(world.memory.runtime.launched().len(), 3);

    attempts::read_plan(&world.service, live[0]).await.unwrap();
    world.memory.runtime.lose(live[0]);
    attempts::read_plan(&world.service, live[1]).await.unwrap();
    world.memory.runtime.exit(live[1], 137, true);
    world.memory.runtime.never_starts(live[2], Cause::Interrupted);
    tokio::time::sleep(Duration::from_secs(61)).await;
    world.settle().await;
    let causes = live.iter().map(async |attempt| {
        let left = attempts::load(&world.service, attempt.attempt).await.unwrap();
        left.unwrap().cause.unwrap()
    });
    let causes = join_all(causes).await;
    assert_eq!(causes, [Cause::AgentLost, Cause::OutOfMemory, Cause::Interrupted]);
    assert_eq!(ending(&run(&world, job.id, |_| 0).await), Some(Ending::PartlyFailed));
}

#[tokio::test(start_paused = true)]
async fn what_is_larger_than_the_machine_fails_instance_by_instance() {
    let world = World::new().await;
    world.memory.runtime.set_room(shared::job::Resources { cpu_millis: 100, memory_mib: 100 });
    let job = world.submit(r#"{"image": "a", "instances": 130}"#).await.id;
    let job = run(&world, job, |_| 0).await;
    assert_eq!(job.tasks[0].members.counts(), counts(0, 0, 0, 130, 0));
}

#[tokio::test(start_paused = true)]
async fn a_job_behind_a_wide_one_has_one_job_before_it() {
    let world = World::new().await;
    limit(&world, 0).await;
    let wide = world.submit(r#"{"image": "a", "instances": 10000}"#).await;
    duties::perform(&world.service, wide.key()).await.unwrap();
    world.settle().await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    let next = world.submit(r#"{"image": "a"}"#).await;
    duties::perform(&world.service, next.key()).await.unwrap();
    for (job, position) in [(wide.id, "0"), (next.id, "1")] {
        let view = jobs::view(&world.service, &world.job(job).await).await.unwrap();
        let waiting = view.waiting_for.unwrap();
        assert_eq!((waiting.reason, waiting.position.as_deref()), ("queue_limit", Some(position)));
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_wide_job_that_was_removed() {
    let world = World::new().await;
    // A lease stays for a while, for what may still come.
    let count = || world.memory.table.rows().iter().filter(|row| !rows::is_lease(&row.key)).count();
    let before = count();
    let job = world.submit(r#"{"image": "a", "instances": 300}"#).await.id;
    run(&world, job, |_| 0).await;
    jobs::delete(&world.service, world.of(job)).await.unwrap();
    world.settle().await;
    assert_eq!(count(), before);
}

/// A world in which a wide job has been run, and seven of its instances, of two
/// chunks, are to run again: few enough to look at every step.
struct Template {
    world: World,
    rows: Vec<Row>,
    job: JobId,
}

impl Template {
    async fn new() -> Self {
        let world = World::new().await;
        let job = world.submit(r#"{"image": "a", "instances": 131}"#).await.id;
        let fails = |attempt: AttemptKey| {
            let instance = attempt.attempt.instance;
            i32::from(!(4..128).contains(&instance))
        };
        run(&world, job, fails).await;
        record::record(&world.service, world.of(job), &Event::RetryAsked { all: false })
            .await
            .unwrap();
        Template { rows: world.memory.table.rows(), world, job }
    }

    /// The same anew, on a table that goes step by step.
    async fn again(&self, limit: u32, seed: u64) -> (World, Arc<Stepwise>) {
        let memory = Memory::new(1);
        for Row { key, body, marks, expires_at, .. } in self.rows.clone() {
            let wanted = Wanted { body, marks, expires_at };
            memory.table.commit(vec![Op::Put(key, Expect::Anything, wanted)]).await.unwrap();
        }
        let service = memory.service();
        let mut world = World { memory, service, ..self.world.clone() };
        let table = Stepwise::under(&mut world, limit, seed).await;
        (world, table)
    }

    async fn has_ended(&self, world: &World, table: &Stepwise, how: &str) {
        let job = world.job(self.job).await;
        assert_eq!((ending(&job), job.run), (Some(Ending::Succeeded), 2), "{how}: {job:?}");
        assert_eq!(job.tasks[0].members.counts(), counts(0, 0, 131, 0, 0), "{how}");
        assert_eq!(queues::live(&world.service, &table.queue).await.unwrap(), [""; 0], "{how}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wide_job_ends_wherever_it_dies_twice() {
    let template = Template::new().await;
    let mut deaths = 0;
    for first in 0..80 {
        for second in [4] {
            let (world, table) = template.again(5, 0).await;
            table.live(first);
            let cut = staged::minute(&world).await.is_err();
            table.live(if cut { second } else { u64::MAX });
            let again = staged::minute(&world).await.is_err();
            table.live(u64::MAX);
            for _ in 0..7 {
                staged::minute(&world).await.unwrap();
            }
            template.has_ended(&world, &table, &format!("{first}, {second}")).await;
            deaths += usize::from(cut) + usize::from(again);
            if !cut {
                break;
            }
        }
    }
    assert!(deaths > 40, "it died {deaths} times");
}

#[tokio::test(start_paused = true)]
async fn chunks_are_created_wherever_it_dies() {
    for dies_after in 0..14 {
        let mut world = World::new().await;
        let table = Stepwise::under(&mut world, 2, 0).await;
        table.live(dies_after);
        let accepted = staged::submit(&world, r#"{"image": "a", "instances": 300}"#).await;
        for _ in 0..3 {
            if sweep::sweep(&world.service).await.is_err() {
                break;
            }
        }
        table.live(u64::MAX);
        let Ok(job) = accepted else { continue };
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(61)).await;
            world.settle().await;
        }
        let chunks = chunks::all(&world.service, world.of(job), None).await.unwrap();
        let sizes: Vec<_> = chunks.iter().map(|chunk| chunk.instances.len()).collect();
        assert_eq!(sizes, [128, 128, 44], "{dies_after}");
        assert_eq!(world.live(job).await.len(), 2, "{dies_after}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wide_job_ends_wherever_it_dies() {
    let mut cut = false;
    for dies_after in 0..40 {
        let mut world = World::new().await;
        let table = Stepwise::under(&mut world, 6, 0).await;
        let job = world.submit(r#"{"image": "a", "instances": 300}"#).await.id;
        world.settle().await;
        table.live(dies_after);
        let asked = jobs::cancel(&world.service, world.of(job)).await;
        cut |= asked.is_err() || sweep::sweep(&world.service).await.is_err();
        table.live(u64::MAX);
        jobs::cancel(&world.service, world.of(job)).await.unwrap();
        for _ in 0..6 {
            staged::minute(&world).await.unwrap();
        }
        let job = world.job(job).await;
        assert_eq!(ending(&job), Some(Ending::Cancelled), "{dies_after}: {job:?}");
        let Counts { waiting, live, failed, .. } = job.tasks[0].members.counts();
        assert_eq!((waiting, live, failed), (0, 0, 0));
        assert_eq!(queues::live(&world.service, &table.queue).await.unwrap(), [""; 0]);
    }
    assert!(cut, "it never died");
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_in_whatever_order_claims_sweeps_and_endings_of_chunks_come() {
    let template = Template::new().await;
    for seed in 1..30 {
        let (world, table) = template.again(2, seed).await;
        duties::perform(&world.service, world.of(template.job)).await.unwrap();
        let dispatching = async || {
            for _ in 0..8 {
                dispatch::dispatch(&world.service, &table.queue).await.unwrap();
            }
        };
        let sweeping = async {
            for _ in 0..8 {
                sweep::queues(&world.service, None).await.unwrap();
            }
        };
        let ending = async || {
            for _ in 0..12 {
                for attempt in staged::stored_live(&world.memory.table) {
                    let report = succeeded("by the agent");
                    attempts::report(&world.service, attempt, report).await.unwrap();
                }
                table.step().await.unwrap();
            }
        };
        tokio::join!(dispatching(), dispatching(), sweeping, ending(), ending());
        for _ in 0..6 {
            staged::minute(&world).await.unwrap();
        }
        template.has_ended(&world, &table, &format!("with seed {seed}")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_a_cancellation_overtakes_leaves_no_slot_behind() {
    for seed in 1..40 {
        let mut world = World::new().await;
        let table = Stepwise::under(&mut world, 40, seed).await;
        let job = world.submit(r#"{"image": "a", "instances": 300}"#).await;
        let perform = async || {
            duties::perform(&world.service, job.key()).await.unwrap();
            for chunk in chunks::all(&world.service, job.key(), None).await.unwrap() {
                let key = ChunkKey { job: chunk.job, task: chunk.task, chunk: chunk.chunk };
                chunks::perform(&world.service, key).await.unwrap();
            }
        };
        let end = async || {
            for attempt in staged::stored_live(&world.memory.table) {
                let report = succeeded("by the agent");
                attempts::report(&world.service, attempt, report).await.unwrap();
            }
        };
        perform().await;
        perform().await;
        let dispatching = dispatch::dispatch(&world.service, &table.queue);
        let cancelling = async {
            for _ in 0..3 * seed {
                table.step().await.unwrap();
            }
            jobs::cancel(&world.service, job.key()).await.unwrap();
            perform().await;
        };
        let reporting = async {
            for _ in 0..20 {
                end().await;
                table.step().await.unwrap();
            }
        };
        let (dispatched, (), ()) = tokio::join!(dispatching, cancelling, reporting);
        dispatched.unwrap();
        end().await;
        perform().await;
        perform().await;

        let ended = world.job(job.id).await;
        assert_eq!(ending(&ended), Some(Ending::Cancelled), "{seed}: {ended:?}");
        assert_eq!(queues::live(&world.service, &table.queue).await.unwrap(), [""; 0], "{seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wide_job_says_what_its_instances_wait_for() {
    let world = World::new().await;
    limit(&world, 131).await;
    let reason = async |job: &Job| {
        let job = world.job(job.id).await;
        let view = jobs::view(&world.service, &job).await.unwrap();
        view.waiting_for.map(|waiting| waiting.reason)
    };
    let retry = r#"{"max_attempts": 2, "delay_seconds": 600}"#;
    let json = format!(r#"{{"image": "a", "instances": 131, "retry": {retry}}}"#);
    let job = world.submit(&json).await;
    world.settle().await;
    assert_eq!(reason(&job).await, None);
    let second = world.submit(r#"{"image": "a", "instances": 131}"#).await;
    world.settle().await;
    assert_eq!(reason(&second).await, Some("queue_limit"));
    for attempt in world.live(job.id).await {
        attempts::read_plan(&world.service, attempt).await.unwrap();
        let report = Report { exit: Some(Exit::Code(1)), ..succeeded("not so") };
        attempts::report(&world.service, attempt, report).await.unwrap();
        world.memory.runtime.exit(attempt, 1, false);
    }
    // The job learns of its parts a little later.
    tokio::time::sleep(Duration::from_secs(61)).await;
    world.settle().await;
    assert_eq!(reason(&job).await, Some("retry_pause"));
    assert_eq!(reason(&second).await, None);
}

/// How many commits it takes to run so many instances of which each is told
/// of by itself, as functions that know nothing of each other would, and every
/// change of a chunk calls for a look at what it owes.
async fn commits(instances: u32) -> usize {
    let world = World::new().await;
    let queue = limit(&world, 20).await;
    let json = format!(r#"{{"image": "a", "instances": {instances}}}"#);
    let job = world.submit(&json).await;
    let before = world.memory.table.commits();
    duties::perform(&world.service, job.key()).await.unwrap();
    duties::perform(&world.service, job.key()).await.unwrap();
    while world.job(job.id).await.ending().is_none() {
        dispatch::dispatch(&world.service, &queue).await.unwrap();
        for attempt in world.live(job.id).await {
            attempts::read_plan(&world.service, attempt).await.unwrap();
            let report = succeeded("by the agent");
            attempts::report(&world.service, attempt, report).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            chunks::perform(&world.service, ChunkKey::of(attempt)).await.unwrap();
        }
    }
    let job = world.job(job.id).await;
    assert_eq!(job.tasks[0].members.counts(), counts(0, 0, instances, 0, 0));
    world.memory.table.commits() - before
}

#[tokio::test(start_paused = true)]
async fn an_instance_takes_few_writes_however_many_there_are() {
    let (few, many) = (commits(256).await, commits(1_280).await);
    let per_instance = |commits: usize, instances: usize| commits * 100 / instances;
    let (few, many) = (per_instance(few, 256), per_instance(many, 1_280));
    assert!(many <= 400, "{many} hundredths of a commit for each instance");
    assert!(many <= few + 5, "{few} of few, {many} of many");
}

#[tokio::test(start_paused = true)]
async fn a_chunk_says_in_the_index_what_it_is_due_for() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a", "instances": 129}"#).await;
    world.settle().await;
    let key = ChunkKey { job: job.key(), task: 0, chunk: 1 };
    let row = world.memory.table.get(&rows::chunk(key)).await.unwrap().unwrap();
    assert_eq!(rows::chunk_at(&row.key), Some(key));
    let wakes: Vec<_> = sweep::wakes(&row.key, &row.marks, true).collect();
    assert_eq!(wakes, [sweep::Wake::Chunk(key)]);
    let sent = serde_json::to_string(&wakes[0]).unwrap();
    assert_eq!(serde_json::from_str::<sweep::Wake>(&sent).unwrap(), wakes[0]);
}

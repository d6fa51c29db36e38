//! Wide tasks: spread over chunks, each judged by itself, folded into the job.

use crate::job::{
    tests::{walk::*, wide::*},
    *,
};

fn three_hundred() -> JobSpec {
    job([array("wide", 300)])
}

fn counts(waiting: u32, live: u32, succeeded: u32, failed: u32, stopped: u32) -> Counts {
    Counts { waiting, live, succeeded, failed, stopped }
}

#[test]
fn up_to_128_instances_live_in_the_record_and_more_in_chunks() {
    let sizes = |instances| match &Walk::new(&job([array("a", instances)])).job.tasks[0].members {
        Members::Inline(instances) => vec![instances.len()],
        Members::Chunked(chunks) => {
            chunks.iter().map(|chunk| chunk.counts.total() as usize).collect()
        }
    };
    assert_eq!(sizes(128), [128]);
    assert_eq!(sizes(129), [128, 1]);
    assert_eq!(sizes(300), [128, 128, 44]);
    assert_eq!(sizes(10_000).len(), 79);
}

#[test]
fn a_record_keeps_no_more_instances_than_it_has_room_for() {
    let tasks = |n: u32| (0..n).map(|n| array(&format!("t{n}"), 100));
    let walk = Walk::new(&job(tasks(12)));
    let chunked = |task: &Task| matches!(task.members, Members::Chunked(_));
    assert_eq!(walk.job.tasks.iter().filter(|task| chunked(task)).count(), 2);
    let walk = Walk::new(&job((0..1_000).map(|n| task(&format!("t{n}")))));
    assert!(!walk.job.tasks.iter().any(chunked), "those of one instance aside");
}

#[test]
fn a_chunk_is_created_once_its_image_is_known_and_its_task_ready() {
    let spread = Duty::Spread { task: 0, chunk: 2 };
    let mut walk = Walk::unresolved(&three_hundred());
    assert!(!walk.owes(spread));
    assert_eq!(walk.refused(&Event::Spread { task: 0, chunk: 2 }), Refused::NotWaiting);
    walk.take(&Event::ImageResolved { image: 0, resolved: resolved() });
    assert_eq!(walk.due(spread), Some(0));
    assert_eq!(walk.job.spread(0, 2, None, walk.now).unwrap().instances.len(), 44);
    assert_eq!(walk.job.spread(0, 3, None, walk.now), Err(Refused::NoSuchInstance));
    walk.take(&Event::Spread { task: 0, chunk: 2 });
    assert!(!walk.owes(spread));
    assert_eq!(walk.job.spread(0, 2, None, walk.now), Err(Refused::NotWaiting));
    let once = walk.job.clone();
    assert_eq!(walk.take(&Event::Spread { task: 0, chunk: 2 }).job, once);
}

#[test]
fn a_wide_task_runs_and_ends_by_its_chunks() {
    let mut wide = Wide::new(&three_hundred());
    assert_eq!(wide.sync().claims().len(), 300);
    let first = wide.claims()[0];
    wide.send(first, &AttemptEvent::Claimed).unwrap();
    wide.sync();
    assert_eq!(wide.job().phase, Phase::Running);
    wide.send(first, &AttemptEvent::Ended(exit(1))).unwrap();
    wide.run(|_| 0);
    assert_eq!(wide.job().tasks[0].members.counts(), counts(0, 0, 299, 1, 0));
    assert_eq!(wide.walk.ending(), Some(Ending::PartlyFailed));
}

#[test]
fn folding_replaces_and_never_adds() {
    let mut wide = Wide::new(&three_hundred());
    wide.sync();
    let spent = Spent::default();
    let of_run =
        |run, sequence, counts| Event::Folded { task: 0, chunk: 2, run, sequence, counts, spent };
    let fold = |sequence, counts| of_run(1, sequence, counts);
    let second = fold(2, counts(40, 4, 0, 0, 0));
    wide.walk.take(&second).take(&second);
    assert_eq!(entry(wide.job(), 0, 2).counts, counts(40, 4, 0, 0, 0));
    let seen = wide.job().clone();
    for late in [
        fold(1, counts(43, 1, 0, 0, 0)),
        fold(2, counts(0, 0, 44, 0, 0)),
        fold(3, counts(0, 0, 45, 0, 0)),
        of_run(2, 9, counts(0, 0, 44, 0, 0)),
    ] {
        assert_eq!(wide.walk.take(&late).job, seen, "late, known, of another size, of another run");
    }
    wide.walk.take(&fold(3, counts(39, 4, 1, 0, 0)));
    assert_eq!(wide.job().tasks[0].members.counts().total(), 300);
}

#[test]
fn nothing_is_folded_from_a_chunk_that_is_not_there() {
    let mut walk = Walk::new(&three_hundred());
    let before = walk.job.clone();
    let (counts, spent) = (counts(0, 0, 44, 0, 0), Spent::default());
    walk.take(&Event::Folded { task: 0, chunk: 2, run: 1, sequence: 1, counts, spent });
    assert_eq!(walk.job, before);
}

#[test]
fn a_chunk_owes_a_fold_from_its_first_change_until_its_last_was_taken_in() {
    let mut wide = Wide::new(&three_hundred());
    let [first, second] = wide.sync().claims()[..2] else { panic!("300 are wanted") };
    let fold = |wide: &Wide| wide.chunk(0).owes().into_iter().find(|due| due.duty == Duty::Fold);
    assert_eq!(fold(&wide), None);
    wide.send(first, &AttemptEvent::Claimed).unwrap();
    let changed_at = wide.walk.now;
    wide.walk.wait(9);
    wide.send(second, &AttemptEvent::Claimed).unwrap();
    assert_eq!(fold(&wide).map(|due| due.at), Some(changed_at));
    let now = wide.walk.now;
    let known = wide.chunk(0).folded(1, now);
    let fold = known.owes().into_iter().find(|due| due.duty == Duty::Fold);
    assert!(fold.is_some_and(|due| due.at > now), "the second is still new, and no news");
    let known = known.folded(2, now);
    assert!(!known.owes().iter().any(|due| due.duty == Duty::Fold));
    assert_eq!(wide.chunk(0).folded(99, now).folded, 2, "not more than there was");
    assert_eq!(known.folded(1, now).folded, 2, "and never back");
}

#[test]
fn what_ends_a_chunk_or_fails_the_job_is_folded_at_once_and_the_rest_waits_a_little() {
    let fold_after = |fail_fast: bool, instances: u32, codes: &[i32]| {
        let mut wide =
            Wide::new(&job([array("wide", instances)]).with(|j| j.fail_fast = fail_fast));
        let last = wide.sync().chunks.len() - 1;
        let claims = wide.claims().split_off(last * 128);
        wide.send(claims[0], &AttemptEvent::Claimed).unwrap();
        wide.sync();
        for (id, code) in claims.iter().zip(codes) {
            wide.send(*id, &AttemptEvent::Claimed).unwrap_or_default();
            wide.send(*id, &AttemptEvent::Ended(exit(*code))).unwrap();
        }
        let chunk = wide.chunk(u32::try_from(last).unwrap());
        let fold = chunk.owes().into_iter().find(|due| due.duty == Duty::Fold).unwrap();
        fold.at.duration_since(wide.walk.now).as_secs()
    };
    assert_eq!(fold_after(false, 300, &[0, 1]), 2, "of 44");
    assert_eq!(fold_after(true, 300, &[0, 0]), 2);
    assert_eq!(fold_after(true, 300, &[0, 1]), 0, "it stops the others");
    assert_eq!(fold_after(false, 130, &[0, 1]), 0, "all there is in the chunk");
}

#[test]
fn cancelling_before_chunks_are_there_stops_them_unseen() {
    let mut wide = Wide::new(&three_hundred());
    wide.spread(0, 1).unwrap();
    wide.walk.cancel();
    assert_eq!(wide.job().tasks[0].members.counts(), counts(128, 0, 0, 0, 172));
    assert!(wide.walk.owes(Duty::HaltChunk { task: 0, chunk: 1 }));
    assert!(!wide.walk.owes(Duty::HaltChunk { task: 0, chunk: 0 }));
    assert_eq!(wide.spread(0, 0), Err(Refused::NotWaiting), "by one who had read it before");
    assert_eq!(wide.sync().walk.ending(), Some(Ending::Cancelled));
    assert_eq!(wide.claims(), []);
}

#[test]
fn cancelling_stops_what_a_chunk_has_live_and_waits_for_it() {
    let mut wide = Wide::new(&three_hundred());
    let id = wide.sync().claims()[0];
    wide.send(id, &AttemptEvent::Claimed).unwrap();
    wide.walk.cancel();
    wide.sync();
    assert_eq!(wide.job().tasks[0].members.counts(), counts(0, 1, 0, 0, 299));
    assert!(wide.chunk(0).owes().iter().any(|due| due.duty == Duty::Stop(id)));
    assert_eq!(wide.send(id, &AttemptEvent::PlanRead), Err(Refused::Stopping));
    let other = AttemptId { instance: 5, ..id };
    assert_eq!(wide.send(other, &AttemptEvent::Claimed), Err(Refused::NotWaiting));
    wide.send(id, &AttemptEvent::Ended(lost())).unwrap();
    assert_eq!(wide.sync().walk.ending(), Some(Ending::Cancelled));
    assert_eq!(wide.chunk(0).halted(Halt::FailedFast, wide.walk.now), *wide.chunk(0));
}

#[test]
fn fail_fast_reaches_from_chunk_to_chunk() {
    let mut wide = Wide::new(&three_hundred().with(|job| job.fail_fast = true));
    let id = wide.sync().claims()[299];
    wide.send(id, &AttemptEvent::Claimed).unwrap();
    wide.send(id, &AttemptEvent::Ended(exit(1))).unwrap();
    wide.sync();
    assert_eq!(wide.walk.ending(), Some(Ending::Failed));
    assert_eq!(wide.job().tasks[0].members.counts(), counts(0, 0, 0, 1, 299));
}

#[test]
fn a_wide_task_whose_image_is_refused_fails_without_a_chunk() {
    let mut walk = Walk::unresolved(&three_hundred());
    walk.take(&Event::ImageFailed { image: 0, cause: Cause::ImageDenied });
    assert_eq!(walk.ending(), Some(Ending::Failed));
    assert_eq!(walk.job.tasks[0].members.counts(), counts(0, 0, 0, 300, 0));
}

#[test]
fn a_wide_task_whose_image_was_refused_before_its_turn_fails_at_its_turn() {
    let bad = after("wide", [(0, When::Succeeded)]).with(|task| {
        task.image = "bad".parse().unwrap();
        task.instances = 200;
    });
    let mut walk = Walk::unresolved(&job([task("first"), bad]));
    walk.take(&Event::ImageResolved { image: 0, resolved: resolved() });
    walk.take(&Event::ImageFailed { image: 1, cause: Cause::ImageNotFound });
    assert_eq!(walk.states()[1], TaskState::Pending);
    walk.run(0, 0, 0);
    assert_eq!(walk.states()[1], TaskState::Failed);
    assert_eq!(walk.ending(), Some(Ending::PartlyFailed));
}

#[test]
fn a_wide_task_can_be_skipped_and_then_owes_nothing() {
    let next = after("wide", [(0, When::Succeeded)]).with(|task| task.instances = 200);
    let mut walk = Walk::new(&job([task("first"), next]));
    assert!(!walk.owes(Duty::Spread { task: 1, chunk: 0 }));
    walk.run(0, 0, 1);
    assert_eq!(walk.states()[1], TaskState::Skipped);
    assert_eq!(walk.ending(), Some(Ending::Failed));
}

#[test]
fn chunks_that_are_never_created_are_waited_for_only_so_long() {
    let spec = job([array("wide", 200).with(|task| task.deadlines.waiting = 60)]);
    let mut walk = Walk::new(&spec);
    assert_eq!(walk.due(Duty::Tick), Some(60));
    assert_eq!(walk.pass(59).ending(), None);
    assert_eq!(walk.pass(1).ending(), Some(Ending::Failed));
}

#[test]
fn time_alone_ends_a_chunk() {
    let mut wide = Wide::new(&three_hundred());
    let id = wide.sync().claims()[0];
    wide.send(id, &AttemptEvent::Claimed).unwrap();
    wide.pass(900).pass(8_000).pass(100);
    assert_eq!(wide.job().tasks[0].members.counts(), counts(300, 0, 0, 0, 0));
    wide.pass(7 * 24 * 3_600);
    assert_eq!(wide.walk.ending(), Some(Ending::Failed));
}

#[test]
fn a_wide_task_has_no_more_live_at_once_than_it_allows() {
    for (most, wanted) in [(5, 5), (128, 128), (200, 200), (257, 85 + 85 + 44), (1_000, 300)] {
        let mut wide =
            Wide::new(&job([array("wide", 300).with(|t| t.max_concurrent = Some(most))]));
        assert_eq!(wide.sync().claims().len(), wanted, "of {most}");
        let mut rounds = 0;
        while wide.walk.ending().is_none() {
            assert!(wide.claims().len() <= most as usize);
            wide.run(|_| 0);
            rounds += 1;
        }
        assert_eq!(wide.walk.ending(), Some(Ending::Succeeded));
        assert!(rounds <= 300_u32.div_ceil(most) + 3, "{rounds} rounds of {most}");
    }
}

#[test]
fn a_chunk_that_waits_for_its_turn_does_not_wait_in_the_queue() {
    let spec = job([array("wide", 200).with(|task| {
        task.max_concurrent = Some(128);
        task.deadlines.waiting = 60;
    })]);
    let mut wide = Wide::new(&spec);
    for id in wide.sync().claims() {
        wide.send(id, &AttemptEvent::Claimed).unwrap();
        wide.send(id, &AttemptEvent::PlanRead).unwrap();
    }
    wide.pass(50_000);
    let live: Vec<_> = wide.chunk(0).instances.iter().map(|i| i.live().is_some()).collect();
    assert_eq!(live, [true; 128]);
    for instance in 0..128 {
        let id = wide.chunk(0).latest_attempt(instance).unwrap();
        wide.send(id, &AttemptEvent::Ended(exit(0))).unwrap();
    }
    assert_eq!(wide.sync().claims().len(), 72);
    assert_eq!(wide.pass(59).run(|_| 0).walk.ending(), Some(Ending::Succeeded));
}

#[test]
fn a_retry_takes_over_what_succeeded_chunk_by_chunk() {
    let mut wide = Wide::new(&three_hundred());
    wide.sync().run(|id| i32::from(id.instance == 7));
    assert_eq!(wide.walk.ending(), Some(Ending::PartlyFailed));
    wide.walk.wait(60).retry(false);
    assert_eq!(wide.job().tasks[0].members.counts(), counts(1, 0, 299, 0, 0));
    wide.sync();
    let [again] = wide.claims()[..] else { panic!("{:?}", wide.claims()) };
    assert_eq!((again.run, again.instance, again.number), (2, 7, 1));
    assert_eq!(wide.chunk(0).latest_attempt(6).map(|id| id.run), Some(1));
    assert_eq!(wide.chunk(1).run, 1, "whole, and left alone");
    wide.run(|_| 0);
    assert_eq!(wide.walk.ending(), Some(Ending::Succeeded));
    assert_eq!(wide.chunk(0).latest_attempt(7).map(|id| id.run), Some(2));
}

#[test]
fn a_retry_of_all_takes_over_nothing() {
    let mut wide = Wide::new(&three_hundred());
    wide.sync().run(|id| i32::from(id.instance == 7));
    wide.walk.retry(true);
    assert_eq!(wide.sync().claims().len(), 300);
}

#[test]
fn what_succeeded_outlives_a_run_that_was_cancelled_before_it_came_to_it() {
    let mut wide = Wide::new(&three_hundred());
    wide.sync().run(|id| i32::from(id.instance % 2 == 1));
    wide.walk.retry(false).cancel();
    assert_eq!(wide.job().tasks[0].members.counts(), counts(0, 0, 150, 0, 150));
    wide.walk.retry(false);
    assert_eq!(wide.sync().claims().len(), 150);
    assert_eq!(wide.chunk(0).latest_attempt(0).map(|id| id.run), Some(1));
}

#[test]
fn news_of_another_run_or_place_is_not_the_chunks() {
    let mut wide = Wide::new(&three_hundred());
    let id = wide.sync().claims()[130];
    let chunk = wide.chunk(1).clone();
    let now = wide.walk.now;
    let ended = AttemptEvent::Ended(exit(0));
    assert_eq!(chunk.after(AttemptId { run: 9, ..id }, &ended, now).as_ref(), Ok(&chunk));
    for event in [AttemptEvent::Claimed, AttemptEvent::PlanRead] {
        let old = AttemptId { run: 9, ..id };
        assert_eq!(chunk.after(old, &event, now), Err(Refused::Superseded));
    }
    for id in [
        AttemptId { instance: 127, ..id },
        AttemptId { instance: 256, ..id },
        AttemptId { instance: u32::MAX, ..id },
        AttemptId { task: 1, ..id },
        AttemptId { job: JobId::from_bits(9), ..id },
    ] {
        assert_eq!(chunk.after(id, &ended, now), Err(Refused::NoSuchInstance), "{id}");
    }
}

#[test]
fn the_record_does_not_take_news_of_what_a_chunk_holds() {
    let mut wide = Wide::new(&three_hundred());
    let id = wide.sync().claims()[0];
    let event = Event::Attempt(id, AttemptEvent::Claimed);
    assert_eq!(wide.walk.refused(&event), Refused::NoSuchInstance);
}

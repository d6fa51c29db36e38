//! What has to hold when everything has come to its end.

use std::collections::BTreeMap;

use shared::{
    job::{
        AttemptId, AttemptKey, Callback, CallbackKey, Cause, Chunk, Instance, InstanceState, Job,
        JobKey, Members, ProjectId, Task,
    },
    ops::{
        callbacks::{self, Kept},
        rows,
    },
    platform::{Key, ObjectKey, Row},
};

use crate::{archive, host::Host, watch};

/// Who waits so long in vain was passed over.
const PATIENT: u32 = 86_400;

/// So many of the same are enough to know.
const MOST_TOLD: usize = 3;

/// Whether nothing is under way any more, and nothing is owed that time has
/// brought about.
pub fn is_at_rest(host: &Host) -> bool {
    let watch = &host.watch;
    // What is quickly told comes first.
    watch.clients() == 0
        && watch.jobs(|job| job.ending().is_none().then_some(())).is_empty()
        && unrest(host).is_empty()
}

/// What is under way, or owed.
pub fn unrest(host: &Host) -> String {
    let mut left: Vec<String> = Vec::new();
    if host.watch.clients() > 0 {
        left.push("clients are about".into());
    }
    left.extend(host.watch.jobs(|job| job.ending().is_none().then(|| still(job))));
    left.extend(host.watch.slots().into_iter().map(|slot| format!("{slot} has a slot")));
    let containers = host.runtime.left().into_iter();
    left.extend(containers.map(|one| format!("{} has a container", one.attempt)));
    let is_untold = |job: &Job| job.tellings().next().is_some();
    left.extend(host.watch.jobs(|job| is_untold(job).then(|| format!("{} is to be told", job.id))));
    left.extend(host.watch.missing().into_iter().map(|name| format!("no trigger made {name}")));
    if !host.watch.with_schedules().is_empty() {
        left.push("jobs are made by the clock".into());
    }
    let now = host.sim.now();
    left.extend(host.table.due(now).into_iter().map(|key| format!("{key} is due")));
    left.join("; ")
}

/// A job that is open, and what it waits for.
fn still(job: &Job) -> String {
    let duties: Vec<_> = job.owes().into_iter().map(|due| due.duty).collect();
    format!("{} is open, and calls for {duties:?}", job.id)
}

/// Every job's account is in order.
pub fn check(host: &Host) {
    let rows: BTreeMap<Key, Row> =
        host.table.rows().into_iter().map(|row| (row.key.clone(), row)).collect();
    let mut jobs = 0;
    for row in rows.values().filter(|row| watch::is_job(&row.key)) {
        jobs += 1;
        match rows::read::<Job>(row) {
            Ok(job) => check_job(host, &rows, &job),
            Err(problem) => host.sim.violated(format!("{problem}")),
        }
    }
    let known = host.watch.jobs(|_| Some(())).len();
    if jobs != known {
        host.sim.violated(format!("{jobs} jobs are left of {known}"));
    }
}

fn check_job(host: &Host, rows: &BTreeMap<Key, Row>, job: &Job) {
    let violated = |what: String| host.sim.violated(format!("{}: {what}", job.id));
    if job.ending().is_none() {
        violated("it has not ended".into());
    }
    if let Err(what) = all_told(host, rows, job) {
        violated(what);
    }
    for (place, task) in job.tasks.iter().enumerate() {
        if !task.state.is_ended() {
            violated(format!("{} has not ended", task.name));
        }
        for (member, instance) in task.instances().iter().enumerate() {
            let attempt = job.attempt_id(place, member, instance.attempts);
            let checked = check_instance(host, job.project, instance, attempt);
            if let Err(what) = checked.and_then(|()| was_served(task, instance)) {
                violated(what);
            }
        }
    }
    for chunk in host.watch.chunks(job.key()) {
        if let Err(what) = check_chunk(host, job, &chunk) {
            violated(what);
        }
    }
}

/// Nobody who was ready to wait for days has waited in vain for a slot.
fn was_served(task: &Task, instance: &Instance) -> Result<(), String> {
    let cause = instance.outcome().and_then(|outcome| outcome.cause);
    if cause == Some(Cause::WaitTimedOut) && task.deadlines.waiting >= PATIENT {
        return Err(format!("{} was passed over: {instance:?}", task.name));
    }
    Ok(())
}

fn check_chunk(host: &Host, job: &Job, chunk: &Chunk) -> Result<(), String> {
    // What an earlier run left behind is replaced only where there is more to do.
    let is_this = chunk.run == job.run;
    if let Members::Chunked(entries) = &job.tasks[chunk.task as usize].members
        && is_this
        && entries[chunk.chunk as usize].counts != chunk.counts()
    {
        return Err(format!("chunk {} of {} is not as its job knows it", chunk.chunk, chunk.task));
    }
    for attempt in chunk.latest_attempts() {
        let Some(instance) = chunk.instance(attempt) else { continue };
        check_instance(host, job.project, instance, attempt)?;
    }
    Ok(())
}

/// An instance has ended, and its archive is as it says.
fn check_instance(
    host: &Host,
    project: ProjectId,
    instance: &Instance,
    attempt: AttemptId,
) -> Result<(), String> {
    let outcome = instance.outcome().ok_or_else(|| format!("{attempt} has not ended"))?;
    let from = outcome.cached_from.map_or(attempt, |from| from.attempt);
    let succeeded = matches!(instance.state, InstanceState::Succeeded(_));
    if succeeded && host.watch.outcome(from) != Some(true) {
        return Err(format!("{attempt} succeeded, and its process did not"));
    }
    if succeeded && outcome.archive_bytes.is_none() {
        return Err(format!("{attempt} succeeded without an archive"));
    }
    let own = AttemptKey { project, attempt };
    let key = if from == attempt { ObjectKey::archive(own) } else { ObjectKey::given(own, from) };
    match (host.object(&key), outcome.archive_bytes) {
        (None, None) => Ok(()),
        (Some(bytes), said) if archive::is_whole(from, &bytes) => {
            if said.is_some_and(|said| said != bytes.len() as u64) {
                return Err(format!("{attempt} has an archive of another length"));
            }
            Ok(())
        }
        (Some(_), _) => Err(format!("half of {attempt}'s archive")),
        (None, Some(_)) => Err(format!("{attempt}'s archive is not there")),
    }
}

/// Of all that the job's caller was to be told, he was told, and that is kept;
/// or it is seen that he was given up, and after how many tries.
fn all_told(host: &Host, rows: &BTreeMap<Key, Row>, job: &Job) -> Result<(), String> {
    if matches!(job.callback, Callback::Wanted | Callback::Owed(_)) {
        return Err("its caller has not been told".into());
    }
    if job.deleted_at.is_some() {
        return Ok(());
    }
    let all = host.watch.owed(job.id);
    if host.watch.wish(job.id).is_some_and(|is_told| is_told == all.is_empty()) {
        return Err(format!("whoever is told is not who was to be: {all:?}"));
    }
    for ((_, callback), owed) in all {
        let id = callbacks::id(JobKey { project: job.project, job: job.id }, callback);
        let row = rows.get(&rows::callback(job.id, callback));
        let kept = row.and_then(|row| rows::read::<Kept>(row).ok());
        let kept = kept.ok_or_else(|| format!("nothing is kept of {id}: {owed:?}"))?;
        let is_taken = kept.tries.iter().any(|made| made.error.is_none());
        if is_taken && owed.received == 0 {
            return Err(format!("{id} was never received"));
        }
        if kept.tries.last().is_none_or(|last| last.number != owed.begun && !is_taken) {
            return Err(format!("not all tries of {id} are kept: {kept:?}, {owed:?}"));
        }
        let is_last = callback == CallbackKey::finished(job.run);
        if is_last && matches!(job.callback, Callback::Told { .. }) && !is_taken {
            return Err(format!("{id} was told, and nobody took it: {kept:?}"));
        }
    }
    Ok(())
}

/// When every job's time is up, nothing of them is left.
pub fn check_empty(host: &Host) {
    let kept = |row: &&Row| {
        let Row { key, .. } = row;
        let lasting =
            ["queue#", "key#", "token", "template#", "trigger#", "firing#", "misfire#", "result"];
        let lasting = lasting.iter().any(|start| key.sort.starts_with(start));
        !lasting && key.partition != "projects"
    };
    let rows = host.table.rows();
    for row in rows.iter().filter(kept).take(MOST_TOLD) {
        host.sim.violated(format!("the row {} is left", row.key));
    }
    let kept = |name: &String| name.contains("/user/");
    for name in host.objects.inner().names().into_iter().filter(|name| !kept(name)).take(MOST_TOLD)
    {
        host.sim.violated(format!("the object {name} is left"));
    }
    for attempt in host.runtime.left() {
        host.sim.violated(format!("a container of {} is left", attempt.attempt));
    }
    for slot in host.watch.slots() {
        host.sim.violated(format!("{slot} has a slot"));
    }
}

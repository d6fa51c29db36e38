//! What has to hold when everything has come to its end.

use shared::{
    job::{
        AttemptId, AttemptKey, Callback, CallbackKey, Chunk, Instance, InstanceState, Job, Members,
        ProjectId,
    },
    ops::{
        callbacks::{self, Kept},
        rows,
    },
    platform::{Index, ObjectKey, Row},
};

use crate::{archive, host::Host, watch};

/// Whether nothing is under way any more, and nothing is owed that time has
/// brought about.
pub fn is_at_rest(host: &Host) -> bool {
    unrest(host).is_empty()
}

/// What is under way, or owed.
pub fn unrest(host: &Host) -> String {
    let mut left: Vec<String> = Vec::new();
    if host.watch.clients() > 0 {
        left.push("clients are about".into());
    }
    let jobs = host.watch.jobs();
    left.extend(jobs.iter().filter(|job| job.ending().is_none()).map(still));
    left.extend(host.watch.slots().into_iter().map(|slot| format!("{slot} has a slot")));
    let containers = host.runtime.left().into_iter();
    left.extend(containers.map(|one| format!("{} has a container", one.attempt)));
    let untold = jobs.iter().filter(|job| job.tellings().next().is_some());
    left.extend(untold.map(|job| format!("{} is to be told", job.id)));
    left.extend(host.watch.missing().into_iter().map(|name| format!("no trigger made {name}")));
    let now = host.sim.now();
    let due = |row: &Row| rows::due_of(row.marks.get(&Index::Due)?).filter(|at| *at <= now);
    let rows = host.table.rows();
    left.extend(
        rows.iter().filter(|row| due(row).is_some()).map(|row| format!("{} is due", row.key)),
    );
    left.join("; ")
}

/// A job that is open, and what it waits for.
fn still(job: &Job) -> String {
    let duties: Vec<_> = job.owes().into_iter().map(|due| due.duty).collect();
    format!("{} is open, and calls for {duties:?}", job.id)
}

/// Every job's account is in order.
pub fn check(host: &Host) {
    let mut jobs = 0;
    for row in host.table.rows().iter().filter(|row| watch::is_job(&row.key)) {
        jobs += 1;
        match rows::read::<Job>(row) {
            Ok(job) => check_job(host, &job),
            Err(problem) => host.sim.violated(format!("{problem}")),
        }
    }
    if jobs != host.watch.jobs().len() {
        host.sim.violated(format!("{jobs} jobs are left of {}", host.watch.jobs().len()));
    }
}

fn check_job(host: &Host, job: &Job) {
    let violated = |what: String| host.sim.violated(format!("{}: {what}", job.id));
    if job.ending().is_none() {
        violated("it has not ended".into());
    }
    if let Some(what) = untold(host, job) {
        violated(what);
    }
    for (place, task) in job.tasks.iter().enumerate() {
        if !task.state.is_ended() {
            violated(format!("{} has not ended", task.name));
        }
        for (member, instance) in task.instances().iter().enumerate() {
            let attempt = job.attempt_id(place, member, instance.attempts);
            if let Err(what) = check_instance(host, job.project, instance, attempt) {
                violated(what);
            }
        }
    }
    for chunk in host.watch.chunks().iter().filter(|chunk| chunk.job == job.key()) {
        if let Err(what) = check_chunk(host, job, chunk) {
            violated(what);
        }
    }
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

/// What is wrong with how the caller was told, if anything is: he was, or it is
/// seen that he was given up.
fn untold(host: &Host, job: &Job) -> Option<String> {
    let callback = CallbackKey::finished(job.run);
    match job.callback {
        Callback::Unwanted => None,
        Callback::Wanted | Callback::Owed(_) => Some("its caller has not been told".into()),
        Callback::Told { .. } => {
            let id = callbacks::id(job.key(), callback);
            (!host.watch.was_told(&id)).then(|| format!("{id} was never received"))
        }
        Callback::GivenUp { .. } => {
            let at = rows::callback(job.id, callback);
            let row = host.table.rows().into_iter().find(|row| row.key == at);
            let kept = row.and_then(|row| rows::read::<Kept>(&row).ok());
            let last = kept.and_then(|kept| kept.tries.last().cloned());
            let is_seen = last.is_some_and(|last| last.error.is_some());
            (!is_seen).then(|| "its caller was given up, and nobody sees why".into())
        }
    }
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
    for row in rows.iter().filter(kept) {
        host.sim.violated(format!("the row {} is left", row.key));
    }
    let kept = |name: &String| name.contains("/user/");
    for name in host.objects.inner().names().into_iter().filter(|name| !kept(name)) {
        host.sim.violated(format!("the object {name} is left"));
    }
    for attempt in host.runtime.left() {
        host.sim.violated(format!("a container of {} is left", attempt.attempt));
    }
    for slot in host.watch.slots() {
        host.sim.violated(format!("{slot} has a slot"));
    }
}

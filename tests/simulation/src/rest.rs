//! What has to hold when everything has come to its end.

use shared::{
    job::{AttemptKey, InstanceState, Job},
    ops::rows,
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
    for (place, task) in job.tasks.iter().enumerate() {
        if !task.state.is_ended() {
            violated(format!("{} has not ended", task.name));
        }
        for (member, instance) in task.instances().iter().enumerate() {
            let Some(outcome) = instance.outcome() else {
                violated(format!("{} {member} has not ended", task.name));
                continue;
            };
            let attempt = job.attempt_id(place, member, instance.attempts);
            let succeeded = matches!(instance.state, InstanceState::Succeeded(_));
            if succeeded && host.watch.outcome(attempt) != Some(true) {
                violated(format!("{attempt} succeeded, and its process did not"));
            }
            let key = ObjectKey::archive(AttemptKey { project: job.project, attempt });
            if succeeded && outcome.archive_bytes.is_none() {
                violated(format!("{attempt} succeeded without an archive"));
            }
            let bytes = host.object(&key);
            match (bytes, outcome.archive_bytes) {
                (None, None) => {}
                (Some(bytes), said) if archive::is_whole(attempt, &bytes) => {
                    if said.is_some_and(|said| said != bytes.len() as u64) {
                        violated(format!("{attempt} has an archive of another length"));
                    }
                }
                (Some(_), _) => violated(format!("half of {attempt}'s archive")),
                (None, Some(_)) => violated(format!("{attempt}'s archive is not there")),
            }
        }
    }
}

/// When every job's time is up, nothing of them is left.
pub fn check_empty(host: &Host) {
    let kept = |row: &&Row| {
        let Row { key, .. } = row;
        let lasting = ["queue#", "key#", "token"].iter().any(|start| key.sort.starts_with(start));
        !lasting && key.partition != "projects"
    };
    let rows = host.table.rows();
    for row in rows.iter().filter(kept) {
        host.sim.violated(format!("the row {} is left", row.key));
    }
    for name in host.objects.inner().names() {
        host.sim.violated(format!("the object {name} is left"));
    }
    for attempt in host.runtime.left() {
        host.sim.violated(format!("a container of {} is left", attempt.attempt));
    }
    for slot in host.watch.slots() {
        host.sim.violated(format!("{slot} has a slot"));
    }
}

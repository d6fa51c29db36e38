//! What no change of a job may do, whatever led to it.

use jiff::Timestamp;
use shared::job::{AttemptPhase, Instance, InstanceState, Job};

/// Looks at one change of a job.
pub fn check(before: &Job, after: &Job, now: Timestamp) -> Result<(), String> {
    if (before.id, before.project, &before.queue) != (after.id, after.project, &after.queue) {
        return Err("it is another job".into());
    }
    if before.deleted_at.is_some() && after.deleted_at != before.deleted_at {
        return Err("it was being removed, and is not".into());
    }
    if after.run != before.run {
        let next = after.run == before.run + 1 && before.ending().is_some();
        return if next {
            Ok(())
        } else {
            Err(format!("run {} follows {}", after.run, before.run))
        };
    }
    if before.ending().is_some() && before.phase != after.phase {
        return Err(format!("{:?} was its end, and then {:?}", before.phase, after.phase));
    }
    if before.halt().is_some() && before.halt() != after.halt() && after.ending().is_none() {
        return Err("it was stopping, and is not".into());
    }
    for (before, after) in before.tasks.iter().zip(&after.tasks) {
        if before.state.is_ended() && before.state != after.state {
            return Err(format!("task {}: {:?}, then {:?}", after.name, before.state, after.state));
        }
        let instances = before.instances().iter().zip(after.instances()).enumerate();
        for (place, (before, after)) in instances {
            instance(before, after, now)
                .map_err(|what| format!("{what}: {place} was {before:?}, and is {after:?}"))?;
        }
    }
    Ok(())
}

fn instance(before: &Instance, after: &Instance, now: Timestamp) -> Result<(), &'static str> {
    if before.is_ended() && before != after {
        return Err("an ending changed");
    }
    match (&before.state, &after.state) {
        (InstanceState::Live(old), InstanceState::Live(new)) => {
            if before.attempts != after.attempts {
                return Err("an attempt took the place of one that is live");
            }
            if new.phase < old.phase || (old.stop.is_some() && old.stop != new.stop) {
                return Err("an attempt went back");
            }
            let starts = old.started_at.is_none() && new.started_at.is_some();
            if starts && (old.stop.is_some() || old.phase == AttemptPhase::Collecting) {
                return Err("an attempt that is to stop was let run");
            }
        }
        (InstanceState::Waiting { not_before, .. }, InstanceState::Live(_)) => {
            if after.attempts != before.attempts + 1 {
                return Err("an attempt was left out");
            }
            if not_before.is_some_and(|pause| pause > now) {
                return Err("a pause was cut short");
            }
        }
        (_, _) if before.attempts != after.attempts => return Err("an attempt came and went"),
        (_, _) => {}
    }
    if after.spent < before.spent || after.faults < before.faults {
        return Err("an attempt was forgotten");
    }
    Ok(())
}

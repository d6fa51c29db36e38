//! What no change of a job may do, whatever led to it.

use jiff::Timestamp;
use shared::job::{AttemptPhase, Chunk, Ending, Halt, Instance, InstanceState, Job, TaskState};

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
    if let (Some(halt), Some((ending, _))) = (before.halt(), after.ending()) {
        halted(after, halt, ending)?;
    }
    let is_late = after.halt() == Some(Halt::DeadlinePassed)
        || after.ending().is_some_and(|(ending, _)| ending == Ending::TimedOut);
    if is_late && after.deadline().is_none_or(|deadline| now < deadline) {
        return Err(format!("its deadline is {:?}, and it is {now}", after.deadline()));
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

/// What ends a job that was halted: the halt, if anything was still to do.
fn halted(job: &Job, halt: Halt, ending: Ending) -> Result<(), String> {
    let is_cut = job.tasks.iter().any(|task| task.state == TaskState::Stopped);
    let by_halt = matches!(ending, Ending::Cancelled | Ending::TimedOut);
    let is_sound = match halt {
        Halt::Cancelled => is_cut == (ending == Ending::Cancelled),
        Halt::DeadlinePassed => is_cut == (ending == Ending::TimedOut),
        Halt::FailedFast => !by_halt,
    };
    if is_sound { Ok(()) } else { Err(format!("{halt:?}, and it ended {ending:?}")) }
}

/// Looks at one change of a part of a wide task.
pub fn check_chunk(before: &Chunk, after: &Chunk, now: Timestamp) -> Result<(), String> {
    if before.halt.is_some() && before.halt != after.halt {
        return Err("it was stopping, and is not".into());
    }
    if after.sequence < before.sequence || after.folded < before.folded {
        return Err("its counts went back".into());
    }
    for (place, (before, after)) in before.instances.iter().zip(&after.instances).enumerate() {
        instance(before, after, now)
            .map_err(|what| format!("{what}: {place} was {before:?}, and is {after:?}"))?;
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
        (InstanceState::Waiting { .. }, InstanceState::Succeeded(outcome))
            if outcome.cached_from.is_some() =>
        {
            if after.attempts != before.attempts + 1 {
                return Err("an attempt was left out");
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

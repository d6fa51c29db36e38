//! The truth tables of a job's life, written down once more: where a task may
//! stand by its instances and its edges, and a job by its tasks.

use shared::job::{Edge, Ending, Job, Phase, Task, TaskState, When};

/// Holds a job, as it is written, against them.
pub fn check(job: &Job) -> Result<(), String> {
    // What succeeded in an earlier run stays, whatever comes before it now.
    let stays = |task: &&Task| task.state == TaskState::Succeeded && task.since < job.run_at;
    for task in job.tasks.iter().filter(|task| !stays(task)) {
        let edges: Vec<Option<bool>> = task.after.iter().map(|edge| holds(job, *edge)).collect();
        check_task(task, &edges)
            .map_err(|what| format!("{} is {:?}, {what}: {edges:?}", task.name, task.state))?;
    }
    let Phase::Finished { ending, .. } = job.phase else { return Ok(()) };
    if let Some(task) = job.tasks.iter().find(|task| !task.state.is_ended()) {
        return Err(format!("it has ended, and {} has not", task.name));
    }
    let may = endings(job);
    if may.contains(&ending) { Ok(()) } else { Err(format!("it ended {ending:?}, not {may:?}")) }
}

/// Whether an edge holds; `None` while that is open.
fn holds(job: &Job, edge: Edge) -> Option<bool> {
    use TaskState as S;
    let first = &job.tasks[edge.task as usize];
    let some = first.members.counts().succeeded > 0;
    match (first.state, edge.when) {
        (S::Pending | S::Ready | S::Running, _) => None,
        (_, When::Finished) | (S::Succeeded, When::Succeeded | When::Partly) => Some(true),
        (S::Failed | S::PartlyFailed, When::Failed) | (S::PartlyFailed, When::Partly) => Some(true),
        (S::Stopped, When::Partly) => Some(some),
        (S::Succeeded | S::Stopped | S::Skipped | S::Failed | S::PartlyFailed, _) => Some(false),
    }
}

fn check_task(task: &Task, edges: &[Option<bool>]) -> Result<(), &'static str> {
    let counts = task.members.counts();
    let is_reached = edges.iter().all(|edge| *edge == Some(true));
    let is_barred = edges.contains(&Some(false));
    let none_left = counts.waiting + counts.live == 0;
    match task.state {
        TaskState::Pending if counts.live > 0 => Err("and some of it is live"),
        TaskState::Pending if is_reached || is_barred => Err("and waits for nothing"),
        TaskState::Pending => Ok(()),
        TaskState::Skipped if !is_barred => Err("and no edge of it is broken"),
        TaskState::Skipped if counts.live > 0 => Err("and some of it is live"),
        TaskState::Skipped => Ok(()),
        // What everything's stop has reached may not have been reached else.
        TaskState::Stopped if counts.live > 0 => Err("and some of it is live"),
        TaskState::Stopped if is_reached && counts.stopped == 0 => Err("and nothing was stopped"),
        TaskState::Stopped => Ok(()),
        _ if !is_reached => Err("and has not been reached"),
        TaskState::Ready | TaskState::Running if none_left => Err("and nothing of it is left"),
        TaskState::Ready if counts.live > 0 => Err("and some of it is live"),
        TaskState::Ready | TaskState::Running => Ok(()),
        _ if !none_left || counts.stopped > 0 => Err("and some of it was not ended by itself"),
        TaskState::Succeeded if counts.failed > 0 => Err("and some of it failed"),
        TaskState::Failed if counts.succeeded > 0 => Err("and some of it succeeded"),
        TaskState::PartlyFailed if counts.succeeded == 0 || counts.failed == 0 => {
            Err("and all of it ended alike")
        }
        TaskState::Succeeded | TaskState::Failed | TaskState::PartlyFailed => Ok(()),
    }
}

/// How a job may have ended whose tasks have. Why it was halted is not known of
/// one that is over; only who was halted has tasks that were stopped.
fn endings(job: &Job) -> Vec<Ending> {
    let ran = job.tasks.iter().filter(|task| task.state != TaskState::Skipped);
    let (mut succeeded, mut failed) = (0, 0);
    for task in ran {
        let counts = task.members.counts();
        (succeeded, failed) = (succeeded + counts.succeeded, failed + counts.failed);
    }
    let by_itself = match (succeeded, failed) {
        (_, 0) => Ending::Succeeded,
        (0, _) => Ending::Failed,
        (_, _) => Ending::PartlyFailed,
    };
    let is_stopped = job.tasks.iter().any(|task| task.state == TaskState::Stopped);
    match (is_stopped, job.fail_fast) {
        (false, _) => vec![by_itself],
        (true, true) if failed > 0 => vec![by_itself, Ending::Cancelled, Ending::TimedOut],
        (true, _) => vec![Ending::Cancelled, Ending::TimedOut],
    }
}

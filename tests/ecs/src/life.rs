//! The life of a task, from provisioning to its end.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt, future::select_all};
use tokio::task::JoinSet;

use crate::{
    containers::{End, NotPulled, Place},
    definitions::{Condition, Container},
    endpoint::{Ecs, now},
    task::Task,
};

/// Why a task came to its end.
enum Ending {
    /// A container did that it cannot do without.
    Essential,
    /// It was told to.
    Told,
    /// It never ran, for this reason.
    NotStarted(String),
}

/// Runs the task, and tells each of its states.
pub(crate) async fn live(ecs: Arc<Ecs>, task: Arc<Task>) {
    let place = Place::new(&ecs.engine, &task);
    tell(&ecs, &task, |_| {});
    tell(&ecs, &task, |state| state.last_status = "PENDING");
    let ending = tokio::select! {
        ending = start_and_wait(&ecs, &task, &place) => ending,
        () = task.told_to_stop() => Ending::Told,
    };
    settle(&task, ending);
    tell(&ecs, &task, |state| {
        state.desired_status = "STOPPED";
        state.last_status = "DEACTIVATING";
        state.stopping_at = Some(now());
    });
    stop(&task, &place).await;
    let late = Duration::from_millis(ecs.faults().stopping_millis);
    tokio::time::sleep(late).await;
    let whole = task.changes().await;
    for container in &task.definition.container_definitions {
        note(&task, container, place.ended(container).await);
    }
    place.clear().await;
    task.step(|state| {
        state.last_status = "STOPPED";
        state.stopped_at = Some(now());
        state.containers.iter_mut().for_each(|it| it.last_status = "STOPPED");
    });
    drop(whole);
    ecs.teller.tell(&task);
}

fn tell(ecs: &Ecs, task: &Task, change: impl FnOnce(&mut crate::task::State)) {
    task.step(change);
    ecs.teller.tell(task);
}

/// Starts the containers in the order of their dependencies, and waits for one
/// that the task cannot do without.
async fn start_and_wait(ecs: &Ecs, task: &Task, place: &Place<'_>) -> Ending {
    for container in &task.definition.container_definitions {
        if let Err(NotPulled(why)) = place.pull(container).await {
            let why = format!("CannotPullContainerError: {why}");
            blame(task, container, &why);
            return Ending::NotStarted(why);
        }
    }
    if let Err(why) = place.prepare().await {
        return Ending::NotStarted(format!("ResourceInitializationError: {why}"));
    }
    let mut waiting: Vec<&Container> = task.definition.container_definitions.iter().collect();
    let mut started: Vec<&Container> = Vec::new();
    while !waiting.is_empty() {
        let ready = waiting.iter().position(|it| {
            it.depends_on.iter().all(|on| started.iter().any(|it| it.name == on.container_name))
        });
        let Some(ready) = ready else {
            return Ending::NotStarted("the dependencies are a circle".into());
        };
        let container = waiting.remove(ready);
        if let Err(why) = hold(place, container, &started).await {
            return Ending::NotStarted(why);
        }
        let whole = task.changes().await;
        if let Err(why) = place.start(container).await {
            let why = format!("CannotStartContainerError: {why}");
            blame(task, container, &why);
            return Ending::NotStarted(why);
        }
        started.push(container);
        task.step(|state| {
            for contained in state.containers.iter_mut().filter(|it| it.name == container.name) {
                contained.last_status = "RUNNING";
            }
            if waiting.is_empty() {
                state.last_status = "RUNNING";
                state.started_at = Some(now());
            }
        });
        drop(whole);
    }
    ecs.teller.tell(task);
    let essential = started.into_iter().filter(|container| container.essential);
    select_all(essential.map(|container| place.wait(container).boxed())).await;
    Ending::Essential
}

/// Waits until the container may start.
async fn hold(
    place: &Place<'_>,
    container: &Container,
    started: &[&Container],
) -> Result<(), String> {
    for dependency in &container.depends_on {
        let on = started.iter().find(|it| it.name == dependency.container_name);
        let Some(on) = on else { continue };
        if dependency.condition == Condition::Start {
            continue;
        }
        place.wait(on).await;
        let code = place.ended(on).await.map(|end| end.code);
        if dependency.condition == Condition::Success && code != Some(0) {
            return Err("Task failed to start".into());
        }
    }
    Ok(())
}

/// Writes down why it ends, unless whoever told it to has said so.
fn settle(task: &Task, ending: Ending) {
    let (code, reason) = match ending {
        Ending::Told => return,
        Ending::Essential => {
            ("EssentialContainerExited", "Essential container in task exited".to_owned())
        }
        Ending::NotStarted(why) => ("TaskFailedToStart", why),
    };
    let mut state = task.state();
    if state.stop_code.is_none() {
        state.stop_code = Some(code);
        state.stopped_reason = Some(reason);
    }
}

/// Tells all that runs to stop, and kills what does not in time.
async fn stop(task: &Task, place: &Place<'_>) {
    let mut stops = JoinSet::new();
    for container in &task.definition.container_definitions {
        stops.spawn(place.stop(container));
    }
    while stops.join_next().await.is_some() {}
}

fn blame(task: &Task, container: &Container, why: &str) {
    let mut state = task.state();
    for contained in state.containers.iter_mut().filter(|it| it.name == container.name) {
        contained.reason = Some(why.to_owned());
    }
}

fn note(task: &Task, container: &Container, end: Option<End>) {
    let Some(end) = end else { return };
    let mut state = task.state();
    for contained in state.containers.iter_mut().filter(|it| it.name == container.name) {
        contained.exit_code = Some(end.code);
        if end.out_of_memory {
            let reason = "OutOfMemoryError: Container killed due to memory usage";
            contained.reason = Some(reason.to_owned());
        }
    }
}

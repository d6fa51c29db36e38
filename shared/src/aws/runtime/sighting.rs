//! What a task's description tells.

use aws_sdk_ecs::types::{Container, Task, TaskStopCode};

use super::definition::{AGENT, MAIN};
use crate::{job::Cause, platform::Sighting};

/// What is seen of an attempt, by its task.
pub(super) fn sighting(task: &Task) -> Sighting {
    match task.last_status().unwrap_or_default() {
        "STOPPED" | "DELETED" => stopped(task),
        "RUNNING" | "DEACTIVATING" | "STOPPING" | "DEPROVISIONING" => Sighting::Running,
        // PROVISIONING, PENDING, ACTIVATING.
        _ => Sighting::Pending,
    }
}

fn stopped(task: &Task) -> Sighting {
    let main = container(task, MAIN);
    let code = main.and_then(|main| main.exit_code);
    let killed = main.and_then(|main| main.reason()).is_some_and(is_out_of_memory);
    let message = said(task);
    let ran = code.is_some() || killed || task.started_at.is_some();
    if !ran && task.stop_code() != Some(&TaskStopCode::UserInitiated) {
        return Sighting::NotStarted { cause: cause(task, &message), message };
    }
    // That the container's process has ended says nothing that the code does not.
    let plain = code.is_some() && task.stop_code() == Some(&TaskStopCode::EssentialContainerExited);
    let message = Some(message).filter(|text| !plain && !text.is_empty());
    Sighting::Exited { code, out_of_memory: killed, message }
}

fn container<'a>(task: &'a Task, name: &str) -> Option<&'a Container> {
    task.containers().iter().find(|container| container.name() == Some(name))
}

fn has_failed(container: &Container) -> bool {
    container.reason().is_some() || container.exit_code.is_some_and(|code| code != 0)
}

fn is_out_of_memory(reason: &str) -> bool {
    reason.contains("OutOfMemory")
}

/// All reasons that are given, each once.
fn said(task: &Task) -> String {
    let mut texts: Vec<String> = task.stopped_reason().map(str::to_owned).into_iter().collect();
    for container in [MAIN, AGENT].into_iter().filter_map(|name| container(task, name)) {
        let name = container.name().unwrap_or_default();
        let reason =
            container.reason().filter(|reason| texts.iter().all(|it| !it.contains(reason)));
        texts.extend(reason.map(|reason| format!("{name}: {reason}")));
        let failed = container.exit_code.filter(|code| name == AGENT && *code != 0);
        texts.extend(failed.map(|code| format!("{name}: exit code {code}")));
    }
    texts.join("; ")
}

/// Why a task never ran.
fn cause(task: &Task, message: &str) -> Cause {
    let message = message.to_lowercase();
    let says = |signs: &[&str]| signs.iter().any(|sign| message.contains(sign));
    match task.stop_code() {
        Some(
            TaskStopCode::SpotInterruption
            | TaskStopCode::TerminationNotice
            | TaskStopCode::InfrastructureHealth,
        ) => Cause::Interrupted,
        // Nobody but us can do anything about that.
        _ if container(task, AGENT).is_some_and(has_failed) => Cause::AgentLost,
        _ if says(&["cannotpull"]) => unpulled(says),
        _ if says(&["cannotstartcontainer", "cannotcreatecontainer"]) => Cause::StartFailed,
        _ if says(&["capacity is unavailable", "waiting for network interface"]) => {
            Cause::NoCapacity
        }
        _ => Cause::AgentLost,
    }
}

/// Why an image that was there when it was looked up could not be pulled.
fn unpulled(says: impl Fn(&[&str]) -> bool) -> Cause {
    if says(&["denied", "unauthorized", "no basic auth", "not authorized", "forbidden"]) {
        Cause::ImageDenied
    } else if says(&["not found", "manifest unknown", "does not exist"]) {
        Cause::ImageNotFound
    } else if says(&["matching platform", "no match for platform"]) {
        Cause::ImageUnusable
    } else {
        Cause::ImageUnavailable
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::builders::TaskBuilder;

    use super::*;

    fn task(status: &str) -> TaskBuilder {
        Task::builder().last_status(status)
    }

    fn main(code: Option<i32>, reason: Option<&str>) -> Container {
        let main = Container::builder().name(MAIN).set_exit_code(code);
        main.set_reason(reason.map(str::to_owned)).build()
    }

    fn unstarted(code: TaskStopCode, reason: &str) -> Cause {
        let task = task("STOPPED").stop_code(code).stopped_reason(reason);
        match sighting(&task.containers(main(None, None)).build()) {
            Sighting::NotStarted { cause, message } => {
                assert_eq!(message, reason);
                cause
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_task_comes_up_runs_and_goes_down() {
        let seen = |status| sighting(&task(status).build());
        for status in ["PROVISIONING", "PENDING", "ACTIVATING"] {
            assert_eq!(seen(status), Sighting::Pending, "{status}");
        }
        for status in ["RUNNING", "DEACTIVATING", "STOPPING", "DEPROVISIONING"] {
            assert_eq!(seen(status), Sighting::Running, "{status}");
        }
    }

    #[test]
    fn an_end_tells_the_agents_code_and_what_the_platform_did() {
        let ended = |code, reason: &str, main: Container| {
            let task = task("STOPPED").stop_code(code).stopped_reason(reason);
            sighting(&task.containers(main).build())
        };
        let plain = "Essential container in task exited";
        assert_eq!(
            ended(TaskStopCode::EssentialContainerExited, plain, main(Some(70), None)),
            Sighting::Exited { code: Some(70), out_of_memory: false, message: None }
        );
        let memory = "OutOfMemoryError: Container killed due to memory usage";
        let killed =
            ended(TaskStopCode::EssentialContainerExited, plain, main(Some(137), Some(memory)));
        assert!(matches!(killed, Sighting::Exited { out_of_memory: true, .. }), "{killed:?}");
        let spot = "Your Spot Task was interrupted.";
        assert_eq!(
            ended(TaskStopCode::SpotInterruption, spot, main(Some(137), None)),
            Sighting::Exited { code: Some(137), out_of_memory: false, message: Some(spot.into()) }
        );
        let ours = ended(TaskStopCode::UserInitiated, "not wanted any more", main(None, None));
        assert!(matches!(ours, Sighting::Exited { code: None, .. }), "{ours:?}");
    }

    #[test]
    fn a_task_that_never_ran_tells_why() {
        let pull = |text| unstarted(TaskStopCode::TaskFailedToStart, text);
        for (cause, text) in [
            (
                Cause::ImageDenied,
                "CannotPullContainerError: pull access denied, repository does not exist or may \
                 require authorization",
            ),
            (
                Cause::ImageDenied,
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed \
                 to resolve ref: 403 Forbidden",
            ),
            (
                Cause::ImageNotFound,
                "CannotPullContainerError: pull image manifest has been retried 1 time(s): failed \
                 to resolve ref host.example/a@sha256:0: not found",
            ),
            (
                Cause::ImageUnusable,
                "CannotPullContainerError: image Manifest does not contain descriptor matching \
                 platform 'linux/arm64'",
            ),
            (Cause::ImageUnavailable, "CannotPullContainerError: i/o timeout"),
            (Cause::StartFailed, "CannotStartContainerError: unable to find user x"),
            (Cause::NoCapacity, "Timeout waiting for network interface provisioning to complete."),
            (Cause::NoCapacity, "Capacity is unavailable at this time. Please try again later"),
            (Cause::AgentLost, "ResourceInitializationError: unable to pull secrets"),
        ] {
            assert_eq!(pull(text), cause, "{text}");
        }
        let spot = unstarted(TaskStopCode::SpotInterruption, "Your Spot Task was interrupted.");
        assert_eq!(spot, Cause::Interrupted);
    }

    #[test]
    fn an_agent_that_could_not_be_put_in_place_is_no_fault_of_the_users() {
        let agent = Container::builder().name(AGENT).exit_code(70).build();
        let task = task("STOPPED").stop_code(TaskStopCode::EssentialContainerExited);
        let task = task.stopped_reason("dependency failed").containers(agent);
        let seen = sighting(&task.containers(main(None, None)).build());
        let message = "dependency failed; agent: exit code 70".to_owned();
        assert_eq!(seen, Sighting::NotStarted { cause: Cause::AgentLost, message });
    }
}

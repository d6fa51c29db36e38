//! The order of a job's tasks: edges, when one holds, and which graphs are refused.

use serde::{Deserialize, Serialize};

use super::{MAX_TASKS, TaskSpec, TaskState};

/// One dependency: the place of the task that comes first, and on what ending
/// of it this one runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// The predecessor's place in the job's list of tasks.
    pub task: u32,
    /// The ending that makes the edge hold.
    pub when: When,
}

/// On what ending of its predecessor an edge holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// It succeeded, whole.
    #[default]
    Succeeded,
    /// At least one instance of it succeeded.
    Partly,
    /// It failed, whole or in part.
    Failed,
    /// It ended in any way, being skipped included.
    Finished,
}

impl When {
    /// Whether the edge holds; `None` while that is still open.
    ///
    /// `succeeded` counts the predecessor's instances that succeeded: a
    /// stopped task with one such instance satisfies [`When::Partly`]. A
    /// skipped task ran nothing, whatever succeeded in an earlier run.
    pub fn holds(self, state: TaskState, succeeded: u32) -> Option<bool> {
        if !state.is_ended() {
            return None;
        }
        Some(match self {
            When::Succeeded => state == TaskState::Succeeded,
            When::Partly => succeeded > 0 && state != TaskState::Skipped,
            When::Failed => matches!(state, TaskState::Failed | TaskState::PartlyFailed),
            When::Finished => true,
        })
    }
}

/// Why a list of tasks is not a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphFault {
    /// Nothing to run.
    #[error("a job has at least one task")]
    Empty,
    /// Over [`MAX_TASKS`].
    #[error("{0} tasks, and {MAX_TASKS} are allowed")]
    TooMany(usize),
    /// Two tasks of one name.
    #[error("two tasks are named `{0}`")]
    DuplicateName(String),
    /// An edge to nowhere.
    #[error("task `{0}` runs after a task that does not exist")]
    UnknownTask(String),
    /// A task that waits for itself, by way of these.
    #[error("tasks wait for each other in a circle: {}", .0.join(" → "))]
    Cycle(Vec<String>),
}

/// Checks that names are unique, edges lead somewhere, and no task waits for
/// itself. O(tasks + edges).
pub fn check(tasks: &[TaskSpec]) -> Result<(), GraphFault> {
    if tasks.is_empty() {
        return Err(GraphFault::Empty);
    }
    if tasks.len() > MAX_TASKS {
        return Err(GraphFault::TooMany(tasks.len()));
    }
    let mut names = std::collections::BTreeSet::new();
    for task in tasks {
        if !names.insert(&task.name) {
            return Err(GraphFault::DuplicateName(task.name.to_string()));
        }
        if task.after.iter().any(|edge| edge.task as usize >= tasks.len()) {
            return Err(GraphFault::UnknownTask(task.name.to_string()));
        }
    }
    match cycle(tasks) {
        Some(places) => Err(GraphFault::Cycle(
            places.into_iter().map(|place| tasks[place].name.to_string()).collect(),
        )),
        None => Ok(()),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Unseen,
    OnPath,
    Done,
}

/// A walk along dependencies that comes back to its start, first and last
/// place the same. Iterative: a chain of 1,000 must not exhaust the stack.
fn cycle(tasks: &[TaskSpec]) -> Option<Vec<usize>> {
    let mut marks = vec![Mark::Unseen; tasks.len()];
    for start in 0..tasks.len() {
        if marks[start] != Mark::Unseen {
            continue;
        }
        // Each entry: a task, and how many of its edges have been followed.
        let mut path = vec![(start, 0)];
        marks[start] = Mark::OnPath;
        while let Some((place, followed)) = path.last_mut() {
            let Some(edge) = tasks[*place].after.get(*followed) else {
                marks[*place] = Mark::Done;
                path.pop();
                continue;
            };
            *followed += 1;
            let next = edge.task as usize;
            match marks[next] {
                Mark::Done => {}
                Mark::Unseen => {
                    marks[next] = Mark::OnPath;
                    path.push((next, 0));
                }
                Mark::OnPath => {
                    let from = path.iter().position(|(place, _)| *place == next).unwrap_or(0);
                    let walk = path[from..].iter().map(|(place, _)| *place);
                    return Some(walk.chain([next]).collect());
                }
            }
        }
    }
    None
}

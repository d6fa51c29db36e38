//! The order of a job's tasks: edges, when one holds, and which graphs are refused.

use std::collections::BTreeSet;

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

/// Why a list of tasks is not a job. Tasks and edges are told by their places.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphFault {
    /// Nothing to run.
    #[error("a job has at least one task")]
    Empty,
    /// Over [`MAX_TASKS`].
    #[error("{0} tasks, and {MAX_TASKS} are allowed")]
    TooMany(usize),
    /// Two tasks of one name.
    #[error("two tasks are named `{name}`")]
    DuplicateName {
        /// The second of them.
        task: usize,
        /// Their name.
        name: String,
    },
    /// An edge to nowhere.
    #[error("it runs after a task that does not exist")]
    UnknownTask {
        /// The task that has the edge.
        task: usize,
        /// Which of its edges.
        edge: usize,
    },
    /// A task that runs after itself, by way of others if there are any.
    #[error("{}", circle(.names))]
    Cycle {
        /// The task whose edge closes the circle.
        task: usize,
        /// Which of its edges.
        edge: usize,
        /// Each runs after the next; the first and the last are the same.
        names: Vec<String>,
    },
}

fn circle(names: &[String]) -> String {
    match names {
        [name, _] => format!("task `{name}` runs after itself"),
        _ => format!("tasks run after each other in a circle: {}", names.join(" -> ")),
    }
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
    let mut names = BTreeSet::new();
    for (place, task) in tasks.iter().enumerate() {
        if !names.insert(&task.name) {
            return Err(GraphFault::DuplicateName { task: place, name: task.name.to_string() });
        }
        let astray = task.after.iter().position(|edge| edge.task as usize >= tasks.len());
        if let Some(edge) = astray {
            return Err(GraphFault::UnknownTask { task: place, edge });
        }
    }
    match cycle(tasks) {
        Some((edge, places)) => {
            let name = |place: &usize| tasks[*place].name.to_string();
            let names = places.iter().chain(&places[..1]).map(name).collect();
            Err(GraphFault::Cycle { task: places[places.len() - 1], edge, names })
        }
        None => Ok(()),
    }
}

/// The places of the tasks that have ended before the task at `place` starts:
/// those that it runs after, and those that they do.
pub fn ancestors(tasks: &[TaskSpec], place: usize) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let mut open = vec![place];
    while let Some(place) = open.pop() {
        for edge in tasks.get(place).into_iter().flat_map(|task| &task.after) {
            if found.insert(edge.task) {
                open.push(edge.task as usize);
            }
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    Unseen,
    OnPath,
    Done,
}

/// A walk along dependencies that comes back to its start, and by which edge of
/// its last task. Iterative: a chain of 1,000 must not exhaust the stack.
fn cycle(tasks: &[TaskSpec]) -> Option<(usize, Vec<usize>)> {
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
            let by = *followed;
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
                    return Some((by, path[from..].iter().map(|(place, _)| *place).collect()));
                }
            }
        }
    }
    None
}

//! Which graphs of tasks are jobs.

use proptest::prelude::*;

use crate::job::{tests::walk::*, *};

#[test]
fn a_job_has_tasks_and_not_too_many() {
    assert_eq!(check_graph(&[]), Err(GraphFault::Empty));
    let many: Vec<_> = (0..=MAX_TASKS).map(|n| task(&format!("t{n}"))).collect();
    assert_eq!(check_graph(&many), Err(GraphFault::TooMany(1_001)));
    assert_eq!(check_graph(&many[1..]), Ok(()));
}

#[test]
fn names_are_unique_and_edges_lead_somewhere() {
    let twins = [task("a"), task("b"), task("a")];
    let twin = GraphFault::DuplicateName { task: 2, name: "a".into() };
    assert_eq!(check_graph(&twins), Err(twin));
    let astray = [task("a"), after("b", [(2, When::Succeeded)])];
    assert_eq!(check_graph(&astray), Err(GraphFault::UnknownTask { task: 1, edge: 0 }));
}

#[test]
fn a_task_after_itself_is_a_circle_of_one() {
    let fault = check_graph(&[task("x"), after("a", [(1, When::Finished)])]).unwrap_err();
    assert_eq!(fault.to_string(), "task `a` runs after itself");
    assert_eq!(fault, GraphFault::Cycle { task: 1, edge: 0, names: vec!["a".into(); 2] });
}

#[test]
fn a_circle_is_named_task_by_task() {
    let circle = [
        after("entry", [(1, When::Finished)]),
        after("a", [(3, When::Finished)]),
        after("b", [(1, When::Finished)]),
        after("c", [(4, When::Finished), (2, When::Finished)]),
        task("out"),
    ];
    let fault = check_graph(&circle).unwrap_err();
    assert_eq!(fault.to_string(), "tasks run after each other in a circle: a -> c -> b -> a");
    // It is closed by what `b` says of `a`.
    assert!(matches!(fault, GraphFault::Cycle { task: 2, edge: 0, .. }), "{fault:?}");
}

#[test]
fn a_chain_of_a_thousand_is_a_job_in_either_order() {
    let link = |n: usize, first: Option<usize>| {
        task(&format!("t{n}")).with(|task| {
            let edge = |first| Edge { task: u32::try_from(first).unwrap(), when: When::Succeeded };
            task.after = first.map(edge).into_iter().collect();
        })
    };
    let forward: Vec<_> = (0..1_000).map(|n| link(n, n.checked_sub(1))).collect();
    let reversed: Vec<_> = (0..1_000).map(|n| link(n, (n < 999).then_some(n + 1))).collect();
    assert_eq!((check_graph(&forward), check_graph(&reversed)), (Ok(()), Ok(())));

    let mut walk = Walk::new(&job(reversed));
    walk.run(999, 0, 1);
    assert_eq!(walk.ending(), Some(Ending::Failed));
    assert_eq!(walk.states()[..999], [TaskState::Skipped; 999]);
}

/// Tasks whose edges all lead from later to earlier, then shuffled.
fn dags() -> impl Strategy<Value = (Vec<TaskSpec>, Vec<usize>)> {
    (2..40_usize)
        .prop_flat_map(|size| {
            let edges = prop::collection::vec((0..size, 0..size), 0..size * 2);
            (edges, Just((0..size).collect::<Vec<_>>()).prop_shuffle())
        })
        .prop_map(|(edges, places)| {
            let mut tasks: Vec<_> = (0..places.len()).map(|n| task(&format!("t{n}"))).collect();
            for (a, b) in edges.into_iter().filter(|(a, b)| a != b) {
                join(&mut tasks, places[a.max(b)], places[a.min(b)]);
            }
            (tasks, places)
        })
}

fn join(tasks: &mut [TaskSpec], last: usize, first: usize) {
    let first = u32::try_from(first).unwrap();
    tasks[last].after.push(Edge { task: first, when: When::Finished });
}

proptest! {
    #[test]
    fn a_graph_without_a_circle_is_accepted((tasks, _) in dags()) {
        prop_assert_eq!(check_graph(&tasks), Ok(()));
    }

    #[test]
    fn a_graph_with_a_circle_is_refused_and_the_circle_is_there(
        (mut tasks, places) in dags(),
        ends in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let (a, b) = (ends.0.index(places.len()), ends.1.index(places.len()));
        join(&mut tasks, places[a.max(b)], places[a.min(b)]);
        join(&mut tasks, places[a.min(b)], places[a.max(b)]);
        let Err(GraphFault::Cycle { task: last, edge, names }) = check_graph(&tasks) else {
            return Err(TestCaseError::fail("the circle was not seen"));
        };
        prop_assert!(names.len() >= 2);
        prop_assert_eq!(names.first(), names.last());
        let closing = tasks[last].after[edge].task as usize;
        prop_assert_eq!(Some(tasks[closing].name.as_str()), names.last().map(String::as_str));
        prop_assert_eq!(tasks[last].name.as_str(), &names[names.len() - 2]);
        for step in names.windows(2) {
            let task = tasks.iter().find(|task| task.name.as_str() == step[0]).unwrap();
            let first = |edge: &Edge| tasks[edge.task as usize].name.as_str() == step[1];
            prop_assert!(task.after.iter().any(first), "{} does not wait for {}", step[0], step[1]);
        }
    }
}

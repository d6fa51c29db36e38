//! Which task comes after which.

use std::collections::BTreeSet;

use shared::{job::When, wire::submit::AfterRequest};

use crate::{faults::Fault, fields::Fields};

/// What a task waits for of those before it, by the word for it.
const MODES: [(&str, When); 3] = [
    ("PRE_TASK_SUCCEED", When::Succeeded),
    ("PRE_TASK_AT_LEAST_PARTLY_SUCCEED", When::Partly),
    ("PRE_TASK_FINISHED", When::Finished),
];

/// For each task, by its place, what it runs after. That none comes to run after
/// itself is looked at with the job as a whole.
pub(crate) fn read(job: &mut Fields, names: &[String]) -> Result<Vec<Vec<AfterRequest>>, Fault> {
    let word = job.word("TaskExecutionDependOn", &MODES.map(|(word, _)| word))?;
    let when = MODES.iter().find(|(known, _)| *known == word).map_or(When::Succeeded, |(_, w)| *w);
    let (mut edges, mut known) = (Vec::new(), BTreeSet::new());
    for mut dependence in job.objects("Dependences")? {
        let mut place = |end: &str| {
            let path = dependence.path(end);
            let name = dependence.said(end)?;
            names.iter().position(|known| *known == name).ok_or_else(|| {
                let message = format!("`{path}`: the job has no task `{name}`.");
                Fault::new("InvalidParameterValue.DependenceNotFoundTaskName", message)
            })
        };
        let edge = (place("StartTask")?, place("EndTask")?);
        dependence.end()?;
        if known.insert(edge) {
            edges.push(edge);
        }
    }
    let mut after: Vec<Vec<AfterRequest>> = names.iter().map(|_| Vec::new()).collect();
    for (first, then) in edges {
        after[then].push(AfterRequest { task: names[first].clone(), when });
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read_of(job: Value) -> Result<Vec<Vec<(String, When)>>, Fault> {
        let names = ["a", "b", "c"].map(str::to_owned);
        let after = read(&mut Fields::of(job), &names)?;
        let plain = |edges: Vec<AfterRequest>| {
            edges.into_iter().map(|edge| (edge.task, edge.when)).collect()
        };
        Ok(after.into_iter().map(plain).collect())
    }

    fn chain(pairs: &[(&str, &str)]) -> Value {
        let one = |(start, end): &(&str, &str)| json!({ "StartTask": start, "EndTask": end });
        pairs.iter().map(one).collect()
    }

    #[test]
    fn each_mode_is_a_condition_of_its_own() {
        for (word, when) in MODES {
            let job = json!({
                "TaskExecutionDependOn": word,
                "Dependences": chain(&[("a", "b"), ("a", "b"), ("b", "c")]),
            });
            let after = read_of(job).unwrap();
            let wanted = [vec![], vec![("a".to_owned(), when)], vec![("b".to_owned(), when)]];
            assert_eq!(after, wanted);
        }
        let job = json!({ "Dependences": chain(&[("a", "b")]) });
        assert_eq!(read_of(job).unwrap()[1][0].1, When::Succeeded);
    }

    #[test]
    fn what_leads_nowhere_is_refused() {
        let code = |pairs: &[(&str, &str)]| {
            read_of(json!({ "Dependences": chain(pairs) })).unwrap_err().code
        };
        assert_eq!(code(&[("a", "x")]), "InvalidParameterValue.DependenceNotFoundTaskName");
        let fault = read_of(json!({ "TaskExecutionDependOn": "LUCK" })).unwrap_err();
        assert_eq!(fault.code, "InvalidParameterValue");
        let fault = read_of(json!({ "Dependences": [{ "StartTask": "a" }] })).unwrap_err();
        assert_eq!(fault.code, "MissingParameter");
    }
}

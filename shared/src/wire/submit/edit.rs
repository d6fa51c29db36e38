//! Edits laid over a job, as requests write both.

use serde_json::{Map, Value};

use super::job::JOB_FIELDS;

/// The job with the edits over it (RFC 7396): objects member by member, all
/// else as a whole, null takes away.
///
/// The fields of a task may stand beside the job's, as in a flat job, if the
/// job has but one task.
pub fn edited(mut job: Map<String, Value>, edits: Map<String, Value>) -> Map<String, Value> {
    let flat = !edits.contains_key("tasks");
    let (edits, of_task): (Map<_, _>, Map<_, _>) =
        edits.into_iter().partition(|(name, _)| JOB_FIELDS.contains(&name.as_str()));
    match job.get_mut("tasks") {
        Some(Value::Array(tasks)) if flat && tasks.len() == 1 => {
            merge(&mut tasks[0], Value::Object(of_task));
        }
        // Refused when the whole is read, by their names.
        _ => job.extend(of_task),
    }
    let mut whole = Value::Object(job);
    merge(&mut whole, Value::Object(edits));
    match whole {
        Value::Object(job) => job,
        _ => Map::new(),
    }
}

fn merge(under: &mut Value, over: Value) {
    let Value::Object(over) = over else {
        *under = over;
        return;
    };
    if !under.is_object() {
        *under = Value::Object(Map::new());
    }
    let Value::Object(under) = under else { return };
    for (name, value) in over {
        if value.is_null() {
            under.remove(&name);
        } else {
            merge(under.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn laid(job: Value, edits: Value) -> Value {
        let (Value::Object(job), Value::Object(edits)) = (job, edits) else { panic!("no objects") };
        Value::Object(edited(job, edits))
    }

    #[test]
    fn edits_are_laid_over_objects_member_by_member() {
        let job = json!({
            "name": "n", "tags": {"a": "1", "b": "2"},
            "tasks": [{"image": "i", "env": {"A": "1", "B": "2"}, "outputs": ["/a"], "stdin": null}],
        });
        let edits = json!({
            "name": null, "tags": {"b": "3"}, "command": ["x"], "env": {"A": null, "C": "3"},
            "outputs": ["/b"], "stdin": {"inline": "s"},
        });
        let expected = json!({
            "tags": {"a": "1", "b": "3"},
            "tasks": [{
                "image": "i", "command": ["x"], "env": {"B": "2", "C": "3"}, "outputs": ["/b"],
                "stdin": {"inline": "s"},
            }],
        });
        assert_eq!(laid(job, edits), expected);
    }

    #[test]
    fn what_belongs_to_one_of_several_tasks_is_not_guessed() {
        let job = json!({"tasks": [{"name": "a"}, {"name": "b"}]});
        let both = json!({"tasks": [{"name": "a"}, {"name": "b"}], "command": ["x"]});
        assert_eq!(laid(job.clone(), json!({"command": ["x"]})), both);
        assert_eq!(laid(job, json!({"tasks": [{"name": "c"}]})), json!({"tasks": [{"name": "c"}]}));
    }
}

//! Parameters as text: `Job.Tasks.0.TaskName=a`, put back together.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::faults::Fault;

/// How deep a name may reach; this API's own go to about ten.
const DEEPEST: usize = 32;

/// What is at a place: a text, or what is below it.
#[derive(Default)]
struct Node {
    text: Option<String>,
    below: BTreeMap<String, Node>,
}

/// The object that these names and texts are.
pub(crate) fn rebuilt<'p>(
    pairs: impl IntoIterator<Item = &'p (String, String)>,
) -> Result<Map<String, Value>, Fault> {
    let mut root = Node::default();
    for (name, text) in pairs {
        let mut node = &mut root;
        for (depth, part) in name.split('.').enumerate() {
            if depth >= DEEPEST || part.is_empty() {
                return Err(Fault::new("UnknownParameter", unknown(name)));
            }
            node = node.below.entry(part.to_owned()).or_default();
        }
        node.text = Some(text.clone());
    }
    root.below.into_iter().map(|(name, node)| Ok((name.clone(), node.value(&name)?))).collect()
}

fn unknown(name: &str) -> String {
    format!("The parameter `{name}` is not recognized.")
}

impl Node {
    fn value(self, path: &str) -> Result<Value, Fault> {
        if let Some(text) = self.text {
            return match self.below.keys().next() {
                None => Ok(Value::String(text)),
                Some(name) => {
                    let both = format!("`{path}` has a value, and `{path}.{name}` has one.");
                    Err(Fault::new("InvalidParameter", both))
                }
            };
        }
        let place = |name: &String| {
            let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| name.parse::<u64>().ok()).flatten()
        };
        let places: Option<Vec<u64>> = self.below.keys().map(place).collect();
        let below = self.below.into_iter();
        let Some(places) = places else {
            let named = |(name, node): (String, Node)| {
                let value = node.value(&format!("{path}.{name}"))?;
                Ok((name, value))
            };
            return Ok(Value::Object(below.map(named).collect::<Result<_, Fault>>()?));
        };
        let mut list: Vec<(u64, (String, Node))> = places.into_iter().zip(below).collect();
        list.sort_by_key(|(place, _)| *place);
        let value = |(_, (name, node)): (_, (String, Node))| node.value(&format!("{path}.{name}"));
        Ok(Value::Array(list.into_iter().map(value).collect::<Result<_, Fault>>()?))
    }
}

/// Names of numbers and flags, wherever in a request they are: what is kept of
/// one that came as text is kept as one that came as JSON.
const INTEGERS: [&str; 14] = [
    "CPU",
    "DelayOnRetry",
    "DesiredComputeNodeCount",
    "DiskSize",
    "InternetMaxBandwidthOut",
    "MaxConcurrentNum",
    "MaxRetryCount",
    "Memory",
    "Priority",
    "ProjectId",
    "ResourceMaxRetryCount",
    "TaskInstanceNum",
    "Timeout",
    "WorkerNum",
];
const FLAGS: [&str; 7] = [
    "AsVpcGateway",
    "BurstPerformance",
    "DeleteWithInstance",
    "Enabled",
    "Encrypt",
    "PublicIpAssigned",
    "RestartComputeNode",
];

/// Makes numbers and flags of the texts that should be some. What is none stays,
/// to be refused by who takes it.
pub(crate) fn typed(fields: &mut Map<String, Value>) {
    for (name, value) in fields {
        match value {
            Value::Object(below) => typed(below),
            Value::Array(all) => {
                for below in all.iter_mut().filter_map(Value::as_object_mut) {
                    typed(below);
                }
            }
            Value::String(text) if INTEGERS.contains(&name.as_str()) => {
                if let Ok(number) = text.parse::<i64>() {
                    *value = number.into();
                }
            }
            Value::String(text) if FLAGS.contains(&name.as_str()) => {
                if let Ok(flag) = text.to_ascii_lowercase().parse::<bool>() {
                    *value = flag.into();
                }
            }
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn built(pairs: &[(&str, &str)]) -> Result<Value, Fault> {
        let own = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        let pairs: Vec<_> = pairs.iter().map(own).collect();
        rebuilt(&pairs).map(Value::Object)
    }

    #[test]
    fn lists_come_back_in_the_order_of_their_numbers() {
        let pairs: Vec<_> = (0..12).map(|n| (format!("L.{n}.N"), n.to_string())).collect();
        let Value::Array(list) = rebuilt(&pairs).unwrap().remove("L").unwrap() else { panic!() };
        let names: Vec<_> = list.iter().map(|one| one["N"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names, (0..12).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn objects_and_lists_nest() {
        let built = built(&[
            ("Job.Tasks.0.Application.Command", "echo a.b"),
            ("Job.Tasks.0.EnvVars.0.Name", "N"),
            ("Job.Priority", "1"),
            ("Limit", "5"),
        ]);
        let wanted = json!({
            "Job": {
                "Tasks": [{
                    "Application": { "Command": "echo a.b" }, "EnvVars": [{ "Name": "N" }],
                }],
                "Priority": "1",
            },
            "Limit": "5",
        });
        assert_eq!(built.unwrap(), wanted);
    }

    #[test]
    fn what_cannot_be_put_together_is_refused() {
        assert_eq!(built(&[("A", "1"), ("A.B", "2")]).unwrap_err().code, "InvalidParameter");
        assert_eq!(built(&[("A..B", "2")]).unwrap_err().code, "UnknownParameter");
        let deep = vec!["A"; 40].join(".");
        assert_eq!(built(&[(&deep, "2")]).unwrap_err().code, "UnknownParameter");
    }

    #[test]
    fn texts_become_what_they_would_have_been_as_json() {
        let mut fields = built(&[
            ("Job.Priority", "1"),
            ("Job.JobName", "1"),
            ("Job.Tasks.0.RestartComputeNode", "True"),
            ("Job.Tasks.0.Timeout", "soon"),
        ]);
        typed(fields.as_mut().unwrap().as_object_mut().unwrap());
        let wanted = json!({ "Job": {
            "Priority": 1, "JobName": "1",
            "Tasks": [{ "RestartComputeNode": true, "Timeout": "soon" }],
        }});
        assert_eq!(fields.unwrap(), wanted);
    }
}

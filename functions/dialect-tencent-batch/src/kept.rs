//! What of a request is kept to be told again: as it came, but for secrets.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use shared::{
    job::{Job, Origin},
    ops::attempts,
    service::Service,
    wire::Problem,
};

use crate::{API, faults::Fault, submit::FAILED_ACTIONS};

/// Members that are nobody's business once they have been used.
const SECRETS: [&str; 2] = ["Password", "SecretKey"];

/// A job as it was submitted through this API.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    #[serde(rename = "Region", default, skip_serializing_if = "Option::is_none")]
    pub(crate) region: Option<String>,
    #[serde(rename = "Placement")]
    pub(crate) placement: Map<String, Value>,
    #[serde(rename = "Job")]
    pub(crate) job: Map<String, Value>,
}

impl Kept {
    pub(crate) fn new(
        region: Option<&str>,
        placement: Option<&Value>,
        job: Option<&Value>,
    ) -> Self {
        let region = region.map(str::to_owned);
        Kept { region, placement: silenced(placement), job: silenced(job) }
    }

    /// What is kept of a job; `None` of one that came another way.
    pub(crate) async fn of(service: &Service, job: &Job) -> Result<Option<Self>, Problem> {
        let spec = attempts::load_spec(service, job).await?;
        Ok(said(spec.origin.as_ref()))
    }

    pub(crate) fn zone(&self) -> Option<&str> {
        self.placement.get("Zone")?.as_str()
    }

    /// The tasks, as they were submitted.
    pub(crate) fn tasks(&self) -> &[Value] {
        self.job.get("Tasks").and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Whether what of the task at this place fails is held.
    pub(crate) fn holds(&self, task: usize) -> bool {
        let action = self.tasks().get(task).and_then(|task| task["FailedAction"].as_str());
        action.is_some_and(|action| FAILED_ACTIONS[1..].contains(&action))
    }
}

/// What is kept, as it is stored with what it is about.
pub(crate) fn origin(kept: &impl Serialize) -> Result<Origin, Fault> {
    let request = serde_json::to_string(kept);
    let request = request.map_err(|error| Fault::new("InternalError", error.to_string()))?;
    Ok(Origin { api: API.to_owned(), request })
}

/// What was stored so; `None` of what came another way.
pub(crate) fn said<T: DeserializeOwned>(origin: Option<&Origin>) -> Option<T> {
    let origin = origin.filter(|origin| origin.api == API)?;
    serde_json::from_str(&origin.request).ok()
}

/// Refuses what is too large to be kept.
pub(crate) fn check_size(kept: &impl Serialize, limit: usize) -> Result<(), Fault> {
    let size = serde_json::to_vec(kept).map_or(0, |json| json.len());
    if size > limit {
        let message = format!("What is to be kept is larger than {limit} bytes.");
        return Err(Fault::new("RequestSizeLimitExceeded", message));
    }
    Ok(())
}

/// An object without its secrets; empty, where there is none.
pub(crate) fn silenced(value: Option<&Value>) -> Map<String, Value> {
    let mut own = value.and_then(Value::as_object).cloned().unwrap_or_default();
    silence(&mut own);
    own
}

/// Takes secrets away, wherever they are.
fn silence(fields: &mut Map<String, Value>) {
    fields.retain(|name, _| !SECRETS.contains(&name.as_str()));
    for value in fields.values_mut() {
        match value {
            Value::Object(below) => silence(below),
            Value::Array(all) => {
                all.iter_mut().filter_map(Value::as_object_mut).for_each(silence);
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_secret_is_kept() {
        let job = json!({ "Tasks": [{
            "TaskName": "t",
            "FailedAction": "INTERRUPT",
            "Application": { "Docker": { "Image": "i", "User": "u", "Password": "secret" } },
            "Authentications": [{ "SecretId": "id", "SecretKey": "secret" }],
            "ComputeEnv": { "EnvData": { "LoginSettings": { "Password": "secret" } } },
        }]});
        let kept = Kept::new(Some("r"), Some(&json!({ "Zone": "z" })), Some(&job));
        let origin = origin(&kept).unwrap();
        assert!(!origin.request.contains("secret"), "{}", origin.request);
        assert_eq!(said::<Kept>(Some(&origin)).as_ref(), Some(&kept));
        let other = Origin { api: "other".into(), ..origin };
        assert_eq!(said::<Kept>(Some(&other)), None);
        assert_eq!((kept.zone(), kept.holds(0), kept.holds(1)), (Some("z"), true, false));
    }
}

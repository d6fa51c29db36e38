//! From a client's JSON to a checked submission.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    JobRequest, ResourcesRequest, TaskRequest,
    rules::{check_client_token, check_tags, check_text, parse_name, within},
    task::{At, DAY, Others},
};
use crate::{
    job::{GraphFault, JobSpec, Layout, MAX_JOB_INSTANCES, MadeBy, Name, check_graph},
    ops::images::RegisteredImage,
    service::Limits,
    wire::{Problem, callback::CallbackChoice, parse_json, request::misfit},
};

/// A job to be accepted, checked: the spec, and the secrets that its sealed
/// environment is still to be made of, task by task.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// What is to run.
    pub spec: JobSpec,
    /// Secret environment, per task in the spec's order.
    pub secrets: Vec<BTreeMap<String, String>>,
    /// What each task says of its resources: its queue may see to the rest.
    pub resources: Vec<ResourcesRequest>,
    /// The client's token, if the body carries it.
    pub client_token: Option<String>,
    /// What led to it. What is attached to the job that it is made from, it may
    /// name.
    pub made_by: MadeBy,
    /// Who is told of its ending.
    pub callback: CallbackChoice,
    /// Images that are registered with it, if it is accepted.
    pub images: Vec<RegisteredImage>,
}

/// The fields of [`JobRequest`], by which a flat job is told apart.
pub(super) const JOB_FIELDS: [&str; 10] = [
    "name",
    "queue",
    "priority",
    "tags",
    "fail_fast",
    "deadline_seconds",
    "retain_days",
    "client_token",
    "callback",
    "tasks",
];

/// A job's tasks, and how they were written: it is what their fields are
/// called in a refusal.
#[derive(Debug)]
pub enum TasksRequest {
    /// One, its fields in the job's place.
    Flat(Box<TaskRequest>),
    /// In `tasks`.
    Listed(Vec<TaskRequest>),
}

impl JobRequest {
    /// The request in `bytes`, and its tasks.
    pub fn parse(bytes: &[u8]) -> Result<(Self, TasksRequest), Problem> {
        JobRequest::of_fields(parse_json(bytes)?)
    }

    /// The request of these fields, and its tasks.
    pub fn of_fields(whole: Map<String, Value>) -> Result<(Self, TasksRequest), Problem> {
        let flat = !whole.contains_key("tasks");
        let (job, task): (Map<_, _>, Map<_, _>) =
            whole.into_iter().partition(|(key, _)| !flat || JOB_FIELDS.contains(&key.as_str()));
        let mut job: JobRequest = from_value("", Value::Object(job))?;
        let tasks = if flat {
            TasksRequest::Flat(Box::new(from_value("", Value::Object(task))?))
        } else {
            let tasks = std::mem::take(&mut job.tasks).into_iter().enumerate();
            let task = |(place, task)| from_value(&format!("tasks[{place}]"), task);
            TasksRequest::Listed(tasks.map(task).collect::<Result<_, _>>()?)
        };
        Ok((job, tasks))
    }

    /// The job, complete and within the rules; or the first field that is not.
    pub fn check(self, tasks: TasksRequest, limits: &Limits) -> Result<Submission, Problem> {
        let (tasks, flat) = match tasks {
            TasksRequest::Flat(task) => (vec![*task], true),
            TasksRequest::Listed(tasks) => (tasks, false),
        };
        let others = Others::new(task_names(&tasks, flat)?, &tasks);
        let mut specs = Vec::with_capacity(tasks.len());
        let mut secrets = Vec::with_capacity(tasks.len());
        let resources = tasks.iter().map(|task| task.resources).collect();
        for (place, mut task) in tasks.into_iter().enumerate() {
            let at = At { task: place, flat };
            let secret = std::mem::take(&mut task.secret_env);
            at.check_env(&task.env, &secret)?;
            specs.push(at.check(task, &secret, &others, limits)?);
            secrets.push(secret);
        }
        check_graph(&specs).map_err(|fault| graph_problem(&fault, flat))?;
        for task in 0..specs.len() {
            At { task, flat }.check_left(&specs)?;
        }
        if let Some(name) = &self.name {
            check_text("name", name, 128)?;
        }
        check_tags(&self.tags)?;
        within("priority", i64::from(self.priority), -1_000, 1_000)?;
        if let Some(seconds) = self.deadline_seconds {
            within("deadline_seconds", i64::from(seconds), 1, 90 * DAY)?;
        }
        let retain_days = self.retain_days.unwrap_or(30);
        within("retain_days", i64::from(retain_days), 1, 365)?;
        if let Some(token) = &self.client_token {
            check_client_token("client_token", token)?;
        }
        let callback = CallbackChoice::parse(self.callback)?;
        let spec = JobSpec {
            v: JobSpec::VERSION,
            name: self.name,
            queue: parse_name("queue", self.queue.as_deref().unwrap_or("default"))?,
            priority: self.priority,
            tags: self.tags,
            tasks: specs,
            fail_fast: self.fail_fast,
            deadline_seconds: self.deadline_seconds,
            retain_days,
            callback: None,
            origin: None,
            layout: Layout::Native,
            muted: callback == CallbackChoice::Nobody,
        };
        if spec.instances() > MAX_JOB_INSTANCES {
            let rule = format!(
                "all tasks together have {} instances, and {MAX_JOB_INSTANCES} are allowed",
                spec.instances()
            );
            return Err(Problem::invalid("tasks", rule));
        }
        let (client_token, made_by) = (self.client_token, MadeBy::default());
        let images = Vec::new();
        Ok(Submission { spec, secrets, resources, client_token, made_by, callback, images })
    }
}

pub(super) fn from_value<T: serde::de::DeserializeOwned>(
    prefix: &str,
    value: Value,
) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        misfit(prefix, &path, &error.into_inner())
    })
}

/// Tasks by name, for the edges; a lone task needs none.
fn task_names(tasks: &[TaskRequest], flat: bool) -> Result<Vec<Name>, Problem> {
    let name = |(place, task): (usize, &TaskRequest)| {
        let field = || At { task: place, flat }.field("name");
        match &task.name {
            Some(name) => parse_name(&field(), name),
            None if tasks.len() == 1 => parse_name(&field(), "main"),
            None => Err(Problem::invalid(field(), "it is required where there are several tasks")),
        }
    };
    tasks.iter().enumerate().map(name).collect()
}

fn graph_problem(fault: &GraphFault, flat: bool) -> Problem {
    let field = match fault {
        GraphFault::Empty | GraphFault::TooMany(_) => "tasks".to_owned(),
        GraphFault::DuplicateName { task, .. } => At { task: *task, flat }.field("name"),
        GraphFault::UnknownTask { task, edge } | GraphFault::Cycle { task, edge, .. } => {
            At { task: *task, flat }.field(&format!("after[{edge}].task"))
        }
    };
    Problem::invalid(field, fault.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::job::{CacheRule, Resources};

    fn submit(json: &str) -> Result<Submission, Problem> {
        let (job, tasks) = JobRequest::parse(json.as_bytes())?;
        job.check(tasks, &Limits::default())
    }

    fn refused(json: &str) -> (String, String) {
        match submit(json) {
            Err(Problem::Invalid { field, rule }) => (field, rule.into_owned()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_flat_job_is_a_job_of_one_task() {
        let flat = submit(r#"{"name": "n", "image": "a", "command": ["x"]}"#).unwrap();
        assert_eq!(flat.spec.name.as_deref(), Some("n"));
        assert_eq!(flat.spec.tasks[0].name.as_str(), "main");
        assert_eq!(flat.spec.tasks[0].resources, Resources { cpu_millis: 250, memory_mib: 512 });
        let long = submit(r#"{"tasks": [{"name": "main", "image": "a"}]}"#).unwrap();
        assert_eq!(long.spec.tasks[0].image, flat.spec.tasks[0].image);
    }

    #[test]
    fn bad_input_is_answered_with_its_field_and_rule() {
        for (json, field, rule) in [
            (r#"{"image": "a", "colour": 1}"#, "colour", "unknown field"),
            (r#"{"tasks": [{"name": "a", "image": "a", "hue": 1}]}"#, "tasks[0].hue", "unknown"),
            (r#"{"image": ""}"#, "image", "an image is required"),
            (r#"{"command": ["x"]}"#, "image", "an image is required"),
            (r#"{"image": "UPPER"}"#, "image", "lower-case"),
            (r#"{"image": "a", "resources": {"cpu": -1}}"#, "resources.cpu", "-1 is not within"),
            (r#"{"image": "a", "resources": {"cpu": "x"}}"#, "resources.cpu", "invalid type"),
            (r#"{"image": "a", "outputs": ["/a/../b"]}"#, "outputs[0]", "`..`"),
            (r#"{"image": "a", "outputs": ["a"]}"#, "outputs[0]", "absolute"),
            (r#"{"image": "a", "outputs": ["/Stdout"]}"#, "outputs[0]", "already"),
            (r#"{"image": "a", "queue": "a b"}"#, "queue", "not a valid name"),
            (r#"{"image": "a", "env": {"TARPON_TOKEN": "x"}}"#, "env.TARPON_TOKEN", "ours"),
            (r#"{"image": "a", "secret_env": {"A=B": "x"}}"#, "secret_env.A=B", "no `=`"),
            (r#"{"image": "a", "index": {"name": "A=B"}}"#, "index.name", "no `=`"),
            (r#"{"image": "a", "index": {"name": "TARPON_X"}}"#, "index.name", "ours"),
            (r#"{"image": "a", "index": {"name": "A", "step": 0}}"#, "index.step", "1 to"),
            (
                r#"{"image": "a", "env": {"A": ""}, "index": {"name": "A"}}"#,
                "index.name",
                "already",
            ),
            (
                r#"{"image": "a", "secret_env": {"A": ""}, "index": {"name": "A"}}"#,
                "index.name",
                "already",
            ),
            (r#"{"image": 7}"#, "image", "expected a string"),
            (r#"{"tasks": [{"image": "a", "stdin": {}}]}"#, "tasks[0].stdin", "expected"),
            (
                r#"{"tasks": [{"name": "a", "image": "a"}, {"image": "a"}]}"#,
                "tasks[1].name",
                "required",
            ),
            (r#"{"image": "a", "stdin": {"object": "b"}}"#, "stdin", "bucket/key"),
            (r#"{"image": "a", "stdin": {"base64": "%"}}"#, "stdin", "base 64"),
            (r#"{"image": "a", "cache": "yes"}"#, "cache", "`true`, or an object"),
            (r#"{"image": "a", "cache": {"max_age": 1}}"#, "cache.max_age", "unknown field"),
            (r#"{"image": "a", "cache": {"max_age_seconds": 0}}"#, "cache.max_age_seconds", "0"),
            (r#"{"image": "a", "cache": true, "stdout_to": "b/k"}"#, "cache", "no objects"),
            (r#"{"tasks": []}"#, "tasks", "at least one"),
            (
                r#"{"tasks": [{"name": "a", "image": "a"}, {"name": "a", "image": "a"}]}"#,
                "tasks[1].name",
                "two tasks are named `a`",
            ),
            (
                r#"{"tasks": [{"name": "a", "image": "a", "after": [{"task": "c"}]},
                              {"name": "b", "image": "a", "after": [{"task": "a"}]},
                              {"name": "d", "image": "a"},
                              {"name": "c", "image": "a", "after": [{"task": "d"}, {"task": "b"}]}]}"#,
                "tasks[1].after[0].task",
                "in a circle: a -> c -> b -> a",
            ),
            (
                r#"{"name": "main", "image": "a", "after": [{"task": "main"}]}"#,
                "after[0].task",
                "task `main` runs after itself",
            ),
            (
                r#"{"tasks": [{"name": "a", "image": "a", "after": [{"task": "b"}]}]}"#,
                "tasks[0].after[0].task",
                "no task `b`",
            ),
        ] {
            let (at, why) = refused(json);
            assert_eq!(at, field, "{json}");
            assert!(why.contains(rule), "{json}: {why}");
        }
    }

    #[test]
    fn a_task_says_which_results_of_equals_will_do() {
        let cache = |text: &str| {
            let json = format!(r#"{{"image": "a", "cache": {text}}}"#);
            submit(&json).unwrap().spec.tasks.remove(0).cache
        };
        assert_eq!((cache("false"), cache("null")), (None, None));
        assert_eq!(cache("true"), Some(CacheRule::default()));
        assert_eq!(cache("{}"), Some(CacheRule::default()));
        let hour = cache(r#"{"max_age_seconds": 3600}"#).unwrap();
        assert_eq!(hour.max_age_seconds, Some(3_600));
    }

    #[test]
    fn more_tasks_than_there_may_be_are_counted() {
        let tasks: Vec<_> =
            (0..=1_000).map(|n| json!({"name": format!("t{n}"), "image": "a"})).collect();
        let (at, why) = refused(&json!({"tasks": tasks}).to_string());
        assert_eq!((at.as_str(), why.as_str()), ("tasks", "1001 tasks, and 1000 are allowed"));
    }

    #[test]
    fn what_is_not_json_is_said_to_be_none() {
        for bytes in [&b"{"[..], b"\xff", b"[] x", b"", b"{} x", b"7", b"{\"a\"}"] {
            assert!(matches!(JobRequest::parse(bytes), Err(Problem::Malformed(_))));
        }
    }
}

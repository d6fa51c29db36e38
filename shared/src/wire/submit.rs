//! A job as the native API is given one, and the rules it has to keep.
//!
//! A job of one task may be written flat, with the task's fields beside the
//! job's. Everything here is checked before anything is stored.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Problem, parse_json};
use crate::{
    agent,
    job::{
        Deadlines, Edge, GraphFault, INLINE_INSTANCES, ImageReference, InputSpec, JobSpec, Name,
        Network, OutputSpec, Resources, RetryRules, Source, TaskSpec, When, check_graph,
    },
    service::Limits,
};

/// A job to be accepted, checked: the spec, and the secrets that its sealed
/// environment is still to be made of, task by task.
#[derive(Clone, Debug, PartialEq)]
pub struct Submission {
    /// What is to run.
    pub spec: JobSpec,
    /// Secret environment, per task in the spec's order.
    pub secrets: Vec<BTreeMap<String, String>>,
    /// The client's token, if the body carries it.
    pub client_token: Option<String>,
}

/// A job. With `tasks`, or flat: one task's fields in their place.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JobRequest {
    /// What you call it; up to 128 characters.
    pub name: Option<String>,
    /// The queue to wait in; `default` without.
    pub queue: Option<String>,
    /// Higher starts first: -1000 to 1000.
    pub priority: i16,
    /// Labels for your own use: up to 50.
    pub tags: BTreeMap<String, String>,
    /// Whether the first final failure stops everything else.
    pub fail_fast: bool,
    /// Seconds from submission after which the whole job is stopped.
    pub deadline_seconds: Option<u32>,
    /// Days that the finished job is kept: 1 to 365; 30 without.
    pub retain_days: Option<u16>,
    /// Makes a repeated submit safe: up to 64 ASCII characters, kept 7 days.
    pub client_token: Option<String>,
    /// The tasks, up to 1,000.
    #[schema(value_type = Vec<TaskRequest>)]
    pub tasks: Vec<Value>,
}

/// One task: what to run, on what, and what to keep.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TaskRequest {
    /// Unique in the job; `main` for the only one.
    pub name: Option<String>,
    /// `[host/]path[:tag][@digest]`, or the name of a registered image.
    #[schema(required)]
    pub image: String,
    /// Replaces the image's entrypoint.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments after the entrypoint; the whole command where there is none.
    pub command: Option<Vec<String>>,
    /// Environment, over the image's.
    pub env: BTreeMap<String, String>,
    /// Environment that is sealed at rest and never shown.
    pub secret_env: BTreeMap<String, String>,
    /// Working directory, absolute.
    pub workdir: Option<String>,
    /// `user[:group]`, names or numbers.
    pub user: Option<String>,
    /// What the process reads on standard input.
    pub stdin: Option<SourceRequest>,
    /// Files to be there before it starts.
    pub inputs: Vec<InputRequest>,
    /// Absolute paths or patterns to keep.
    pub outputs: Vec<String>,
    /// What the container may use.
    pub resources: ResourcesRequest,
    /// `egress` or `none`.
    pub network: NetworkRequest,
    /// Whether the image's own file system is read-only.
    pub read_only_root: bool,
    /// How many containers of this task run.
    pub instances: Option<u32>,
    /// How many of them at once.
    pub max_concurrent: Option<u32>,
    /// What has to have ended before.
    pub after: Vec<AfterRequest>,
    /// When a failed attempt is tried again.
    pub retry: RetryRequest,
    /// Seconds that the process may run: 1 to 14 days; a day without.
    pub timeout_seconds: Option<u32>,
    /// Seconds from TERM to KILL: 0 to 600; 30 without.
    pub grace_seconds: Option<u32>,
    /// Seconds in the queue, at most: a week without.
    pub waiting_seconds: Option<u32>,
    /// Seconds from slot to start, at most: 15 minutes without.
    pub starting_seconds: Option<u32>,
}

/// Where bytes come from.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SourceRequest {
    /// This text.
    Inline(String),
    /// These bytes, base 64.
    Base64(String),
    /// An object: `bucket/key`.
    Object(String),
    /// An upload, by its id.
    Upload(String),
}

/// A file to be put in place.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InputRequest {
    /// Absolute path in the container.
    pub path: String,
    /// Its bytes.
    pub source: SourceRequest,
    /// Permission bits in octal, such as `0755`; `0644` without.
    #[serde(default)]
    pub mode: Option<String>,
}

/// What a container may use.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResourcesRequest {
    /// CPUs, such as 0.25.
    pub cpu: f64,
    /// MiB of memory.
    pub memory_mib: i64,
}

impl Default for ResourcesRequest {
    fn default() -> Self {
        ResourcesRequest { cpu: 0.25, memory_mib: 512 }
    }
}

/// What a container may reach.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum NetworkRequest {
    /// Nothing.
    None,
    /// The outside, but no other container, nor us.
    #[default]
    Egress,
}

/// A dependency.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AfterRequest {
    /// The other task's name.
    pub task: String,
    /// `succeeded`, `partly`, `failed` or `finished`.
    #[serde(default)]
    #[schema(value_type = String)]
    pub when: When,
}

/// When a failed attempt is tried again.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryRequest {
    /// 1 to 20, the first included; 1 without.
    pub max_attempts: Option<u32>,
    /// Exit codes worth another attempt; all but 0 when empty.
    pub exit_codes: Vec<i32>,
    /// Seconds before the second attempt, doubled for each further one.
    pub delay_seconds: u32,
}

/// The fields of [`JobRequest`], by which a flat job is told apart.
const JOB_FIELDS: [&str; 9] = [
    "name",
    "queue",
    "priority",
    "tags",
    "fail_fast",
    "deadline_seconds",
    "retain_days",
    "client_token",
    "tasks",
];

impl JobRequest {
    /// The request in `bytes`, and its tasks.
    pub fn parse(bytes: &[u8]) -> Result<(Self, Vec<TaskRequest>), Problem> {
        let whole: Map<String, Value> = parse_json(bytes)?;
        let flat = !whole.contains_key("tasks");
        let (job, task): (Map<_, _>, Map<_, _>) =
            whole.into_iter().partition(|(key, _)| !flat || JOB_FIELDS.contains(&key.as_str()));
        let mut job: JobRequest = from_value("", Value::Object(job))?;
        let tasks = if flat {
            vec![from_value("", Value::Object(task))?]
        } else {
            let tasks = std::mem::take(&mut job.tasks).into_iter().enumerate();
            tasks
                .map(|(place, task)| from_value(&format!("tasks[{place}]"), task))
                .collect::<Result<_, _>>()?
        };
        Ok((job, tasks))
    }

    /// The job, complete and within the rules; or the first field that is not.
    pub fn check(self, tasks: Vec<TaskRequest>, limits: &Limits) -> Result<Submission, Problem> {
        let alone = tasks.len() == 1;
        let names = task_names(&tasks)?;
        let mut specs = Vec::with_capacity(tasks.len());
        let mut secrets = Vec::with_capacity(tasks.len());
        for (place, mut task) in tasks.into_iter().enumerate() {
            let at = At { task: place, flat: alone && self.tasks.is_empty() };
            secrets.push(std::mem::take(&mut task.secret_env));
            specs.push(at.check(task, &names, secrets.last().map_or(0, BTreeMap::len), limits)?);
        }
        check_graph(&specs).map_err(|fault| graph_problem(&fault))?;
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
        };
        Ok(Submission { spec, secrets, client_token: self.client_token })
    }
}

const DAY: i64 = 24 * 3600;

fn from_value<T: serde::de::DeserializeOwned>(prefix: &str, value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner().to_string();
        // An unknown field is best named itself, not the object it is in.
        let unknown = inner.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
        let path = match (path.as_str(), unknown) {
            (".", None) => String::new(),
            (".", Some(field)) => field.to_owned(),
            (_, Some(field)) if !path.ends_with(field) => format!("{path}.{field}"),
            (path, _) => path.to_owned(),
        };
        let dot = if prefix.is_empty() || path.is_empty() { "" } else { "." };
        Problem::invalid(format!("{prefix}{dot}{path}"), inner)
    })
}

/// Tasks by name, for the edges; a lone task needs none.
fn task_names(tasks: &[TaskRequest]) -> Result<Vec<Name>, Problem> {
    let name = |(place, task): (usize, &TaskRequest)| match &task.name {
        Some(name) => parse_name(&format!("tasks[{place}].name"), name),
        None if tasks.len() == 1 => parse_name("name", "main"),
        None => Err(Problem::invalid(format!("tasks[{place}].name"), "it is required")),
    };
    tasks.iter().enumerate().map(name).collect()
}

/// Where a task is in the request, to name its fields.
#[derive(Clone, Copy)]
struct At {
    task: usize,
    flat: bool,
}

impl At {
    fn field(self, name: &str) -> String {
        if self.flat { name.to_owned() } else { format!("tasks[{}].{name}", self.task) }
    }

    fn check(
        self,
        task: TaskRequest,
        names: &[Name],
        secrets: usize,
        limits: &Limits,
    ) -> Result<TaskSpec, Problem> {
        let image: ImageReference = task
            .image
            .parse()
            .map_err(|error| Problem::invalid(self.field("image"), format!("{error}")))?;
        self.check_words("entrypoint", task.entrypoint.as_deref())?;
        self.check_words("command", task.command.as_deref())?;
        if task.entrypoint.as_ref().is_some_and(Vec::is_empty) {
            return Err(Problem::invalid(self.field("entrypoint"), "it has at least one word"));
        }
        self.check_env(&task.env, secrets)?;
        if let Some(workdir) = &task.workdir {
            check_path(&self.field("workdir"), workdir)?;
        }
        if let Some(user) = &task.user {
            check_user(&self.field("user"), user)?;
        }
        let stdin =
            task.stdin.map(|from| source(&self.field("stdin"), from, limits)).transpose()?;
        let instances = task.instances.unwrap_or(1);
        within(&self.field("instances"), i64::from(instances), 1, i64::from(INLINE_INSTANCES))?;
        if let Some(most) = task.max_concurrent {
            within(&self.field("max_concurrent"), i64::from(most), 1, i64::from(INLINE_INSTANCES))?;
        }
        Ok(TaskSpec {
            name: names[self.task].clone(),
            image,
            registered: None,
            entrypoint: task.entrypoint,
            command: task.command,
            env: task.env,
            secret_env: BTreeMap::new(),
            workdir: task.workdir,
            user: task.user,
            stdin,
            inputs: self.inputs(task.inputs, limits)?,
            outputs: self.outputs(task.outputs)?,
            resources: self.resources(&task.resources, limits)?,
            network: match task.network {
                NetworkRequest::None => Network::None,
                NetworkRequest::Egress => Network::Egress,
            },
            read_only_root: task.read_only_root,
            instances,
            max_concurrent: task.max_concurrent,
            after: self.edges(&task.after, names)?,
            retry: self.retry(task.retry)?,
            deadlines: self.deadlines([
                ("timeout_seconds", task.timeout_seconds),
                ("grace_seconds", task.grace_seconds),
                ("waiting_seconds", task.waiting_seconds),
                ("starting_seconds", task.starting_seconds),
            ])?,
        })
    }

    fn check_words(self, field: &str, words: Option<&[String]>) -> Result<(), Problem> {
        let words = words.unwrap_or_default();
        if words.len() > 1_000 {
            return Err(Problem::invalid(self.field(field), "it has at most 1,000 words"));
        }
        match words.iter().position(|word| word.contains('\0')) {
            Some(at) => Err(Problem::invalid(
                format!("{}[{at}]", self.field(field)),
                "it contains a NUL character, which no argument can",
            )),
            None => Ok(()),
        }
    }

    fn check_env(self, env: &BTreeMap<String, String>, secrets: usize) -> Result<(), Problem> {
        if env.len() + secrets > 1_000 {
            return Err(Problem::invalid(self.field("env"), "it has at most 1,000 variables"));
        }
        for (name, value) in env {
            let field = || self.field(&format!("env.{name}"));
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(Problem::invalid(field(), "a variable's name has no `=` and no NUL"));
            }
            if name.starts_with("TARPON_") {
                return Err(Problem::invalid(field(), "names that start with TARPON_ are ours"));
            }
            if value.contains('\0') {
                return Err(Problem::invalid(field(), "a variable's value has no NUL"));
            }
        }
        Ok(())
    }

    fn inputs(self, inputs: Vec<InputRequest>, limits: &Limits) -> Result<Vec<InputSpec>, Problem> {
        if inputs.len() > 100 {
            return Err(Problem::invalid(self.field("inputs"), "there are at most 100"));
        }
        let check = |(place, input): (usize, InputRequest)| {
            let field = |name: &str| self.field(&format!("inputs[{place}].{name}"));
            check_path(&field("path"), &input.path)?;
            let mode = input.mode.map(|mode| {
                let bits = u32::from_str_radix(&mode, 8).ok().filter(|bits| *bits <= 0o7777);
                bits.ok_or_else(|| {
                    Problem::invalid(field("mode"), "it is permission bits in octal, such as 0755")
                })
            });
            Ok(InputSpec {
                path: input.path,
                source: source(&field("source"), input.source, limits)?,
                mode: mode.transpose()?,
            })
        };
        inputs.into_iter().enumerate().map(check).collect()
    }

    fn outputs(self, outputs: Vec<String>) -> Result<Vec<OutputSpec>, Problem> {
        if outputs.len() > 100 {
            return Err(Problem::invalid(self.field("outputs"), "there are at most 100"));
        }
        let check = |(place, path): (usize, String)| {
            let field = self.field(&format!("outputs[{place}]"));
            check_path(&field, &path)?;
            let name = path.trim_matches('/');
            if name.is_empty() {
                return Err(Problem::invalid(field, "the whole file system cannot be kept"));
            }
            if ["Stdout", "Stderr", "manifest.json"].contains(&name) {
                return Err(Problem::invalid(
                    field,
                    "the archive has a member of that name already",
                ));
            }
            let first = name.split('/').next().unwrap_or_default();
            if ["proc", "sys", "dev"].contains(&first) || path.starts_with(agent::HOME) {
                return Err(Problem::invalid(field, "it is not a place where outputs can be"));
            }
            Ok(OutputSpec { path })
        };
        outputs.into_iter().enumerate().map(check).collect()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both are checked to be within a range that fits"
    )]
    fn resources(self, asked: &ResourcesRequest, limits: &Limits) -> Result<Resources, Problem> {
        let field = self.field("resources.cpu");
        let millis = (asked.cpu * 1_000.0).round();
        let most = f64::from(limits.cpu_millis);
        if !(1.0..=most).contains(&millis) {
            let rule = format!("{} is not within 0.001 to {} CPUs", asked.cpu, most / 1_000.0);
            return Err(Problem::invalid(field, rule));
        }
        let memory = self.field("resources.memory_mib");
        within(&memory, asked.memory_mib, 6, i64::from(limits.memory_mib))?;
        Ok(Resources { cpu_millis: millis as u32, memory_mib: asked.memory_mib as u32 })
    }

    fn edges(self, after: &[AfterRequest], names: &[Name]) -> Result<Vec<Edge>, Problem> {
        let edge = |(place, after): (usize, &AfterRequest)| {
            let found = names.iter().position(|name| name.as_str() == after.task);
            let task = found.and_then(|found| u32::try_from(found).ok()).ok_or_else(|| {
                let field = self.field(&format!("after[{place}].task"));
                Problem::invalid(field, format!("the job has no task `{}`", after.task))
            })?;
            Ok(Edge { task, when: after.when })
        };
        after.iter().enumerate().map(edge).collect()
    }

    fn retry(self, retry: RetryRequest) -> Result<RetryRules, Problem> {
        let max_attempts = retry.max_attempts.unwrap_or(1);
        within(&self.field("retry.max_attempts"), i64::from(max_attempts), 1, 20)?;
        within(&self.field("retry.delay_seconds"), i64::from(retry.delay_seconds), 0, 3_600)?;
        let RetryRequest { exit_codes, delay_seconds, .. } = retry;
        Ok(RetryRules { max_attempts, exit_codes, delay_seconds })
    }

    fn deadlines(self, asked: [(&str, Option<u32>); 4]) -> Result<Deadlines, Problem> {
        let mut deadlines = Deadlines::default();
        for (name, seconds) in asked {
            let Some(seconds) = seconds else { continue };
            let (place, least, most) = match name {
                "timeout_seconds" => (&mut deadlines.running, 1, 14 * DAY),
                "grace_seconds" => (&mut deadlines.grace, 0, 600),
                "waiting_seconds" => (&mut deadlines.waiting, 1, 30 * DAY),
                _ => (&mut deadlines.starting, 1, DAY),
            };
            within(&self.field(name), i64::from(seconds), least, most)?;
            *place = seconds;
        }
        Ok(deadlines)
    }
}

fn source(field: &str, from: SourceRequest, limits: &Limits) -> Result<Source, Problem> {
    let inline = |bytes: &[u8]| {
        if bytes.len() > limits.inline_bytes {
            let rule = format!("it is longer than {} bytes; upload it", limits.inline_bytes);
            return Err(Problem::invalid(field, rule));
        }
        Ok(Source::Inline(BASE64.encode(bytes)))
    };
    match from {
        SourceRequest::Inline(text) => inline(text.as_bytes()),
        SourceRequest::Base64(text) => {
            let bytes = BASE64.decode(text.as_bytes());
            inline(&bytes.map_err(|error| Problem::invalid(field, format!("base 64: {error}")))?)
        }
        SourceRequest::Object(name) => {
            let (bucket, key) = name
                .split_once('/')
                .filter(|(_, key)| !key.is_empty())
                .ok_or_else(|| Problem::invalid(field, "an object is named `bucket/key`"))?;
            check_object_key(field, key)?;
            Ok(Source::Object { bucket: parse_name(field, bucket)?, key: key.to_owned() })
        }
        SourceRequest::Upload(id) => Ok(Source::Upload(parse_name(field, &id)?.to_string())),
    }
}

/// An object's key: 1 to 900 bytes without control characters.
pub fn check_object_key(field: &str, key: &str) -> Result<(), Problem> {
    if (1..=900).contains(&key.len()) && !key.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Problem::invalid(field, "a key is 1 to 900 bytes without control characters"))
}

/// A client's token: 1 to 64 printable ASCII characters.
pub fn check_client_token(field: &str, token: &str) -> Result<(), Problem> {
    if (1..=64).contains(&token.len()) && token.bytes().all(|b| (0x21..0x7f).contains(&b)) {
        return Ok(());
    }
    Err(Problem::invalid(field, "it is 1 to 64 printable ASCII characters without spaces"))
}

/// A name, or the field that holds none.
pub fn parse_name(field: &str, text: &str) -> Result<Name, Problem> {
    text.parse().map_err(|error| Problem::invalid(field, format!("{error}")))
}

/// A number within bounds, both included.
pub fn within(field: &str, value: i64, least: i64, most: i64) -> Result<(), Problem> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Problem::invalid(field, format!("{value} is not within {least} to {most}")))
}

fn check_text(field: &str, text: &str, most: usize) -> Result<(), Problem> {
    if text.is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
        let rule = format!("it is 1 to {most} characters, none of them a control character");
        return Err(Problem::invalid(field, rule));
    }
    Ok(())
}

fn check_tags(tags: &BTreeMap<String, String>) -> Result<(), Problem> {
    if tags.len() > 50 {
        return Err(Problem::invalid("tags", "there are at most 50"));
    }
    for (key, value) in tags {
        check_text(&format!("tags.{key}"), key, 128)?;
        if value.chars().count() > 256 || value.chars().any(char::is_control) {
            return Err(Problem::invalid(
                format!("tags.{key}"),
                "a value is up to 256 characters, none of them a control character",
            ));
        }
    }
    Ok(())
}

/// An absolute path that stays where it says.
fn check_path(field: &str, path: &str) -> Result<(), Problem> {
    let rule = if !path.starts_with('/') {
        "it is not absolute: it starts with `/`"
    } else if path.split('/').any(|part| part == "..") {
        "it contains `..`"
    } else if path.len() > 1_024 {
        "it is longer than 1,024 bytes"
    } else if path.contains('\0') {
        "it contains a NUL character"
    } else {
        return Ok(());
    };
    Err(Problem::invalid(field, rule))
}

fn check_user(field: &str, user: &str) -> Result<(), Problem> {
    let sound = |part: &str| {
        (1..=32).contains(&part.len())
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && !part.starts_with('-')
    };
    let (user, group) = user.split_once(':').map_or((user, None), |(u, g)| (u, Some(g)));
    if sound(user) && group.is_none_or(sound) {
        return Ok(());
    }
    Err(Problem::invalid(field, "it is `user` or `user:group`, names or numbers"))
}

fn graph_problem(fault: &GraphFault) -> Problem {
    Problem::invalid("tasks", fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

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
            (r#"{"image": "a", "stdin": {"object": "b"}}"#, "stdin", "bucket/key"),
            (r#"{"image": "a", "stdin": {"base64": "%"}}"#, "stdin", "base 64"),
            (r#"{"tasks": []}"#, "tasks", "at least one"),
            (
                r#"{"tasks": [{"name": "a", "image": "a"}, {"name": "a", "image": "a"}]}"#,
                "tasks",
                "two tasks are named `a`",
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
    fn what_is_not_json_is_said_to_be_none() {
        for bytes in [&b"{"[..], b"\xff", b"[] x", b""] {
            assert!(matches!(JobRequest::parse(bytes), Err(Problem::Malformed(_))));
        }
    }
}

//! A job as a client writes it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{
    FromTemplateRequest,
    outputs::{OutputBody, OutputRequest},
};
use crate::{job::When, wire::callback::CallbackRequest};

/// A job of any number of tasks.
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
    /// Who is told of the ending; `"no"` for nobody, without it whoever the
    /// queue says.
    #[schema(value_type = Option<CallbackRequest>)]
    pub callback: Option<Value>,
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
    /// Absolute paths or patterns to keep; each may become an object as well.
    #[schema(value_type = Vec<OutputBody>)]
    pub outputs: Vec<OutputRequest>,
    /// The object that standard output becomes as well, once it is whole:
    /// `bucket/key`, with `{instance}` for the instance's index.
    pub stdout_to: Option<String>,
    /// The same for standard error.
    pub stderr_to: Option<String>,
    /// What the container may use.
    pub resources: ResourcesRequest,
    /// `egress` or `none`.
    pub network: NetworkRequest,
    /// Whether the image's own file system is read-only.
    pub read_only_root: bool,
    /// How many containers of this task run: 1 to 10,000; 1 without.
    pub instances: Option<u32>,
    /// A variable of your own that counts them.
    pub index: Option<IndexRequest>,
    /// How many of them at once; all without.
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
    /// Seconds from the process's end until its outputs are stored, at most: 2
    /// hours without.
    pub collecting_seconds: Option<u32>,
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
    /// What came with the job that `from` names, by its name there.
    Attached(String),
    /// Every object below `bucket/prefix/`, each below the input's path by the
    /// rest of its key, as they are when the process starts. No object is an
    /// empty folder.
    Folder(String),
    /// What another task has left, which has ended before this one starts: it
    /// is among those that this one runs after, or that they run after.
    Task {
        /// That task's name.
        #[serde(rename = "name")]
        task: String,
        /// The path of a file in its archive, such as `tmp/result` or `Stdout`;
        /// the whole archive without.
        #[serde(default)]
        member: Option<String>,
        /// The instance, where that task has several.
        #[serde(default)]
        instance: Option<u32>,
    },
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

/// A variable that counts a task's containers, beside
/// `TARPON_INSTANCE_INDEX`, which counts them from 0.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexRequest {
    /// The variable's name.
    pub name: String,
    /// The first one's number: 0 to 1,000,000; 0 without.
    #[serde(default)]
    pub first: u32,
    /// How much more the next one's is: 1 to 1,000,000; 1 without.
    #[serde(default)]
    pub step: Option<u32>,
}

/// What a container may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResourcesRequest {
    /// CPUs, such as 0.25; what its queue gives without, or 0.25.
    pub cpu: Option<f64>,
    /// MiB of memory; what its queue gives without, or 512.
    pub memory_mib: Option<i64>,
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

/// The three ways to write a job, for the API's description.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub enum JobBody {
    /// With `tasks`.
    Listed(Box<JobRequest>),
    /// Flat.
    Flat(Box<FlatJobRequest>),
    /// By a template.
    FromTemplate(Box<FromTemplateRequest>),
}

/// A job of one task: the task's fields beside the job's. With `from`, only
/// what is to be other than in that job.
#[derive(Debug, ToSchema)]
pub struct FlatJobRequest {
    /// The job that this one is made from: what is not said is as there.
    pub from: Option<String>,
    /// The job's own fields, all but `tasks`.
    #[schema(inline = false)]
    #[serde(flatten)]
    pub job: JobRequest,
    /// Its only task's.
    #[serde(flatten)]
    pub task: TaskRequest,
}

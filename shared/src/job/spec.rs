//! What a client asked for, checked and complete: defaults are filled in.
//!
//! Immutable once stored. The shapes on the wire are others (`wire::submit`,
//! the dialects' own); they all become this.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{AttemptId, Edge, ImageReference, JobId, Name};

/// The most tasks of one job.
pub const MAX_TASKS: usize = 1_000;

/// The most instances of one task.
pub const MAX_INSTANCES: u32 = 10_000;

/// The most instances of all tasks of one job: its record knows of each 128.
pub const MAX_JOB_INSTANCES: u64 = 100_000;

/// Bytes of a spec's JSON up to which it is kept in the job's record.
const SMALL_BYTES: usize = 2 << 10;

/// One or more tasks, their order, and what holds for all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSpec {
    /// The stored shape's version.
    pub v: u8,
    /// What the client calls the job; need not be unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The queue that the job waits in.
    pub queue: Name,
    /// Higher starts first: -1000 to 1000.
    pub priority: i16,
    /// Labels for the client's own use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// The tasks, in the client's order.
    pub tasks: Vec<TaskSpec>,
    /// Whether the first final failure stops everything else.
    #[serde(default)]
    pub fail_fast: bool,
    /// Seconds from submission after which the whole job is stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_seconds: Option<u32>,
    /// Days that a finished job is kept.
    pub retain_days: u16,
    /// Who is told of the ending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback: Option<CallbackSpec>,
    /// Whether nobody is to be told, whatever the queue says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub muted: bool,
    /// What was asked, where that was not asked of the native API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// How its archives are laid out.
    #[serde(default, skip_serializing_if = "Layout::is_native")]
    pub layout: Layout,
}

/// A request to another API than the native one, as it can be shown again there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The API's name.
    pub api: String,
    /// What its client said, in a form of that API's own.
    pub request: String,
}

/// How an archive is laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `Stdout`, `Stderr`, the outputs, `manifest.json`.
    #[default]
    Native,
    /// `UCloud` UGC's: no manifest, nothing that is empty, and outputs under
    /// their absolute paths.
    Ugc,
}

impl Layout {
    /// Whether it is the one that jobs have unless they say so.
    pub fn is_native(&self) -> bool {
        *self == Layout::Native
    }
}

impl JobSpec {
    /// The version of the shape written today.
    pub const VERSION: u8 = 1;

    /// How many instances all tasks have together.
    pub fn instances(&self) -> u64 {
        self.tasks.iter().map(|task| u64::from(task.instances)).sum()
    }

    /// Whether it is kept in the job's record, instead of beside it.
    pub fn is_small(&self) -> bool {
        serde_json::to_vec(self).is_ok_and(|json| json.len() <= SMALL_BYTES)
    }
}

/// What led to a job, where that was more than a request of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeBy {
    /// The template that it is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Name>,
    /// The trigger that submitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<Name>,
    /// The job that it was made from, with edits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<JobId>,
    /// How many triggers led here, each by what a job before wrote.
    #[serde(default)]
    pub depth: u32,
}

impl MadeBy {
    /// Whether there was nothing but the request.
    pub fn is_request(&self) -> bool {
        *self == MadeBy::default()
    }
}

/// One node of a job: what to run, on what, and what to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskSpec {
    /// Unique within the job.
    pub name: Name,
    /// What to run.
    pub image: ImageReference,
    /// The registered image whose credentials resolve `image`, if it was
    /// named by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered: Option<Name>,
    /// Replaces the image's ENTRYPOINT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Arguments after the entrypoint (Docker's CMD).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Environment, over the image's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Environment that is sealed at rest and never shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_env: BTreeMap<String, Sealed>,
    /// The working directory; the image's, or `/`, without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// `user[:group]`, names or numbers; the image's, or root, without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// What the process reads on standard input; nothing without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Source>,
    /// Files that are there before the process starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<InputSpec>,
    /// What to keep of the container's file system.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputSpec>,
    /// The object that standard output becomes as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout_to: Option<Destination>,
    /// The object that standard error becomes as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr_to: Option<Destination>,
    /// What the container may use.
    pub resources: Resources,
    /// What it may reach.
    pub network: Network,
    /// Whether the image's own file system is read-only.
    #[serde(default)]
    pub read_only_root: bool,
    /// How many containers of this task run, 1 to [`MAX_INSTANCES`].
    pub instances: u32,
    /// A variable of the client's own that counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<IndexVariable>,
    /// How many of them at once; all without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// What has to have ended before, and how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Edge>,
    /// When a failed attempt is tried again.
    pub retry: RetryRules,
    /// How long each stage may take.
    pub deadlines: Deadlines,
    /// Whether a result of the same that is there already will do, and which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<CacheRule>,
}

/// Which results of the same will do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheRule {
    /// How old it may be, in seconds; of any age without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u32>,
    /// SHA-256 of what is attached to the job, by its name there: known when it
    /// is stored, and not to be had as easily later.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attached: BTreeMap<String, String>,
}

/// A variable that tells each container which of its task's it is, in numbers
/// of the client's own: `first`, and `step` more for each further one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexVariable {
    /// The variable's name.
    pub name: String,
    /// The first instance's number.
    pub first: u32,
    /// How far the next one's is from it.
    pub step: u32,
}

impl IndexVariable {
    /// The number of the instance at this place.
    pub fn number(&self, instance: u32) -> u64 {
        u64::from(self.first) + u64::from(self.step) * u64::from(instance)
    }
}

/// Bytes that a process is given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The bytes themselves, base 64, for what is small.
    Inline(
        /// Standard base 64 with padding.
        String,
    ),
    /// A user's object of the job's project.
    Object {
        /// The bucket.
        bucket: Name,
        /// The key in it.
        key: String,
    },
    /// An upload made beforehand, by its id.
    Upload(
        /// The upload's id.
        String,
    ),
    /// What came with the request and was too large to keep in the spec.
    Attached(
        /// Its name among the job's own objects.
        String,
    ),
    /// Every object of the project's whose key starts like this, each under
    /// what is left of its key. Only an input can be this.
    Folder {
        /// The bucket.
        bucket: Name,
        /// The start of the keys: empty, or with `/` at its end.
        prefix: String,
    },
    /// What an earlier task of the job has left.
    Task {
        /// The task's place in the job's list.
        task: u32,
        /// Which of its instances.
        instance: u32,
        /// The member of the archive; the archive itself without.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        member: Option<String>,
    },
}

/// A file put into the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputSpec {
    /// Absolute path in the container.
    pub path: String,
    /// Where its bytes come from.
    pub source: Source,
    /// Permission bits; 0o644 without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
}

/// A file, a directory or a pattern to keep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSpec {
    /// Absolute path in the container; `*`, `?`, `[…]` and `**` make it a pattern.
    pub path: String,
    /// Where it goes as an object as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Destination>,
}

/// The user's object that something becomes, beside its place in the archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Destination {
    /// The bucket.
    pub bucket: Name,
    /// The key in it; one that is empty or ends in `/` is the start of the
    /// keys of as many objects as there are files.
    pub key: String,
}

impl Destination {
    /// What stands in a key for the id of the job.
    pub const JOB: &'static str = "{job}";

    /// What stands in a key for the index of the instance.
    pub const INSTANCE: &'static str = "{instance}";

    /// What in a key would be filled in, for APIs whose keys stand for themselves.
    pub fn filled_in(key: &str) -> Option<&'static str> {
        [Destination::JOB, Destination::INSTANCE].into_iter().find(|word| key.contains(word))
    }

    /// Whether it takes many files, each by its path there.
    pub fn takes_many(&self) -> bool {
        self.key.is_empty() || self.key.ends_with('/')
    }

    /// Whether each instance has one of its own.
    pub fn is_of_instance(&self) -> bool {
        self.key.contains(Destination::INSTANCE)
    }

    /// The key for this attempt's job and instance, of the file of this path
    /// where there are many.
    pub fn key_of(&self, attempt: AttemptId, path: &str) -> String {
        let of_job = self.key.replace(Destination::JOB, &attempt.job.to_string());
        let own = of_job.replace(Destination::INSTANCE, &attempt.instance.to_string());
        format!("{own}{path}")
    }
}

/// What one container may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Thousandths of a CPU.
    pub cpu_millis: u32,
    /// Memory in MiB.
    pub memory_mib: u32,
}

/// What a container may reach over the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// Nothing.
    None,
    /// Nothing where the platform can have that, and else what it cannot keep
    /// from a container.
    Least,
    /// The outside, but no other container, nor us.
    #[default]
    Egress,
}

/// When a failed attempt is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryRules {
    /// Attempts at the user's own cost, the first included: 1 to 20.
    pub max_attempts: u32,
    /// Exit codes worth another attempt; all but 0 when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exit_codes: Vec<i32>,
    /// Seconds before the second attempt; doubled for each further one, to an hour.
    pub delay_seconds: u32,
}

impl Default for RetryRules {
    fn default() -> Self {
        RetryRules { max_attempts: 1, exit_codes: Vec::new(), delay_seconds: 0 }
    }
}

/// How long each stage of an attempt may take, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlines {
    /// In the queue, from being ready to being claimed.
    pub waiting: u32,
    /// From being claimed to the process's start.
    pub starting: u32,
    /// The process's own run: the `timeout` that users set.
    pub running: u32,
    /// From TERM to KILL.
    pub grace: u32,
    /// From the process's end to the report.
    pub collecting: u32,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines {
            waiting: 7 * 24 * 3600,
            starting: 15 * 60,
            running: 24 * 3600,
            grace: 30,
            collecting: 2 * 3600,
        }
    }
}

/// Who is told of a job's ending, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackSpec {
    /// Where the message goes.
    pub to: CallbackTarget,
    /// What it is signed with, the newest first: two while one takes the
    /// other's place, none for a message without a signature.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Sealed>,
    /// Whether a run's start is told as well.
    #[serde(default)]
    pub started: bool,
    /// What the message looks like.
    pub format: CallbackFormat,
}

/// Where a callback goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackTarget {
    /// To this address, `http://…` or `https://…`.
    Url(String),
    /// Into the message queue that the operator allows under this name.
    MessageQueue(Name),
    /// Wherever the callbacks of the job's queue go when it is delivered, in
    /// the form that is set there.
    OfQueue,
    /// The same, in the form that the job itself says.
    OfQueueInOwnForm,
}

/// What a callback's message looks like. A dialect that has a shape of its own
/// gets a form of its own here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallbackFormat {
    /// The job as the native API shows it, with what happened.
    #[default]
    Json,
    /// An XML document that says the same in few elements.
    Xml,
}

/// A secret under an AEAD, bound to its project and item: base 64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(pub String);

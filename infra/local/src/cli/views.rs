//! The server's answers, as far as the commands look at them. Fields that are
//! not known here are passed over: a newer server says more.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::table::{between, clean};

/// A job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Job {
    pub id: String,
    pub name: Option<String>,
    pub queue: String,
    pub priority: i64,
    pub state: String,
    pub run: u32,
    pub waiting_for: Option<Waiting>,
    pub tasks: Vec<Task>,
    pub exit_code: Option<i64>,
    pub cause: Option<String>,
    pub retryable: Option<bool>,
    pub message: Option<String>,
    pub cached_from: Option<String>,
    pub tags: BTreeMap<String, String>,
    pub made_by: Option<MadeBy>,
    pub created_at: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub deadline_at: Option<Timestamp>,
    pub expires_at: Option<Timestamp>,
    pub usage: Option<Usage>,
}

/// What led to a job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MadeBy {
    pub template: Option<String>,
    pub trigger: Option<String>,
    pub from: Option<String>,
}

impl MadeBy {
    /// The same in a few words.
    pub fn words(&self) -> String {
        let named = [("trigger", &self.trigger), ("template", &self.template), ("", &self.from)];
        let named = named.into_iter().filter_map(|(what, name)| Some((what, name.as_deref()?)));
        let said: Vec<_> =
            named.map(|(what, name)| format!("{what} {}", clean(name)).trim().to_owned()).collect();
        said.join(", ")
    }
}

/// Why a job waits.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Waiting {
    pub reason: String,
    pub position: Option<String>,
}

/// A task of a job.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Task {
    pub name: String,
    pub state: String,
    pub image: String,
    pub image_digest: Option<String>,
    pub instances: Counts,
    pub causes: BTreeMap<String, u32>,
}

/// How many instances stand where.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Counts {
    pub waiting: u32,
    pub running: u32,
    pub succeeded: u32,
    pub failed: u32,
    pub stopped: u32,
}

/// What a job used.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Usage {
    pub wall_ms: i64,
    pub cpu_ms: i64,
    pub peak_memory_bytes: u64,
    pub input_bytes: u64,
    pub output_bytes: u64,
    pub usd_on_fargate: Option<f64>,
}

impl Counts {
    /// All of them.
    pub fn total(self) -> u32 {
        self.waiting + self.running + self.succeeded + self.failed + self.stopped
    }
}

impl Job {
    /// Whether it has ended.
    pub fn is_over(&self) -> bool {
        matches!(
            self.state.as_str(),
            "succeeded" | "failed" | "partly_failed" | "cancelled" | "timed_out"
        )
    }

    /// Whether it is past its queue.
    pub fn has_started(&self) -> bool {
        self.is_over() || self.started_at.is_some() || self.state != "queued"
    }

    /// Whether it is one container, whose logs and outputs are the job's own.
    pub fn is_alone(&self) -> bool {
        matches!(self.tasks.as_slice(), [task] if task.instances.total() <= 1)
    }

    /// The state, and why it waits if it does, in a few words.
    pub fn standing(&self) -> String {
        let Some(waiting) = self.waiting_for.as_ref().filter(|_| !self.is_over()) else {
            return words(&self.state);
        };
        let text = format!("{}: {}", words(&self.state), waiting.words());
        match waiting.position.as_deref() {
            None => text,
            Some("0") => format!("{text}, none before it"),
            Some(position) => format!("{text}, {} before it", clean(position)),
        }
    }
}

impl Waiting {
    /// The reason, for people.
    pub fn words(&self) -> String {
        match self.reason.as_str() {
            "dependency" => "waiting for another task".to_owned(),
            "image" => "waiting for its image".to_owned(),
            "cache" => "waiting for the same, which is under way".to_owned(),
            "retry_pause" => "pausing before another attempt".to_owned(),
            "queue_paused" => "the queue is paused".to_owned(),
            "queue_limit" => "the queue is full".to_owned(),
            "capacity" => "waiting for capacity".to_owned(),
            other => words(other),
        }
    }
}

/// A word of the API's, for people.
pub fn words(word: &str) -> String {
    clean(word).replace('_', " ")
}

/// A page of attempts.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Attempts {
    pub attempts: Vec<Attempt>,
    pub next: Option<String>,
}

/// An attempt.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Attempt {
    pub run: u32,
    pub task: String,
    pub instance: u32,
    pub number: u32,
    pub state: String,
    pub exit_code: Option<i64>,
    pub cause: Option<String>,
    pub message: Option<String>,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
    pub archive: Option<Archive>,
    pub cached_from: Option<String>,
}

impl Attempt {
    /// Why it ended as it did, or has its result; empty where there is nothing
    /// to say.
    pub fn why(&self) -> String {
        match (self.cause.as_deref(), self.exit_code, self.message.as_deref()) {
            (Some("exited"), Some(code), _) => format!("exit code {code}"),
            (Some(cause), _, Some(message)) => format!("{}: {}", words(cause), clean(message)),
            (Some(cause), _, None) => words(cause),
            (None, _, _) => {
                let from = self.cached_from.as_deref();
                from.map(|from| format!("result of {}", clean(from))).unwrap_or_default()
            }
        }
    }

    /// How long it took, or has taken so far; nothing before its process.
    pub fn took(&self, now: Timestamp) -> Option<String> {
        self.started_at.map(|from| between(from, self.ended_at.unwrap_or(now)))
    }
}

/// A stored archive.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Archive {
    pub bytes: u64,
}

/// A place to upload to.
#[derive(Deserialize)]
pub struct Upload {
    #[serde(rename = "upload_id")]
    pub id: Option<String>,
    pub url: String,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// Queues, each as it came; the other lists likewise.
#[derive(Deserialize)]
pub struct Queues {
    pub queues: Vec<serde_json::Value>,
}

/// A queue.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Queue {
    pub name: String,
    pub paused: bool,
    pub limit: Option<u64>,
    pub cpu_limit: Option<f64>,
    pub memory_limit_mib: Option<u64>,
    pub running: Option<u64>,
    pub running_cpu: Option<f64>,
    pub running_memory_mib: Option<u64>,
    pub waiting: Option<String>,
    pub created_at: Option<Timestamp>,
}

/// Registered images.
#[derive(Deserialize)]
pub struct Images {
    pub images: Vec<serde_json::Value>,
}

/// A registered image.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Image {
    pub name: String,
    pub reference: String,
    pub username: Option<String>,
    pub updated_at: Option<Timestamp>,
}

/// Templates, each as it came.
#[derive(Deserialize)]
pub struct Templates {
    pub templates: Vec<serde_json::Value>,
}

/// A template.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Template {
    pub name: String,
    pub description: Option<String>,
    pub parameters: BTreeMap<String, serde_json::Value>,
    pub updated_at: Option<Timestamp>,
}

/// Triggers, each as it came.
#[derive(Deserialize)]
pub struct Triggers {
    pub triggers: Vec<serde_json::Value>,
}

/// A trigger.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Trigger {
    pub name: String,
    pub enabled: bool,
    pub on: BTreeMap<String, serde_json::Value>,
    pub template: String,
    pub next_at: Option<Timestamp>,
    pub last_fired: Option<Fired>,
    pub last_error: Option<Failed>,
}

/// The last job of a trigger.
#[derive(Deserialize)]
pub struct Fired {
    pub at: Timestamp,
}

/// Why a trigger made none.
#[derive(Deserialize)]
pub struct Failed {
    pub error: String,
}

/// Access keys.
#[derive(Deserialize)]
pub struct Keys {
    pub keys: Vec<serde_json::Value>,
}

/// An access key; the secret is there only when it is made.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Key {
    #[serde(rename = "access_key_id")]
    pub id: String,
    #[serde(rename = "secret_access_key")]
    pub secret: Option<String>,
    pub note: Option<String>,
    pub apis: Vec<String>,
    pub created_at: Option<Timestamp>,
    pub disabled_at: Option<Timestamp>,
}

/// A page of objects.
#[derive(Deserialize)]
pub struct Objects {
    pub objects: Vec<serde_json::Value>,
    pub next: Option<String>,
}

/// An object.
#[derive(Deserialize, Default)]
#[serde(default)]
pub struct Object {
    pub key: String,
    pub size: u64,
    pub modified_at: Option<Timestamp>,
}

/// An access token.
#[derive(Deserialize)]
pub struct Token {
    pub access_token: String,
}

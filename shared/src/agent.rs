//! The agreement with the agent: the plan goes down, logs and the report come up.
//!
//! Four calls, each `POST {base}/v1/attempts/{attempt}/{verb}` with JSON both
//! ways and `Authorization: Bearer <attempt token>`:
//!
//! | verb | body | answer |
//! |---|---|---|
//! | `plan` | [`PlanRequest`] | [`Plan`] or [`InputPage`], or 409 when no user code may run |
//! | `logs` | [`LogBatch`] | 204 |
//! | `upload` | [`UploadRequest`] | [`Upload`] |
//! | `report` | [`Report`] | 204, or 409 when the attempt no longer counts |
//!
//! Any other status, or none, is a service that is away: the agent tries
//! again. Byte strings are base 64 (standard, padded).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::job::Layout;
use crate::job::{Cause, Exit, Usage};

/// The folder that holds the agent and its socket inside a container.
pub const HOME: &str = "/.tarpon";

/// The agent's file in [`HOME`].
pub const PROGRAM: &str = "agent";

/// The socket's file in [`HOME`].
pub const SOCKET: &str = "socket";

/// The folder where the agent may write: streams are spooled there.
pub const SCRATCH: &str = "/.tarpon-scratch";

/// Where the program is in an image of its own.
pub const IN_IMAGE: &str = "/tarpon-agent";

/// The argument by which the program, in a container of its own image that runs
/// before the job's, puts itself in place: `install FILE FOLDER…` copies it to
/// the file and lets everybody write to the folders.
pub const INSTALL: &str = "install";

/// Environment variable: the attempt's id.
pub const ATTEMPT_VARIABLE: &str = "TARPON_ATTEMPT";

/// Environment variable: the attempt's token. Never given to the process.
pub const TOKEN_VARIABLE: &str = "TARPON_TOKEN";

/// Environment variable: where the service is, `unix:/path` or `http(s)://…`.
pub const SERVICE_VARIABLE: &str = "TARPON_SERVICE";

/// Environment variable: the scratch folder, [`SCRATCH`] without it.
pub const SCRATCH_VARIABLE: &str = "TARPON_SCRATCH";

/// How much of the end of each stream a report carries, in bytes.
pub const TAIL_BYTES: usize = 10_000;

/// How long one object may be that the agent puts: as much as one PUT takes.
pub const OBJECT_BYTES: u64 = 5 << 30;

/// How many objects an agent puts for one attempt; more is a failed output.
pub const MOST_OBJECTS: usize = 10_000;

/// How large an archive may be to be put where the plan says: collecting a
/// larger one takes long enough for the service to be told of it first.
pub const UNASKED_BYTES: u64 = 512 << 10;

/// The agent's own exit codes, once it has reported: always 0. These are for
/// what it could not report.
pub mod exit_code {
    /// The plan was refused: nothing was run.
    pub const REFUSED: i32 = 64;
    /// The agent itself failed.
    pub const FAULT: i32 = 70;
}

/// What the agent says when it asks for its plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanRequest {
    /// The agent's version.
    pub agent: String,
    /// Where an earlier answer's inputs ended: its `more`. None for the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// All that the agent needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Program and arguments. A program without `/` is looked for in `PATH`.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: BTreeMap<String, String>,
    /// Where the process starts; created if absent.
    pub workdir: String,
    /// What it reads on standard input; nothing without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<PlanSource>,
    /// Files to be there before it starts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<PlanInput>,
    /// There are more inputs than these: to ask again with. What is answered
    /// then is an [`InputPage`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
    /// Absolute paths or patterns to keep.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// Seconds from the process's start to TERM.
    pub timeout_seconds: u32,
    /// Seconds from TERM to KILL.
    pub grace_seconds: u32,
    /// Seconds that collecting and uploading may take.
    pub collect_seconds: u32,
    /// How the archive is laid out.
    pub layout: Layout,
    /// The image's digest, for the manifest.
    pub image: String,
    /// The most bytes of live log that are kept, both streams together.
    pub log_limit: u64,
    /// Where an archive of up to [`UNASKED_BYTES`] goes. A larger one is asked
    /// about, and so is one for which this has come to nothing: it may be late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upload: Option<Upload>,
    /// What becomes objects of the user's as well, once the archive is stored.
    /// Where each goes is asked with [`UploadRequest::object`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<PlanObject>,
}

/// More of a plan's inputs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputPage {
    /// These, after those that came before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<PlanInput>,
    /// There are still more: to ask again with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more: Option<String>,
}

/// What becomes an object, or many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanObject {
    /// Of what.
    pub of: Kept,
    /// Whether every file becomes one, each by its path; if not, there is but
    /// one file.
    pub many: bool,
}

/// Something that is kept of what a process leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kept {
    /// The output at this place of [`Plan::outputs`].
    Output(u32),
    /// A stream.
    Stream(Stream),
}

/// Where bytes come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanSource {
    /// These, base 64.
    Inline(
        /// Standard base 64 with padding.
        String,
    ),
    /// From here: absolute, or a path on the service.
    Url(
        /// A signed URL.
        String,
    ),
    /// A part of what is there, at least one byte of it.
    Part {
        /// A signed URL.
        url: String,
        /// The first byte.
        start: u64,
        /// One past the last.
        end: u64,
    },
    /// No bytes: a folder.
    Folder,
    /// They are not to be had.
    Missing(
        /// Why, in a line for people.
        String,
    ),
}

/// A file to be put in place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanInput {
    /// Where, absolute; folders on the way are created.
    pub path: String,
    /// Its bytes.
    pub source: PlanSource,
    /// Permission bits.
    pub mode: u32,
}

/// Which of the two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// New bytes of the streams of a process that still runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogBatch {
    /// In the order in which they were read.
    pub pieces: Vec<LogPiece>,
}

/// A run of bytes of one stream. Sent again, it replaces itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPiece {
    /// Which stream.
    pub stream: Stream,
    /// Where in the stream it starts.
    pub offset: u64,
    /// The bytes, base 64; up to 64 KiB.
    pub data: String,
}

/// The archive's length is known, or that of an object to be; where may it go?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadRequest {
    /// The exact length.
    pub bytes: u64,
    /// How the process ended, so that a cancel from now on comes too late.
    pub exit: Option<Exit>,
    /// Which object it is; the archive without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectUpload>,
}

/// What is to become an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectUpload {
    /// Of what.
    pub of: Kept,
    /// Which of its files: the path below the folder, or below the fixed part
    /// of the pattern. None where there is but one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// Where the archive goes, or an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Absolute, or a path on the service: one PUT of the exact length. 412
    /// says that the archive is there already, from an answer that was lost; an
    /// object takes the place of what is there.
    pub url: String,
    /// Headers that the PUT must carry.
    pub headers: Vec<(String, String)>,
}

/// How the attempt went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How the process ended; `None` if it never started.
    pub exit: Option<Exit>,
    /// What went wrong; `None` with exit code 0. [`Cause::Interrupted`] where
    /// the agent was told to stop before the process had ended by itself.
    pub cause: Option<Cause>,
    /// One line for people, where the cause does not say it all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When the process started.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What it used.
    pub usage: Usage,
    /// The stored archive; `None` where none could be stored.
    pub archive: Option<ArchiveInfo>,
    /// The end of standard output, base 64 of up to [`TAIL_BYTES`].
    pub stdout_tail: String,
    /// The end of standard error, likewise.
    pub stderr_tail: String,
    /// How long standard output was in all.
    pub stdout_bytes: u64,
    /// How long standard error was in all.
    pub stderr_bytes: u64,
}

/// A stored archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveInfo {
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of the whole, lower-case hex: of archives that are made in
    /// memory. For larger ones it would double the hashing, which is what
    /// bounds an upload; their manifest vouches for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// SHA-256 of the manifest, lower-case hex, which has the digests of all
    /// other members; empty where the PUT's answer was lost, and where the
    /// layout has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub manifest_sha256: String,
    /// As the store answered; empty where the PUT's answer was lost.
    pub etag: String,
    /// How many members it has, a manifest included.
    pub members: u32,
}

//! The job: what it is, how it changes, what it still calls for.
//!
//! Pure. No clock, no store, no I/O: time is handed in with each event.
//!
//! **Invariant:** [`Job::after`] is the only way from one [`Job`] to another.
//! **Invariant:** what is left to do is read off a saved job with
//! [`Job::owes`], never remembered from the act of saving it.

mod after;
mod array;
mod attempt;
mod callback;
mod cause;
mod chunk;
mod duty;
mod event;
mod graph;
mod ids;
mod image;
mod instance;
mod members;
mod owes;
mod recall;
mod record;
mod settle;
mod spec;
mod spent;
#[cfg(test)]
mod tests;

pub use after::Refused;
pub use attempt::{Attempt, AttemptPhase, Stop};
pub use callback::{Callback, CallbackEvent, CallbackKey, Telling, Tries};
pub use cause::{Blame, Cause};
pub use chunk::{Chunk, Counts, INLINE_INSTANCES};
pub use duty::{Due, Duty};
pub use event::{AttemptEvent, Ended, Event, Exit, Usage};
pub use graph::{Edge, GraphFault, When, ancestors, check as check_graph};
pub use ids::{AccessKeyId, AttemptId, AttemptKey, BadId, JobId, JobKey, Name, ProjectId};
pub use image::{ImageReference, ResolvedImage, is_digest};
pub use instance::{Instance, InstanceState, Outcome};
pub use members::{ChunkEntry, Members};
pub use recall::{CachedFrom, Recall, Recalled};
pub use record::{Ending, Halt, Image, ImageState, Job, Phase, Task, TaskState};
pub use spec::{
    CacheRule, CallbackFormat, CallbackSpec, CallbackTarget, Deadlines, Destination, IndexVariable,
    InputSpec, JobSpec, Layout, MAX_INSTANCES, MAX_JOB_INSTANCES, MAX_TASKS, MadeBy, Network,
    Origin, OutputSpec, Resources, RetryRules, Sealed, Source, TaskSpec,
};
pub use spent::{Spent, container_seconds};

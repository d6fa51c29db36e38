//! The verbs that several front ends share.
//!
//! An op sees the job and the platform, never HTTP or the environment. It may
//! be called again at any time, by anyone, for anything it was called for
//! before: what it does is decided by what is stored.

pub mod attempts;
pub mod backlog;
pub mod bulk;
pub mod bundle;
pub mod callbacks;
pub mod chunks;
pub mod contents;
pub mod destinations;
pub mod dispatch;
pub mod duties;
pub mod history;
pub mod images;
pub mod jobs;
pub mod keys;
pub mod leases;
pub mod logs;
pub mod members;
pub mod nonces;
pub mod notes;
pub mod objects;
pub mod output;
mod plan;
pub mod projects;
pub mod queues;
mod recall;
pub mod record;
pub mod rerun;
pub mod retry;
pub mod rows;
pub mod slots;
mod sources;
pub mod submit;
pub mod sweep;
pub mod templates;
pub mod transcript;
pub mod trial;
pub mod triggers;
pub mod turns;

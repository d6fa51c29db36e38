//! Results that are used again: how an instance stands with what has been run
//! before, where its task asks for that.
//!
//! What would run is told by a key: its image, its words, its inputs. The first
//! instance of a key *leads*: it runs, and whoever comes with the same key
//! meanwhile waits for it. Who then finds it succeeded has its result; who finds
//! that it did not, leads.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{AttemptId, Exit};

/// What an instance knows of others that are its equals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recall {
    /// One of them is under way.
    Awaits {
        /// What both are known by; nothing in a record of before that was kept.
        #[serde(default)]
        key: String,
        /// When it is looked at again.
        again_at: Timestamp,
        /// How often it was looked at.
        looks: u32,
    },
    /// None is of use: this one runs.
    Leads {
        /// What it is known by to its equals; `None` if it can have none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
}

/// Whose result an instance was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachedFrom {
    /// The attempt that ran.
    pub attempt: AttemptId,
    /// When it ended.
    pub at: Timestamp,
}

/// A result that takes the place of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recalled {
    /// Whose it is.
    pub from: CachedFrom,
    /// What it is known by.
    pub key: String,
    /// How the process ended.
    pub exit: Option<Exit>,
    /// Bytes of the archive.
    pub archive_bytes: u64,
}

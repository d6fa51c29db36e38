//! What every local runtime gives to its host, whichever it is.

use std::sync::Arc;

use shared::{
    job::AttemptKey,
    platform::{Runtime, Source},
};
use tokio::sync::mpsc;

use super::room::Room;

/// A local runtime, and what it tells without being asked.
pub struct Local {
    /// The port.
    pub runtime: Arc<dyn Runtime>,
    /// Attempts whose container has ended, each told at least once: those that
    /// ended while no server ran are told at start.
    pub deaths: mpsc::Receiver<AttemptKey>,
    /// Who has how much of the machine; tells when room was freed, which is a
    /// time to launch what found none.
    pub room: Arc<Room>,
}

/// Why a runtime cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct StartError {
    problem: String,
    #[source]
    source: Option<Source>,
}

impl StartError {
    pub(super) fn new(problem: impl Into<String>, source: impl Into<Source>) -> Self {
        StartError { problem: problem.into(), source: Some(source.into()) }
    }
}

/// How many deaths may wait for the host to take them.
pub(super) const DEATHS: usize = 1_024;

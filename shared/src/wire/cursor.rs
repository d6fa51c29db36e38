//! Page cursors: opaque to clients, signed so that they stay ours.

use crate::{auth::Keyring, job::ProjectId};

use super::Problem;

/// Where a listing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor(pub String);

impl Cursor {
    /// As a client sees it; good for `project` and this `listing` alone.
    pub fn seal(&self, keyring: &Keyring, project: ProjectId, listing: &str) -> String {
        keyring.sign_text(&scope(project, listing), &self.0)
    }

    /// Read back from a client.
    pub fn open(
        text: &str,
        keyring: &Keyring,
        project: ProjectId,
        listing: &str,
    ) -> Result<Self, Problem> {
        keyring
            .verify_text(&scope(project, listing), text)
            .map(Cursor)
            .ok_or_else(|| Problem::invalid("cursor", "it is not a cursor of this listing"))
    }
}

fn scope(project: ProjectId, listing: &str) -> String {
    format!("cursor:{project}:{listing}")
}

//! Finding the agent's program.

use std::path::{Path, PathBuf};

include!(concat!(env!("OUT_DIR"), "/agent.rs"));

/// There is no agent to put into containers.
#[derive(Debug, thiserror::Error)]
#[error("the agent's program cannot be read: {} (`make build` builds it; `--agent` names another)", path.display())]
pub struct NoAgent {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

/// The agent's program: the one that was named, the one in this binary, or
/// `tarpon-agent` beside it.
pub fn program(named: Option<&Path>) -> Result<Vec<u8>, NoAgent> {
    if let (None, Some(embedded)) = (named, EMBEDDED) {
        return Ok(embedded.to_vec());
    }
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe().unwrap_or_default().with_file_name("tarpon-agent"),
    };
    std::fs::read(&path).map_err(|source| NoAgent { path, source })
}

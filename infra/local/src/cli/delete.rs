//! `tarpon delete`: jobs, with all they left.

use super::{Common, entry::Session, problem::Failure};

/// Delete ended jobs, with their outputs and logs
///
/// A job that still runs is refused: cancel it first.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "Example:\n  tarpon delete job-0198c5… job-0198c6…")]
pub struct Args {
    /// The jobs
    #[arg(required = true, value_name = "JOB")]
    pub jobs: Vec<String>,

    #[command(flatten)]
    pub common: Common,
}

/// Deletes them, one after the other, up to the first that cannot be.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    for id in &args.jobs {
        session.client.delete(&["v1", "jobs", id]).await?;
        session.screen.note(&format!("{id} is deleted"));
    }
    Ok(())
}

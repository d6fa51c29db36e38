//! `tarpon delete`: jobs, with all they left.

use super::{Common, filters::Filters, problem::Failure, session::Session};

/// Delete ended jobs, with their outputs and logs
///
/// A job that still runs is refused: cancel it first.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon delete job-0198c5… job-0198c6…
  tarpon delete --state failed --tag team=media")]
pub struct Args {
    /// The jobs
    #[arg(required_unless_present_any = Filters::NAMES, value_name = "JOB")]
    pub jobs: Vec<String>,

    #[command(flatten)]
    pub filters: Filters,

    #[command(flatten)]
    pub common: Common,
}

/// Deletes them, one after the other, up to the first that cannot be.
pub async fn perform(session: &Session, args: Args) -> Result<u8, Failure> {
    if args.jobs.is_empty() {
        let whole = args.filters.apply(session, "delete", "deleted", false).await?;
        return Ok(u8::from(!whole));
    }
    for id in &args.jobs {
        session.client.delete(&["v1", "jobs", id]).await?;
        session.screen.note(&format!("{id} is deleted"));
    }
    Ok(0)
}

//! `tarpon retry`: jobs that are over run again.

use reqwest::Method;
use serde_json::json;

use super::{
    Common,
    client::{Answer, Repeat},
    filters::Filters,
    problem::Failure,
    session::Session,
    views::Job,
};

/// Run jobs that are over once more
///
/// What failed or was stopped runs again as the next run of the same job; what
/// succeeded stays, with its outputs. For another command or input, see
/// `tarpon submit --from`.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon retry job-0198c5…
  tarpon retry --all job-0198c5…
  tarpon retry --state failed --queue nightly --dry-run")]
pub struct Args {
    /// The jobs
    #[arg(required_unless_present_any = Filters::NAMES, value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Run again what succeeded, too
    #[arg(long)]
    pub all: bool,

    #[command(flatten)]
    pub filters: Filters,

    #[command(flatten)]
    pub common: Common,
}

/// Retries one after the other, up to the first that cannot be.
pub async fn perform(session: &Session, args: Args) -> Result<u8, Failure> {
    if args.jobs.is_empty() {
        let whole = args.filters.apply(session, "retry", "retried", args.all).await?;
        return Ok(u8::from(!whole));
    }
    for id in &args.jobs {
        let job = retry(session, id, args.all).await?;
        if session.json {
            session.screen.json(&job.json)?;
        } else {
            session.screen.line(&format!("{id} is in run {}", job.value.run))?;
        }
    }
    Ok(0)
}

/// The run that is retried is said, so that a request whose answer was lost can
/// be sent again.
async fn retry(session: &Session, id: &str, all: bool) -> Result<Answer<Job>, Failure> {
    let job = session.client.get(&["v1", "jobs", id])?;
    let run = session.client.json::<Job>(job, Repeat::Safe).await?.value.run;
    let request = session.client.request(Method::POST, &["v1", "jobs", id, "retry"])?;
    session.client.json(request.json(&json!({ "all": all, "run": run })), Repeat::Safe).await
}

//! `tarpon cancel`: jobs are told to stop.

use super::{
    Common,
    filters::Filters,
    problem::Failure,
    session::Session,
    verdict,
    views::words,
    watch::{Watch, cancel},
};

/// Cancel jobs
///
/// The process gets TERM, its grace period, then KILL. What it has written
/// until then is kept all the same. A job that has ended stays as it is.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon cancel job-0198c5…
  tarpon cancel --wait $(tarpon jobs --name nightly --limit 1 --json | jq -r .id)
  tarpon cancel --state queued --queue gpu --dry-run")]
pub struct Args {
    /// The jobs
    #[arg(required_unless_present_any = Filters::NAMES, value_name = "JOB")]
    pub jobs: Vec<String>,

    /// Wait until they have stopped
    #[arg(long, conflicts_with_all = Filters::NAMES)]
    pub wait: bool,

    #[command(flatten)]
    pub filters: Filters,

    #[command(flatten)]
    pub common: Common,
}

/// Tells all of them before it waits for the first.
pub async fn perform(session: &Session, args: Args) -> Result<u8, Failure> {
    if args.jobs.is_empty() {
        let whole = args.filters.apply(session, "cancel", "cancelled", false).await?;
        return Ok(u8::from(!whole));
    }
    let mut told = Vec::new();
    for id in &args.jobs {
        told.push(cancel(session, id).await?);
    }
    for (id, mut job) in args.jobs.iter().zip(told) {
        if args.wait
            && !job.value.is_over()
            && let Some(ended) = Watch::new(session, id, false).end(None).await?
        {
            job = ended;
        }
        if session.json {
            session.screen.json(&job.json)?;
        } else if job.value.is_over() {
            session.screen.line(&verdict::sentence(&job.value))?;
        } else {
            session.screen.line(&format!("{id} is {}", words(&job.value.state)))?;
        }
    }
    Ok(0)
}

//! `tarpon logs`: what a job wrote, or writes.

use super::{
    Common,
    problem::Failure,
    session::Session,
    tail::{Manner, Selector, Sink, Stream, Tail},
};

/// Print what a job wrote, or writes
///
/// Its standard output goes to ours, its standard error to ours. With --json,
/// one line a piece: {"stream", "offset", "data" in base 64}.
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon logs job-0198c5…
  tarpon logs --follow job-0198c5…
  tarpon logs --stream stderr --attempt 1 job-0198c5… > first-try.err")]
pub struct Args {
    /// The job
    #[arg(value_name = "JOB")]
    pub job: String,

    /// Go on until it ends; a job that has not started is waited for
    #[arg(long, short)]
    pub follow: bool,

    /// Only this one
    #[arg(long, value_name = "STREAM")]
    pub stream: Option<Stream>,

    #[command(flatten)]
    pub selector: Selector,

    #[command(flatten)]
    pub common: Common,
}

/// Prints them.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    let manner = if session.json { Manner::Json } else { Manner::Apart };
    let sink = Sink::new(&session.screen, manner, &|| {});
    let mut tail = Tail::new(session, &args.job, args.selector, args.stream);
    tail.read(&sink, args.follow, None, true).await?;
    // While it runs there is no archive, and this finds nothing.
    tail.catch_up(&sink).await
}

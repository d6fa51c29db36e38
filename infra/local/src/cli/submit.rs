//! `tarpon submit`: a job, and then it is on its own.

use std::time::Duration;

use reqwest::Method;

use super::{
    Common,
    client::{Answer, Repeat},
    connect, dry_run,
    outputs::Output,
    problem::Failure,
    progress::Status,
    request::{JobArgs, Prepared},
    session::Session,
    values::{self, Patience},
    verdict,
    views::Job,
    watch::Watch,
};

/// Submit a job, and leave it to itself
///
/// Prints the job's id. A submit is repeated by itself when the connection
/// breaks; it never makes two jobs.
#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(flatten)]
    pub job: JobArgs,

    /// A path or pattern in the container to keep, and the object that it
    /// becomes as well; with `/` at its end the start of the names of many. A
    /// path that has a `=` is written with one more at its end. Can be repeated
    #[arg(
        long,
        short,
        value_name = "/PATH[=BUCKET/KEY]",
        value_parser = Output::left_there,
        help_heading = "Files"
    )]
    pub output: Vec<Output>,

    /// Wait for the end, for so long at most; the exit code is then as with
    /// `tarpon wait`
    #[arg(
        long,
        value_name = "DURATION",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "end",
        value_parser = values::patience
    )]
    pub wait: Option<Patience>,

    /// Submit nothing: tell what would be run, and what keeps it from starting
    #[arg(long, conflicts_with_all = ["wait", "client_token"])]
    pub dry_run: bool,

    #[command(flatten)]
    pub common: Common,
}

const EXAMPLES: &str = "\
Examples:
  tarpon submit hello
  tarpon submit alpine:3.22 --output /tmp/result -- sh -c 'date > /tmp/result'
  tarpon submit worker --stdin big.bin --input model.bin:/model --cpu 2 --memory 4g
  tarpon submit worker --output '/out/*.csv=data/2026/' --stdout-to logs/worker.txt
  tarpon submit worker --input data/2026/a.csv:/in/a.csv --secret-env DB_PASSWORD
  tarpon submit --file job.json --client-token nightly-2026-07-01
  tarpon submit --from job-0198c5… --env DEBUG=1
  tarpon submit --dry-run --file job.json
  id=$(tarpon submit hello) && tarpon wait \"$id\" && tarpon output \"$id\"";

impl Args {
    /// Whether the command stands for the job's end.
    pub fn waits(&self) -> bool {
        self.wait.is_some()
    }
}

/// Submits the job, and waits for it if asked to.
pub async fn perform(session: &Session, args: Args) -> Result<u8, Failure> {
    let prepared = args.job.prepare(session, &args.output, connect::environment).await?;
    if args.dry_run {
        return dry_run::perform(session, &prepared.body).await;
    }
    let accepted = post(session, &prepared).await?;
    let screen = &session.screen;
    let job = accepted.value;
    match (session.json, args.wait) {
        // The job as it ended is printed instead.
        (true, Some(_)) => {}
        (true, None) => screen.json(&accepted.json)?,
        (false, _) if screen.out_is_terminal => screen.print(summary(&job).as_bytes())?,
        (false, _) => screen.line(&job.id)?,
    }
    let limit = match args.wait {
        None => return Ok(0),
        Some(Patience::End) => None,
        Some(Patience::Seconds(seconds)) => Some(Duration::from_secs(seconds.into())),
    };
    let status = Status::new(screen);
    status.say("waiting for its end");
    let ended = Watch::new(session, &job.id, false).end(limit).await?;
    status.clear();
    let Some(ended) = ended else {
        screen.note(&format!("{} has not ended yet", job.id));
        return Ok(verdict::TIMED_OUT);
    };
    if session.json {
        screen.json(&ended.json)?;
    }
    screen.note(&verdict::sentence(&ended.value));
    Ok(verdict::exit_code(&ended.value))
}

/// Posts a job, as often as it takes: the key makes it one.
pub async fn post(session: &Session, prepared: &Prepared) -> Result<Answer<Job>, Failure> {
    let request = session.client.request(Method::POST, &["v1", "jobs"])?;
    let request = request.header("idempotency-key", &prepared.key).json(&prepared.body);
    session.client.json(request, Repeat::Safe).await
}

fn summary(job: &Job) -> String {
    let id = &job.id;
    format!(
        "{id} is in queue {queue}\n  \
         follow it   tarpon logs --follow {id}\n  \
         wait        tarpon wait {id}\n  \
         its output  tarpon output {id}\n",
        queue = super::table::clean(&job.queue),
    )
}

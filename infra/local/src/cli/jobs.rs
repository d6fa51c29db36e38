//! `tarpon jobs`: the list.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Common,
    pages::Listing,
    problem::Failure,
    session::Session,
    table::{ago, between, short},
    values,
    views::{Job, words},
};

/// List jobs, newest first
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon jobs
  tarpon jobs --state running --queue gpu
  tarpon jobs --tag team=media --all --json | jq -r .id")]
pub struct Args {
    /// Only those in this state: `queued`, `running`, `stopping`, `succeeded`,
    /// `failed`, `partly_failed`, `cancelled` or `timed_out`; can be repeated
    #[arg(long, value_name = "STATE")]
    pub state: Vec<String>,

    /// Only those of this queue
    #[arg(long, value_name = "QUEUE")]
    pub queue: Option<String>,

    /// Only those of this name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Only those with this tag; can be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = values::pair)]
    pub tag: Vec<(String, String)>,

    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 25, conflicts_with = "all")]
    pub limit: usize,

    /// All of them
    #[arg(long)]
    pub all: bool,

    #[command(flatten)]
    pub common: Common,
}

/// Lists them; as JSON a job a line, as the pages come.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    let listing = Listing {
        path: &["v1", "jobs"],
        filters: args.filters(),
        most: if args.all { usize::MAX } else { args.limit },
        field: "jobs",
        columns: ["ID", "NAME", "STATE", "WAITING FOR", "IMAGE", "CREATED", "DURATION"],
        none: "no jobs",
    };
    listing.print(session, |job| row(job, session.now)).await
}

impl Args {
    fn filters(&self) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        query.extend(self.state.iter().map(|state| ("state", state.clone())));
        let filters = [("queue", &self.queue), ("name", &self.name)];
        for (name, value) in filters {
            query.extend(value.clone().map(|value| (name, value)));
        }
        query.extend(self.tag.iter().map(|(key, value)| ("tag", format!("{key}={value}"))));
        query
    }
}

fn row(json: &Value, now: Timestamp) -> Result<[String; 7], Failure> {
    let job = Job::deserialize(json).map_err(|error| Failure::Answer(error.to_string()))?;
    let waiting = job.waiting_for.as_ref().map(|waiting| {
        let place = waiting.position.as_ref().map(|position| format!(" ({position} before it)"));
        words(&waiting.reason) + &place.unwrap_or_default()
    });
    let image = match job.tasks.as_slice() {
        [] => String::new(),
        [task] => short(&task.image, 40),
        [first, more @ ..] => format!("{} +{}", short(&first.image, 40), more.len()),
    };
    let duration = job.started_at.map(|from| between(from, job.ended_at.unwrap_or(now)));
    Ok([
        job.id,
        short(&job.name.unwrap_or_default(), 32),
        words(&job.state),
        waiting.unwrap_or_default(),
        image,
        job.created_at.map(|at| ago(at, now)).unwrap_or_default(),
        duration.unwrap_or_default(),
    ])
}

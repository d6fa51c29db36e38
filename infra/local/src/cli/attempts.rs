//! `tarpon attempts`: every attempt of a job.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Common,
    pages::Listing,
    problem::Failure,
    session::Session,
    table::{bytes, short},
    views::{Attempt, words},
};

/// List every attempt of a job
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon attempts job-0198c5…
  tarpon attempts job-0198c5… --task render --instance 7
  tarpon attempts job-0198c5… --all --json | jq -r 'select(.state == \"failed\") | .cause'")]
pub struct Args {
    /// The job
    #[arg(value_name = "JOB")]
    pub job: String,

    /// Only those of the task of this name
    #[arg(long, value_name = "TASK")]
    pub task: Option<String>,

    /// Only those of this instance, from 0
    #[arg(long, value_name = "N")]
    pub instance: Option<u32>,

    /// Only those of this run, from 1
    #[arg(long, value_name = "N")]
    pub run: Option<u32>,

    /// So many at most
    #[arg(long, value_name = "N", default_value_t = 25, conflicts_with = "all")]
    pub limit: usize,

    /// All of them
    #[arg(long)]
    pub all: bool,

    #[command(flatten)]
    pub common: Common,
}

/// Lists them; as JSON an attempt a line, as the pages come.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    let listing = Listing {
        path: &["v1", "jobs", &args.job, "attempts"],
        filters: args.filters(),
        most: if args.all { usize::MAX } else { args.limit },
        field: "attempts",
        columns: ["RUN", "TASK", "INSTANCE", "ATTEMPT", "STATE", "WHY", "TOOK", "ARCHIVE"],
        none: "no attempts yet",
    };
    listing.print(session, |attempt| row(attempt, session.now)).await
}

impl Args {
    fn filters(&self) -> Vec<(&'static str, String)> {
        let mut query = Vec::new();
        query.extend(self.task.clone().map(|task| ("task", task)));
        query.extend(self.instance.map(|instance| ("instance", instance.to_string())));
        query.extend(self.run.map(|run| ("run", run.to_string())));
        query
    }
}

fn row(json: &Value, now: Timestamp) -> Result<[String; 8], Failure> {
    let attempt = Attempt::deserialize(json).map_err(|error| Failure::Answer(error.to_string()))?;
    Ok([
        attempt.run.to_string(),
        short(&attempt.task, 32),
        attempt.instance.to_string(),
        attempt.number.to_string(),
        words(&attempt.state),
        short(&attempt.why(), 60),
        attempt.took(now).unwrap_or_default(),
        attempt.archive.map(|archive| bytes(archive.bytes)).unwrap_or_default(),
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_attempt_is_a_row_with_why_it_ended() {
        let now = "2026-01-01T00:01:00Z".parse().unwrap();
        let mut attempt = json!({
            "run": 1, "task": "main", "instance": 7, "number": 2, "state": "failed",
            "cause": "exited", "exit_code": 3, "started_at": "2026-01-01T00:00:01Z",
            "ended_at": "2026-01-01T00:00:03Z", "archive": {"bytes": 2048, "members": 3}
        });
        let cells = row(&attempt, now).unwrap();
        assert_eq!(cells, ["1", "main", "7", "2", "failed", "exit code 3", "2.0s", "2.0 KiB"]);
        attempt["cause"] = json!("input_failed");
        attempt["message"] = json!("there is none");
        assert_eq!(row(&attempt, now).unwrap()[5], "input failed: there is none");
        let live = json!({"run": 1, "task": "main", "state": "running", "number": 1});
        assert_eq!(row(&live, now).unwrap()[4..], ["running", "", "", ""]);
    }
}

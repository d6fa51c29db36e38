//! Jobs by what they are, in place of by their ids: what is done to one, done
//! to many.

use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{client::Repeat, problem::Failure, session::Session, values, views::words};

/// Which jobs, for commands that else are told their ids.
#[derive(Args, Clone, Debug, Default)]
pub struct Filters {
    /// Those in this state; can be repeated
    #[arg(long, value_name = "STATE", conflicts_with = "jobs", help_heading = "Many jobs")]
    pub state: Vec<String>,

    /// Those of this queue
    #[arg(long, value_name = "QUEUE", conflicts_with = "jobs", help_heading = "Many jobs")]
    pub queue: Option<String>,

    /// Those of this name
    #[arg(long, value_name = "NAME", conflicts_with = "jobs", help_heading = "Many jobs")]
    pub name: Option<String>,

    /// Those with this tag; can be repeated
    #[arg(
        long,
        value_name = "KEY=VALUE",
        value_parser = values::pair,
        conflicts_with = "jobs",
        help_heading = "Many jobs"
    )]
    pub tag: Vec<(String, String)>,

    /// All that it can be done to
    #[arg(long, conflicts_with = "jobs", help_heading = "Many jobs")]
    pub every: bool,

    /// Only tell which jobs these are
    #[arg(long, conflicts_with = "jobs", help_heading = "Many jobs")]
    pub dry_run: bool,
}

/// What the server answers.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Bulk {
    changed: u64,
    jobs: Vec<String>,
    refused: Vec<Refused>,
    next: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Refused {
    job: String,
    detail: String,
}

impl Filters {
    /// The names of the options, one of which stands in for ids.
    pub const NAMES: [&str; 5] = ["state", "queue", "name", "tag", "every"];

    fn body(&self) -> Value {
        let mut filter = Map::new();
        if !self.state.is_empty() {
            filter.insert("states".into(), json!(self.state));
        }
        for (name, value) in [("queue", &self.queue), ("name", &self.name)] {
            filter.extend(value.clone().map(|value| (name.to_owned(), value.into())));
        }
        if !self.tag.is_empty() {
            let tags = self.tag.iter().map(|(key, value)| (key.clone(), value.clone().into()));
            filter.insert("tags".into(), Value::Object(tags.collect()));
        }
        Value::Object(filter)
    }

    /// Does it to all of them, page by page. Prints their ids; whether it
    /// could be done to each.
    ///
    /// A page whose answer was lost is asked for again: what was done is then
    /// no longer among what is to be done, and is not counted.
    pub async fn apply(
        &self,
        session: &Session,
        action: &'static str,
        done: &'static str,
        all: bool,
    ) -> Result<bool, Failure> {
        let mut body = json!({ "action": action, "filter": self.body(), "dry_run": self.dry_run });
        if all {
            body["all"] = true.into();
        }
        let (mut changed, mut refused) = (0, 0);
        loop {
            let request = session.client.request(Method::POST, &["v1", "jobs", "bulk"])?;
            let answer = session.client.json::<Bulk>(request.json(&body), Repeat::Safe).await?;
            if session.json {
                session.screen.json(&answer.json)?;
            }
            let page = answer.value;
            changed += page.changed;
            refused += page.refused.len();
            for Refused { job, detail } in &page.refused {
                session.screen.note(&format!("{job}: {}", super::table::clean(detail)));
            }
            for id in page.jobs.iter().filter(|_| !session.json) {
                if !page.refused.iter().any(|refused| refused.job == *id) {
                    session.screen.line(&words(id))?;
                }
            }
            let Some(next) = page.next else { break };
            body["cursor"] = next.into();
        }
        let jobs = if changed == 1 { "job" } else { "jobs" };
        let would = if self.dry_run { "would be " } else { "" };
        session.screen.note(&format!("{changed} {jobs} {would}{done}"));
        Ok(refused == 0)
    }
}

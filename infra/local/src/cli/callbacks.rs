//! `tarpon callbacks`: who was told of a job.

use clap::Subcommand;
use jiff::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Common,
    client::Repeat,
    problem::Failure,
    session::Session,
    table::{Table, ago, clean},
    views::words,
};

/// Show who was told of a job, and tell them again
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon callbacks ls job-0198c5…
  tarpon callbacks redeliver job-0198c5…
  tarpon callbacks redeliver job-0198c5… job-0198c5…-1-finished")]
pub struct Args {
    #[command(subcommand)]
    pub action: Action,

    #[command(flatten)]
    pub common: Common,
}

/// What to do with callbacks.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List every try to deliver them
    Ls {
        /// The job
        #[arg(value_name = "JOB")]
        job: String,
    },
    /// Deliver callbacks once more
    Redeliver {
        /// The job
        #[arg(value_name = "JOB")]
        job: String,

        /// The callback; all of the job's without it
        #[arg(value_name = "CALLBACK")]
        callback: Option<String>,
    },
}

/// The server's answer.
#[derive(Debug, Deserialize)]
struct Callbacks {
    callbacks: Vec<Value>,
}

/// A callback.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Callback {
    id: String,
    state: String,
    next_try_at: Option<Timestamp>,
    tries: Vec<Try>,
}

/// A try to deliver it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Try {
    number: u32,
    at: Option<Timestamp>,
    took_ms: u32,
    status: Option<u16>,
    error: Option<String>,
}

/// Does it.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    match args.action {
        Action::Ls { job } => list(session, &job).await,
        Action::Redeliver { job, callback: Some(callback) } => {
            redeliver(session, &job, &callback).await
        }
        Action::Redeliver { job, callback: None } => {
            for callback in all(session, &job).await? {
                redeliver(session, &job, &read(&callback)?.id).await?;
            }
            Ok(())
        }
    }
}

async fn all(session: &Session, job: &str) -> Result<Vec<Value>, Failure> {
    let request = session.client.get(&["v1", "jobs", job, "callbacks"])?;
    Ok(session.client.json::<Callbacks>(request, Repeat::Safe).await?.value.callbacks)
}

async fn list(session: &Session, job: &str) -> Result<(), Failure> {
    let mut table = Table::new(&["CALLBACK", "STATE", "TRY", "WHEN", "STATUS", "TOOK", "ERROR"]);
    let all = all(session, job).await?;
    for callback in &all {
        if session.json {
            session.screen.json(callback)?;
            continue;
        }
        let Callback { id, state, next_try_at, tries } = read(callback)?;
        for made in tries {
            table.row([
                clean(&id),
                words(&state),
                made.number.to_string(),
                made.at.map(|at| ago(at, session.now)).unwrap_or_default(),
                made.status.map(|status| status.to_string()).unwrap_or_default(),
                made.at.map(|_| format!("{} ms", made.took_ms)).unwrap_or_default(),
                clean(&made.error.unwrap_or_default()),
            ]);
        }
        if let Some(at) = next_try_at {
            let at = at.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
            let [next, none] = ["next".to_owned(), String::new()];
            table.row([clean(&id), words(&state), next, at, none.clone(), none.clone(), none]);
        }
    }
    if session.json {
        return Ok(());
    }
    if all.is_empty() {
        session.screen.note("nobody is told of this job, or not yet");
        return Ok(());
    }
    session.screen.print(table.render().as_bytes())
}

async fn redeliver(session: &Session, job: &str, callback: &str) -> Result<(), Failure> {
    let path = ["v1", "jobs", job, "callbacks", callback, "redeliver"];
    let request = session.client.request(Method::POST, &path)?;
    // Asked for twice, it is delivered twice at worst: its id tells.
    let asked = session.client.json::<Callback>(request, Repeat::Safe).await?;
    if session.json {
        return session.screen.json(&asked.json);
    }
    session.screen.line(&format!("{} is delivered once more", clean(&asked.value.id)))
}

fn read(callback: &Value) -> Result<Callback, Failure> {
    Callback::deserialize(callback).map_err(|error| Failure::Answer(error.to_string()))
}

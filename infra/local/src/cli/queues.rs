//! `tarpon queues`: where jobs wait.

use clap::Subcommand;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Common,
    client::Repeat,
    entry::Session,
    problem::Failure,
    table::{Table, ago},
    views::{Queue, Queues},
};

/// List, make and change queues
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon queues
  tarpon queues put gpu --limit 2
  tarpon queues put gpu --pause")]
pub struct Args {
    #[command(subcommand)]
    pub action: Option<Action>,

    #[command(flatten)]
    pub common: Common,
}

/// What to do with queues.
#[derive(Debug, Subcommand)]
pub enum Action {
    /// List them
    Ls,
    /// Make a queue, or change one
    Put {
        /// The queue
        name: String,

        /// So many containers at once
        #[arg(long, value_name = "N")]
        limit: Option<u32>,

        /// Start nothing more; what runs goes on
        #[arg(long, conflicts_with = "resume")]
        pause: bool,

        /// Start jobs again
        #[arg(long)]
        resume: bool,
    },
}

/// Does it.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    match args.action.unwrap_or(Action::Ls) {
        Action::Ls => list(session).await,
        Action::Put { name, limit, pause, resume } => {
            let mut body = Map::new();
            if let Some(limit) = limit {
                body.insert("limit".into(), limit.into());
            }
            if pause || resume {
                body.insert("paused".into(), pause.into());
            }
            let request = session.client.request(Method::PUT, &["v1", "queues", &name])?;
            let put = session.client.json::<Queue>(request.json(&body), Repeat::Safe).await?;
            if session.json {
                return session.screen.json(&put.json);
            }
            let Queue { name, paused, limit, .. } = put.value;
            let limit = limit.map_or_else(String::new, |limit| format!(", {limit} at once"));
            let state = if paused { "paused" } else { "active" };
            session.screen.line(&format!("queue {name} is {state}{limit}"))
        }
    }
}

async fn list(session: &Session) -> Result<(), Failure> {
    let request = session.client.get(&["v1", "queues"])?;
    let list = session.client.json::<Queues>(request, Repeat::Safe).await?.value;
    let mut table = Table::new(&["NAME", "STATE", "RUNNING", "LIMIT", "CREATED"]);
    for queue in &list.queues {
        if session.json {
            session.screen.json(queue)?;
            continue;
        }
        let queue = read(queue)?;
        let number = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        table.row([
            queue.name,
            if queue.paused { "paused" } else { "active" }.to_owned(),
            number(queue.running),
            number(queue.limit),
            queue.created_at.map(|at| ago(at, session.now)).unwrap_or_default(),
        ]);
    }
    if session.json { Ok(()) } else { session.screen.print(table.render().as_bytes()) }
}

fn read(queue: &Value) -> Result<Queue, Failure> {
    Queue::deserialize(queue).map_err(|error| Failure::Answer(error.to_string()))
}

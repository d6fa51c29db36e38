//! `tarpon queues`: where jobs wait.

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Common,
    client::Repeat,
    problem::Failure,
    session::Session,
    table::{Table, ago, clean},
    values,
    views::{Queue, Queues},
};

/// List, make, change and remove queues
#[derive(clap::Args, Debug)]
#[command(after_long_help = "\
Examples:
  tarpon queues
  tarpon queues put gpu --limit 2 --cpu 8 --memory 32g
  tarpon queues pause gpu
  tarpon queues put gpu --unlimited cpu --resume
  tarpon queues put gpu --callback @callback.json")]
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
    Put(Box<Put>),
    /// Start nothing more from a queue; what runs goes on
    Pause {
        /// The queue
        name: String,
    },
    /// Start jobs from a queue again
    Resume {
        /// The queue
        name: String,
    },
    /// Remove a queue all of whose jobs are over
    Rm {
        /// The queue
        name: String,
    },
}

/// A queue, and what it is to be like.
#[derive(clap::Args, Debug)]
pub struct Put {
    /// The queue
    name: String,

    /// So many containers at once
    #[arg(long, value_name = "N")]
    limit: Option<u32>,

    /// So many CPUs for all that runs from it
    #[arg(long, value_name = "CPUS")]
    cpu: Option<f64>,

    /// So much memory for all that runs from it: MiB, or such as 512m, 2g
    #[arg(long, value_name = "MIB", value_parser = values::mebibytes)]
    memory: Option<u32>,

    /// As much of it as there is; can be repeated
    #[arg(long, value_name = "WHAT")]
    unlimited: Vec<Measure>,

    /// CPUs of a container whose job does not say
    #[arg(long, value_name = "CPUS")]
    default_cpu: Option<f64>,

    /// Memory of a container whose job does not say
    #[arg(long, value_name = "MIB", value_parser = values::mebibytes)]
    default_memory: Option<u32>,

    /// A container whose job does not say has what it would have without a queue
    #[arg(long, conflicts_with_all = ["default_cpu", "default_memory"])]
    no_defaults: bool,

    /// Who is told of its jobs, where they do not say otherwise: an address, or
    /// JSON such as `{"url": "https://example.com/hook"}`, or a file of it;
    /// `no` for nobody
    #[arg(long, value_name = "URL|JSON|@FILE|no", value_parser = values::callback)]
    callback: Option<Value>,

    /// Start nothing more; what runs goes on
    #[arg(long, conflicts_with = "resume")]
    pause: bool,

    /// Start jobs again
    #[arg(long)]
    resume: bool,
}

/// What all that runs from a queue has together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Measure {
    /// CPUs.
    Cpu,
    /// Memory.
    Memory,
}

impl Put {
    fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        let mut set = |name: &str, value: Option<Value>| {
            body.extend(value.map(|value| (name.to_owned(), value)));
        };
        set("limit", self.limit.map(Value::from));
        let lifted = |measure| self.unlimited.contains(&measure).then_some(Value::Null);
        set("cpu_limit", self.cpu.map(Value::from).or_else(|| lifted(Measure::Cpu)));
        set("memory_limit_mib", self.memory.map(Value::from).or_else(|| lifted(Measure::Memory)));
        let given = self.default_cpu.is_some() || self.default_memory.is_some();
        let given =
            given.then(|| json!({ "cpu": self.default_cpu, "memory_mib": self.default_memory }));
        set("resources", given.or_else(|| self.no_defaults.then_some(Value::Null)));
        set("callback", self.callback.clone());
        set("paused", (self.pause || self.resume).then(|| self.pause.into()));
        body
    }
}

/// Does it.
pub async fn perform(session: &Session, args: Args) -> Result<(), Failure> {
    let pause = |paused: bool| Map::from_iter([("paused".to_owned(), paused.into())]);
    match args.action.unwrap_or(Action::Ls) {
        Action::Ls => list(session).await,
        Action::Put(queue) => put(session, &queue.name, &queue.body()).await,
        Action::Pause { name } => put(session, &name, &pause(true)).await,
        Action::Resume { name } => put(session, &name, &pause(false)).await,
        Action::Rm { name } => {
            session.client.delete(&["v1", "queues", &name]).await?;
            session.screen.note(&format!("queue {name} is removed"));
            Ok(())
        }
    }
}

async fn put(session: &Session, name: &str, body: &Map<String, Value>) -> Result<(), Failure> {
    let request = session.client.request(Method::PUT, &["v1", "queues", name])?;
    let put = session.client.json::<Queue>(request.json(body), Repeat::Safe).await?;
    if session.json {
        return session.screen.json(&put.json);
    }
    let Queue { name, paused, limit, cpu_limit, memory_limit_mib, .. } = put.value;
    let state = if paused { "paused" } else { "active" };
    let mut line = format!("queue {} is {state}", clean(&name));
    line.extend(limit.map(|limit| format!(", {limit} at once")));
    line.extend(cpu_limit.map(|cpus| format!(", {cpus} CPUs in all")));
    line.extend(memory_limit_mib.map(|mib| format!(", {mib} MiB in all")));
    session.screen.line(&line)
}

async fn list(session: &Session) -> Result<(), Failure> {
    let request = session.client.get(&["v1", "queues"])?;
    let list = session.client.json::<Queues>(request, Repeat::Safe).await?.value;
    let names = ["NAME", "STATE", "WAITING", "RUNNING", "CPUS", "MEMORY MIB", "CREATED"];
    let mut table = Table::new(&names);
    for queue in &list.queues {
        if session.json {
            session.screen.json(queue)?;
            continue;
        }
        let queue = read(queue)?;
        let cpus = |cpus: Option<f64>| cpus.map(|cpus| cpus.to_string());
        let number = |n: Option<u64>| n.map(|n| n.to_string());
        table.row([
            queue.name,
            if queue.paused { "paused" } else { "active" }.to_owned(),
            queue.waiting.unwrap_or_default(),
            of(number(queue.running), number(queue.limit)),
            of(cpus(queue.running_cpu), cpus(queue.cpu_limit)),
            of(number(queue.running_memory_mib), number(queue.memory_limit_mib)),
            queue.created_at.map(|at| ago(at, session.now)).unwrap_or_default(),
        ]);
    }
    if session.json { Ok(()) } else { session.screen.print(table.render().as_bytes()) }
}

/// So much of so much.
fn of(used: Option<String>, limit: Option<String>) -> String {
    let used = used.unwrap_or_default();
    limit.map_or_else(|| used.clone(), |limit| format!("{used} of {limit}"))
}

fn read(queue: &Value) -> Result<Queue, Failure> {
    Queue::deserialize(queue).map_err(|error| Failure::Answer(error.to_string()))
}

//! `tarpon submit --dry-run`: what would become of a job.

use std::fmt::Write;

use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{
    client::Repeat,
    problem::Failure,
    session::Session,
    table::clean,
    views::{Queue, words},
};

/// What the server answers.
#[derive(Default, Deserialize)]
#[serde(default)]
struct DryRun {
    tasks: Vec<Task>,
    queue: Queue,
    usd_at_most: Option<f64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Task {
    name: String,
    image: String,
    image_digest: Option<String>,
    platform: Option<String>,
    cause: Option<String>,
    message: Option<String>,
    argv: Vec<String>,
    workdir: String,
    user: Option<String>,
    env: Vec<String>,
    instances: u32,
    resources: Resources,
    usd_an_hour: Option<f64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Resources {
    cpu: f64,
    memory_mib: u64,
}

/// Asks, and prints the answer. The exit code is 1 if something keeps the job
/// from starting.
pub async fn perform(session: &Session, job: &Value) -> Result<u8, Failure> {
    let request = session.client.request(Method::POST, &["v1", "jobs", "dry-run"])?;
    let answer = session.client.json::<DryRun>(request.json(job), Repeat::Safe).await?;
    if session.json {
        session.screen.json(&answer.json)?;
    } else {
        session.screen.print(told(&answer.value).as_bytes())?;
    }
    Ok(u8::from(answer.value.tasks.iter().any(|task| task.cause.is_some())))
}

fn told(dry: &DryRun) -> String {
    let mut text = String::new();
    for task in &dry.tasks {
        task.tell(&mut text);
    }
    let state = if dry.queue.paused { ", which is paused" } else { "" };
    let queue = clean(&dry.queue.name);
    // Writing to a string does not fail.
    let _ = match dry.queue.waiting.as_deref() {
        None | Some("0") => writeln!(text, "it would be next in queue {queue}{state}"),
        Some(waiting) => {
            writeln!(text, "{} wait in queue {queue}{state}", clean(waiting))
        }
    };
    if let Some(usd) = dry.usd_at_most {
        let _ = writeln!(text, "its containers cost ${usd:.4} at most");
    }
    text
}

impl Task {
    fn tell(&self, text: &mut String) {
        let image = self.image_digest.as_ref().unwrap_or(&self.image);
        let _ = writeln!(text, "{}", clean(&self.name));
        let mut line = |name: &str, value: String| {
            if !value.is_empty() {
                let _ = writeln!(text, "  {name:<10} {value}");
            }
        };
        line("image", clean(image));
        if let Some(cause) = &self.cause {
            let why = self.message.as_deref().map(clean).unwrap_or_default();
            line("fails", format!("{}: {why}", words(cause)));
        }
        line("platform", self.platform.as_deref().map(clean).unwrap_or_default());
        let argv = self.argv.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>();
        line("runs", argv.join(" "));
        line("in", clean(&self.workdir));
        line("as", self.user.as_deref().map(clean).unwrap_or_default());
        line("variables", clean(&self.env.join(" ")));
        let Resources { cpu, memory_mib } = self.resources;
        let times =
            if self.instances == 1 { String::new() } else { format!("{} × ", self.instances) };
        let price = self.usd_an_hour.map(|usd| format!(", ${usd:.4} an hour")).unwrap_or_default();
        line("has", format!("{times}{cpu} CPUs, {memory_mib} MiB{price}"));
    }
}

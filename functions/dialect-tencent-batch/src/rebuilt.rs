//! A job that came another way, as it would have been submitted through this
//! API.

use serde_json::{Value, json};
use shared::{
    job::{Destination, Job, JobSpec, Source, TaskSpec},
    ops::attempts,
    service::Service,
};

use crate::faults::Fault;

/// Which task comes after which.
pub(crate) fn dependences(job: &Job) -> Value {
    let edges = job.tasks.iter().flat_map(|task| {
        task.after.iter().map(|edge| {
            let first = job.tasks.get(edge.task as usize).map(|first| &first.name);
            json!({ "StartTask": first, "EndTask": task.name })
        })
    });
    edges.collect()
}

/// The tasks of the job.
pub(crate) async fn tasks(service: &Service, job: &Job) -> Result<Value, Fault> {
    let spec = attempts::load_spec(service, job).await?;
    Ok(spec.tasks.iter().map(|one| task(&spec, one)).collect())
}

fn task(spec: &JobSpec, task: &TaskSpec) -> Value {
    let image = task.registered.as_ref().map_or(task.image.to_string(), ToString::to_string);
    let variables = task.env.iter().map(|(name, value)| json!({ "Name": name, "Value": value }));
    let redirects = json!({
        "StdoutRedirectPath": task.stdout_to.as_ref().map(remote),
        "StderrRedirectPath": task.stderr_to.as_ref().map(remote),
    });
    let inputs = task.inputs.iter().filter_map(|input| {
        Some(json!({ "SourcePath": source(&input.source)?, "DestinationPath": input.path }))
    });
    let outputs = task.outputs.iter().filter_map(|output| {
        let to = remote(output.to.as_ref()?);
        Some(json!({ "SourcePath": output.path, "DestinationPath": to }))
    });
    json!({
        "Application": {
            "DeliveryForm": "LOCAL",
            "Command": command(task),
            "Docker": { "Image": image },
        },
        "TaskName": task.name,
        "TaskInstanceNum": task.instances,
        "EnvId": spec.queue,
        "RedirectInfo": redirects,
        "InputMappings": inputs.collect::<Vec<_>>(),
        "OutputMappings": outputs.collect::<Vec<_>>(),
        "EnvVars": variables.collect::<Vec<_>>(),
        "FailedAction": "TERMINATE",
        "MaxRetryCount": task.retry.max_attempts.saturating_sub(1),
        "Timeout": task.deadlines.running,
        "MaxConcurrentNum": task.max_concurrent,
    })
}

/// The words of its own that it runs, as one would write them.
fn command(task: &TaskSpec) -> String {
    let words = task.entrypoint.iter().chain(&task.command).flatten();
    let plain = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./=:,+@%".contains(&b))
    };
    let quoted = |word: &String| {
        if plain(word) { word.clone() } else { crate::submit::streams::quote(word) }
    };
    words.map(quoted).collect::<Vec<_>>().join(" ")
}

fn remote(to: &Destination) -> String {
    format!("cos://{}/{}", to.bucket, to.key)
}

/// What is in a bucket.
fn source(source: &Source) -> Option<String> {
    match source {
        Source::Object { bucket, key } => Some(format!("cos://{bucket}/{key}")),
        Source::Folder { bucket, prefix } => Some(format!("cos://{bucket}/{prefix}")),
        Source::Inline(_) | Source::Upload(_) | Source::Attached(_) | Source::Task { .. } => None,
    }
}

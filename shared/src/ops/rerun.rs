//! A new job made from one that there is, with edits: `"from": "job-…"` beside
//! the fields that are to be other than there. Or from a template, by name.
//!
//! The old job's spec is written as the request that it could have come from,
//! the edits are laid over it (RFC 7396: objects member by member, null takes
//! away), and what comes out is read and checked like any other job.

use data_encoding::BASE64;
use serde_json::{Map, Value, json};

use super::{attempts, callbacks, images, jobs, submit, templates};
use crate::{
    job::{
        Destination, Job, JobId, JobKey, JobSpec, Network, OutputSpec, ProjectId, Source, TaskSpec,
    },
    platform::{ObjectKey, Put},
    service::Service,
    wire::{
        Problem, parse_json,
        submit::{FromTemplate, JobRequest, Submission, edited},
    },
};

/// The field that names the job to start from.
const FROM: &str = "from";

/// The job that these bytes ask for, checked.
pub async fn submission(
    service: &Service,
    project: ProjectId,
    sent: &[u8],
) -> Result<Submission, Problem> {
    // Most jobs are whole as they are, and read only once.
    let says = |quoted: &[u8]| sent.windows(quoted.len()).any(|bytes| bytes == quoted);
    if !says(b"\"from\"") && !says(b"\"template\"") {
        return whole(service, sent);
    }
    let mut edits: Map<String, Value> = parse_json(sent)?;
    if FromTemplate::is_meant(&edits) {
        return templates::submission(service, project, FromTemplate::of_fields(edits)?).await;
    }
    let Some(from) = edits.remove(FROM) else { return whole(service, sent) };
    let from: JobId = from
        .as_str()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| Problem::invalid(FROM, "it is the id of a job"))?;
    let key = JobKey { project, job: from };
    let job = match jobs::load(service, key).await {
        Err(Problem::NotFound { .. }) => {
            return Err(Problem::invalid(FROM, format!("there is no job `{from}`")));
        }
        loaded => loaded?,
    };
    let request = request(service, &job).await?;
    let merged = Value::Object(edited(request, edits)).to_string();
    let mut submission = whole(service, merged.as_bytes())?;
    submission.from = Some(from);
    Ok(submission)
}

fn whole(service: &Service, bytes: &[u8]) -> Result<Submission, Problem> {
    let (job, tasks) = JobRequest::parse(bytes)?;
    job.check(tasks, &service.limits)
}

/// The request that the job could have come from. It has no client token.
async fn request(service: &Service, job: &Job) -> Result<Map<String, Value>, Problem> {
    let spec = attempts::load_spec(service, job).await?;
    let JobSpec { name, queue, priority, tags, fail_fast, deadline_seconds, retain_days, .. } =
        spec.as_ref();
    let mut tasks = Vec::with_capacity(spec.tasks.len());
    for place in 0..spec.tasks.len() {
        tasks.push(task_request(service, job.key(), place, &spec).await?);
    }
    let request = json!({
        "name": name, "queue": queue, "priority": priority, "tags": tags,
        "fail_fast": fail_fast, "deadline_seconds": deadline_seconds,
        "retain_days": retain_days, "tasks": tasks,
    });
    let Value::Object(mut request) = request else { return Ok(Map::new()) };
    if let Some(callback) = callbacks::request(service, job.key(), &spec)? {
        request.insert("callback".into(), callback);
    }
    Ok(request)
}

async fn task_request(
    service: &Service,
    job: JobKey,
    place: usize,
    spec: &JobSpec,
) -> Result<Value, Problem> {
    let task = &spec.tasks[place];
    let registered = match &task.registered {
        Some(name) => images::load(service, job.project, name).await?.map(|image| image.name),
        None => None,
    };
    let image = registered.map_or(task.image.to_string(), |name| name.to_string());
    let mut secrets = Map::new();
    for (name, sealed) in &task.secret_env {
        let scope = submit::secret_scope(job, place, name);
        let secret = service.keyring.open(&scope, sealed);
        let secret = secret.ok_or_else(|| {
            Problem::internal(format!("the secret variable {name} of {} cannot be opened", job.job))
        })?;
        secrets.insert(name.clone(), secret.reveal().into());
    }
    let TaskSpec { name, entrypoint, command, env, workdir, user, read_only_root, .. } = task;
    let TaskSpec { instances, index, max_concurrent, resources, retry, deadlines, .. } = task;
    let inputs = task.inputs.iter().map(|input| {
        let mode = input.mode.map(|mode| format!("{mode:o}"));
        json!({ "path": input.path, "source": source(spec, &input.source), "mode": mode })
    });
    let after = task
        .after
        .iter()
        .map(|edge| json!({ "task": spec.tasks[edge.task as usize].name, "when": edge.when }));
    Ok(json!({
        "name": name, "image": image, "entrypoint": entrypoint, "command": command,
        "env": env, "secret_env": secrets, "workdir": workdir, "user": user,
        "stdin": task.stdin.as_ref().map(|stdin| source(spec, stdin)),
        "inputs": inputs.collect::<Vec<_>>(),
        "outputs": task.outputs.iter().map(output).collect::<Vec<_>>(),
        "stdout_to": task.stdout_to.as_ref().map(object_name),
        "stderr_to": task.stderr_to.as_ref().map(object_name),
        "resources": {
            "cpu": f64::from(resources.cpu_millis) / 1_000.0,
            "memory_mib": resources.memory_mib,
        },
        "network": match task.network {
            Network::None => "none",
            Network::Egress => "egress",
        },
        "read_only_root": read_only_root,
        "instances": instances,
        "index": index,
        "max_concurrent": max_concurrent,
        "after": after.collect::<Vec<_>>(),
        "retry": {
            "max_attempts": retry.max_attempts,
            "exit_codes": retry.exit_codes,
            "delay_seconds": retry.delay_seconds,
        },
        "timeout_seconds": deadlines.running,
        "grace_seconds": deadlines.grace,
        "waiting_seconds": deadlines.waiting,
        "starting_seconds": deadlines.starting,
        "collecting_seconds": deadlines.collecting,
    }))
}

fn output(output: &OutputSpec) -> Value {
    match &output.to {
        Some(to) => json!({ "path": output.path, "to": object_name(to) }),
        None => json!(output.path),
    }
}

fn object_name(to: &Destination) -> String {
    format!("{}/{}", to.bucket, to.key)
}

fn source(spec: &JobSpec, source: &Source) -> Value {
    match source {
        Source::Inline(base64) => {
            let text =
                BASE64.decode(base64.as_bytes()).ok().and_then(|b| String::from_utf8(b).ok());
            text.map_or_else(|| json!({ "base64": base64 }), |text| json!({ "inline": text }))
        }
        Source::Object { bucket, key } => json!({ "object": format!("{bucket}/{key}") }),
        Source::Upload(id) => json!({ "upload": id }),
        Source::Attached(name) => json!({ "attached": name }),
        Source::Folder { bucket, prefix } => json!({ "folder": format!("{bucket}/{prefix}") }),
        Source::Task { task, instance, member } => {
            let name = &spec.tasks[*task as usize].name;
            json!({ "task": { "name": name, "instance": instance, "member": member } })
        }
    }
}

/// Copies what is attached to the old job and named by the new one: either may
/// be deleted before the other is.
pub(super) async fn copy_attached(
    service: &Service,
    from: Option<JobId>,
    to: JobKey,
    spec: &mut JobSpec,
) -> Result<(), Problem> {
    for (place, task) in spec.tasks.iter_mut().enumerate() {
        let inputs = task.inputs.iter_mut().map(|input| &mut input.source);
        for (nth, source) in task.stdin.iter_mut().chain(inputs).enumerate() {
            let Source::Attached(name) = source else { continue };
            let missing = || {
                let rule = format!("nothing is attached to the job by the name `{name}`");
                Problem::invalid(FROM, rule)
            };
            let from = JobKey { job: from.ok_or_else(missing)?, ..to };
            let old = ObjectKey::attached(from, name);
            let stored = service.platform.objects.get(&old, None).await?.ok_or_else(missing)?;
            let kept = format!("kept-{place}-{nth}");
            let put = Put { length: Some(stored.info.size), ..Put::default() };
            let new = ObjectKey::attached(to, &kept);
            service.platform.objects.put(&new, stored.body, put).await?;
            *source = Source::Attached(kept);
        }
    }
    Ok(())
}

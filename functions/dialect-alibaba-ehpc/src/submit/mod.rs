//! `SubmitServerlessJob`: an image, once or as an array.
//!
//! What the platform cannot honour is refused with the reason, never dropped.

mod shapes;
#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::{Map, Value};
use shared::{
    job::Origin,
    ops::submit,
    wire::{
        Reply,
        submit::{
            IndexRequest, JobRequest, ResourcesRequest, RetryRequest, TaskRequest, TasksRequest,
        },
    },
};

use self::shapes::{Action, ArrayProperties, Container, RetryStrategy, Variable, Whole};
use crate::{API, call::Call, faults::Fault, parameters::Parameters, words};

const PARAMETERS: [&str; 16] = [
    "ClusterId",
    "JobName",
    "Container",
    "Cpu",
    "Memory",
    "JobPriority",
    "Timeout",
    "ArrayProperties",
    "RetryStrategy",
    "DependsOn",
    "EphemeralStorage",
    "InstanceType",
    "RamRoleName",
    "SpotStrategy",
    "SpotPriceLimit",
    "VSwitchId",
];

/// Parameters that are JSON text.
const STRUCTURED: [&str; 6] =
    ["Container", "ArrayProperties", "RetryStrategy", "DependsOn", "InstanceType", "VSwitchId"];

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Submitted {
    job_id: String,
}

pub async fn submit(call: &Call<'_>) -> Result<Reply, Fault> {
    call.parameters.only(&PARAMETERS, &[])?;
    let cluster = call.cluster().await?;
    let (job, task) = asked(&call.parameters)?;
    let job = JobRequest { queue: Some(cluster.name.to_string()), ..job };
    let mut submission = job.check(TasksRequest::Flat(Box::new(task)), &call.service.limits)?;
    let request = echo(call);
    submission.spec.origin = Some(Origin { api: API.into(), request: request.clone() });
    let project = call.who.project;
    let sent = request.as_bytes();
    let accepted = submit::submit(call.service, project, submission, sent, None).await?;
    Ok(call.answer(Submitted { job_id: words::job_id(accepted.job.id) }))
}

/// What the client said, as `ListTasks` shows it again.
fn echo(call: &Call<'_>) -> String {
    let mut told = Map::new();
    told.insert("requestId".into(), call.id.as_str().into());
    told.insert("uid".into(), call.who.project.to_string().into());
    told.insert("bid".into(), API.into());
    for (name, text) in call.parameters.own() {
        let value = STRUCTURED.contains(&name).then(|| serde_json::from_str(text).ok()).flatten();
        let (first, rest) = name.split_at(1);
        told.insert(first.to_lowercase() + rest, value.unwrap_or_else(|| text.into()));
    }
    Value::Object(told).to_string()
}

/// The job that the parameters ask for, but for its queue.
fn asked(parameters: &Parameters) -> Result<(JobRequest, TaskRequest), Fault> {
    let name = parameters.required("JobName")?;
    check_name(name)?;
    parameters.required("Container")?;
    let Some(container) = parameters.json::<Container>("Container")? else {
        return Err(Fault::missing("Container"));
    };
    refuse_what_cannot_be(parameters, &container)?;
    let array: Option<ArrayProperties> = parameters.json("ArrayProperties")?;
    let array = array.as_ref().map(indices).transpose()?;
    let job = JobRequest {
        name: Some(name.to_owned()),
        priority: parameters
            .number("JobPriority", 0, 999)?
            .and_then(|priority| i16::try_from(priority).ok())
            .unwrap_or_default(),
        ..JobRequest::default()
    };
    let words = |words: Option<Vec<String>>| words.filter(|words| !words.is_empty());
    if container.arg.as_ref().is_some_and(|words| words.len() > 10) {
        return Err(Fault::invalid("Container.Arg", "there are at most 10"));
    }
    let mut task = TaskRequest {
        image: container.image,
        entrypoint: words(container.command),
        command: words(container.arg),
        workdir: container.working_dir.filter(|path| !path.is_empty()),
        resources: resources(parameters)?,
        retry: parameters.json("RetryStrategy")?.map_or(Ok(RetryRequest::default()), retry)?,
        timeout_seconds: parameters.number("Timeout", 1, u32::MAX)?,
        ..TaskRequest::default()
    };
    if let Some((index, count)) = array {
        task.instances = Some(count);
        task.index = Some(index);
    }
    for Variable { key, value } in container.environment_var.unwrap_or_default() {
        check_variable(&key, &value)?;
        if task.env.insert(key.clone(), value).is_some() {
            let why = format!("`{key}` is there twice");
            return Err(Fault::invalid("Container.EnvironmentVar", why));
        }
    }
    Ok((job, task))
}

fn check_name(name: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if name.bytes().all(plain) && !name.starts_with('-') && !name.ends_with('-') {
        return Ok(());
    }
    let why = "it is lower-case letters, digits and hyphens, and no hyphen at either end";
    Err(Fault::invalid("JobName", why))
}

fn check_variable(key: &str, value: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let sound = (1..=128).contains(&key.len())
        && key.bytes().all(plain)
        && !key.starts_with(|c: char| c.is_ascii_digit());
    if sound && value.chars().count() <= 256 {
        return Ok(());
    }
    let why = format!(
        "`{key}`: a key is 1 to 128 letters, digits and underscores, the first no digit, and a \
         value up to 256 characters"
    );
    Err(Fault::invalid("Container.EnvironmentVar", why))
}

/// What no platform of ours has, and what is not for a job to choose.
fn refuse_what_cannot_be(parameters: &Parameters, container: &Container) -> Result<(), Fault> {
    let list = |name: &str| -> Result<bool, Fault> {
        let list: Option<Vec<Value>> = parameters.json(name)?;
        Ok(list.is_some_and(|list| !list.is_empty()))
    };
    let some = |name: &str| -> Result<bool, Fault> {
        Ok(parameters.decimal(name)?.is_some_and(|number| number != 0.0))
    };
    let spot = parameters.word("SpotStrategy", &["NoSpot", "SpotWithPriceLimit", "SpotAsPriceGo"]);
    let refusals = [
        (
            "DependsOn",
            list("DependsOn")?,
            "a job here waits for no other job; what depends on each other is one job of several \
             tasks, in the native API",
        ),
        ("Container.Gpu", container.gpu.is_some_and(|gpu| gpu.0 > 0), "there are no GPUs here"),
        (
            "Container.VolumeMount",
            container.volume_mount.as_ref().is_some_and(|mounts| !mounts.is_empty()),
            "there are no volumes here; objects go in and outputs come out by the native API",
        ),
        (
            "EphemeralStorage",
            some("EphemeralStorage")?,
            "how much disk a container has is set for the installation, not by its job",
        ),
        (
            "InstanceType",
            list("InstanceType")?,
            "there are no instance types here; say Cpu and Memory",
        ),
        (
            "RamRoleName",
            parameters.get("RamRoleName").is_some(),
            "a container here is given no role and no credential",
        ),
        (
            "SpotStrategy",
            spot?.is_some_and(|place| place > 0),
            "whether spare capacity is used is set for the installation; it is NoSpot",
        ),
        ("SpotPriceLimit", some("SpotPriceLimit")?, "there are no prices to bid here"),
        (
            "VSwitchId",
            list("VSwitchId")?,
            "the network is the installation's, not the job's to choose",
        ),
    ];
    match refusals.into_iter().find(|(_, asked, _)| *asked) {
        Some((name, _, why)) => Err(Fault::invalid(name, why)),
        None => Ok(()),
    }
}

/// CPUs as they are; gibibytes to the nearest mebibyte.
fn resources(parameters: &Parameters) -> Result<ResourcesRequest, Fault> {
    #[expect(clippy::cast_possible_truncation, reason = "what is beyond the range is refused")]
    let memory_mib = parameters.decimal("Memory")?.map(|gib| (gib * 1_024.0).round() as i64);
    Ok(ResourcesRequest { cpu: parameters.decimal("Cpu")?, memory_mib })
}

/// The variable that counts the containers, and how many there are.
fn indices(array: &ArrayProperties) -> Result<(IndexRequest, u32), Fault> {
    let first = array.first.within("ArrayProperties.IndexStart", 0, 4_999)?;
    let last = array.last.within("ArrayProperties.IndexEnd", first, 4_999)?;
    let step = array.step.unwrap_or(Whole(1));
    let step = step.within("ArrayProperties.IndexStep", 1, 4_999)?;
    let name = words::INDEX_VARIABLE.to_owned();
    Ok((IndexRequest { name, first, step: Some(step) }, (last - first) / step + 1))
}

/// `Attempts` are further ones, by the vendor's text: the first is not counted.
///
/// The first rule for a code decides. Where a rule says which codes are tried
/// again, no others are; where they only say which are not, all others are.
fn retry(strategy: RetryStrategy) -> Result<RetryRequest, Fault> {
    let again = strategy.attempts.unwrap_or(Whole(1));
    let again = again.within("RetryStrategy.Attempts", 1, 10)?;
    let rules = strategy.evaluate_on_exit.unwrap_or_default();
    if rules.len() > 10 {
        return Err(Fault::invalid("RetryStrategy.EvaluateOnExit", "there are at most 10"));
    }
    for rule in &rules {
        let field = "RetryStrategy.EvaluateOnExit.OnExitCode";
        let code = rule.on_exit_code.within(field, 0, 255)?;
        if code == 0 && rule.action == Action::Retry {
            return Err(Fault::invalid(field, "0 is success, which is not tried again"));
        }
    }
    let listed = rules.iter().any(|rule| rule.action == Action::Retry);
    let decided = |code: u32| rules.iter().find(|rule| rule.on_exit_code.0 == code);
    let is_retried = |code: &u32| match decided(*code) {
        Some(rule) => rule.action == Action::Retry,
        None => !listed,
    };
    let codes: Vec<_> = if rules.is_empty() {
        Vec::new()
    } else {
        (1..=255).filter(is_retried).filter_map(|code| i32::try_from(code).ok()).collect()
    };
    let never = !rules.is_empty() && codes.is_empty();
    Ok(RetryRequest {
        max_attempts: Some(if never { 1 } else { again + 1 }),
        exit_codes: codes,
        delay_seconds: 0,
    })
}

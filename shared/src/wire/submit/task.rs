//! The rules that a task has to keep.

use std::collections::BTreeMap;

use data_encoding::BASE64;

use super::{
    AfterRequest, InputRequest, NetworkRequest, ResourcesRequest, RetryRequest, SourceRequest,
    TaskRequest,
    rules::{check_path, check_user, parse_name, parse_object, within},
};
use crate::{
    agent,
    job::{
        Deadlines, Edge, ImageReference, InputSpec, MAX_INSTANCES, Name, Network, OutputSpec,
        Resources, RetryRules, Source, TaskSpec,
    },
    service::Limits,
    wire::Problem,
};

/// What a container has where neither its task nor its queue says.
pub const STANDARD: Resources = Resources { cpu_millis: 250, memory_mib: 512 };

impl ResourcesRequest {
    /// What is asked for, and as `standard` has it what is not; or the part of
    /// `field` that is not within the limits.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "both are checked to be within a range that fits"
    )]
    pub fn or(
        self,
        standard: Resources,
        field: &str,
        limits: &Limits,
    ) -> Result<Resources, Problem> {
        let cpu = self.cpu.unwrap_or(f64::from(standard.cpu_millis) / 1_000.0);
        let (millis, most) = ((cpu * 1_000.0).round(), f64::from(limits.cpu_millis));
        if !(1.0..=most).contains(&millis) {
            let rule = format!("{cpu} is not within 0.001 to {} CPUs", most / 1_000.0);
            return Err(Problem::invalid(format!("{field}.cpu"), rule));
        }
        let memory = self.memory_mib.unwrap_or(standard.memory_mib.into());
        within(&format!("{field}.memory_mib"), memory, 6, limits.memory_mib.into())?;
        Ok(Resources { cpu_millis: millis as u32, memory_mib: memory as u32 })
    }

    /// What it leaves open, filled in as `standard` has it.
    pub fn filled(self, chosen: Resources, standard: Resources) -> Resources {
        Resources {
            cpu_millis: if self.cpu.is_some() { chosen.cpu_millis } else { standard.cpu_millis },
            memory_mib: if self.memory_mib.is_some() {
                chosen.memory_mib
            } else {
                standard.memory_mib
            },
        }
    }
}

pub(super) const DAY: i64 = 24 * 3600;

/// Where a task is in the request, to name its fields.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) task: usize,
    pub(super) flat: bool,
}

impl At {
    pub(super) fn field(self, name: &str) -> String {
        if self.flat { name.to_owned() } else { format!("tasks[{}].{name}", self.task) }
    }

    /// The task, within the rules; its environment has been checked.
    pub(super) fn check(
        self,
        task: TaskRequest,
        names: &[Name],
        limits: &Limits,
    ) -> Result<TaskSpec, Problem> {
        let image: ImageReference = task
            .image
            .parse()
            .map_err(|error| Problem::invalid(self.field("image"), format!("{error}")))?;
        self.check_words("entrypoint", task.entrypoint.as_deref())?;
        self.check_words("command", task.command.as_deref())?;
        if task.entrypoint.as_ref().is_some_and(Vec::is_empty) {
            return Err(Problem::invalid(self.field("entrypoint"), "it has at least one word"));
        }
        if let Some(workdir) = &task.workdir {
            check_path(&self.field("workdir"), workdir)?;
        }
        if let Some(user) = &task.user {
            check_user(&self.field("user"), user)?;
        }
        let stdin =
            task.stdin.map(|from| source(&self.field("stdin"), from, limits)).transpose()?;
        let instances = task.instances.unwrap_or(1);
        within(&self.field("instances"), i64::from(instances), 1, i64::from(MAX_INSTANCES))?;
        if let Some(most) = task.max_concurrent {
            within(&self.field("max_concurrent"), i64::from(most), 1, i64::from(MAX_INSTANCES))?;
        }
        Ok(TaskSpec {
            name: names[self.task].clone(),
            image,
            registered: None,
            entrypoint: task.entrypoint,
            command: task.command,
            env: task.env,
            secret_env: BTreeMap::new(),
            workdir: task.workdir,
            user: task.user,
            stdin,
            inputs: self.inputs(task.inputs, limits)?,
            outputs: self.outputs(task.outputs)?,
            resources: self.resources(task.resources, limits)?,
            network: match task.network {
                NetworkRequest::None => Network::None,
                NetworkRequest::Least => Network::Least,
                NetworkRequest::Egress => Network::Egress,
            },
            read_only_root: task.read_only_root,
            instances,
            max_concurrent: task.max_concurrent,
            after: self.edges(&task.after, names)?,
            retry: self.retry(task.retry)?,
            deadlines: self.deadlines([
                ("timeout_seconds", task.timeout_seconds),
                ("grace_seconds", task.grace_seconds),
                ("waiting_seconds", task.waiting_seconds),
                ("starting_seconds", task.starting_seconds),
                ("collecting_seconds", task.collecting_seconds),
            ])?,
        })
    }

    fn check_words(self, field: &str, words: Option<&[String]>) -> Result<(), Problem> {
        let words = words.unwrap_or_default();
        if words.len() > 1_000 {
            return Err(Problem::invalid(self.field(field), "it has at most 1,000 words"));
        }
        match words.iter().position(|word| word.contains('\0')) {
            Some(at) => Err(Problem::invalid(
                format!("{}[{at}]", self.field(field)),
                "it contains a NUL character, which no argument can",
            )),
            None => Ok(()),
        }
    }

    /// Variables, open and secret ones alike.
    pub(super) fn check_env(
        self,
        env: &BTreeMap<String, String>,
        secret: &BTreeMap<String, String>,
    ) -> Result<(), Problem> {
        if env.len() + secret.len() > 1_000 {
            return Err(Problem::invalid(self.field("env"), "it has at most 1,000 variables"));
        }
        let open = env.iter().map(|variable| ("env", variable));
        for (of, (name, value)) in
            open.chain(secret.iter().map(|variable| ("secret_env", variable)))
        {
            let rule = if name.is_empty() || name.contains(['=', '\0']) {
                "a variable's name is not empty and has no `=` and no NUL"
            } else if name.starts_with("TARPON_") {
                "names that start with TARPON_ are ours"
            } else if value.contains('\0') {
                "a variable's value has no NUL"
            } else {
                continue;
            };
            return Err(Problem::invalid(self.field(&format!("{of}.{name}")), rule));
        }
        Ok(())
    }

    fn inputs(self, inputs: Vec<InputRequest>, limits: &Limits) -> Result<Vec<InputSpec>, Problem> {
        if inputs.len() > 100 {
            return Err(Problem::invalid(self.field("inputs"), "there are at most 100"));
        }
        let check = |(place, input): (usize, InputRequest)| {
            let field = |name: &str| self.field(&format!("inputs[{place}].{name}"));
            check_path(&field("path"), &input.path)?;
            let mode = input.mode.map(|mode| {
                let bits = u32::from_str_radix(&mode, 8).ok().filter(|bits| *bits <= 0o7777);
                bits.ok_or_else(|| {
                    Problem::invalid(field("mode"), "it is permission bits in octal, such as 0755")
                })
            });
            Ok(InputSpec {
                path: input.path,
                source: source(&field("source"), input.source, limits)?,
                mode: mode.transpose()?,
            })
        };
        inputs.into_iter().enumerate().map(check).collect()
    }

    fn outputs(self, outputs: Vec<String>) -> Result<Vec<OutputSpec>, Problem> {
        if outputs.len() > 100 {
            return Err(Problem::invalid(self.field("outputs"), "there are at most 100"));
        }
        let check = |(place, path): (usize, String)| {
            let field = self.field(&format!("outputs[{place}]"));
            check_path(&field, &path)?;
            let name = path.trim_matches('/');
            if name.is_empty() {
                return Err(Problem::invalid(field, "the whole file system cannot be kept"));
            }
            if ["Stdout", "Stderr", "manifest.json"].contains(&name) {
                return Err(Problem::invalid(
                    field,
                    "the archive has a member of that name already",
                ));
            }
            let first = name.split('/').next().unwrap_or_default();
            if ["proc", "sys", "dev"].contains(&first) || path.starts_with(agent::HOME) {
                return Err(Problem::invalid(field, "it is not a place where outputs can be"));
            }
            Ok(OutputSpec { path })
        };
        outputs.into_iter().enumerate().map(check).collect()
    }

    fn resources(self, asked: ResourcesRequest, limits: &Limits) -> Result<Resources, Problem> {
        asked.or(STANDARD, &self.field("resources"), limits)
    }

    fn edges(self, after: &[AfterRequest], names: &[Name]) -> Result<Vec<Edge>, Problem> {
        let edge = |(place, after): (usize, &AfterRequest)| {
            let found = names.iter().position(|name| name.as_str() == after.task);
            let task = found.and_then(|found| u32::try_from(found).ok()).ok_or_else(|| {
                let field = self.field(&format!("after[{place}].task"));
                Problem::invalid(field, format!("the job has no task `{}`", after.task))
            })?;
            Ok(Edge { task, when: after.when })
        };
        after.iter().enumerate().map(edge).collect()
    }

    fn retry(self, retry: RetryRequest) -> Result<RetryRules, Problem> {
        let max_attempts = retry.max_attempts.unwrap_or(1);
        within(&self.field("retry.max_attempts"), i64::from(max_attempts), 1, 20)?;
        within(&self.field("retry.delay_seconds"), i64::from(retry.delay_seconds), 0, 3_600)?;
        let RetryRequest { exit_codes, delay_seconds, .. } = retry;
        Ok(RetryRules { max_attempts, exit_codes, delay_seconds })
    }

    fn deadlines(self, asked: [(&str, Option<u32>); 5]) -> Result<Deadlines, Problem> {
        let mut deadlines = Deadlines::default();
        for (name, seconds) in asked {
            let Some(seconds) = seconds else { continue };
            let (place, least, most) = match name {
                "timeout_seconds" => (&mut deadlines.running, 1, 14 * DAY),
                "grace_seconds" => (&mut deadlines.grace, 0, 600),
                "waiting_seconds" => (&mut deadlines.waiting, 1, 30 * DAY),
                "starting_seconds" => (&mut deadlines.starting, 1, DAY),
                _ => (&mut deadlines.collecting, 1, DAY),
            };
            within(&self.field(name), i64::from(seconds), least, most)?;
            *place = seconds;
        }
        Ok(deadlines)
    }
}

fn source(field: &str, from: SourceRequest, limits: &Limits) -> Result<Source, Problem> {
    let inline = |bytes: &[u8]| {
        if bytes.len() > limits.inline_bytes {
            let rule = format!("it is longer than {} bytes; upload it", limits.inline_bytes);
            return Err(Problem::invalid(field, rule));
        }
        Ok(Source::Inline(BASE64.encode(bytes)))
    };
    match from {
        SourceRequest::Inline(text) => inline(text.as_bytes()),
        SourceRequest::Base64(text) => {
            let bytes = BASE64.decode(text.as_bytes());
            inline(&bytes.map_err(|error| Problem::invalid(field, format!("base 64: {error}")))?)
        }
        SourceRequest::Object(name) => {
            let (bucket, key) = parse_object(field, &name)?;
            Ok(Source::Object { bucket, key })
        }
        SourceRequest::Upload(id) => Ok(Source::Upload(parse_name(field, &id)?.to_string())),
        SourceRequest::Attached(name) => {
            Ok(Source::Attached(parse_name(field, &name)?.to_string()))
        }
    }
}

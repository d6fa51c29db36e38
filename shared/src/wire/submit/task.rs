//! The rules that a task has to keep.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    AfterRequest, CacheRequest, IndexRequest, NetworkRequest, ResourcesRequest, RetryRequest,
    TaskRequest,
    job::from_value,
    rules::{check_path, check_user, within},
};
use crate::{
    job::{
        CacheRule, Deadlines, Edge, ImageReference, IndexVariable, MAX_INSTANCES, Name, Network,
        Resources, RetryRules, TaskSpec,
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

/// All tasks of the request, as each of them may speak of the others.
pub(super) struct Others {
    pub(super) names: Vec<Name>,
    /// By name, the first of that name.
    places: BTreeMap<Name, u32>,
    instances: Vec<u32>,
}

impl Others {
    pub(super) fn new(names: Vec<Name>, tasks: &[TaskRequest]) -> Self {
        let mut places = BTreeMap::new();
        for (name, place) in names.iter().zip(0..) {
            places.entry(name.clone()).or_insert(place);
        }
        let instances = tasks.iter().map(|task| task.instances.unwrap_or(1)).collect();
        Others { names, places, instances }
    }

    /// The place of the task of this name.
    pub(super) fn place(&self, field: &str, name: &str) -> Result<u32, Problem> {
        let place = name.parse::<Name>().ok().and_then(|name| self.places.get(&name).copied());
        place.ok_or_else(|| Problem::invalid(field, format!("the job has no task `{name}`")))
    }

    /// The instance that is meant of the task at this place: its only one, where
    /// none is named.
    pub(super) fn instance(
        &self,
        field: &str,
        task: u32,
        instance: Option<u32>,
    ) -> Result<u32, Problem> {
        let instances = self.instances[task as usize];
        let rule = match instance {
            None if instances == 1 => return Ok(0),
            Some(instance) if instance < instances => return Ok(instance),
            None => "say which",
            Some(_) => "from 0 on",
        };
        let name = &self.names[task as usize];
        Err(Problem::invalid(field, format!("`{name}` has {instances} instances: {rule}")))
    }
}

impl At {
    pub(super) fn field(self, name: &str) -> String {
        if self.flat { name.to_owned() } else { format!("tasks[{}].{name}", self.task) }
    }

    /// The task, within the rules; its environment has been checked, and what is
    /// secret of it taken out.
    pub(super) fn check(
        self,
        task: TaskRequest,
        secret_env: &BTreeMap<String, String>,
        others: &Others,
        limits: &Limits,
    ) -> Result<TaskSpec, Problem> {
        let cache = self.cache(&task)?;
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
        let stdin = self.stdin(task.stdin, others, limits)?;
        let instances = task.instances.unwrap_or(1);
        within(&self.field("instances"), i64::from(instances), 1, i64::from(MAX_INSTANCES))?;
        let envs = [&task.env, secret_env];
        let index = task.index.map(|index| self.index(index, envs)).transpose()?;
        if let Some(most) = task.max_concurrent {
            within(&self.field("max_concurrent"), i64::from(most), 1, i64::from(MAX_INSTANCES))?;
        }
        let keeping = self.keeping(task.outputs, [task.stdout_to, task.stderr_to], instances)?;
        Ok(TaskSpec {
            name: others.names[self.task].clone(),
            image,
            registered: None,
            entrypoint: task.entrypoint,
            command: task.command,
            env: task.env,
            secret_env: BTreeMap::new(),
            workdir: task.workdir,
            user: task.user,
            stdin,
            inputs: self.inputs(task.inputs, others, limits)?,
            outputs: keeping.outputs,
            stdout_to: keeping.stdout_to,
            stderr_to: keeping.stderr_to,
            resources: self.resources(task.resources, limits)?,
            network: match task.network {
                NetworkRequest::None => Network::None,
                NetworkRequest::Least => Network::Least,
                NetworkRequest::Egress => Network::Egress,
            },
            read_only_root: task.read_only_root,
            instances,
            index,
            max_concurrent: task.max_concurrent,
            after: self.edges(&task.after, others)?,
            retry: self.retry(task.retry)?,
            deadlines: self.deadlines([
                ("timeout_seconds", task.timeout_seconds),
                ("grace_seconds", task.grace_seconds),
                ("waiting_seconds", task.waiting_seconds),
                ("starting_seconds", task.starting_seconds),
                ("collecting_seconds", task.collecting_seconds),
            ])?,
            cache,
        })
    }

    /// Which results of equals will do.
    fn cache(self, task: &TaskRequest) -> Result<Option<CacheRule>, Problem> {
        let field = self.field("cache");
        let asked: CacheRequest = match &task.cache {
            None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
            Some(Value::Bool(true)) => CacheRequest::default(),
            Some(value @ Value::Object(_)) => from_value(&field, value.clone())?,
            Some(_) => {
                let rule = "it is `true`, or an object such as `{\"max_age_seconds\": 3600}`";
                return Err(Problem::invalid(field, rule));
            }
        };
        if let Some(seconds) = asked.max_age_seconds {
            within(&self.field("cache.max_age_seconds"), i64::from(seconds), 1, 365 * DAY)?;
        }
        let streams = task.stdout_to.is_some() || task.stderr_to.is_some();
        if streams || task.outputs.iter().any(|output| output.to.is_some()) {
            let rule = "a result that is used again writes no objects: leave out `to`, or this";
            return Err(Problem::invalid(field, rule));
        }
        let max_age_seconds = asked.max_age_seconds;
        Ok(Some(CacheRule { max_age_seconds, ..CacheRule::default() }))
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

    /// A variable that counts instances: its name has no other use.
    fn index(
        self,
        index: IndexRequest,
        envs: [&BTreeMap<String, String>; 2],
    ) -> Result<IndexVariable, Problem> {
        let IndexRequest { name, first, step } = index;
        let step = step.unwrap_or(1);
        within(&self.field("index.first"), i64::from(first), 0, 1_000_000)?;
        within(&self.field("index.step"), i64::from(step), 1, 1_000_000)?;
        if envs.iter().any(|env| env.contains_key(&name)) {
            let rule = format!("`{name}` is in the environment already");
            return Err(Problem::invalid(self.field("index.name"), rule));
        }
        let variable = BTreeMap::from([(name.clone(), String::new())]);
        self.check_env(&variable, &BTreeMap::new()).map_err(|problem| match problem {
            Problem::Invalid { rule, .. } => Problem::invalid(self.field("index.name"), rule),
            other => other,
        })?;
        Ok(IndexVariable { name, first, step })
    }

    fn resources(self, asked: ResourcesRequest, limits: &Limits) -> Result<Resources, Problem> {
        asked.or(STANDARD, &self.field("resources"), limits)
    }

    fn edges(self, after: &[AfterRequest], others: &Others) -> Result<Vec<Edge>, Problem> {
        let edge = |(place, after): (usize, &AfterRequest)| {
            let field = self.field(&format!("after[{place}].task"));
            Ok(Edge { task: others.place(&field, &after.task)?, when: after.when })
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

//! The port, on ECS.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use aws_sdk_ecs::{
    Client,
    operation::{run_task::RunTaskInput, stop_task::StopTaskError},
    types::{DesiredStatus, Task},
};
use tracing::{debug, info};

use super::{
    config::EcsConfig,
    definition::Definition,
    fault::{self, Unregistered, Unstarted},
    naming,
    pace::Pace,
    request,
    sighting::sighting,
};
use crate::{
    aws::{pace::Pace as Tries, registry::Registry},
    fargate::Size,
    job::{AttemptKey, ImageReference, Network, ProjectId, ResolvedImage, Resources},
    keyed::{Keyed, guard},
    platform::{
        Admission, Clock, Known, Launch, Launched, RegistryCredentials, ResolveError, Runtime,
        RuntimeError, Sighting,
    },
};

/// Fargate starts 20 tasks a second; others may start some, too.
const PER_SECOND: u16 = 18;

/// Half of what Fargate lets start at once after a rest.
const BURST: u16 = 50;

/// How many tasks one call describes or lists.
const PAGE: usize = 100;

/// How many names are remembered of each kind.
const KEPT: usize = 10_000;

/// Text that was offered as the name of a deployment and is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name a deployment: it is 1 to 30 letters, digits, `-` or `_`")]
pub struct BadInstance(String);

/// Tasks of a cluster.
pub struct EcsRuntime {
    ecs: Client,
    config: EcsConfig,
    registry: Registry,
    clock: Arc<dyn Clock>,
    pace: Pace,
    /// Families that are being looked up or registered, by one launch each.
    defining: Keyed<String>,
    /// Families that are there.
    registered: Mutex<HashSet<String>>,
    /// Attempts that were seen to have ended, of which nothing is left to stop.
    ended: Mutex<HashSet<AttemptKey>>,
}

impl EcsRuntime {
    /// The runtime on `ecs`; images are looked up in `registry`.
    pub fn new(
        ecs: Client,
        config: EcsConfig,
        registry: Registry,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BadInstance> {
        if !naming::is_instance(&config.instance) {
            return Err(BadInstance(config.instance));
        }
        Ok(EcsRuntime {
            ecs,
            config,
            registry,
            pace: Pace::new(Arc::clone(&clock), PER_SECOND, BURST),
            clock,
            defining: Keyed::default(),
            registered: Mutex::default(),
            ended: Mutex::default(),
        })
    }

    /// Sees to it that the family is there. The attempts of a job are launched
    /// side by side and are of one family, of which ECS refuses registrations
    /// that come at once: the first registers it, the others wait for that.
    async fn define(&self, definition: &Definition<'_>) -> Result<(), RuntimeError> {
        let family = definition.family();
        let _turn = self.defining.lock(family.clone()).await;
        if guard(&self.registered).contains(&family) {
            return Ok(());
        }
        let mut tries = Tries::new(&*self.clock);
        while !self.is_defined(&family).await? {
            match self.register(definition).await {
                Ok(()) => break,
                // Another function is at it: in the same words, so that what it
                // registers will do.
                Err(Unregistered::Crowded(_)) if tries.wait().await => {}
                Err(unregistered) => return Err(unregistered.into()),
            }
        }
        keep(&self.registered, family);
        Ok(())
    }

    async fn is_defined(&self, family: &str) -> Result<bool, RuntimeError> {
        match self.ecs.describe_task_definition().task_definition(family).send().await {
            Ok(_) => Ok(true),
            Err(error) if fault::is_undefined(&error) => Ok(false),
            Err(error) => Err(fault::unavailable(error)),
        }
    }

    async fn register(&self, definition: &Definition<'_>) -> Result<(), Unregistered> {
        let said = definition.registration(self.config.architecture);
        let said = said.map_err(|error| Unregistered::For(fault::unavailable(error)))?;
        let request = self
            .ecs
            .register_task_definition()
            .set_family(said.family)
            .set_requires_compatibilities(said.requires_compatibilities)
            .set_network_mode(said.network_mode)
            .set_cpu(said.cpu)
            .set_memory(said.memory)
            .set_execution_role_arn(said.execution_role_arn)
            .set_runtime_platform(said.runtime_platform)
            .set_ephemeral_storage(said.ephemeral_storage)
            .set_volumes(said.volumes)
            .set_container_definitions(said.container_definitions);
        request.send().await.map_err(fault::unregistered)?;
        info!(task.family = definition.family(), "task definition registered");
        Ok(())
    }

    async fn run(&self, request: RunTaskInput) -> Result<String, Unstarted> {
        self.pace.turn().await;
        let sent = self
            .ecs
            .run_task()
            .set_cluster(request.cluster)
            .set_task_definition(request.task_definition)
            .set_count(request.count)
            .set_client_token(request.client_token)
            .set_started_by(request.started_by)
            .set_network_configuration(request.network_configuration)
            .set_overrides(request.overrides)
            .set_tags(request.tags)
            .set_launch_type(request.launch_type)
            .set_capacity_provider_strategy(request.capacity_provider_strategy);
        let output = sent.send().await.map_err(fault::unstarted)?;
        fault::started(&output).map_err(Unstarted::For)
    }

    /// Defines and starts the task, once more if somebody removed the
    /// definition in between. `None` is one that was started before in other
    /// words, as by an earlier version of us.
    async fn start(&self, launch: &Launch, size: Size) -> Result<Option<String>, RuntimeError> {
        let definition = Definition::new(launch, size, &self.config);
        let family = definition.family();
        let request = request::run(launch, &family, &self.config).map_err(fault::unavailable)?;
        self.define(&definition).await?;
        let started = match self.run(request.clone()).await {
            Err(Unstarted::Undefined) => {
                guard(&self.registered).remove(&family);
                self.define(&definition).await?;
                self.run(request).await
            }
            settled => settled,
        };
        match started {
            Ok(arn) => Ok(Some(arn)),
            Err(Unstarted::Before) => Ok(None),
            Err(Unstarted::For(error)) => Err(error),
            Err(Unstarted::Undefined) => {
                Err(fault::unavailable("the task definition vanished again"))
            }
        }
    }

    /// The attempt's task, unless it has been told to stop. To be found by
    /// `startedBy`, it must be asked for by nothing else.
    async fn find(&self, attempt: AttemptKey) -> Result<Option<String>, RuntimeError> {
        let started_by = naming::started_by(&self.config.instance, attempt);
        let request = self.ecs.list_tasks().cluster(&self.config.cluster).started_by(started_by);
        let found = request.send().await.map_err(fault::unavailable)?;
        Ok(found.task_arns.unwrap_or_default().into_iter().next())
    }

    async fn describe(&self, arns: &[String]) -> Result<Vec<Task>, RuntimeError> {
        let mut tasks = Vec::with_capacity(arns.len());
        for some in arns.chunks(PAGE) {
            let request = self.ecs.describe_tasks().cluster(&self.config.cluster);
            let found = request.set_tasks(Some(some.to_vec())).send().await;
            let found = found.map_err(fault::unavailable)?;
            tasks.extend(found.tasks.unwrap_or_default());
        }
        Ok(tasks)
    }

    /// Where each attempt's task is.
    async fn places(&self, attempts: &[Known]) -> Result<Vec<Option<String>>, RuntimeError> {
        let mut places = Vec::with_capacity(attempts.len());
        for known in attempts {
            places.push(match &known.handle {
                Some(arn) => Some(arn.clone()),
                None => self.find(known.attempt).await?,
            });
        }
        Ok(places)
    }

    /// Every task of the cluster that has not been told to stop.
    async fn alive(&self) -> Result<Vec<String>, RuntimeError> {
        let request = self.ecs.list_tasks().cluster(&self.config.cluster);
        let mut pages =
            request.desired_status(DesiredStatus::Running).into_paginator().items().send();
        let mut arns = Vec::new();
        while let Some(arn) = pages.next().await {
            arns.push(arn.map_err(fault::unavailable)?);
        }
        Ok(arns)
    }

    async fn end(&self, attempt: AttemptKey, why: &str) -> Result<(), RuntimeError> {
        let Some(arn) = self.find(attempt).await? else { return Ok(()) };
        let request = self.ecs.stop_task().cluster(&self.config.cluster).task(arn).reason(why);
        match request.send().await {
            Ok(_) => Ok(()),
            // It is gone meanwhile.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(StopTaskError::is_invalid_parameter_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(fault::unavailable(error)),
        }
    }
}

#[async_trait]
impl Runtime for EcsRuntime {
    async fn resolve(
        &self,
        project: ProjectId,
        image: &ImageReference,
        credentials: Option<&RegistryCredentials>,
    ) -> Result<ResolvedImage, ResolveError> {
        self.registry.resolve(project, image, credentials).await
    }

    /// Capacity is the platform's: what it sells at all is admitted.
    async fn admit(&self, _: AttemptKey, resources: Resources) -> Admission {
        Size::fitting(resources).map_or_else(Admission::TooLarge, |_| Admission::Admitted)
    }

    fn sold(&self, resources: Resources) -> Result<Option<Resources>, String> {
        Size::fitting(resources).map(|size| Some(size.into()))
    }

    async fn launch(&self, launch: &Launch) -> Result<Launched, RuntimeError> {
        if launch.network == Network::None {
            let why = "a Fargate task always has a network; `none` is not to be had here";
            return Err(RuntimeError::Refused(why.to_owned()));
        }
        if launch.network == Network::Least {
            info!(attempt.id = %launch.attempt.attempt, "it could do without a network, and has one");
        }
        if !launch.image.digest.contains('@') {
            let why = format!("{} is of no registry", launch.image.digest);
            return Err(RuntimeError::Refused(why));
        }
        let size = Size::fitting(launch.resources).map_err(RuntimeError::Refused)?;
        if let Some(arn) = self.start(launch, size).await? {
            return Ok(Launched { handle: Some(arn) });
        }
        debug!(attempt.id = %launch.attempt.attempt, "launched before, in other words");
        Ok(Launched { handle: self.find(launch.attempt).await? })
    }

    /// ECS sends TERM, and KILL when the grace is over: a `kill` is no quicker.
    async fn stop(&self, attempt: AttemptKey, _: bool) -> Result<(), RuntimeError> {
        self.end(attempt, "told to stop").await
    }

    async fn inspect(&self, attempts: &[Known]) -> Result<Vec<Sighting>, RuntimeError> {
        let places = self.places(attempts).await?;
        let arns: HashSet<String> = places.iter().flatten().cloned().collect();
        let tasks = self.describe(&arns.into_iter().collect::<Vec<_>>()).await?;
        let seen: HashMap<_, _> =
            tasks.iter().filter_map(|task| Some((task.task_arn()?, sighting(task)))).collect();
        let sighting = |arn: &Option<String>| seen.get(arn.as_deref()?).cloned();
        let sightings = places.iter().map(|arn| sighting(arn).unwrap_or(Sighting::Gone));
        let sightings: Vec<_> = sightings.collect();
        for (known, seen) in attempts.iter().zip(&sightings) {
            if matches!(seen, Sighting::Exited { .. } | Sighting::NotStarted { .. }) {
                keep(&self.ended, known.attempt);
            }
        }
        Ok(sightings)
    }

    /// Ended tasks stay for an hour and cannot be removed, so that listing them
    /// would have every one of them looked at every minute. What has ended
    /// unseen is found by looking at live attempts.
    async fn list(&self) -> Result<Vec<AttemptKey>, RuntimeError> {
        let tasks = self.describe(&self.alive().await?).await?;
        let whose = |task: &Task| naming::attempt(&self.config.instance, task.started_by()?);
        Ok(tasks.iter().filter_map(whose).collect())
    }

    async fn forget(&self, attempt: AttemptKey) -> Result<(), RuntimeError> {
        if guard(&self.ended).remove(&attempt) {
            return Ok(());
        }
        self.end(attempt, "nobody waits for it any more").await
    }
}

/// Adds a name; when there are too many, all others are found out again.
fn keep<T: Eq + std::hash::Hash>(names: &Mutex<HashSet<T>>, name: T) {
    let mut names = guard(names);
    if names.len() >= KEPT {
        names.clear();
    }
    names.insert(name);
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use serde_json::json;

    use super::*;
    use crate::{
        aws::{pretend::Pretend, registry::RegistryConfig, runtime::samples},
        guard::Guard,
    };

    const CROWDED: &str =
        "Too many concurrent attempts to create a new revision of the specified family.";

    fn runtime(pretend: &Pretend) -> EcsRuntime {
        let ecs = Client::new(pretend.aws().sdk());
        let images = RegistryConfig {
            guard: Guard::new(Vec::new()),
            architecture: "amd64",
            calls: None,
            secrets: None,
        };
        let images = Registry::new(images, Pretend::clock());
        EcsRuntime::new(ecs, samples::config(), images, Pretend::clock()).unwrap()
    }

    /// The attempts of one spec, all launched at once.
    async fn launched(runtime: &EcsRuntime, count: u32) -> Vec<Result<Launched, RuntimeError>> {
        let launches = (0..count).map(|instance| {
            let mut launch = samples::launch();
            launch.attempt.attempt.instance = instance;
            async move { runtime.launch(&launch).await }
        });
        join_all(launches).await
    }

    fn undefined(pretend: &Pretend) {
        let message = "Unable to describe task definition.";
        pretend.answers(400, &json!({ "__type": "ClientException", "message": message }));
    }

    fn crowded(pretend: &Pretend) {
        pretend.answers(400, &json!({ "__type": "ClientException", "message": CROWDED }));
    }

    fn is_so(pretend: &Pretend) {
        pretend.answers(200, &json!({ "taskDefinition": {} }));
    }

    fn started(pretend: &Pretend) {
        pretend.answers(200, &json!({ "tasks": [{ "taskArn": "arn:task" }] }));
    }

    fn operations(pretend: &Pretend) -> Vec<String> {
        pretend.operations("AmazonEC2ContainerServiceV20141113")
    }

    #[tokio::test]
    async fn attempts_of_one_spec_that_start_at_once_have_it_registered_once() {
        let pretend = Pretend::open().await;
        undefined(&pretend);
        is_so(&pretend);
        (0..16).for_each(|_| started(&pretend));
        let launched = launched(&runtime(&pretend), 16).await;
        assert!(launched.iter().all(Result::is_ok), "{launched:?}");
        let operations = operations(&pretend);
        assert_eq!(operations[..2], ["DescribeTaskDefinition", "RegisterTaskDefinition"]);
        assert_eq!(operations[2..], ["RunTask"; 16]);
    }

    #[tokio::test]
    async fn what_another_function_registers_at_the_same_time_will_do() {
        let pretend = Pretend::open().await;
        undefined(&pretend);
        crowded(&pretend);
        is_so(&pretend);
        started(&pretend);
        let launched = launched(&runtime(&pretend), 1).await;
        assert!(launched.iter().all(Result::is_ok), "{launched:?}");
        let expected = [
            "DescribeTaskDefinition",
            "RegisterTaskDefinition",
            "DescribeTaskDefinition",
            "RunTask",
        ];
        assert_eq!(operations(&pretend), expected);
    }

    #[tokio::test]
    async fn a_definition_that_somebody_removed_is_registered_again() {
        let pretend = Pretend::open().await;
        is_so(&pretend);
        let message = "TaskDefinition not found.";
        pretend.answers(400, &json!({ "__type": "ClientException", "message": message }));
        undefined(&pretend);
        is_so(&pretend);
        started(&pretend);
        let launched = launched(&runtime(&pretend), 1).await;
        assert!(launched.iter().all(Result::is_ok), "{launched:?}");
        let expected = [
            "DescribeTaskDefinition",
            "RunTask",
            "DescribeTaskDefinition",
            "RegisterTaskDefinition",
            "RunTask",
        ];
        assert_eq!(operations(&pretend), expected);
    }
}

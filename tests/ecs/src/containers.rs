//! A task's containers and volumes, on an engine of this machine.

use std::collections::HashMap;

use bollard::{
    Docker,
    errors::Error,
    models::{
        ContainerCreateBody, ContainerStateStatusEnum as Status, HostConfig, HostConfigLogConfig,
        Mount, MountType, MountVolumeOptions, VolumeCreateRequest,
    },
    query_parameters::{
        CreateContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptions,
        ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
        RemoveVolumeOptions, StopContainerOptionsBuilder, WaitContainerOptions,
    },
};
use futures::TryStreamExt;

use crate::{definitions::Container, task::Task};

/// Whose container or volume it is.
const INSTANCE: &str = "dev.tarpon.tests-ecs";

/// What ECS grants between TERM and KILL where a container does not say.
const STOP_SECONDS: u32 = 30;

/// An engine, and which endpoint uses it.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    client: Docker,
    instance: String,
    network: String,
}

/// Where one task is.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    engine: &'a Engine,
    task: &'a Task,
}

/// How a container ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) code: i64,
    pub(crate) out_of_memory: bool,
}

/// An image is not to be had.
pub(crate) struct NotPulled(pub(crate) String);

impl Engine {
    pub(crate) async fn connect(instance: String, network: String) -> Result<Self, Error> {
        let client = Docker::connect_with_defaults()?.negotiate_version().await?;
        Ok(Engine { client, instance, network })
    }

    /// The same, for another runtime than the one that it was connected in.
    pub(crate) async fn reconnected(&self) -> Engine {
        let fresh = Engine::connect(self.instance.clone(), self.network.clone()).await;
        fresh.unwrap_or_else(|_| self.clone())
    }

    /// Removes every container and volume of this endpoint.
    pub(crate) async fn sweep(&self) {
        let filters = HashMap::from([("label", vec![format!("{INSTANCE}={}", self.instance)])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.client.list_containers(Some(options)).await.unwrap_or_default();
        for name in found.into_iter().filter_map(|container| container.id) {
            self.remove(&name).await;
        }
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        let found = self.client.list_volumes(Some(options)).await;
        for volume in found.ok().and_then(|it| it.volumes).into_iter().flatten() {
            let _ = self.client.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await;
        }
    }

    async fn remove(&self, name: &str) {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        // One that is gone is what is wanted.
        let _ = self.client.remove_container(name, Some(options)).await;
    }

    fn labels(&self) -> HashMap<String, String> {
        HashMap::from([(INSTANCE.to_owned(), self.instance.clone())])
    }
}

impl<'a> Place<'a> {
    pub(crate) fn new(engine: &'a Engine, task: &'a Task) -> Self {
        Place { engine, task }
    }

    /// Pulls its image, if that is missing.
    pub(crate) async fn pull(&self, container: &Container) -> Result<(), NotPulled> {
        if self.engine.client.inspect_image(&container.image).await.is_ok() {
            return Ok(());
        }
        let options = CreateImageOptionsBuilder::new().from_image(&container.image).build();
        let pull = self.engine.client.create_image(Some(options), None, None);
        let pulled = pull.try_collect::<Vec<_>>().await;
        pulled.map(|_| ()).map_err(|error| NotPulled(plain(&error)))
    }

    /// Makes the task's own volumes.
    pub(crate) async fn prepare(&self) -> Result<(), String> {
        for volume in &self.task.definition.volumes {
            let request = VolumeCreateRequest {
                name: Some(self.volume(&volume.name)),
                labels: Some(self.engine.labels()),
                ..Default::default()
            };
            let made = self.engine.client.create_volume(request).await;
            made.map_err(|error| plain(&error))?;
        }
        Ok(())
    }

    pub(crate) async fn start(&self, container: &Container) -> Result<(), String> {
        let name = self.name(container);
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        let body = self.body(container);
        let created = self.engine.client.create_container(Some(options), body).await;
        created.map_err(|error| plain(&error))?;
        self.engine.client.start_container(&name, None).await.map_err(|error| plain(&error))
    }

    /// Waits for its end.
    pub(crate) async fn wait(&self, container: &Container) {
        let name = self.name(container);
        let wait = self.engine.client.wait_container(&name, None::<WaitContainerOptions>);
        // An exit code other than 0 comes as an error.
        let _ = wait.try_collect::<Vec<_>>().await;
    }

    /// How it ended, if it was started and has.
    pub(crate) async fn ended(&self, container: &Container) -> Option<End> {
        let name = self.name(container);
        let found = self.engine.client.inspect_container(&name, None::<InspectContainerOptions>);
        let state = found.await.ok()?.state?;
        if state.status == Some(Status::CREATED) || state.running == Some(true) {
            return None;
        }
        Some(End { code: state.exit_code?, out_of_memory: state.oom_killed.unwrap_or(false) })
    }

    /// TERM, then KILL: to be waited for elsewhere.
    pub(crate) fn stop(&self, container: &Container) -> impl Future<Output = ()> + Send + use<> {
        let seconds = container.stop_timeout.unwrap_or(STOP_SECONDS);
        let (client, name) = (self.engine.client.clone(), self.name(container));
        async move {
            let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
            let options = StopContainerOptionsBuilder::new().t(seconds).build();
            // One that does not run is what is wanted.
            let _ = client.stop_container(&name, Some(options)).await;
        }
    }

    /// Removes all that the task has here.
    pub(crate) async fn clear(&self) {
        for container in &self.task.definition.container_definitions {
            self.engine.remove(&self.name(container)).await;
        }
        for volume in &self.task.definition.volumes {
            let name = self.volume(&volume.name);
            let _ = self.engine.client.remove_volume(&name, None::<RemoveVolumeOptions>).await;
        }
    }

    fn name(&self, container: &Container) -> String {
        format!("tests-ecs-{}-{}-{}", self.engine.instance, self.task.id, container.name)
    }

    fn volume(&self, name: &str) -> String {
        format!("tests-ecs-{}-{}-{name}", self.engine.instance, self.task.id)
    }

    fn body(&self, container: &Container) -> ContainerCreateBody {
        let environment = self.task.environment(container).into_iter();
        ContainerCreateBody {
            image: Some(container.image.clone()),
            entrypoint: container.entry_point.clone(),
            cmd: container.command.clone(),
            env: Some(environment.map(|(name, value)| format!("{name}={value}")).collect()),
            user: container.user.clone(),
            working_dir: container.working_directory.clone(),
            labels: Some(self.engine.labels()),
            host_config: Some(self.limits(container)),
            ..Default::default()
        }
    }

    fn limits(&self, container: &Container) -> HostConfig {
        let number = |text: &str| text.parse::<i64>().unwrap_or(0);
        let memory = container.memory.unwrap_or_else(|| number(&self.task.definition.memory)) << 20;
        HostConfig {
            network_mode: Some(self.engine.network.clone()),
            mounts: Some(self.mounts(container)),
            memory: Some(memory),
            memory_swap: Some(memory),
            nano_cpus: Some(number(&self.task.definition.cpu) * 1_000_000_000 / 1_024),
            readonly_rootfs: Some(container.readonly_root_filesystem),
            log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
            ..Default::default()
        }
    }

    fn mounts(&self, container: &Container) -> Vec<Mount> {
        let mount = |mount: &crate::definitions::Mount| Mount {
            typ: Some(MountType::VOLUME),
            source: Some(self.volume(&mount.source_volume)),
            target: Some(mount.container_path.clone()),
            read_only: Some(mount.read_only),
            volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..Default::default() }),
            ..Default::default()
        };
        container.mount_points.iter().map(mount).collect()
    }
}

/// What the engine says, without what it is called by its client.
fn plain(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        other => other.to_string(),
    }
}

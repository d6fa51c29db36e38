//! What a task is, apart from whose: the task definition.
//!
//! Its family is named after a hash of all that it says, so that whoever needs
//! the same finds it, and nobody ever changes one.

use aws_sdk_ecs::{
    operation::register_task_definition::RegisterTaskDefinitionInput,
    types::{
        Compatibility, ContainerCondition, ContainerDefinition, ContainerDependency,
        CpuArchitecture, EphemeralStorage, HostVolumeProperties, LogConfiguration, LogDriver,
        MountPoint, NetworkMode, OsFamily, RepositoryCredentials, RuntimePlatform, Volume,
        builders::EphemeralStorageBuilder,
    },
};
use aws_smithy_types::error::operation::BuildError;
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::config::{Architecture, EcsConfig};
use crate::{agent, fargate::Size, platform::Launch};

/// The container that puts the agent in place and ends.
pub(super) const AGENT: &str = "agent";

/// The job's container.
pub(super) const MAIN: &str = "main";

/// Changes with what this file makes of a [`Definition`].
const FORM: u8 = 1;

/// What ECS grants between TERM and KILL at most, in seconds.
const MOST_STOP_SECONDS: u32 = 120;

/// What is granted beyond the grace, for collecting.
const COLLECT_SECONDS: u32 = 60;

/// Volumes: the agent's, its scratch, and what a read-only root has for `/tmp`.
const HOME: &str = "home";
const SCRATCH: &str = "scratch";
const TMP: &str = "tmp";
const TMP_PATH: &str = "/tmp";

/// All that tells one task definition from another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Definition<'a> {
    form: u8,
    image: &'a str,
    pull_secret: Option<&'a str>,
    agent_image: &'a str,
    execution_role: &'a str,
    cpu_units: u32,
    memory_mib: u32,
    disk_gib: Option<u16>,
    architecture: &'static str,
    user: Option<&'a str>,
    read_only_root: bool,
    stop_seconds: u32,
    log_group: Option<&'a str>,
    log_region: Option<&'a str>,
}

impl<'a> Definition<'a> {
    pub(super) fn new(launch: &'a Launch, size: Size, config: &'a EcsConfig) -> Self {
        let granted = launch.grace_seconds.saturating_add(COLLECT_SECONDS);
        Definition {
            form: FORM,
            image: &launch.image.digest,
            pull_secret: launch.image.pull_secret.as_deref(),
            agent_image: &config.agent_image,
            execution_role: &config.execution_role,
            cpu_units: size.cpu_units,
            memory_mib: size.memory_mib,
            disk_gib: config.disk_gib,
            architecture: config.architecture.as_str(),
            user: launch.user.as_deref(),
            read_only_root: launch.read_only_root,
            stop_seconds: granted.min(MOST_STOP_SECONDS),
            log_group: config.logs.as_ref().map(|logs| logs.group.as_str()),
            log_region: config.logs.as_ref().map(|logs| logs.region.as_str()),
        }
    }

    /// The family that says this and nothing else.
    pub(super) fn family(&self) -> String {
        // A struct of texts and numbers is always JSON, its fields in order.
        let said = serde_json::to_vec(self).unwrap_or_default();
        format!("tarpon-{}", &HEXLOWER.encode(&Sha256::digest(said))[..32])
    }

    /// What ECS is asked to register.
    pub(super) fn registration(
        &self,
        architecture: Architecture,
    ) -> Result<RegisterTaskDefinitionInput, BuildError> {
        let platform = RuntimePlatform::builder()
            .operating_system_family(OsFamily::Linux)
            .cpu_architecture(match architecture {
                Architecture::Amd64 => CpuArchitecture::X8664,
                Architecture::Arm64 => CpuArchitecture::Arm64,
            });
        let volumes = self.volumes().into_iter().map(|(name, _)| {
            Volume::builder().name(name).host(HostVolumeProperties::builder().build()).build()
        });
        let disk = self.disk_gib.map(|gib| EphemeralStorage::builder().size_in_gib(gib.into()));
        RegisterTaskDefinitionInput::builder()
            .family(self.family())
            .requires_compatibilities(Compatibility::Fargate)
            .network_mode(NetworkMode::Awsvpc)
            .cpu(self.cpu_units.to_string())
            .memory(self.memory_mib.to_string())
            .execution_role_arn(self.execution_role)
            .runtime_platform(platform.build())
            .set_ephemeral_storage(disk.map(EphemeralStorageBuilder::build))
            .set_volumes(Some(volumes.collect()))
            .container_definitions(self.agent()?)
            .container_definitions(self.main()?)
            .build()
    }

    /// Each volume and where it is mounted.
    fn volumes(&self) -> Vec<(&'static str, &'static str)> {
        let always = [(HOME, agent::HOME), (SCRATCH, agent::SCRATCH)];
        always.into_iter().chain(self.read_only_root.then_some((TMP, TMP_PATH))).collect()
    }

    fn mounts(&self, read_only: impl Fn(&str) -> bool) -> Vec<MountPoint> {
        let mount = |(name, path): (&str, &str)| {
            let mount = MountPoint::builder().source_volume(name).container_path(path);
            mount.read_only(read_only(name)).build()
        };
        self.volumes().into_iter().map(mount).collect()
    }

    fn agent(&self) -> Result<ContainerDefinition, BuildError> {
        let writable = self.volumes().into_iter().filter(|(name, _)| *name != HOME);
        let place = format!("{}/{}", agent::HOME, agent::PROGRAM);
        let command = [agent::INSTALL.to_owned(), place].into_iter();
        let command = command.chain(writable.map(|(_, path)| path.to_owned()));
        let container = ContainerDefinition::builder()
            .name(AGENT)
            .image(self.agent_image)
            .essential(false)
            .entry_point(agent::IN_IMAGE)
            .set_command(Some(command.collect()))
            // A new volume belongs to root.
            .user("0")
            .set_mount_points(Some(self.mounts(|_| false)))
            .set_log_configuration(self.logs()?);
        Ok(container.build())
    }

    fn main(&self) -> Result<ContainerDefinition, BuildError> {
        let after = ContainerDependency::builder()
            .container_name(AGENT)
            .condition(ContainerCondition::Success)
            .build()?;
        let secret = self
            .pull_secret
            .map(|secret| RepositoryCredentials::builder().credentials_parameter(secret).build());
        let container = ContainerDefinition::builder()
            .name(MAIN)
            .image(self.image)
            .set_repository_credentials(secret.transpose()?)
            .essential(true)
            .depends_on(after)
            .entry_point(format!("{}/{}", agent::HOME, agent::PROGRAM))
            .set_command(Some(Vec::new()))
            // The image's own may not be enterable; the plan has it.
            .working_directory("/")
            .set_user(self.user.map(str::to_owned))
            .readonly_root_filesystem(self.read_only_root)
            .stop_timeout(i32::try_from(self.stop_seconds).unwrap_or(i32::MAX))
            .set_mount_points(Some(self.mounts(|name| name == HOME)))
            .set_log_configuration(self.logs()?);
        Ok(container.build())
    }

    fn logs(&self) -> Result<Option<LogConfiguration>, BuildError> {
        let Some((group, region)) = self.log_group.zip(self.log_region) else { return Ok(None) };
        let logs = LogConfiguration::builder()
            .log_driver(LogDriver::Awslogs)
            .options("awslogs-group", group)
            .options("awslogs-region", region)
            .options("awslogs-stream-prefix", "tarpon")
            // What the agent has to say never keeps the job waiting.
            .options("mode", "non-blocking");
        logs.build().map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::runtime::samples;

    fn said(launch: &Launch, config: &EcsConfig) -> RegisterTaskDefinitionInput {
        let size = Size::fitting(launch.resources).unwrap();
        Definition::new(launch, size, config).registration(config.architecture).unwrap()
    }

    fn family(launch: &Launch, config: &EcsConfig) -> String {
        said(launch, config).family.unwrap()
    }

    #[test]
    fn what_says_the_same_has_one_family_whoever_launches_it() {
        let (launch, config) = (samples::launch(), samples::config());
        let mut other = Launch { token: "other".into(), ..launch.clone() };
        other.attempt.attempt.number += 1;
        other.labels.insert("task".into(), "other".into());
        assert_eq!(family(&launch, &config), family(&other, &config));
        assert_eq!(family(&launch, &config).len(), 39);
    }

    #[test]
    fn whatever_differs_makes_a_family_of_its_own() {
        let (launch, config) = (samples::launch(), samples::config());
        let mut launches = vec![launch.clone(); 6];
        launches[1].image.digest = format!("other@sha256:{}", "0".repeat(64));
        launches[2].resources.memory_mib = 2_048;
        launches[3].user = Some("7:8".into());
        launches[4].read_only_root = true;
        launches[5].image.pull_secret = Some("arn:secret".into());
        let arm = EcsConfig { architecture: Architecture::Arm64, ..config.clone() };
        let agent = EcsConfig { agent_image: "agent@sha256:1".into(), ..config.clone() };
        let disk = EcsConfig { disk_gib: Some(100), ..config.clone() };
        let by_launch = launches.iter().map(|launch| family(launch, &config));
        let by_config = [&arm, &agent, &disk].map(|config| family(&launch, config));
        let families: std::collections::BTreeSet<_> = by_launch.chain(by_config).collect();
        assert_eq!(families.len(), 9);
    }

    #[test]
    fn the_agent_comes_first_and_the_job_starts_from_it() {
        let (launch, config) = (samples::launch(), samples::config());
        let said = said(&launch, &config);
        let [agent, main] = said.container_definitions() else { panic!("two containers") };
        let command = ["install", "/.tarpon/agent", "/.tarpon-scratch"];
        assert_eq!(
            (agent.entry_point(), agent.command()),
            (&["/tarpon-agent".to_owned()][..], &command.map(str::to_owned)[..])
        );
        assert_eq!((agent.essential, main.essential), (Some(false), Some(true)));
        assert_eq!(main.depends_on()[0].condition(), &ContainerCondition::Success);
        assert_eq!(main.entry_point(), ["/.tarpon/agent"]);
        assert!(main.command.as_ref().is_some_and(Vec::is_empty));
        let mounts = main.mount_points().iter().map(|it| (it.container_path(), it.read_only));
        let expected = [(Some("/.tarpon"), Some(true)), (Some("/.tarpon-scratch"), Some(false))];
        assert_eq!(mounts.collect::<Vec<_>>(), expected);
        assert_eq!(said.task_role_arn, None, "a task has no rights of its own");
        assert_eq!(said.execution_role_arn(), Some(config.execution_role.as_str()));
        assert_eq!((said.cpu(), said.memory()), (Some("512"), Some("1024")));
    }

    #[test]
    fn a_read_only_root_still_has_a_tmp() {
        let launch = Launch { read_only_root: true, ..samples::launch() };
        let said = said(&launch, &samples::config());
        let [agent, main] = said.container_definitions() else { panic!("two containers") };
        assert_eq!(agent.command().last().map(String::as_str), Some("/tmp"));
        assert_eq!(main.mount_points()[2].container_path(), Some("/tmp"));
        assert_eq!(main.readonly_root_filesystem, Some(true));
    }

    #[test]
    fn the_grace_and_the_collecting_are_granted_as_far_as_they_may_be() {
        let stop = |grace_seconds| {
            let launch = Launch { grace_seconds, ..samples::launch() };
            said(&launch, &samples::config()).container_definitions()[1].stop_timeout
        };
        assert_eq!((stop(10), stop(60), stop(3_600)), (Some(70), Some(120), Some(120)));
    }
}

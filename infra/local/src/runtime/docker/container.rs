//! What an attempt's container is, and all that it may do.

use std::{collections::HashMap, path::Path};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType,
};
use shared::{
    agent,
    job::{AttemptKey, Resources},
    platform::Launch,
};

/// Which server's container it is.
pub(super) const INSTANCE: &str = "dev.tarpon.instance";
const PROJECT: &str = "dev.tarpon.project";
const ATTEMPT: &str = "dev.tarpon.attempt";
const CPU_MILLIS: &str = "dev.tarpon.cpu-millis";
const MEMORY_MIB: &str = "dev.tarpon.memory-mib";

/// Of Docker's default set, what no batch job needs: raw packets, device
/// nodes, the audit log, changing the root, file capabilities.
const DROPPED: [&str; 5] = ["NET_RAW", "MKNOD", "AUDIT_WRITE", "SYS_CHROOT", "SETFCAP"];

/// The most processes and threads in one container.
const PROCESSES: i64 = 4_096;

/// The machine out of memory ends a job before the server or the engine.
const OOM_SCORE: i64 = 500;

/// What an engine that shuts down grants beyond the grace, for collecting.
const COLLECT_SECONDS: u32 = 60;

/// What is the same for every container of this server.
pub(super) struct Surroundings<'a> {
    /// This data directory's label.
    pub(super) instance: &'a str,
    /// The folder with the agent and its socket.
    pub(super) home: &'a Path,
    /// Where the agent finds the service.
    pub(super) service: &'a str,
}

/// The container of an attempt, to be created under the attempt's id.
pub(super) fn body(
    launch: &Launch,
    network: String,
    scratch: &Path,
    around: &Surroundings<'_>,
) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(launch.image.digest.clone()),
        entrypoint: Some(vec![format!("{}/{}", agent::HOME, agent::PROGRAM)]),
        cmd: Some(Vec::new()),
        env: Some(vec![
            format!("{}={}", agent::ATTEMPT_VARIABLE, launch.attempt.attempt),
            format!("{}={}", agent::TOKEN_VARIABLE, launch.token),
            format!("{}={}", agent::SERVICE_VARIABLE, around.service),
        ]),
        user: launch.user.clone(),
        // The image's own may not exist or not be enterable; the plan has it.
        working_dir: Some("/".into()),
        // An image's health check would run its command beside the job.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..Default::default() }),
        stop_signal: Some("SIGTERM".into()),
        stop_timeout: Some(launch.grace_seconds.saturating_add(COLLECT_SECONDS).into()),
        labels: Some(labels(launch, around.instance)),
        host_config: Some(limits(launch, network, scratch, around.home)),
        ..Default::default()
    }
}

fn limits(launch: &Launch, network: String, scratch: &Path, home: &Path) -> HostConfig {
    let memory = i64::from(launch.resources.memory_mib) << 20;
    HostConfig {
        network_mode: Some(network),
        mounts: Some(vec![bind(home, agent::HOME, true), bind(scratch, agent::SCRATCH, false)]),
        memory: Some(memory),
        memory_swap: Some(memory),
        nano_cpus: Some(i64::from(launch.resources.cpu_millis) * 1_000_000),
        pids_limit: Some(PROCESSES),
        oom_score_adj: Some(OOM_SCORE),
        cap_drop: Some(DROPPED.map(str::to_owned).to_vec()),
        security_opt: Some(vec!["no-new-privileges".into()]),
        ipc_mode: Some("private".into()),
        init: Some(false),
        log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
        readonly_rootfs: Some(launch.read_only_root),
        // Programs expect to write there; what they write counts as memory.
        tmpfs: launch.read_only_root.then(|| HashMap::from([("/tmp".into(), "mode=1777".into())])),
        ..Default::default()
    }
}

fn bind(source: &Path, target: &str, read_only: bool) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.to_string_lossy().into_owned()),
        target: Some(target.to_owned()),
        read_only: Some(read_only),
        ..Default::default()
    }
}

fn labels(launch: &Launch, instance: &str) -> HashMap<String, String> {
    let theirs = launch.labels.clone();
    let ours = [
        (INSTANCE, instance.to_owned()),
        (PROJECT, launch.attempt.project.to_string()),
        (ATTEMPT, launch.attempt.attempt.to_string()),
        (CPU_MILLIS, launch.resources.cpu_millis.to_string()),
        (MEMORY_MIB, launch.resources.memory_mib.to_string()),
    ];
    theirs.into_iter().chain(ours.map(|(name, value)| (name.to_owned(), value))).collect()
}

/// Whose container has these labels, if it is an attempt's.
pub(super) fn attempt(labels: &HashMap<String, String>) -> Option<AttemptKey> {
    Some(AttemptKey {
        project: labels.get(PROJECT)?.parse().ok()?,
        attempt: labels.get(ATTEMPT)?.parse().ok()?,
    })
}

/// What a container with these labels may use.
pub(super) fn resources(labels: &HashMap<String, String>) -> Resources {
    let number = |name| labels.get(name).and_then(|text| text.parse().ok()).unwrap_or(0);
    Resources { cpu_millis: number(CPU_MILLIS), memory_mib: number(MEMORY_MIB) }
}

/// A filter for what belongs to this server.
pub(super) fn of_instance(instance: &str) -> HashMap<String, Vec<String>> {
    HashMap::from([("label".to_owned(), vec![format!("{INSTANCE}={instance}")])])
}

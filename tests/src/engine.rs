//! The container engine, as its own command line shows it.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Output},
};

use crate::{program, sha256};

/// Which label tells whose container it is.
const INSTANCE: &str = "dev.tarpon.instance";

/// Which label tells whose attempt it is.
const ATTEMPT: &str = "dev.tarpon.attempt";

/// The image that the stories' jobs run.
pub(crate) const PROBE: &str = "tarpon/probe";

/// Panics with what to do, if no engine answers.
pub(crate) fn require() {
    let doctor = program::workspace().join("infra/local/doctor.sh");
    let checked = Command::new(doctor).output().expect("the doctor can be asked");
    let said = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success(), "this story needs a container engine\n{said}");
}

/// Makes the probe's image, unless it is there and of the same program.
///
/// Every test is a process of its own and any may be the first; the lock lets
/// one of them do it.
pub(crate) fn build_probe() {
    let probe = program::probe();
    let digest = sha256(&fs::read(&probe).expect("the probe can be read"));
    let lock = File::create(std::env::temp_dir().join("tarpon-probe.lock"));
    let lock = lock.expect("the folder for temporary files can be written to");
    lock.lock().expect("a file can be locked");
    let label = "{{index .Config.Labels \"dev.tarpon.probe\"}}";
    let known = docker(&["image", "inspect", "--format", label, PROBE]);
    if known.status.success() && String::from_utf8_lossy(&known.stdout).trim() == digest {
        return;
    }
    let context = tempfile::tempdir().expect("a folder can be made");
    fs::copy(&probe, context.path().join("probe")).expect("the probe can be copied");
    let file = program::workspace().join("tests/probe/Dockerfile");
    let built = Command::new("docker")
        // The classic builder: every engine has it.
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", "--quiet", "--tag", PROBE, "--build-arg"])
        .arg(format!("DIGEST={digest}"))
        .arg("--file")
        .args([&file, context.path()])
        .output()
        .expect("docker can be run");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// What the server over `data` labels its containers and networks with.
fn label(data: &Path) -> Option<String> {
    let master = fs::read_to_string(data.join("master.key")).ok()?;
    let master = data_encoding::HEXLOWER.decode(master.trim().as_bytes()).ok()?;
    let instance = sha256(&[b"instance", &master[..]].concat());
    Some(format!("label={INSTANCE}={}", &instance[..16]))
}

/// Ids of the containers of the server over `data`, ended ones included.
pub(crate) fn containers(data: &Path) -> Vec<String> {
    let Some(label) = label(data) else { return Vec::new() };
    let listed = docker(&["ps", "--all", "--quiet", "--filter", &label]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect()
}

/// The container of an attempt, if it runs.
fn container(attempt: &str) -> String {
    let label = format!("label={ATTEMPT}={attempt}");
    let listed = docker(&["ps", "--quiet", "--filter", &label]);
    String::from_utf8_lossy(&listed.stdout).trim().to_owned()
}

/// Writes a file in the container of an attempt.
pub(crate) fn write(attempt: &str, path: &str) {
    let written = docker(&["exec", &container(attempt), "/probe", "write", path, ""]);
    assert!(written.status.success(), "{}", String::from_utf8_lossy(&written.stderr));
}

/// The first process of an attempt's container, as this machine numbers it.
pub(crate) fn first_process(attempt: &str) -> Option<u32> {
    let container = container(attempt);
    let found = docker(&["container", "inspect", "--format", "{{.State.Pid}}", &container]);
    let pid = String::from_utf8_lossy(&found.stdout).trim().parse().ok()?;
    (pid != 0).then_some(pid)
}

/// Kills the container of an attempt, agent and all; whether there is one.
pub fn kill(attempt: &str) -> bool {
    let running = docker(&["ps", "--quiet"]);
    let running = String::from_utf8_lossy(&running.stdout).into_owned();
    let variable = format!("TARPON_ATTEMPT={attempt}");
    let is_its = |container: &&str| {
        let variables = "{{range .Config.Env}}{{println .}}{{end}}";
        let found = docker(&["container", "inspect", "--format", variables, container]);
        String::from_utf8_lossy(&found.stdout).lines().any(|line| line == variable)
    };
    let found = running.lines().find(is_its);
    found.is_some_and(|container| docker(&["kill", container]).status.success())
}

/// Removes the containers and networks of the server over `data`.
pub(crate) fn clear(data: &Path) {
    let Some(label) = label(data) else { return };
    let left = containers(data);
    if !left.is_empty() {
        let force = ["rm", "--force", "--volumes"].into_iter();
        docker(&force.chain(left.iter().map(String::as_str)).collect::<Vec<_>>());
    }
    // Not pruned: an engine does that for one caller at a time.
    let networks = docker(&["network", "ls", "--quiet", "--filter", &label]);
    for network in String::from_utf8_lossy(&networks.stdout).lines() {
        docker(&["network", "rm", network]);
    }
}

fn docker(arguments: &[&str]) -> Output {
    Command::new("docker").args(arguments).output().expect("docker can be run")
}

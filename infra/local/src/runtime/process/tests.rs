//! The process runtime: the port's suite, and what is its own.

use std::{fs, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use shared::{
    conformance::runtime::{Act, Stage, TOTAL, attempt, launch_of, soon, tidy},
    job::{AttemptId, AttemptKey, Network, ProjectId, ResolvedImage},
    platform::{Launch, Runtime, RuntimeError, Sighting},
};
use tokio::sync::watch;

use super::{ProcessConfig, ProcessRuntime, record};
use crate::runtime::{Local, stand_in::StandIn};

mod port {
    use super::ProcessStage;

    shared::runtime_suite!(ProcessStage::new());
}

struct ProcessStage {
    config: ProcessConfig,
    local: Local,
    stand_in: StandIn,
    _folder: tempfile::TempDir,
}

impl ProcessStage {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let stand_in = StandIn::in_(&home, &home);
        let config = ProcessConfig {
            agent: home.join("agent"),
            folder: folder.path().join("attempts"),
            service: "unix:/socket".to_owned(),
            env: [("PATH".to_owned(), "/bin".to_owned())].into(),
            total: Some(TOTAL),
        };
        let local = ProcessRuntime::start(config.clone()).await.unwrap();
        ProcessStage { config, local, stand_in, _folder: folder }
    }

    fn folder(&self, attempt: AttemptKey) -> PathBuf {
        self.config.folder.join(format!("{}-{}", attempt.project, attempt.attempt))
    }

    async fn script(&self, number: u32, code: &str) -> Launch {
        let launch = launch_of(self, attempt(number), Act::Exit(0)).await;
        Launch { token: code.to_owned(), ..launch }
    }

    async fn says(&mut self, launch: &Launch) -> String {
        self.runtime().launch(launch).await.unwrap();
        self.hears().await
    }

    async fn hears(&mut self) -> String {
        soon("a word", self.stand_in.said()).await.1
    }
}

#[async_trait]
impl Stage for ProcessStage {
    fn runtime(&self) -> Arc<dyn Runtime> {
        self.local.runtime.clone()
    }

    async fn image(&self) -> ResolvedImage {
        let image = "any/thing:1".parse().unwrap();
        self.local.runtime.resolve(ProjectId::new([7; 16]), &image, None).await.unwrap()
    }

    fn token(&self, act: Act) -> String {
        StandIn::token(act)
    }

    async fn arrival(&mut self) -> AttemptId {
        self.stand_in.said().await.0
    }

    async fn death(&mut self) -> AttemptKey {
        self.local.deaths.recv().await.unwrap()
    }

    fn freed(&self) -> watch::Receiver<u64> {
        self.local.freed.clone()
    }

    async fn restart(&mut self) {
        self.local = ProcessRuntime::start(self.config.clone()).await.unwrap();
    }
}

#[tokio::test]
async fn the_agent_gets_its_own_variables_alone_and_a_folder_of_its_own() {
    let mut stage = ProcessStage::new().await;
    let code = r#"say "$TARPON_SERVICE $TARPON_SCRATCH $PWD $($home/busybox env | $home/busybox grep -c TARPON_) ${HOME-none}""#;
    let launch = stage.script(1, code).await;
    let said = stage.says(&launch).await;
    let folder = stage.folder(launch.attempt).canonicalize().unwrap();
    let folder = folder.display();
    assert_eq!(said, format!("unix:/socket {folder} {folder}/work 4 none"));
    tidy(&mut stage).await;
    assert!(!stage.folder(launch.attempt).exists());
}

#[tokio::test]
async fn what_the_agent_says_of_itself_is_kept_beside_its_record() {
    let mut stage = ProcessStage::new().await;
    let launch = stage.script(1, "echo trouble >&2; say up; forever").await;
    stage.says(&launch).await;
    let log = fs::read_to_string(stage.folder(launch.attempt).join("agent.log")).unwrap();
    let (first, rest) = log.split_once('\n').unwrap();
    assert!(first.starts_with("1 ") && first.len() == 63, "{first:?}");
    assert_eq!(rest, "trouble\n");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_user_cannot_be_had_and_a_network_is_not_kept_away() {
    let mut stage = ProcessStage::new().await;
    let plain = stage.script(1, "say up").await;
    let other = Launch { user: Some("7".into()), ..plain.clone() };
    let refused = stage.runtime().launch(&other).await;
    assert!(matches!(refused, Err(RuntimeError::Refused(_))), "{refused:?}");
    assert_eq!(plain.network, Network::None);
    assert_eq!(stage.says(&plain).await, "up");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_process_whose_pid_was_never_noted_is_found_by_its_lock() {
    let mut stage = ProcessStage::new().await;
    let launch = stage.script(1, "trap 'say bye; exit 0' TERM; say up; forever").await;
    stage.says(&launch).await;
    // As if the server had died between the start and the note.
    let file = stage.folder(launch.attempt).join("agent.log");
    let file = fs::OpenOptions::new().write(true).open(file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"1 0 500 64                  ", 0).unwrap();
    stage.restart().await;

    let key = launch.attempt;
    assert_eq!(stage.runtime().inspect(&[key]).await.unwrap(), [Sighting::Running]);
    stage.runtime().launch(&launch).await.unwrap();
    stage.runtime().stop(key, false).await.unwrap();
    assert_eq!(stage.hears().await, "bye");
    soon("a death", async { while stage.death().await != key {} }).await;
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_start_that_never_came_about_leaves_nothing_to_adopt() {
    let mut stage = ProcessStage::new().await;
    let launch = stage.script(1, "say up").await;
    let folder = stage.folder(launch.attempt);
    fs::create_dir_all(folder.join("work")).unwrap();
    drop(record::open(&folder, launch.resources).unwrap());
    stage.restart().await;
    assert_eq!(stage.runtime().list().await.unwrap(), []);
    assert!(!folder.exists());
    assert_eq!(stage.says(&launch).await, "up");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_folder_left_by_a_failed_launch_does_not_hinder_the_next() {
    let mut stage = ProcessStage::new().await;
    let agent = stage.config.agent.clone();
    let launch = stage.script(1, "say up; forever").await;
    fs::rename(&agent, agent.with_extension("away")).unwrap();
    let failed = stage.runtime().launch(&launch).await;
    assert!(matches!(failed, Err(RuntimeError::Unavailable(_))), "{failed:?}");
    fs::rename(agent.with_extension("away"), &agent).unwrap();
    assert_eq!(stage.says(&launch).await, "up");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_kill_ends_what_the_agent_has_started_as_well() {
    let mut stage = ProcessStage::new().await;
    let code = "$home/busybox sleep 1000 & say $!; trap '' TERM; forever";
    let launch = stage.script(1, code).await;
    let below = stage.says(&launch).await.parse().unwrap();
    let below = super::child::Child::of(rustix::process::Pid::from_raw(below).unwrap()).unwrap();
    stage.runtime().stop(launch.attempt, true).await.unwrap();
    soon("its end", below.ended()).await.unwrap();
    soon("a death", async { while stage.death().await != launch.attempt {} }).await;
    tidy(&mut stage).await;
}

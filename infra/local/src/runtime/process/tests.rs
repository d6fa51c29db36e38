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
    shared::machine_suite!(ProcessStage::new());
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
            total: TOTAL,
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
        self.local.room.freed()
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
async fn any_image_is_this_machine_and_its_commands() {
    let stage = ProcessStage::new().await;
    let image = stage.image().await;
    assert_eq!(image.argv(None, Some(&["true".to_owned()])), ["true"]);
    assert_eq!(
        image.env.get("PATH").cloned(),
        std::env::var_os("PATH").map(|p| p.into_string().unwrap())
    );
    assert_eq!((image.workdir.as_deref(), image.user), (Some("."), None));
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
    assert_eq!(stage.runtime().inspect(&[key.into()]).await.unwrap(), [Sighting::Running]);
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

/// This process's own CPU time: user and system, in hundredths of a second.
fn cpu_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let words: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    words[11].parse::<u64>().unwrap() + words[12].parse::<u64>().unwrap()
}

/// Run with `--ignored --nocapture`, on an otherwise idle machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures"]
async fn how_many_processes_start_in_a_second_and_what_that_costs() {
    const LAUNCHES: u32 = 3_000;
    const IN_FLIGHT: usize = 16;
    let mut stage = ProcessStage::new().await;
    // By this name, busybox does nothing.
    let agent = stage.config.agent.with_file_name("true");
    fs::copy(stage.config.agent.with_file_name("busybox"), &agent).unwrap();
    stage.config.agent = agent;
    stage.restart().await;
    let launch = stage.script(1, "").await;
    let (mut tasks, mut number, mut live) = (tokio::task::JoinSet::new(), 0, 0);
    let (begun, ticks) = (std::time::Instant::now(), cpu_ticks());
    for _ in 0..LAUNCHES {
        while live < IN_FLIGHT && number < LAUNCHES {
            number += 1;
            live += 1;
            let (runtime, launch) =
                (stage.runtime(), Launch { attempt: attempt(number), ..launch.clone() });
            tasks.spawn(async move { runtime.launch(&launch).await.map(|_| ()) });
        }
        let (dead, runtime) = (stage.death().await, stage.runtime());
        tasks.spawn(async move { runtime.forget(dead).await });
        live -= 1;
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap().unwrap();
    }
    let (seconds, ticks) = (begun.elapsed().as_secs_f64(), cpu_ticks() - ticks);
    println!(
        "{:.0} launches/s, {:.2} ms of this process's CPU each",
        f64::from(LAUNCHES) / seconds,
        f64::from(u32::try_from(ticks).unwrap()) * 10.0 / f64::from(LAUNCHES)
    );
}

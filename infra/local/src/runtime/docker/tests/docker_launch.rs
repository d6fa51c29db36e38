//! What a container is given and denied, and what becomes of a launch that is
//! refused or cut off.

use bollard::{
    models::ContainerInspectResponse,
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, InspectNetworkOptions,
    },
};
use shared::{
    conformance::runtime::{attempt, launch_of, soon, tidy},
    job::{Network, Resources},
    platform::{Launch, RuntimeError, Sighting},
};
use tokio::net::TcpListener;

use super::*;
use crate::runtime::docker::{container::Surroundings, network::Networks};

impl DockerStage {
    /// A launch of a stand-in that runs this shell code.
    async fn script(&self, number: u32, code: &str) -> Launch {
        let launch = launch_of(self, attempt(number), Act::Exit(0)).await;
        Launch { token: code.to_owned(), ..launch }
    }

    async fn says(&mut self, launch: &Launch) -> String {
        self.runtime().launch(launch).await.unwrap();
        let (attempt, text) = soon("a word", self.stand_in.said()).await;
        assert_eq!(attempt, launch.attempt.attempt);
        text
    }

    async fn details(&self, attempt: AttemptKey) -> ContainerInspectResponse {
        let name = self.container_name(attempt);
        self.client().inspect_container(&name, None::<InspectContainerOptions>).await.unwrap()
    }

    async fn refusal(&self, launch: &Launch) -> String {
        match self.runtime().launch(launch).await {
            Err(RuntimeError::Refused(why)) => why,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn the_agent_gets_its_own_variables_and_starts_at_the_root() {
    let mut stage = DockerStage::new().await;
    let code =
        r#"say "$TARPON_ATTEMPT $TARPON_SERVICE $PWD $(echo x >/.tarpon-scratch/x && echo wrote)""#;
    let launch = stage.script(1, code).await;
    let said = stage.says(&launch).await;
    assert_eq!(said, format!("{} unix:/.tarpon/socket / wrote", launch.attempt.attempt));
    tidy(&mut stage).await;
}

#[tokio::test]
async fn the_images_user_runs_the_agent_unless_another_is_asked_for() {
    let mut stage = DockerStage::new().await;
    let code = r#"say "$($home/busybox id -u):$($home/busybox id -g)""#;
    let launch = stage.script(1, code).await;
    assert_eq!(stage.says(&launch).await, "7:8");
    let other = Launch { user: Some("0:5".into()), ..stage.script(2, code).await };
    assert_eq!(stage.says(&other).await, "0:5");
    let named = Launch { user: Some("daemon".into()), ..stage.script(3, code).await };
    assert_eq!(stage.says(&named).await, "7:8");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_container_has_few_capabilities_and_gains_none() {
    let mut stage = DockerStage::new().await;
    let code = r#"say "$($home/busybox grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status | $home/busybox tr '\n\t' '  ')""#;
    let launch = Launch { user: Some("0".into()), ..stage.script(1, code).await };
    let said = stage.says(&launch).await;
    // chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap,
    // net_bind_service: Docker's default set (a80425fb) less ours.
    assert!(said.contains("CapBnd: 00000000000005fb"), "{said}");
    assert!(said.contains("NoNewPrivs: 1") && said.contains("Seccomp: 2"), "{said}");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn limits_are_set_as_asked() {
    let stage = DockerStage::new().await;
    let mut launch = stage.script(1, "say up; forever").await;
    launch.resources = Resources { cpu_millis: 250, memory_mib: 48 };
    launch.labels.insert("job".into(), "a".into());
    launch.labels.insert(container::INSTANCE.into(), "not ours".into());
    stage.runtime().launch(&launch).await.unwrap();
    let details = stage.details(launch.attempt).await;
    let host = details.host_config.unwrap();
    assert_eq!((host.memory, host.memory_swap), (Some(48 << 20), Some(48 << 20)));
    assert_eq!((host.nano_cpus, host.pids_limit), (Some(250_000_000), Some(4_096)));
    assert_eq!(host.log_config.unwrap().typ.as_deref(), Some("none"));
    let labels = details.config.unwrap().labels.unwrap();
    assert_eq!(labels["job"], "a");
    assert_eq!(labels[container::INSTANCE], stage.config.instance);
}

#[tokio::test]
async fn a_read_only_root_takes_no_file_but_in_tmp() {
    let mut stage = DockerStage::new().await;
    let code = r#"w() { (echo x >$1/x) 2>/dev/null && echo -n "$1 "; }; say "$(w /; w /etc; w /.tarpon; w /tmp; w /.tarpon-scratch)""#;
    let plain = Launch { user: Some("0".into()), ..stage.script(1, code).await };
    assert_eq!(stage.says(&plain).await.trim(), "/ /etc /.tarpon-scratch");
    let mut locked = Launch { user: Some("0".into()), ..stage.script(2, code).await };
    locked.read_only_root = true;
    assert_eq!(stage.says(&locked).await.trim(), "/tmp /.tarpon-scratch");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn without_network_there_is_only_loopback() {
    let mut stage = DockerStage::new().await;
    let code = "say $($home/busybox ip -o link | $home/busybox wc -l)";
    let launch = stage.script(1, code).await;
    assert_eq!(stage.says(&launch).await, "1");
    let least = Launch { network: Network::Least, ..stage.script(3, code).await };
    assert_eq!(stage.says(&least).await, "1");
    let egress = Launch { network: Network::Egress, ..stage.script(2, code).await };
    assert_eq!(stage.says(&egress).await, "2");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn containers_with_egress_reach_neither_each_other_nor_this_machine() {
    let mut stage = DockerStage::new().await;
    let here = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = here.local_addr().unwrap().port();
    let serve =
        r#"$home/busybox nc -l -p 7777 </dev/null & say "$($home/busybox hostname -i)"; forever"#;
    let served = Launch { network: Network::Egress, ..stage.script(1, serve).await };
    let neighbour = stage.says(&served).await;

    let try_all = format!(
        r#"gate=$($home/busybox ip route | $home/busybox awk '/default/ {{ print $3 }}')
        t() {{
            $home/busybox timeout 3 $home/busybox nc -w 2 $1 $2 </dev/null >/dev/null 2>&1
            [ $? = 1 ] || echo -n "$1:$2 "
        }}
        say "tried $gate $(t $gate {port}; t {neighbour} 7777; t 127.0.0.1 7777)""#
    );
    let tries = Launch { network: Network::Egress, ..stage.script(2, &try_all).await };
    let said = stage.says(&tries).await;
    assert!(said.starts_with("tried 1"), "there is no default route: {said}");
    assert_eq!(said.split_whitespace().count(), 2, "reached: {said}");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_network_that_somebody_removed_is_made_again() {
    let mut stage = DockerStage::new().await;
    let first = Launch { network: Network::Egress, ..stage.script(1, "say up").await };
    stage.says(&first).await;
    stage.runtime().forget(first.attempt).await.unwrap();
    let name = format!("tarpon-{}-{}", stage.config.instance, first.attempt.project);
    stage.client().remove_network(&name).await.unwrap();
    let second = Launch { network: Network::Egress, ..stage.script(2, "say up").await };
    assert_eq!(stage.says(&second).await, "up");
    tidy(&mut stage).await;
}

#[tokio::test]
#[ignore = "takes every network that the engine has"]
async fn networks_of_idle_projects_are_given_up_when_there_are_no_more() {
    let stage = DockerStage::new().await;
    let networks = Networks::new(stage.client(), &stage.config.instance, false);
    for number in 0..40 {
        let project = ProjectId::new([number; 16]);
        let mode = networks.mode(project, Network::Egress).await.unwrap();
        assert!(stage.client().inspect_network(&mode, None::<InspectNetworkOptions>).await.is_ok());
    }
}

#[tokio::test]
async fn a_refused_launch_says_why_and_leaves_nothing() {
    let mut stage = DockerStage::new().await;
    let plain = stage.script(1, "say up").await;
    let nobody = Launch { user: Some("nobody-here".into()), ..plain.clone() };
    let why = stage.refusal(&nobody).await;
    assert_eq!(why, "unable to find user nobody-here: no matching entries in passwd file");
    assert_eq!(stage.runtime().list().await.unwrap(), []);

    let mut tiny = plain.clone();
    tiny.resources.memory_mib = 1;
    let why = stage.refusal(&tiny).await;
    assert!(why.contains("memory"), "{why}");

    let mut vanished = plain.clone();
    vanished.image.digest = format!("sha256:{}", "0".repeat(64));
    let why = stage.refusal(&vanished).await;
    assert!(why.contains("No such image"), "{why}");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn an_agent_that_is_not_there_is_refused() {
    let mut stage = DockerStage::new().await;
    let launch = stage.script(1, "say up").await;
    fs::remove_file(stage.stand_in.home().join("agent")).unwrap();
    let why = stage.refusal(&launch).await;
    assert_eq!(why, "exec: \"/.tarpon/agent\": stat /.tarpon/agent: no such file or directory");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_launch_that_was_cut_off_before_the_start_is_finished() {
    let mut stage = DockerStage::new().await;
    let launch = stage.script(1, "say up").await;
    let scratch = stage.config.scratch.join("x");
    fs::create_dir(&scratch).unwrap();
    let around = Surroundings {
        instance: &stage.config.instance,
        home: &stage.config.home,
        service: &stage.config.service,
    };
    let body = container::body(&launch, "none".into(), &scratch, &around);
    let name = stage.container_name(launch.attempt);
    let options = CreateContainerOptionsBuilder::new().name(&name).build();
    stage.client().create_container(Some(options), body).await.unwrap();
    let seen = stage.runtime().inspect(&[launch.attempt.into(), attempt(2).into()]).await.unwrap();
    assert_eq!(seen, [Sighting::Pending, Sighting::Gone]);
    assert_eq!(
        stage.runtime().inspect(&[launch.attempt.into()]).await.unwrap(),
        [Sighting::Pending]
    );

    assert_eq!(stage.says(&launch).await, "up");
    tidy(&mut stage).await;
}

#[tokio::test]
async fn a_scratch_folder_without_a_container_is_found_and_removed() {
    let mut stage = DockerStage::new().await;
    let key = attempt(1);
    let folder = stage.config.scratch.join(format!("{}-{}", key.project, key.attempt));
    fs::create_dir(&folder).unwrap();
    assert_eq!(stage.runtime().list().await.unwrap(), [key]);
    assert_eq!(stage.runtime().inspect(&[key.into()]).await.unwrap(), [Sighting::Gone]);
    tidy(&mut stage).await;
    assert!(!folder.exists());
}

#[tokio::test]
async fn servers_on_one_engine_do_not_see_each_other() {
    let mut one = DockerStage::new().await;
    let other = DockerStage::new().await;
    let launch = one.script(1, "trap '' TERM; say up; forever").await;
    one.says(&launch).await;
    assert_eq!(other.runtime().list().await.unwrap(), []);
    other.runtime().stop(launch.attempt, true).await.unwrap();
    other.runtime().forget(launch.attempt).await.unwrap();
    assert_eq!(one.runtime().inspect(&[launch.attempt.into()]).await.unwrap(), [Sighting::Running]);
    tidy(&mut one).await;
}

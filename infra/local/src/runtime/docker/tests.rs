//! The Docker runtime on this machine's engine: the port's suite, and what is
//! its own. Everything here needs an engine and fails without one.

use std::{fs, path::Path, sync::Arc};

use async_trait::async_trait;
use bollard::{
    Docker, body_full,
    query_parameters::{
        CreateImageOptionsBuilder, ListContainersOptionsBuilder, ListNetworksOptionsBuilder,
        RemoveContainerOptionsBuilder,
    },
};
use futures::TryStreamExt;
use shared::{
    agent,
    conformance::runtime::{Act, Stage, TOTAL},
    job::{AttemptId, AttemptKey, ProjectId, ResolvedImage},
    platform::Runtime,
};
use tokio::sync::watch;

use super::{Cidr, DockerConfig, DockerRuntime, Guard, container};
use crate::runtime::{Engine, Local, detect, stand_in::StandIn};

mod docker_images;
mod docker_launch;
mod docker_measure;

mod docker_port {
    use super::DockerStage;

    shared::runtime_suite!(DockerStage::new());
    shared::machine_suite!(DockerStage::new());
    shared::container_suite!(DockerStage::new());
}

/// An image with nothing in it but a list of users.
const IMAGE: &str = "tarpon-stand-in:1";

struct DockerStage {
    engine: Engine,
    config: DockerConfig,
    local: Local,
    stand_in: StandIn,
    _folder: tempfile::TempDir,
}

impl DockerStage {
    async fn new() -> Self {
        Self::with(Vec::new()).await
    }

    async fn with(registries: Vec<Cidr>) -> Self {
        let host = std::env::var_os("DOCKER_HOST").and_then(|host| host.into_string().ok());
        let engine = detect(host.as_deref()).await;
        let engine = engine.expect("these tests need a container engine");
        let folder = tempfile::Builder::new().prefix("t").rand_bytes(10).tempdir().unwrap();
        let stand_in = StandIn::in_(&folder.path().join("home"), Path::new(agent::HOME));
        let name = folder.path().file_name().unwrap().to_str().unwrap();
        let config = DockerConfig {
            instance: name.to_lowercase(),
            home: stand_in.home().to_owned(),
            scratch: folder.path().join("scratch"),
            service: "unix:/.tarpon/socket".to_owned(),
            total: Some(TOTAL),
            registries: Guard::new(registries),
            shield: true,
        };
        let local = DockerRuntime::connect(&engine, config.clone()).await.unwrap();
        ensure_image(&engine.client()).await;
        DockerStage { engine, config, local, stand_in, _folder: folder }
    }

    fn client(&self) -> Docker {
        self.engine.client()
    }

    fn container_name(&self, attempt: AttemptKey) -> String {
        format!("{}-{}", attempt.attempt, self.config.instance)
    }
}

#[async_trait]
impl Stage for DockerStage {
    fn runtime(&self) -> Arc<dyn Runtime> {
        self.local.runtime.clone()
    }

    async fn image(&self) -> ResolvedImage {
        let image = IMAGE.parse().unwrap();
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
        self.local = DockerRuntime::connect(&self.engine, self.config.clone()).await.unwrap();
    }
}

impl Drop for DockerStage {
    /// A check that fails leaves containers behind. There is no waiting in a
    /// drop, hence the thread with a runtime of its own.
    fn drop(&mut self) {
        let (engine, instance) = (self.engine.clone(), self.config.instance.clone());
        let sweep = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(sweep(&engine.client(), &instance));
        };
        let _ = std::thread::spawn(sweep).join();
    }
}

async fn sweep(engine: &Docker, instance: &str) {
    let filters = container::of_instance(instance);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    for found in engine.list_containers(Some(options)).await.unwrap_or_default() {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let _ = engine.remove_container(&found.id.unwrap_or_default(), Some(options)).await;
    }
    // Not pruned: an engine does that for one caller at a time.
    let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
    for found in engine.list_networks(Some(options)).await.unwrap_or_default() {
        let _ = engine.remove_network(&found.name.unwrap_or_default()).await;
    }
}

async fn ensure_image(engine: &Docker) {
    // Tests run side by side; two imports would leave an image without a name.
    let turn = fs::File::create(std::env::temp_dir().join("tarpon-stand-in.lock")).unwrap();
    let locked = tokio::task::spawn_blocking(move || turn.lock().map(|()| turn));
    let _turn = locked.await.unwrap().unwrap();
    if engine.inspect_image(IMAGE).await.is_ok() {
        return;
    }
    import(engine, IMAGE, &["USER 7:8"]).await;
}

/// Makes an image of one small file, with these Dockerfile instructions.
async fn import(engine: &Docker, name: &str, changes: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let passwd = folder.path().join("passwd");
    fs::write(&passwd, "root:x:0:0::/:/\ndaemon:x:7:8::/:/\n").unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_path_with_name(&passwd, "etc/passwd").unwrap();
    let body = body_full(tar.into_inner().unwrap().into());
    let changes = changes.iter().map(|change| (*change).to_owned()).collect();
    let options = CreateImageOptionsBuilder::new().from_src("-").repo(name);
    let made = engine.create_image(Some(options.changes(changes).build()), Some(body), None);
    made.try_collect::<Vec<_>>().await.unwrap();
}

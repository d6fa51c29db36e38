//! Debian's `docker-registry`, on a port of its own.

use std::{fs, process::Stdio};

use bollard::{
    Docker,
    query_parameters::{
        ListImagesOptionsBuilder, PushImageOptionsBuilder, RemoveImageOptionsBuilder,
    },
};
use futures::TryStreamExt;
use shared::{conformance::runtime::soon, job::ImageReference};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::agent::import;

/// `alice` and her password, `p+?>~ss`, as a registry keeps it.
const USERS: &str = "alice:$2y$05$jpQb7eaWTWgdppo1eZoM/OJDEGkWe59FEYELo4HXnIbnU2O5TmTN.\n";

/// A registry.
pub struct Registry {
    pub host: String,
    _folder: tempfile::TempDir,
    _process: Child,
}

impl Registry {
    /// One that lets everybody in.
    pub async fn start() -> Self {
        Registry::with("").await
    }

    /// One that lets `alice` in.
    pub async fn guarded() -> Self {
        Registry::with("auth: {htpasswd: {realm: test, path: USERS}}\n").await
    }

    async fn with(access: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("users"), USERS).unwrap();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '127.0.0.1:0'}}\n{}",
            path("data"),
            access.replace("USERS", &path("users")),
        );
        fs::write(path("config"), config).unwrap();
        let mut command = Command::new("docker-registry");
        command.args(["serve", &path("config")]).stderr(Stdio::piped()).kill_on_drop(true);
        let process = command.stdout(Stdio::null()).spawn();
        let mut process = process.expect("these tests need Debian's package docker-registry");
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let host = soon("a registry", async {
            loop {
                let line = log.next_line().await.unwrap().expect("it says where it listens");
                if let Some((_, rest)) = line.split_once("listening on ") {
                    return rest.split(['"', ' ', ',']).next().unwrap().to_owned();
                }
            }
        })
        .await;
        // What it logs from now on has to go somewhere.
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Registry { host, _folder: folder, _process: process }
    }

    /// Pushes an image of nothing but a list of users, of which this machine
    /// then keeps nothing.
    pub async fn push(&self, engine: &Docker) -> ImageReference {
        let name = format!("{}/team/tool", self.host);
        let users = b"root:x:0:0::/:/\ndaemon:x:7:8::/:/\n";
        import(engine, &format!("{name}:1"), &[("etc/passwd", users)], &["USER 7:8"]).await;
        let options = PushImageOptionsBuilder::new().tag("1").build();
        let pushed = engine.push_image(&name, Some(options), None);
        let said = pushed.try_collect::<Vec<_>>().await.unwrap();
        let faults = said.iter().filter_map(|line| line.error_detail.as_ref()).collect::<Vec<_>>();
        assert!(faults.is_empty(), "{faults:?}");
        drop_local(engine, &self.host).await;
        format!("{name}:1").parse().unwrap()
    }
}

/// Removes what this machine has of a registry's.
async fn drop_local(engine: &Docker, host: &str) {
    let all = ListImagesOptionsBuilder::new().all(true).build();
    for found in engine.list_images(Some(all)).await.unwrap_or_default() {
        let names = found.repo_tags.iter().chain(&found.repo_digests);
        for name in names.filter(|name| name.starts_with(host)) {
            let options = RemoveImageOptionsBuilder::new().force(true).build();
            let _ = engine.remove_image(name, Some(options), None).await;
        }
    }
}

impl Drop for Registry {
    /// There is no waiting in a drop, hence the thread with a runtime of its own.
    fn drop(&mut self) {
        let host = self.host.clone();
        let sweep = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let engine = Docker::connect_with_defaults().unwrap().negotiate_version().await;
                drop_local(&engine.unwrap(), &host).await;
            });
        };
        let _ = std::thread::spawn(sweep).join();
    }
}

//! Images of this machine, and of a registry that asks who wants them.

use std::process::Stdio;

use bollard::query_parameters::{
    PushImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use shared::{
    conformance::runtime::{attempt, launch_of, soon, tidy},
    job::ImageReference,
    platform::{RegistryCredentials, ResolveError},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::*;
use crate::runtime::docker::image::{EngineKind, Images};

/// Debian's `docker-registry`, on a port of its own, that knows one user.
struct Registry {
    host: String,
    _folder: tempfile::TempDir,
    _process: Child,
}

/// `alice` and her password, as a registry keeps it. The password's base 64 has
/// characters that differ between the two alphabets.
const USERS: &str = "alice:$2y$05$jpQb7eaWTWgdppo1eZoM/OJDEGkWe59FEYELo4HXnIbnU2O5TmTN.\n";

fn alice() -> RegistryCredentials {
    RegistryCredentials { username: "alice".into(), password: "p+?>~ss".into() }
}

impl Registry {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("users"), USERS).unwrap();
        let config = format!(
            "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
             http: {{addr: '127.0.0.1:0'}}\nauth: {{htpasswd: {{realm: test, path: {}}}}}\n",
            path("data"),
            path("users"),
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

    /// Pushes a new image, of which this machine then keeps nothing.
    async fn push(&self, engine: &Docker, changes: &[&str]) -> ImageReference {
        let name = format!("{}/team/tool", self.host);
        import(engine, &format!("{name}:1"), changes).await;
        let options = PushImageOptionsBuilder::new().tag("1").build();
        let login = bollard::auth::DockerCredentials {
            username: Some(alice().username),
            password: Some(alice().password),
            ..Default::default()
        };
        let pushed = engine.push_image(&name, Some(options), Some(login));
        let said = pushed.try_collect::<Vec<_>>().await.unwrap();
        let faults = said.iter().filter_map(|line| line.error_detail.as_ref()).collect::<Vec<_>>();
        assert!(faults.is_empty(), "{faults:?}");
        self.drop_local(engine).await;
        format!("{name}:1").parse().unwrap()
    }

    async fn drop_local(&self, engine: &Docker) {
        let all = bollard::query_parameters::ListImagesOptionsBuilder::new().all(true).build();
        for found in engine.list_images(Some(all)).await.unwrap() {
            let names = found.repo_tags.iter().chain(&found.repo_digests);
            if names.clone().any(|name| name.starts_with(&self.host)) {
                let options = RemoveImageOptionsBuilder::new().force(true).build();
                let _ = engine.remove_image(&found.id, Some(options), None).await;
            }
        }
    }
}

fn project(number: u8) -> ProjectId {
    ProjectId::new([number; 16])
}

async fn with_registry() -> (DockerStage, Registry) {
    let stage = DockerStage::with(vec!["127.0.0.0/8".parse().unwrap()]).await;
    (stage, Registry::start().await)
}

#[tokio::test]
async fn an_image_of_this_machine_goes_by_its_id_and_tells_all_it_has() {
    let stage = DockerStage::new().await;
    let engine = stage.client();
    let name = format!("{}:1", stage.config.instance);
    let changes = [
        r#"ENTRYPOINT ["/entry", "a"]"#,
        r#"CMD ["b"]"#,
        "ENV X=1=2",
        "WORKDIR /work",
        "USER 7:8",
        "VOLUME /data",
    ];
    import(&engine, &name, &changes).await;
    let resolve = async |text: &str| {
        stage.runtime().resolve(project(1), &text.parse().unwrap(), None).await.unwrap()
    };
    let found = resolve(&name).await;
    assert_eq!(Some(found.digest.clone()), engine.inspect_image(&name).await.unwrap().id);
    assert_eq!(
        (found.entrypoint.join(" "), found.command.join(" ")),
        ("/entry a".into(), "b".into())
    );
    assert_eq!(found.env["X"], "1=2");
    assert_eq!((found.workdir.as_deref(), found.user.as_deref()), (Some("/work"), Some("7:8")));
    assert!(found.platform.starts_with("linux/"), "{}", found.platform);
    assert_eq!(resolve(&found.digest).await, found);
    engine
        .remove_image(&name, None::<bollard::query_parameters::RemoveImageOptions>, None)
        .await
        .unwrap();
}

#[tokio::test]
async fn an_image_of_a_registry_is_pulled_and_run_by_its_digest() {
    let (mut stage, registry) = with_registry().await;
    let image = registry.push(&stage.client(), &["USER 7:8", "ENV X=1"]).await;
    let runtime = stage.runtime();
    let alice = alice();
    let (one, two) = tokio::join!(
        runtime.resolve(project(1), &image, Some(&alice)),
        runtime.resolve(project(1), &image, Some(&alice)),
    );
    let found = one.unwrap();
    assert_eq!(found, two.unwrap());
    let name = image.as_str().strip_suffix(":1").unwrap();
    assert!(found.digest.starts_with(&format!("{name}@sha256:")), "{}", found.digest);
    assert_eq!((found.env["X"].as_str(), found.user.as_deref()), ("1", Some("7:8")));

    let pinned: ImageReference = found.digest.parse().unwrap();
    assert_eq!(runtime.resolve(project(1), &pinned, Some(&alice)).await.unwrap(), found);

    let mut launch = launch_of(&stage, attempt(1), Act::Exit(0)).await;
    launch.image = found;
    runtime.launch(&launch).await.unwrap();
    soon("an arrival", stage.arrival()).await;
    tidy(&mut stage).await;
    registry.drop_local(&stage.client()).await;
}

#[tokio::test]
async fn what_one_project_has_pulled_is_denied_to_another_without_access() {
    let (stage, registry) = with_registry().await;
    let image = registry.push(&stage.client(), &[]).await;
    let runtime = stage.runtime();
    let found = runtime.resolve(project(1), &image, Some(&alice())).await.unwrap();
    let id = stage.client().inspect_image(&found.digest).await.unwrap().id.unwrap();

    let wrong = RegistryCredentials { username: "alice".into(), password: "guess".into() };
    let alias = format!("{}:2", stage.config.instance);
    let (repository, tag) = alias.split_once(':').unwrap();
    let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
    stage.client().tag_image(&id, Some(options)).await.unwrap();
    for name in [image.as_str(), &found.digest, &id, &alias] {
        let name: ImageReference = name.parse().unwrap();
        for credentials in [None, Some(&wrong)] {
            let denied = runtime.resolve(project(2), &name, credentials).await;
            assert!(matches!(denied, Err(ResolveError::Denied(_))), "{name}: {denied:?}");
            let denied = runtime.resolve(project(1), &name, credentials).await;
            assert!(matches!(denied, Err(ResolveError::Denied(_))), "{name}: {denied:?}");
        }
        assert!(runtime.resolve(project(2), &name, Some(&alice())).await.is_ok(), "{name}");
    }
    registry.drop_local(&stage.client()).await;
}

#[tokio::test]
async fn a_tag_that_its_registry_does_not_have_is_not_found() {
    let (stage, registry) = with_registry().await;
    let image: ImageReference = format!("{}/team/none:1", registry.host).parse().unwrap();
    let asked = stage.runtime().resolve(project(1), &image, Some(&alice())).await;
    assert!(matches!(asked, Err(ResolveError::NotFound(_))), "{asked:?}");
}

#[tokio::test]
async fn a_registry_that_is_away_is_told_from_one_that_refuses() {
    let stage = DockerStage::with(vec!["127.0.0.0/8".parse().unwrap()]).await;
    // Discard's port: nobody listens there.
    let image: ImageReference = "127.0.0.1:9/team/tool:1".parse().unwrap();
    let asked = stage.runtime().resolve(project(1), &image, None).await;
    assert!(matches!(asked, Err(ResolveError::Unavailable(_))), "{asked:?}");
}

#[tokio::test]
async fn a_registry_inside_is_out_of_bounds_unless_allowed() {
    let stage = DockerStage::new().await;
    for host in ["127.0.0.1:5000", "169.254.169.254", "10.0.0.1:80", "localhost:1"] {
        let image: ImageReference = format!("{host}/team/tool:1").parse().unwrap();
        let asked = stage.runtime().resolve(project(1), &image, None).await;
        let why = match asked {
            Err(ResolveError::Unusable { why, .. }) => why,
            other => panic!("{host}: {other:?}"),
        };
        assert!(why.contains("is not allowed"), "{why}");
    }
}

#[tokio::test]
async fn an_image_for_another_platform_is_unusable() {
    let (stage, registry) = with_registry().await;
    let engine = stage.client();
    let image = registry.push(&engine, &[]).await;
    let runtime = stage.runtime();
    let found = runtime.resolve(project(1), &image, Some(&alice())).await.unwrap();
    // The same image on a machine that is of another kind.
    let kind = EngineKind { platform: "linux/other".into(), tells_origin: true };
    let other = Images::new(engine.clone(), kind, stage.config.registries.clone());
    for name in [image.as_str(), IMAGE] {
        let asked = other.resolve(project(1), &name.parse().unwrap(), Some(&alice())).await;
        let why = match asked {
            Err(ResolveError::Unusable { why, .. }) => why,
            other => panic!("{name}: {other:?}"),
        };
        assert_eq!(why, format!("it is for {}, and this machine is linux/other", found.platform));
    }
    registry.drop_local(&engine).await;
}

#[tokio::test]
async fn where_every_image_has_a_digest_a_tag_makes_it_the_machines() {
    let (stage, registry) = with_registry().await;
    let engine = stage.client();
    let image = registry.push(&engine, &[]).await;
    let found = stage.runtime().resolve(project(1), &image, Some(&alice())).await.unwrap();
    let id = engine.inspect_image(&found.digest).await.unwrap().id.unwrap();
    let kind = EngineKind { platform: found.platform.clone(), tells_origin: false };
    let images = Images::new(engine.clone(), kind, stage.config.registries.clone());

    // Ours, by digest alone.
    let denied = images.resolve(project(2), &id.parse().unwrap(), None).await;
    assert!(matches!(denied, Err(ResolveError::Denied(_))), "{denied:?}");
    // The operator's, who has named it here.
    let options = TagImageOptionsBuilder::new().repo(&stage.config.instance).tag("1").build();
    engine.tag_image(&id, Some(options)).await.unwrap();
    let name = format!("{}:1", stage.config.instance).parse().unwrap();
    assert_eq!(images.resolve(project(2), &name, None).await.unwrap().digest, id);
    registry.drop_local(&engine).await;
}

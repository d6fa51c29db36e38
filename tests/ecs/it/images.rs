//! What registries are asked, and what is made of their answers.

use std::sync::Arc;

use shared::{
    aws::registry::{Registry, RegistryConfig},
    guard::Guard,
    job::{ImageReference, ProjectId, ResolvedImage},
    platform::{RegistryCredentials, ResolveError},
};

use crate::{registry, shelf::Shelf, stage::SystemClock};

fn registry_at(allowed: &[&str]) -> Registry {
    let config = RegistryConfig {
        guard: Guard::new(allowed.iter().map(|range| range.parse().unwrap()).collect()),
        architecture: "amd64",
        calls: None,
        secrets: None,
    };
    Registry::new(config, Arc::new(SystemClock))
}

fn open() -> Registry {
    registry_at(&["127.0.0.1"])
}

fn alice() -> RegistryCredentials {
    RegistryCredentials { username: "alice".into(), password: "p+?>~ss".into() }
}

fn project(number: u8) -> ProjectId {
    ProjectId::new([number; 16])
}

async fn found(registry: &Registry, image: &ImageReference) -> ResolvedImage {
    registry.resolve(project(1), image, None).await.unwrap()
}

async fn unusable(registry: &Registry, image: &ImageReference) -> String {
    match registry.resolve(project(1), image, None).await {
        Err(ResolveError::Unusable { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_image_tells_all_it_has_and_is_pinned_by_its_digest() {
    let shelf = Shelf::open().await;
    let digest = shelf.put_image("amd64", "7:8");
    shelf.tag("1", &digest);
    let image = found(&open(), &shelf.image(":1")).await;
    assert_eq!(image.digest, format!("{}/team/tool@{digest}", shelf.host));
    let words = (image.entrypoint.join(" "), image.command.join(" "));
    assert_eq!(words, ("/entry a".into(), "b".into()));
    assert_eq!((image.env["PATH"].as_str(), image.env["X"].as_str()), ("/bin", "1=2"));
    assert_eq!((image.workdir.as_deref(), image.user.as_deref()), (Some("/work"), Some("7:8")));
    assert_eq!(image.platform, "linux/amd64");
    let pinned = image.digest.parse().unwrap();
    assert_eq!(found(&open(), &pinned).await, image);
}

#[tokio::test]
async fn an_index_is_pinned_whole_and_read_for_our_platform() {
    let shelf = Shelf::open().await;
    let (ours, other) = (shelf.put_image("amd64", "1"), shelf.put_image("arm64", "2"));
    let index = shelf.put_index(&[
        ("sha256:0", "unknown", "unknown"),
        (&other, "linux", "arm64"),
        (&ours, "linux", "amd64"),
    ]);
    shelf.tag("latest", &index);
    let image = found(&open(), &shelf.image("")).await;
    assert_eq!(image.digest, format!("{}/team/tool@{index}", shelf.host));
    assert_eq!(image.user.as_deref(), Some("1"));
}

#[tokio::test]
async fn what_is_for_other_platforms_is_unusable_and_says_for_which() {
    let shelf = Shelf::open().await;
    let single = shelf.put_image("arm64", "");
    let index = shelf.put_index(&[(&single, "linux", "arm64"), ("sha256:0", "unknown", "unknown")]);
    let expected = "it is for linux/arm64, and tasks run on linux/amd64";
    for digest in [single, index] {
        let image = shelf.image(&format!("@{digest}"));
        assert_eq!(unusable(&open(), &image).await, expected);
    }
}

#[tokio::test]
async fn what_is_known_costs_one_head_and_is_known_to_its_project_alone() {
    let shelf = Shelf::open().await;
    let digest = shelf.put_image("amd64", "first");
    shelf.tag("1", &digest);
    let (registry, image) = (open(), shelf.image(":1"));
    found(&registry, &image).await;
    let all = shelf.asked();
    assert_eq!(all.iter().filter(|it| it.starts_with("HEAD ")).count(), 1);
    assert_eq!(all.len(), 3, "{all:?}");
    found(&registry, &image).await;
    assert_eq!(shelf.asked(), ["HEAD /v2/team/tool/manifests/1"]);

    registry.resolve(project(2), &image, None).await.unwrap();
    assert_eq!(shelf.asked().len(), 3, "another project");
    registry.resolve(project(1), &image, Some(&alice())).await.unwrap();
    assert_eq!(shelf.asked().len(), 3, "other credentials");

    shelf.tag("1", &shelf.put_image("amd64", "second"));
    assert_eq!(found(&registry, &image).await.user.as_deref(), Some("second"), "the tag moved");
}

#[tokio::test]
async fn a_registry_that_tells_no_digest_has_it_counted() {
    let shelf = Shelf::open().await;
    let digest = shelf.put_image("amd64", "");
    shelf.tag("1", &digest);
    shelf.shared().silent = true;
    let image = found(&open(), &shelf.image(":1")).await;
    assert!(image.digest.ends_with(&digest), "{}", image.digest);
}

#[tokio::test]
async fn a_token_is_asked_for_with_these_credentials_and_this_scope() {
    let shelf = Shelf::open().await;
    let digest = shelf.put_image("amd64", "");
    shelf.tag("1", &digest);
    shelf.shared().realm = Some(format!("http://{}/token", shelf.host));
    let (registry, image) = (open(), shelf.image(":1"));
    registry.resolve(project(1), &image, Some(&alice())).await.unwrap();
    let asked = shelf.asked();
    let token = "GET /token?service=shelf&scope=repository%3Ateam%2Ftool%3Apull authorised";
    assert_eq!(asked[1], token);
    assert_eq!(asked.iter().filter(|it| it.starts_with("GET /token")).count(), 1, "{asked:?}");

    let wrong = RegistryCredentials { password: "guess".into(), ..alice() };
    for credentials in [None, Some(&wrong)] {
        let denied = registry.resolve(project(1), &image, credentials).await;
        assert!(matches!(denied, Err(ResolveError::Denied(_))), "{denied:?}");
    }
    let missing = registry.resolve(project(1), &shelf.image(":2"), Some(&alice())).await;
    assert!(matches!(missing, Err(ResolveError::NotFound(_))), "{missing:?}");
}

#[tokio::test]
async fn a_token_service_in_trouble_is_no_refusal() {
    let shelf = Shelf::open().await;
    shelf.shared().realm = Some(format!("http://{}/token", shelf.host));
    for status in [429, 500, 503] {
        shelf.shared().token_status = Some(status);
        let asked = open().resolve(project(1), &shelf.image(":1"), Some(&alice())).await;
        assert!(matches!(asked, Err(ResolveError::Unavailable(_))), "{status}: {asked:?}");
    }
}

#[tokio::test]
async fn a_registry_leads_nobody_to_where_it_could_not_be_asked() {
    let shelf = Shelf::open().await;
    let digest = shelf.put_image("amd64", "");
    shelf.tag("1", &digest);
    let image = shelf.image(":1");
    // The runtime's own socket in a function, a cloud's metadata, another port
    // of this machine by another of its names.
    for inside in ["http://127.0.0.2:9001", "https://169.254.169.254", "https://127.0.0.3:1"] {
        shelf.shared().blobs_at = Some(inside.to_owned());
        let why = unusable(&open(), &image).await;
        assert!(why.ends_with("is not allowed"), "{why}");
    }
    shelf.shared().blobs_at = Some("http://outside.example".to_owned());
    assert!(unusable(&open(), &image).await.ends_with("is not an address that is asked"));

    for inside in ["http://127.0.0.2:9001/token", "https://10.0.0.1/token"] {
        shelf.shared().realm = Some(inside.to_owned());
        let why = unusable(&open(), &image).await;
        assert!(why.ends_with("is not allowed"), "{why}");
    }
}

#[tokio::test]
async fn blobs_are_fetched_elsewhere_without_what_authorises_us_here() {
    let (shelf, elsewhere) = (Shelf::open().await, Shelf::open().await);
    for shelf in [&shelf, &elsewhere] {
        let digest = shelf.put_image("amd64", "7");
        shelf.tag("1", &digest);
    }
    shelf.shared().realm = Some(format!("http://{}/token", shelf.host));
    shelf.shared().blobs_at = Some(format!("http://{}", elsewhere.host));
    let asked = open().resolve(project(1), &shelf.image(":1"), Some(&alice())).await;
    assert_eq!(asked.unwrap().user.as_deref(), Some("7"));
    let there = elsewhere.asked();
    assert!(there.len() == 1 && !there[0].ends_with("authorised"), "{there:?}");
}

#[tokio::test]
async fn what_is_not_what_its_digest_says_is_not_believed() {
    let shelf = Shelf::open().await;
    let (ours, index) = {
        let ours = shelf.put_image("amd64", "");
        let index = shelf.put_index(&[(&ours, "linux", "amd64")]);
        (ours, index)
    };
    shelf.spoil(&ours, b"{}".to_vec());
    let why = unusable(&open(), &shelf.image(&format!("@{index}"))).await;
    assert!(why.ends_with("is not that"), "{why}");

    let long = vec![b' '; 5 << 20];
    shelf.spoil(&ours, long);
    let asked = open().resolve(project(1), &shelf.image(&format!("@{index}")), None).await;
    assert!(matches!(asked, Err(ResolveError::Unavailable(_))), "{asked:?}");
}

#[tokio::test]
async fn a_registry_inside_is_out_of_bounds_unless_allowed() {
    let shelf = Shelf::open().await;
    let closed = registry_at(&[]);
    for host in [shelf.host.as_str(), "169.254.169.254", "10.0.0.1:80", "localhost:1"] {
        let image = format!("{host}/team/tool:1").parse().unwrap();
        let why = unusable(&closed, &image).await;
        assert!(why.ends_with("is not allowed"), "{why}");
    }
    assert_eq!(shelf.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn a_registry_that_is_away_is_told_from_one_that_refuses() {
    // Discard's port: nobody listens there.
    let image = "127.0.0.1:9/team/tool:1".parse().unwrap();
    let asked = open().resolve(project(1), &image, None).await;
    assert!(matches!(asked, Err(ResolveError::Unavailable(_))), "{asked:?}");
}

#[tokio::test]
async fn debians_registry_is_understood_with_a_password_and_without() {
    let engine = bollard::Docker::connect_with_defaults().unwrap().negotiate_version().await;
    let engine = engine.expect("these tests need a container engine");
    let there = registry::Registry::start().await;
    let image = there.push(&engine).await;
    let resolved = found(&open(), &image).await;
    assert_eq!(resolved.user.as_deref(), Some("7:8"));
    assert!(resolved.digest.starts_with(&format!("{}/team/tool@sha256:", there.host)));

    let guarded = registry::Registry::guarded().await;
    let image = format!("{}/team/none:1", guarded.host).parse().unwrap();
    let denied = open().resolve(project(1), &image, None).await;
    assert!(matches!(denied, Err(ResolveError::Denied(_))), "{denied:?}");
    let missing = open().resolve(project(1), &image, Some(&alice())).await;
    assert!(matches!(missing, Err(ResolveError::NotFound(_))), "{missing:?}");
}

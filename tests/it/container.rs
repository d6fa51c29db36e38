//! What only a container has: an image, a user, walls.

use serde_json::json;
use tests::{Spec, World};

stories! {
    docker:
        the_images_own_words_hold_until_the_jobs_replace_them,
        the_user_and_the_folder_are_the_jobs,
        without_a_network_nothing_is_reached,
        a_read_only_root_leaves_a_place_to_write,
        a_registered_image_goes_by_its_name;
    aws:
        the_images_own_words_hold_until_the_jobs_replace_them,
        the_user_and_the_folder_are_the_jobs,
        a_read_only_root_leaves_a_place_to_write,
        a_registered_image_goes_by_its_name;
}

async fn the_images_own_words_hold_until_the_jobs_replace_them(world: &mut World) {
    let client = &world.client;
    let said = async |job: Spec| client.run(job).await.1.stdout().to_owned();
    let bare = world.probe("").without("command");
    assert_eq!(said(bare.clone()).await, "by default\n");
    assert_eq!(said(world.probe("say other")).await, "other\n");
    let replaced = bare.with("entrypoint", json!(["/probe", "say"]));
    assert_eq!(said(replaced.clone().with("command", json!(["mine"]))).await, "mine\n");

    let told = said(world.probe("env").with("env", json!({"REPLACED": "by the job"}))).await;
    assert!(told.contains("FROM_IMAGE=yes\n") && told.contains("REPLACED=by the job\n"), "{told}");
}

async fn the_user_and_the_folder_are_the_jobs(world: &mut World) {
    let (_, archive) = world.client.run(world.probe("id")).await;
    assert_eq!(archive.stdout(), "0 0 /work\n");

    // A folder that only anybody's `/tmp` lets them make.
    let out = "/tmp/theirs/by";
    let job = world
        .probe(&format!("id then write {out} theirs"))
        .with("user", "1234:567")
        .with("workdir", "/tmp/theirs")
        .with("read_only_root", true)
        .keep(out);
    let (view, archive) = world.client.run(job).await;
    assert_eq!(view["state"], "succeeded", "{view:#}: {}", archive.stderr());
    assert_eq!(archive.stdout(), "1234 567 /tmp/theirs\n");
    assert_eq!(archive.text(out), "theirs");
}

async fn without_a_network_nothing_is_reached(world: &mut World) {
    // An address for documents: it leads nowhere, and no packet is sent.
    let job = world.probe("dial 192.0.2.1:9 then cat").with("network", "none");
    let job = job.with("stdin", json!({"inline": "the agent reaches us all the same"}));
    let (view, archive) = world.client.run(job).await;
    assert_eq!(view["state"], "succeeded");
    let (dialled, rest) = archive.stdout().split_once('\n').unwrap();
    assert_eq!(dialled, "not reached: NetworkUnreachable");
    assert_eq!(rest, "the agent reaches us all the same");
}

async fn a_read_only_root_leaves_a_place_to_write(world: &mut World) {
    let job = world
        .probe("write /tmp/fine yes then write /etc/passwd no")
        .with("read_only_root", true)
        .keep("/tmp/fine");
    let (view, archive) = world.client.run(job).await;
    assert_eq!((view["state"].as_str(), &view["exit_code"]), (Some("failed"), &json!(99)));
    assert!(archive.stderr().contains("Read-only file system"), "{}", archive.stderr());
    assert_eq!(archive.text("/tmp/fine"), "yes");
}

async fn a_registered_image_goes_by_its_name(world: &mut World) {
    let client = &world.client;
    let image = json!({"reference": world.image(), "username": "u", "password": "very secret"});
    let put = client.put("/v1/images/mine", &image).await.expect(200);
    assert!(!put.text().contains("very secret"), "{}", put.text());
    let listed = client.get("/v1/images").await.expect(200);
    assert!(!listed.text().contains("very secret"), "{}", listed.text());
    assert_eq!(listed.json()["images"][0]["name"], "mine");
    assert_eq!(listed.json()["images"][0]["username"], "u");

    let (view, archive) = client.run(Spec::new("mine", ["say", "by name"])).await;
    assert_eq!(archive.stdout(), "by name\n");
    assert_eq!(view["tasks"][0]["image"], "mine");
    assert!(view["tasks"][0]["image_digest"].as_str().unwrap().contains("sha256:"), "{view}");

    client.delete("/v1/images/mine").await.expect(204);
    client.delete("/v1/images/mine").await.problem(404, "not_found");
}

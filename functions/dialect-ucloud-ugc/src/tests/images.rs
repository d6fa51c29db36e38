//! Registered images in their buckets.

use shared::{auth::Secret, job::Name, ops::images};

use super::*;

async fn register(world: &World, name: &str, reference: &str) {
    let (name, reference) = (name.parse().expect("a name"), reference.parse().expect("an image"));
    let credentials = Some(("u".to_owned(), Secret::new("p")));
    let put = images::put(&world.service, world.project, name, reference, credentials);
    put.await.expect("it is registered");
}

async fn world() -> World {
    let world = World::new().await;
    for (name, reference) in [
        ("one", "registry.example/tools/tool:1"),
        ("two", "registry.example/tools/tool:2"),
        ("three", "registry.example/tools/saw"),
        ("four", "hello:first"),
    ] {
        register(&world, name, reference).await;
    }
    world
}

async fn all(world: &World) -> Value {
    said(&control(world, "GetAllImages", &[]).await, 0)["ImageSet"].take()
}

#[tokio::test(start_paused = true)]
async fn images_are_in_the_buckets_that_their_references_name() {
    let world = world().await;
    let expected = ["library/hello:first", "tools/saw:latest", "tools/tool:1", "tools/tool:2"];
    assert_eq!(all(&world).await, serde_json::json!(expected));

    let answer = said(&control(&world, "GetImageBucketList", &[]).await, 0);
    assert_eq!((&answer["TotalCount"], &answer["BucketSet"]), (&2.into(), &answer["ImageSet"]));
    let noon = world.service.platform.clock.now().as_second();
    let bucket = serde_json::json!({
        "BucketName": "tools", "BucketType": "Private", "ImageCount": 2, "CreateTime": noon,
    });
    assert_eq!(answer["ImageSet"][1], bucket);
    let one = said(&control(&world, "GetImageBucketList", &[("BucketName", "tools")]).await, 0);
    assert_eq!((&one["TotalCount"], &one["ImageSet"][0]), (&1.into(), &bucket));
    let none = said(&control(&world, "GetImageBucketList", &[("BucketType", "Share")]).await, 0);
    assert_eq!(none["TotalCount"], 0);

    let pairs = [("BucketName", "tools"), ("Offset", "1")];
    let answer = said(&control(&world, "GetDockerImageList", &pairs).await, 0);
    assert_eq!(answer["TotalCount"], 2);
    let image = serde_json::json!([{
        "ImageName": "tool", "UpdateTime": noon,
        "TagSet": [{"TagName": "1", "CreateTime": noon}, {"TagName": "2", "CreateTime": noon}],
    }]);
    assert_eq!(answer["ImageSet"], image);
    said(&control(&world, "GetDockerImageList", &[("BucketName", "none")]).await, 43023);
    said(&control(&world, "GetDockerImageList", &[]).await, 43006);
    assert_eq!(all(&world.neighbour().await).await, serde_json::json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_bucket_is_made_once() {
    let world = world().await;
    for (name, code) in [
        ("my_bucket1", 0),
        ("my_bucket1", 43022),
        ("tools", 43022),
        ("abc", 43025),
        ("My_bucket", 43025),
        ("my-bucket", 43025),
        ("a234567890123456789012345678901", 43025),
    ] {
        let pairs = [("BucketName", name)];
        said(&control(&world, "CreateDockerImageBucket", &pairs).await, code);
    }
    said(&control(&world, "CreateDockerImageBucket", &[]).await, 43006);
    let pairs = [("BucketName", "my_bucket1")];
    let answer = said(&control(&world, "GetImageBucketList", &pairs).await, 0);
    assert_eq!(answer["ImageSet"][0]["ImageCount"], 0);
    let answer = said(&control(&world, "GetDockerImageList", &pairs).await, 0);
    assert_eq!(answer["TotalCount"], 0);
}

#[tokio::test(start_paused = true)]
async fn images_are_forgotten_by_tag_all_or_none() {
    let world = world().await;
    let one = [("BucketName", "tools"), ("ImageName", "tool")];
    let with = |more: &[(&'static str, &'static str)]| [&one[..], more].concat();
    said(&control(&world, "DeleteImage", &one).await, 43047);
    said(&control(&world, "DeleteImage", &[("BucketName", "tools"), ("Tag.0", "1")]).await, 43046);
    said(&control(&world, "DeleteImage", &[("ImageName", "tool"), ("Tag.0", "1")]).await, 43006);
    let elsewhere = [("BucketName", "none"), ("ImageName", "tool"), ("Tag.0", "1")];
    said(&control(&world, "DeleteImage", &elsewhere).await, 43023);
    let answer = control(&world, "DeleteImage", &with(&[("Tag.0", "1"), ("Tag.1", "3")])).await;
    said(&answer, 43045);
    assert_eq!(all(&world).await.as_array().map(Vec::len), Some(4), "nothing is forgotten");

    let twice = with(&[("Tag.0", "1"), ("Tag.1", "2"), ("Tag.2", "1")]);
    said(&control(&world, "DeleteImage", &twice).await, 0);
    assert_eq!(all(&world).await, serde_json::json!(["library/hello:first", "tools/saw:latest"]));
    said(&control(&world, "DeleteImage", &twice).await, 43045);
}

#[tokio::test(start_paused = true)]
async fn a_task_runs_a_registered_image_by_any_of_its_names() {
    let world = world().await;
    for (name, registered) in [
        ("registry.example/tools/tool:2", Some("two")),
        ("tools/tool:2", Some("two")),
        ("tools/saw", Some("three")),
        ("three", Some("three")),
        ("hello:first", Some("four")),
        ("uhub.service.ucloud.cn/tools/tool:1", Some("one")),
        ("registry.other/tools/tool:1", None),
        ("tools/tool:3", None),
    ] {
        let pairs = [("ImageName", name), ("TaskType", "Async")];
        let answer = said(&task(&world, "SubmitTask", &pairs).await, 0);
        let job = job_id(answer["TaskId"].as_str().expect("an id")).expect("a task's id");
        let image = world.job(job).await.images.remove(0);
        let found = image.registered.as_ref().map(Name::as_str);
        assert_eq!(found, registered, "{name}");
        let id = answer["TaskId"].as_str().expect("an id");
        let detail = said(&control(&world, "GetTaskDetail", &[("TaskId", id)]).await, 0);
        assert_eq!(detail["ImageName"], name, "it is shown as it was named");
    }
}

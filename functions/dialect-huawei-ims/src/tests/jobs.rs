//! Jobs and sub-jobs.

use http::Method;
use serde_json::{Value, json};
use shared::conformance::memory::World;

use super::{ask, get, refused, shown, token};
use crate::{HuaweiIms, ids};

#[tokio::test(start_paused = true)]
async fn a_job_is_shown_from_its_beginning_to_its_end() {
    let world = World::new().await;
    let job = world.submit(r#"{"name": "n", "image": "a"}"#).await.id;

    let fresh = shown(&world, &job.hex()).await;
    assert_eq!(
        fresh,
        json!({
            "status": "INIT",
            "job_id": job.hex(),
            "job_type": "imsCreateImageByInstance",
            "begin_time": "2026-03-01T12:00:00.000Z",
            "end_time": "",
            "error_code": null,
            "fail_reason": null,
            "entities": {"image_name": "a", "current_task": "main", "process_percent": 0.0},
        })
    );

    let (attempt, _) = world.start(job).await;
    let running = shown(&world, &job.hex()).await;
    assert_eq!(running["status"], "RUNNING");
    assert_eq!(running["entities"]["process_percent"], 0.0);
    let digest = world.job(job).await;
    let digest = serde_json::to_value(&digest.images[0].state).unwrap();
    assert_eq!(running["entities"]["image_id"], digest["resolved"]["digest"]);

    tokio::time::advance(std::time::Duration::from_millis(1_234)).await;
    world.finish(attempt, 0, &[("Stdout", "")]).await;
    let ended = shown(&world, &job.hex()).await;
    assert_eq!(ended["status"], "SUCCESS");
    assert_eq!(ended["begin_time"], running["begin_time"]);
    assert!(ended["end_time"].as_str().unwrap() > ended["begin_time"].as_str().unwrap());
    assert_eq!((&ended["error_code"], &ended["fail_reason"]), (&Value::Null, &Value::Null));
    assert_eq!(ended["entities"]["process_percent"], 1.0);
    let result = &ended["entities"]["results"][0];
    assert_eq!(result["status"], "success");
    assert_eq!(result["project_id"], world.project.to_string());
    // By its native id as well.
    assert_eq!(shown(&world, &job.to_string()).await, ended);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_failed_says_why() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a"}"#).await.id;
    world.run(job, 3, &[("Stdout", "")]).await;
    let failed = shown(&world, &job.hex()).await;
    assert_eq!((&failed["status"], &failed["error_code"]), (&"FAIL".into(), &"IMG.0061".into()));
    assert_eq!(failed["fail_reason"], "the process ended with code 3");
    assert_eq!(failed["entities"]["error_code"], "exited");
    assert_eq!(failed["entities"]["error"], failed["fail_reason"]);
    assert_eq!(failed["entities"]["results"][0]["status"], "fail");

    let job = world.submit(r#"{"image": "a"}"#).await.id;
    shared::ops::jobs::cancel(&world.service, world.of(job)).await.unwrap();
    let cancelled = shown(&world, &job.hex()).await;
    assert_eq!(cancelled["status"], "FAIL");
    assert_eq!(cancelled["fail_reason"], "it was cancelled");
    assert_eq!(cancelled["entities"]["error_code"], "cancelled");
}

#[tokio::test(start_paused = true)]
async fn tasks_are_sub_jobs_whose_ids_can_be_asked_for() {
    let world = World::new().await;
    let job = world
        .submit(
            r#"{"tasks": [
                {"name": "a", "image": "one"},
                {"name": "b", "image": "two", "after": [{"task": "a"}]},
                {"name": "c", "image": "two", "after": [{"task": "b"}]}
            ]}"#,
        )
        .await
        .id;
    let sub_job = |place| ids::of_task(job, place);

    let fresh = shown(&world, &job.hex()).await;
    let ids = json!([sub_job(0), sub_job(1), sub_job(2)]);
    assert_eq!(fresh["entities"]["sub_jobs_list"], ids);
    let results = fresh["entities"]["sub_jobs_result"].as_array().unwrap();
    assert!(results.iter().all(|result| result["status"] == "INIT"), "{fresh}");

    world.run(job, 0, &[]).await;
    let (attempt, _) = world.start(job).await;
    let running = shown(&world, &job.hex()).await;
    assert_eq!(running["status"], "RUNNING");
    assert_eq!(running["entities"]["current_task"], "b");
    assert_eq!(running["entities"]["process_percent"], 0.33);
    let first = shown(&world, &sub_job(0)).await;
    assert_eq!((&first["status"], &first["job_id"]), (&"SUCCESS".into(), &sub_job(0).into()));
    assert_eq!(first["entities"]["process_percent"], 1.0);
    assert_eq!(first["entities"]["current_task"], "a");
    assert_ne!(first["end_time"], "");
    let second = shown(&world, &sub_job(1)).await;
    assert_eq!((&second["status"], &second["end_time"]), (&"RUNNING".into(), &"".into()));

    world.finish(attempt, 9, &[]).await;
    let failed = shown(&world, &job.hex()).await;
    assert_eq!(failed["status"], "FAIL");
    assert_eq!(failed["fail_reason"], "task b: the process ended with code 9");
    assert_eq!(failed["entities"]["current_task"], "b");
    let results = failed["entities"]["sub_jobs_result"].as_array().unwrap();
    let of = |place: usize, field: &str| results[place][field].clone();
    assert_eq!([of(0, "status"), of(1, "status"), of(2, "status")], ["SUCCESS", "FAIL", "FAIL"]);
    assert_eq!(of(1, "fail_reason"), "the process ended with code 9");
    let skipped = "it was skipped: what it waits for did not come to pass";
    assert_eq!(of(2, "fail_reason"), skipped);
    assert_eq!(results[1]["entities"]["image_name"], "two");
    assert_eq!(results[1]["entities"].as_object().unwrap().len(), 2, "{failed}");
    let third = shown(&world, &sub_job(2)).await;
    assert_eq!(third["fail_reason"], skipped);
    let path = format!("/v1/{}/jobs/{}", world.project, sub_job(3));
    refused(&get(&world, &path).await, 404, "IMG.0023");
}

#[tokio::test(start_paused = true)]
async fn instances_count_towards_the_progress() {
    let world = World::new().await;
    let job = world.submit(r#"{"image": "a", "instances": 4}"#).await.id;
    for wanted in [0.25, 0.5, 0.75] {
        let (attempt, _) = world.start(job).await;
        world.finish(attempt, i32::from(wanted > 0.6), &[]).await;
        assert_eq!(shown(&world, &job.hex()).await["entities"]["process_percent"], wanted);
    }
    world.run(job, 0, &[]).await;
    let ended = shown(&world, &job.hex()).await;
    assert_eq!(ended["status"], "FAIL");
    let reason = "1 of 4 instances did not succeed; the first: the process ended with code 1";
    assert_eq!(ended["fail_reason"], reason);
    assert!(ended["entities"].get("sub_jobs_list").is_none(), "{ended}");
}

#[tokio::test(start_paused = true)]
async fn the_newer_call_shows_progress_without_a_project_in_its_path() {
    let world = World::new().await;
    let tasks = r#"{"tasks": [{"name": "a", "image": "one"}, {"name": "b", "image": "two"}]}"#;
    let job = world.submit(tasks).await.id;
    world.run(job, 7, &[]).await;
    world.run(job, 0, &[]).await;
    let path = format!("/v1/cloudimages/job/{}", job.hex());
    let progress = get(&world, &path).await.expect(200).json();
    assert_eq!((&progress["status"], &progress["job_id"]), (&"FAIL".into(), &job.hex().into()));
    let entities = progress["entities"].as_object().unwrap();
    assert_eq!(entities["subJobId"], ids::of_task(job, 0));
    assert_eq!(entities["sub_jobs_list"].as_array().unwrap().len(), 2);
    for left_out in ["results", "error_code", "error"] {
        assert!(!entities.contains_key(left_out), "{progress}");
    }
    refused(&get(&world, "/v1/cloudimages/job/unknown").await, 404, "IMG.0023");
}

#[tokio::test(start_paused = true)]
async fn a_job_says_by_a_tag_what_type_it_is_shown_as() {
    let world = World::new().await;
    for (asked, shown_as) in [
        ("imsImportImageJob", "imsImportImageJob"),
        ("imsCopyImageInRegionJob", "imsCopyImageInRegionJob"),
        ("anything", "imsCreateImageByInstance"),
    ] {
        let json = json!({"image": "a", "tags": {"job_type": asked}});
        let job = world.submit(&json.to_string()).await.id;
        assert_eq!(shown(&world, &job.hex()).await["job_type"], shown_as);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_ours_is_not_there() {
    let world = World::new().await;
    let other = world.neighbour().await;
    let job = world.submit(r#"{"image": "a"}"#).await.id.hex();
    let of = |project: &str| format!("/v1/{project}/jobs/{job}");

    refused(&get(&other, &of(&other.project.to_string())).await, 404, "IMG.0023");
    refused(&get(&other, &of(&world.project.to_string())).await, 400, "IMG.0030");
    refused(&get(&world, &of("p")).await, 400, "IMG.0067");
    for unknown in
        ["unknown", "0190b8a0a0a0a0a0a0a0a0a0a0a0a0a0", "ff8080814dbd65d7014dbe0d84db0013"]
    {
        let path = format!("/v1/{}/jobs/{unknown}", world.project);
        let answer = get(&world, &path).await;
        refused(&answer, 404, "IMG.0023");
        assert!(answer.text().contains(unknown), "{}", answer.text());
    }
    // The header in which the SDKs name it has to say the same.
    let token = token(&world).await;
    for (named, code) in [(other.project.to_string(), "IMG.0030"), ("p".into(), "IMG.0067")] {
        let path = format!("/v1/cloudimages/job/{job}");
        let asked = ask(&world, &path).header("x-auth-token", &token);
        let answer = asked.header("x-project-id", &named).speak(&HuaweiIms).await;
        refused(&answer, 400, code);
    }
}

#[tokio::test(start_paused = true)]
async fn images_are_not_made_here() {
    let world = World::new().await;
    let token = token(&world).await;
    let create = |token: &str| {
        let asked = ask(&world, "/v2/cloudimages/action").method(Method::POST);
        asked.header("x-auth-token", token).json("{}").speak(&HuaweiIms)
    };
    refused(&create(&token).await, 400, "IMG.0105");
    refused(&create("no token").await, 401, "APIGW.0301");
    refused(&get(&world, "/v2/cloudimages").await, 404, "APIGW.0101");
    let path = format!("/v1/{}/jobs/x", world.project);
    let deleted = ask(&world, &path).method(Method::DELETE).speak(&HuaweiIms).await;
    refused(&deleted, 404, "APIGW.0101");
}

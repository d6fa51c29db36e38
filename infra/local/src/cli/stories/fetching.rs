//! Fetching logs, outputs and objects.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use crate::cli::testing::{Fake, FakeJob, Fault, archive, view};

async fn with_job() -> (Fake, Vec<u8>, TempDir) {
    let fake = Fake::start().await;
    let long = "0123456789".repeat(5_000);
    let tar = archive(&[
        ("Stdout", "out\n"),
        ("Stderr", "err\n"),
        ("tmp/long", &long),
        ("manifest.json", "{}"),
    ]);
    fake.with_job(
        "job-1",
        FakeJob {
            views: [view("job-1", "succeeded", &json!({}))].into(),
            logs: vec![
                vec![("stdout", 0, "first try\n")],
                vec![("stdout", 0, "out\n"), ("stderr", 0, "err\n")],
            ],
            archive: Some(tar.clone()),
            ..FakeJob::default()
        },
    );
    (fake, tar, TempDir::new().unwrap())
}

#[tokio::test]
async fn logs_go_to_the_streams_they_came_from() {
    let (fake, ..) = with_job().await;
    let told = fake.command(&["logs", "job-1"]).await;
    assert_eq!((told.spoken.out().as_str(), told.spoken.err().as_str()), ("out\n", "err\n"));
    let told = fake.command(&["logs", "job-1", "--stream", "stderr"]).await;
    assert_eq!((told.spoken.out().as_str(), told.spoken.err().as_str()), ("", "err\n"));
    let told = fake.command(&["logs", "job-1", "--follow", "--json"]).await;
    assert_eq!(told.spoken.json()[0], json!({"stream": "stdout", "offset": 0, "data": "b3V0Cg=="}));
    let told = fake.command(&["logs", "job-1", "--attempt", "9"]).await;
    assert_eq!(told.failure(), "error: no attempt `9` (not_found)");
}

#[tokio::test]
async fn a_log_whose_server_loses_patience_is_asked_for_again() {
    let (fake, ..) = with_job().await;
    fake.with_job(
        "job-2",
        FakeJob {
            views: [view("job-2", "succeeded", &json!({}))].into(),
            logs: vec![vec![("stdout", 0, "one "), ("stdout", 4, "two "), ("stdout", 8, "three")]],
            cuts: 2,
            ..FakeJob::default()
        },
    );
    let told = fake.command(&["logs", "job-2", "--follow"]).await;
    assert_eq!(told.spoken.out(), "one two three");
}

#[tokio::test]
async fn an_archive_is_saved_whole_though_the_connection_breaks() {
    let (fake, tar, folder) = with_job().await;
    let file = folder.path().join("all.tar");
    fake.fault("/output", Fault::Status(502));
    fake.fault("/output", Fault::Cut(1_000));
    fake.fault("/output", Fault::Cut(7_000));
    let told = fake.command(&["output", "job-1", "-o", file.to_str().unwrap()]).await;
    assert_eq!(told.code(), 0);
    assert!(fs::read(&file).unwrap() == tar);
    let ranges: Vec<String> = fake
        .books()
        .headers
        .iter()
        .filter_map(|headers| Some(headers.get("range")?.to_str().unwrap().to_owned()))
        .collect();
    assert_eq!(ranges, ["bytes=1000-", "bytes=8000-"]);
    assert!(told.spoken.err().contains("all.tar"));
}

#[tokio::test]
async fn an_archive_that_never_comes_whole_leaves_nothing_behind() {
    let (fake, _, folder) = with_job().await;
    for _ in 0..8 {
        fake.fault("/output", Fault::Cut(0));
    }
    let file = folder.path().join("all.tar");
    let told = fake.command(&["output", "job-1", "-o", file.to_str().unwrap()]).await;
    assert!(told.failure().contains("broke"), "{}", told.failure());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn one_file_is_had_out_of_the_archive() {
    let (fake, _, folder) = with_job().await;
    let told = fake.command(&["output", "job-1", "--member", "Stdout", "-o", "-"]).await;
    assert_eq!(told.spoken.out(), "out\n");
    let into = folder.path().to_str().unwrap();
    let line = ["output", "job-1", "--member", "tmp/long", "-o", into, "--json"];
    let told = fake.command(&line).await;
    assert_eq!(told.spoken.json()[0]["bytes"], 50_000);
    assert_eq!(fs::metadata(folder.path().join("long")).unwrap().len(), 50_000);
}

#[tokio::test]
async fn an_archive_is_unpacked_while_it_comes() {
    let (fake, _, folder) = with_job().await;
    fake.fault("/output", Fault::Cut(3_000));
    let into = folder.path().join("all");
    let told = fake.command(&["output", "job-1", "--extract", into.to_str().unwrap()]).await;
    assert_eq!(told.code(), 0);
    assert_eq!(fs::read_to_string(into.join("Stdout")).unwrap(), "out\n");
    assert_eq!(fs::metadata(into.join("tmp/long")).unwrap().len(), 50_000);
    assert!(told.spoken.err().contains("unpacked 4 files"), "{}", told.spoken.err());
}

#[tokio::test]
async fn a_job_without_output_says_so() {
    let fake = Fake::start().await;
    let views = [view("job-1", "running", &json!({}))].into();
    fake.with_job("job-1", FakeJob { views, ..FakeJob::default() });
    let told = fake.command(&["output", "job-1", "-o", "-"]).await;
    assert_eq!(told.failure(), "error: no output (not_found)");
}

#[tokio::test]
async fn objects_are_stored_fetched_listed_and_deleted() {
    let (fake, _, folder) = with_job().await;
    let file = folder.path().join("a");
    for bytes in [b"short".to_vec(), vec![7; 100_000]] {
        fs::write(&file, &bytes).unwrap();
        let told = fake.command(&["objects", "put", "b/k/a b", file.to_str().unwrap()]).await;
        assert_eq!(told.code(), 0);
        assert!(told.spoken.err().contains("stored b/k/a b"));
        let back = folder.path().join("back");
        fake.fault("GET /v1/objects", Fault::Cut(3));
        // The fake keeps names as they are in the URL.
        let stored = fake.books().objects.remove("b/k/a%20b").unwrap();
        assert!(stored == bytes);
        fake.books().objects.insert("b/k/ab".into(), stored);
        fake.command(&["objects", "get", "b/k/ab", back.to_str().unwrap()]).await.code();
        assert!(fs::read(&back).unwrap() == bytes);
    }
    fake.command(&["objects", "rm", "b/k/ab"]).await.code();
    assert!(fake.books().objects.is_empty());
    let told = fake.command(&["objects", "get", "b/k/ab", "-"]).await;
    assert_eq!(told.failure(), "error: no object (not_found)");
    let told = fake.command(&["objects", "put", "b/../k", file.to_str().unwrap()]).await;
    assert!(told.failure().contains("cannot be part of a name"), "{}", told.failure());
}

#[tokio::test]
async fn objects_are_listed_to_the_last_page() {
    let fake = Fake::start().await;
    let object = |key: &str| json!({"key": key, "size": 2_048, "etag": "e", "modified_at": "2026-01-01T00:00:00Z"});
    let first = json!({"objects": [object("p/a")], "next": "c1"});
    let second = json!({"objects": [object("p/b")]});
    fake.books().pages.insert("/v1/objects/b".into(), [first, second].into());
    let told = fake.command(&["objects", "ls", "b/p/"]).await;
    let table = "KEY  SIZE     CHANGED\np/a  2.0 KiB  10m ago\np/b  2.0 KiB  10m ago\n";
    assert_eq!(told.spoken.out(), table);
    assert_eq!(fake.count("prefix=p%2F"), 2);
    assert_eq!(fake.count("cursor=c1"), 1);
}

//! Running a job as if it were here.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli::testing::{Fake, FakeJob, Fault, archive, view};

/// A job of one container that waits, runs and ends.
fn job(state: &str, code: i64) -> FakeJob {
    let waiting = json!({"waiting_for": {"reason": "queue_limit", "position": "2"}});
    let mut last = view("job-1", state, &json!({}));
    last["exit_code"] = code.into();
    FakeJob {
        views: [
            view("job-1", "queued", &waiting),
            view("job-1", "running", &json!({"started_at": "2026-01-01T00:00:01Z"})),
            last,
        ]
        .into(),
        logs: vec![vec![("stdout", 0, "hello\n"), ("stderr", 0, "oh\n"), ("stdout", 6, "world\n")]],
        archive: Some(archive(&[
            ("Stdout", "hello\nworld\n"),
            ("Stderr", "oh\n"),
            ("tmp/result/a.txt", "A"),
            ("tmp/result/b/c.txt", "C"),
            ("manifest.json", "{}"),
        ])),
        ..FakeJob::default()
    }
}

fn text(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

#[tokio::test]
async fn a_run_prints_the_logs_saves_the_outputs_and_exits_as_the_job_did() {
    let fake = Fake::start().await;
    fake.books().next_job = job("failed", 3);
    let folder = TempDir::new().unwrap();
    let into = folder.path().to_str().unwrap();
    let told = fake.command(&["run", "hello", "--output", "/tmp/result", "--into", into]).await;
    assert_eq!(told.code(), 3);
    assert_eq!(told.spoken.out(), "hello\nworld\n");
    let err = told.spoken.err();
    for line in [
        "submitting",
        "job-1",
        "queued: the queue is full, 2 before it",
        "running",
        "oh",
        "job-1 failed: exit code 3",
    ] {
        assert!(err.lines().any(|said| said == line), "{line}: {err}");
    }
    assert_eq!(text(folder.path(), "result/a.txt"), "A");
    assert_eq!(text(folder.path(), "result/b/c.txt"), "C");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no streams, no manifest");
}

#[tokio::test]
async fn an_output_with_a_place_of_its_own_goes_there() {
    let fake = Fake::start().await;
    fake.books().next_job = job("succeeded", 0);
    let folder = TempDir::new().unwrap();
    let place = folder.path().join("mine");
    let output = format!("/tmp/result:{}", place.display());
    assert_eq!(fake.command(&["run", "hello", "-o", &output]).await.code(), 0);
    assert_eq!(text(&place, "a.txt"), "A");
}

#[tokio::test]
async fn bytes_are_printed_once_however_often_the_connection_breaks() {
    let fake = Fake::start().await;
    fake.books().next_job = job("succeeded", 0);
    fake.fault("/logs", Fault::Cut(80));
    fake.fault("/logs", Fault::Cut(100));
    fake.fault("/logs", Fault::Lost);
    fake.fault("GET /v1/jobs/job-1?wait", Fault::Lost);
    let told = fake.command(&["run", "hello"]).await;
    assert_eq!(told.code(), 0);
    assert_eq!(told.spoken.out(), "hello\nworld\n");
    assert_eq!(told.spoken.err().matches("oh\n").count(), 1);
}

#[tokio::test]
async fn what_the_live_log_left_out_comes_from_the_archive() {
    let fake = Fake::start().await;
    let mut gap = job("succeeded", 0);
    gap.logs = vec![vec![("stdout", 0, "hel"), ("stdout", 8, "rld\n"), ("stderr", 0, "o")]];
    fake.books().next_job = gap;
    let told = fake.command(&["run", "hello"]).await;
    assert_eq!(told.spoken.out(), "hello\nworld\n");
    assert!(told.spoken.err().contains("the live stdout has a gap"));
    assert_eq!(fake.count("member=Stdout"), 1);
}

#[tokio::test]
async fn every_attempt_is_printed_in_its_turn() {
    let fake = Fake::start().await;
    let mut twice = job("succeeded", 0);
    twice.logs = vec![vec![("stdout", 0, "first\n")], vec![("stdout", 0, "second\n")]];
    twice.archive = None;
    fake.books().next_job = twice;
    let told = fake.command(&["run", "hello", "--retry", "1"]).await;
    assert_eq!(told.code(), 0);
    assert_eq!(told.spoken.out(), "first\nsecond\n");
}

#[tokio::test]
async fn a_job_that_never_ran_says_why() {
    let fake = Fake::start().await;
    let failed = json!({"cause": "image_not_found", "message": "no image `hello`"});
    fake.books().next_job =
        FakeJob { views: [view("job-1", "failed", &failed)].into(), ..FakeJob::default() };
    let told = fake.command(&["run", "hello", "--output", "/tmp/result"]).await;
    assert_eq!(told.code(), 1);
    let err = told.spoken.err();
    assert!(err.contains("job-1 failed: image not found; no image `hello`"), "{err}");
    assert!(!err.contains("error"), "{err}");
}

/// A job that runs until it is cancelled.
fn endless() -> FakeJob {
    let mut endless = job("succeeded", 0);
    endless.views.pop_back();
    endless
}

#[tokio::test]
async fn ctrl_c_cancels_the_job_and_still_fetches_what_it_left() {
    let fake = Fake::start().await;
    fake.books().next_job = endless();
    let folder = TempDir::new().unwrap();
    let into = folder.path().to_str().unwrap();
    let line = ["run", "hello", "--output", "/tmp/result", "--into", into];
    let press = async {
        fake.asked("/logs").await;
        fake.interrupt();
    };
    let (told, ()) = tokio::join!(fake.command(&line), press);
    assert_eq!(told.code(), 143);
    assert_eq!(fake.count("/cancel"), 1);
    assert_eq!(told.spoken.out(), "hello\nworld\n");
    assert!(told.spoken.err().contains("press Ctrl-C again to leave at once"));
    assert_eq!(text(folder.path(), "result/a.txt"), "A");
}

#[tokio::test]
async fn a_second_ctrl_c_leaves_at_once() {
    let fake = Fake::start().await;
    fake.books().next_job = endless();
    // The service is in no hurry to cancel.
    for _ in 0..4 {
        fake.fault("/cancel", Fault::Status(503));
    }
    let press = async {
        fake.asked("/logs").await;
        fake.interrupt();
        fake.asked("/cancel").await;
        fake.interrupt();
    };
    let (told, ()) = tokio::join!(fake.command(&["run", "hello"]), press);
    assert!(told.failure().contains("left; job-1 goes on being cancelled"), "{}", told.failure());
}

#[tokio::test]
async fn ctrl_c_before_the_answer_cancels_what_was_submitted() {
    let fake = Fake::start().await;
    fake.books().next_job = endless();
    fake.fault("POST /v1/jobs", Fault::Lost);
    let press = async {
        fake.asked("POST /v1/jobs").await;
        fake.interrupt();
    };
    let (told, ()) = tokio::join!(fake.command(&["run", "hello"]), press);
    assert_eq!(told.code(), 143);
    assert_eq!(fake.books().submits.len(), 1);
}

#[tokio::test]
async fn the_archive_can_be_had_whole_on_standard_output() {
    let fake = Fake::start().await;
    fake.books().next_job = job("succeeded", 0);
    let told = fake.command(&["run", "hello", "--archive", "-"]).await;
    assert_eq!(told.code(), 0);
    assert_eq!(told.spoken.out_bytes(), job("succeeded", 0).archive.unwrap());
    assert!(told.spoken.err().contains("hello\n"), "the job's own output goes aside");
}

#[tokio::test]
async fn a_run_as_json_is_lines_of_the_apis_own() {
    let fake = Fake::start().await;
    fake.books().next_job = job("succeeded", 0);
    let told = fake.command(&["run", "hello", "--json"]).await;
    let lines = told.spoken.json();
    assert_eq!(lines.first().unwrap()["state"], "queued");
    assert_eq!(lines.last().unwrap()["state"], "succeeded");
    let written: Vec<&Value> = lines.iter().filter(|line| line["stream"].is_string()).collect();
    assert_eq!(*written[0], json!({"stream": "stdout", "offset": 0, "data": "aGVsbG8K"}));
    assert_eq!(written.len(), 3);
}

#[tokio::test]
async fn the_jobs_failure_counts_before_that_of_fetching() {
    let fake = Fake::start().await;
    let mut lost = job("failed", 3);
    lost.archive = Some(b"this is no tar".repeat(100));
    fake.books().next_job = lost.clone();
    let line = ["run", "hello", "--output", "/tmp/result"];
    assert_eq!(fake.command(&line).await.code(), 3);
    lost.views = job("succeeded", 0).views;
    fake.books().next_job = lost;
    let told = fake.command(&line).await;
    assert!(told.failure().contains("the archive cannot be read"), "{}", told.failure());
}

#[tokio::test]
async fn a_job_of_several_containers_saves_each_ones_outputs_apart() {
    let fake = Fake::start().await;
    let tasks = json!({"tasks": [
        {"name": "one", "state": "succeeded", "image": "a", "instances": {"succeeded": 2}},
        {"name": "two", "state": "skipped", "image": "b", "instances": {"stopped": 1}},
    ]});
    let mut many = job("succeeded", 0);
    many.views = [view("job-1", "running", &tasks), view("job-1", "succeeded", &tasks)].into();
    fake.books().next_job = many;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("job.json");
    let request = json!({"tasks": [
        {"name": "one", "image": "a", "instances": 2, "outputs": ["/tmp/result"]},
        {"name": "two", "image": "b"},
    ]});
    fs::write(&file, request.to_string()).unwrap();
    let into = folder.path().join("out");
    let line = ["run", "--file", file.to_str().unwrap(), "--into", into.to_str().unwrap()];
    let told = fake.command(&line).await;
    assert_eq!(told.code(), 0);
    assert!(told.spoken.err().contains("running (one 2 succeeded; two 1 stopped)"));
    assert_eq!(text(&into, "one/0/result/a.txt"), "A");
    assert_eq!(text(&into, "one/1/result/a.txt"), "A");
    assert!(!into.join("two").exists());
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_before_anything_runs() {
    let fake = Fake::start().await;
    for (line, why) in [
        (&["run", "a", "--output", "/a/x", "--output", "/b/x"][..], "both be saved as"),
        (&["run", "a", "--json", "--archive", "-"], "both want standard output"),
        (&["run", "a", "--env", "TARPON_SURELY_NOT_SET"], "is not set here"),
    ] {
        let told = fake.command(line).await;
        assert!(told.failure().contains(why), "{line:?}: {}", told.failure());
    }
    assert_eq!(fake.count("POST"), 0);
}

//! Submitting, waiting and cancelling.

use serde_json::json;
use tempfile::TempDir;

use crate::cli::testing::{Fake, FakeJob, Fault, offline, view};

fn ended(id: &str, state: &str, code: i64) -> FakeJob {
    let cause = if code == 0 { json!({}) } else { json!({"cause": "exited"}) };
    let mut last = view(id, state, &cause);
    last["exit_code"] = code.into();
    FakeJob { views: [view(id, "running", &json!({})), last].into(), ..FakeJob::default() }
}

#[tokio::test]
async fn a_submit_prints_the_jobs_id_and_nothing_else() {
    let fake = Fake::start().await;
    let told = fake.command(&["submit", "hello", "--name", "n", "--", "echo", "hi"]).await;
    assert_eq!(told.code(), 0);
    assert_eq!(told.spoken.out(), "job-1\n");
    let books = fake.books();
    let (_, (_, body)) = books.submits.first_key_value().unwrap();
    assert_eq!(*body, json!({"name": "n", "image": "hello", "command": ["echo", "hi"]}));
}

#[tokio::test]
async fn a_submit_as_json_prints_the_job_as_it_came() {
    let fake = Fake::start().await;
    let told = fake.command(&["submit", "hello", "--json"]).await;
    assert_eq!(told.spoken.json()[0]["id"], "job-1");
    assert_eq!(told.spoken.json()[0]["unknown"], "passed over");
}

#[tokio::test]
async fn a_submit_whose_answer_was_lost_is_repeated_and_makes_one_job() {
    let fake = Fake::start().await;
    fake.fault("POST /v1/jobs", Fault::Lost);
    fake.fault("POST /v1/jobs", Fault::Status(503));
    fake.fault("POST /v1/jobs", Fault::Status(429));
    let told = fake.command(&["submit", "hello"]).await;
    assert_eq!(told.spoken.out(), "job-1\n");
    assert_eq!(fake.count("POST /v1/jobs"), 4);
    assert_eq!(fake.books().submits.len(), 1);
}

#[tokio::test]
async fn a_token_of_the_users_is_the_idempotency_key() {
    let fake = Fake::start().await;
    fake.command(&["submit", "hello", "--client-token", "t-1"]).await.code();
    let told = fake.command(&["submit", "hello", "--client-token", "t-1"]).await;
    assert_eq!(told.spoken.out(), "job-1\n");
    assert_eq!(fake.books().submits.keys().collect::<Vec<_>>(), ["t-1"]);
}

#[tokio::test]
async fn a_long_stdin_is_uploaded_and_a_broken_upload_repeated() {
    let fake = Fake::start().await;
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("big");
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| u8::try_from(n % 251).unwrap()).collect();
    std::fs::write(&file, &bytes).unwrap();
    let name = file.to_str().unwrap();
    fake.fault("PUT /put/", Fault::Status(503));
    let input = format!("{name}:/in/big");
    fake.command(&["submit", "hello", "--stdin", name, "--input", &input]).await.code();
    let books = fake.books();
    let (_, (_, body)) = books.submits.first_key_value().unwrap();
    assert_eq!(body["stdin"], json!({"upload": "up0"}));
    assert_eq!(body["inputs"], json!([{"path": "/in/big", "source": {"upload": "up1"}}]));
    assert!(books.uploads["up0"] == bytes && books.uploads["up1"] == bytes);
    assert!(books.bodies.iter().any(|body| body == r#"{"bytes":200000}"#));
}

#[tokio::test]
async fn an_input_that_is_no_file_is_an_object_that_exists() {
    let fake = Fake::start().await;
    fake.books().objects.insert("data/a b.csv".into(), b"1,2".to_vec());
    fake.command(&["submit", "hello", "--input", "data/a%20b.csv:/in/a"]).await.code.unwrap_err();
    let told = fake.command(&["submit", "hello", "--input", "data/gone.csv:/in/a"]).await;
    assert!(told.failure().contains("neither a file here nor an object"), "{}", told.failure());
    assert_eq!(fake.books().submits.len(), 0);
    fake.command(&["submit", "hello", "--input", "object:data/later:/in/a"]).await.code();
    let books = fake.books();
    let (_, (_, body)) = books.submits.first_key_value().unwrap();
    assert_eq!(body["inputs"][0]["source"], json!({"object": "data/later"}));
}

#[tokio::test]
async fn a_refusal_is_told_with_its_field_and_code() {
    let fake = Fake::start().await;
    let told = fake.command(&["submit", ""]).await;
    assert_eq!(told.failure(), "error: `image`: an image is required (invalid_field)");
    assert_eq!(told.spoken.out(), "");
    assert_eq!(fake.count("POST"), 1, "a refusal is not repeated");
}

#[tokio::test]
async fn a_wrong_key_and_a_missing_server_are_told_as_such() {
    let fake = Fake::start().await;
    let told = fake.command_as("wrong", &["jobs"]).await;
    assert!(told.failure().contains("the access key is not known (unauthenticated)"));
    assert!(told.failure().contains("check TARPON_ACCESS_KEY_ID"));
    let (session, _) = offline();
    let gone = crate::cli::watch::get(&session, "job-1", 0).await.err().unwrap().told();
    assert!(gone.starts_with("error: no server answers at http://127.0.0.1:9"), "{gone}");
    assert!(gone.ends_with("start one with `tarpon serve`"), "{gone}");
}

#[tokio::test]
async fn a_submit_that_waits_exits_as_the_job_does() {
    let fake = Fake::start().await;
    fake.books().next_job = ended("job-1", "failed", 7);
    let told = fake.command(&["submit", "hello", "--wait"]).await;
    assert_eq!(told.code(), 7);
    assert_eq!(told.spoken.out(), "job-1\n");
    assert!(told.spoken.err().contains("job-1 failed: exit code 7"));
    let told = fake.command(&["submit", "hello", "--wait=10m", "--json"]).await;
    assert_eq!(told.spoken.json().len(), 1);
    assert_eq!(told.spoken.json()[0]["state"], "failed");
}

#[tokio::test]
async fn waiting_for_one_job_exits_as_it_did_and_for_several_says_whether_all_did_well() {
    let fake = Fake::start().await;
    fake.with_job("job-a", ended("job-a", "succeeded", 0));
    fake.with_job("job-b", ended("job-b", "failed", 3));
    fake.with_job("job-c", ended("job-c", "succeeded", 0));
    let told = fake.command(&["wait", "job-b"]).await;
    assert_eq!((told.code(), told.spoken.out().as_str()), (3, "job-b failed: exit code 3\n"));
    assert_eq!(fake.command(&["wait", "job-a", "job-b"]).await.code(), 1);
    let told = fake.command(&["wait", "job-a", "job-c", "--json"]).await;
    assert_eq!((told.code(), told.spoken.json().len()), (0, 2));
}

#[tokio::test]
async fn waiting_is_taken_up_again_when_the_server_was_away() {
    let fake = Fake::start().await;
    fake.with_job("job-a", ended("job-a", "succeeded", 0));
    for _ in 0..6 {
        fake.fault("GET /v1/jobs/job-a", Fault::Status(503));
    }
    fake.fault("GET /v1/jobs/job-a", Fault::Lost);
    let told = fake.command(&["wait", "job-a"]).await;
    assert_eq!(told.code(), 0);
    assert!(told.spoken.err().contains("the server does not answer; trying again"));
    assert!(told.spoken.err().contains("the server answers again"));
}

#[tokio::test]
async fn waiting_ends_when_its_time_is_up() {
    let fake = Fake::start().await;
    let views = [view("job-a", "running", &json!({}))].into();
    fake.with_job("job-a", FakeJob { views, ..FakeJob::default() });
    let told = fake.command(&["wait", "job-a", "--timeout", "0"]).await;
    assert_eq!(told.code(), 124);
    assert!(told.spoken.err().contains("1 job has not ended yet"));
}

#[tokio::test]
async fn cancelling_tells_what_became_of_the_job() {
    let fake = Fake::start().await;
    for id in ["job-a", "job-b"] {
        let views = [view(id, "running", &json!({}))].into();
        fake.with_job(id, FakeJob { views, ..FakeJob::default() });
    }
    let told = fake.command(&["cancel", "job-a"]).await;
    assert_eq!((told.code(), told.spoken.out().as_str()), (0, "job-a is stopping\n"));
    let told = fake.command(&["cancel", "--wait", "job-b"]).await;
    assert_eq!(told.spoken.out(), "job-b cancelled\n");
    let told = fake.command(&["cancel", "job-x"]).await;
    assert_eq!(told.failure(), "error: no job `job-x` (not_found)");
}

#[tokio::test]
async fn deleting_survives_a_lost_answer_and_tells_of_a_job_that_never_was() {
    let fake = Fake::start().await;
    fake.with_job("job-a", ended("job-a", "succeeded", 0));
    fake.fault("DELETE", Fault::Lost);
    let told = fake.command(&["delete", "job-a"]).await;
    assert_eq!(told.code(), 0, "gone already: that was us");
    assert_eq!(fake.count("DELETE"), 2);
    let told = fake.command(&["delete", "job-a"]).await;
    assert_eq!(told.failure(), "error: no job `job-a` (not_found)");
}

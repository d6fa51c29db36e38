//! Lists, queues, images, keys and tokens.

use serde_json::json;
use tempfile::TempDir;

use crate::cli::testing::{Fake, FakeJob, Fault, view};

#[tokio::test]
async fn jobs_are_listed_as_a_table() {
    let fake = Fake::start().await;
    let waiting = json!({"waiting_for": {"reason": "queue_limit", "position": "0"}, "name": "n"});
    let done = json!({
        "started_at": "2026-01-01T00:00:01Z", "ended_at": "2026-01-01T00:01:06Z",
        "tasks": [{"image": "a"}, {"image": "b"}],
    });
    let jobs = [view("job-2", "queued", &waiting), view("job-1", "succeeded", &done)];
    fake.books().pages.insert("/v1/jobs".into(), [json!({"jobs": jobs})].into());
    let told = fake.command(&["jobs", "--state", "queued", "--tag", "a=b=c"]).await;
    assert_eq!(
        told.spoken.out(),
        "ID     NAME  STATE      WAITING FOR                IMAGE  CREATED  DURATION\n\
         job-2  n     queued     queue limit (0 before it)  hello  10m ago\n\
         job-1        succeeded                             a +1   10m ago  1m05s\n"
    );
    assert_eq!(fake.count("state=queued&tag=a%3Db%3Dc&limit=25"), 1);
}

#[tokio::test]
async fn all_jobs_are_listed_page_by_page_and_a_limit_is_kept() {
    let fake = Fake::start().await;
    let page = |id: &str, next: Option<&str>| match next {
        Some(next) => json!({"jobs": [view(id, "queued", &json!({}))], "next": next}),
        None => json!({"jobs": [view(id, "queued", &json!({}))]}),
    };
    // A page may be empty, and not the last.
    let pages = [page("job-3", Some("c1")), json!({"jobs": [], "next": "c2"}), page("job-1", None)];
    fake.books().pages.insert("/v1/jobs".into(), pages.clone().into());
    let told = fake.command(&["jobs", "--all", "--json"]).await;
    let ids: Vec<_> = told.spoken.json().iter().map(|job| job["id"].clone()).collect();
    assert_eq!(ids, ["job-3", "job-1"]);
    fake.books().pages.insert("/v1/jobs".into(), pages.into());
    let told = fake.command(&["jobs", "--limit", "1"]).await;
    assert_eq!(told.spoken.out().lines().count(), 2);
    assert!(told.spoken.err().contains("there are more"));
}

#[tokio::test]
async fn an_empty_list_is_no_table() {
    let fake = Fake::start().await;
    fake.books().pages.insert("/v1/jobs".into(), [json!({"jobs": []})].into());
    let told = fake.command(&["jobs"]).await;
    assert_eq!((told.spoken.out().as_str(), told.spoken.err().as_str()), ("", "no jobs\n"));
}

#[tokio::test]
async fn a_job_is_shown() {
    let fake = Fake::start().await;
    let views = [view("job-1", "succeeded", &json!({}))].into();
    fake.with_job("job-1", FakeJob { views, ..FakeJob::default() });
    let attempts = json!({"attempts": [{"task": "main", "number": 1, "state": "succeeded"}]});
    fake.books().canned.insert("GET /v1/jobs/job-1/attempts".into(), attempts);
    let told = fake.command(&["show", "job-1"]).await;
    assert!(told.spoken.out().starts_with("job-1  succeeded\n"));
    assert!(told.spoken.out().ends_with("attempt    main/0 no. 1  succeeded\n"));
    let told = fake.command(&["show", "job-1", "--json"]).await;
    assert_eq!(told.spoken.json()[0]["unknown"], "passed over");
    let told = fake.command(&["show", "../keys"]).await;
    assert!(told.failure().contains("(not_found)"), "an id stays one segment");
}

#[tokio::test]
async fn a_template_is_saved_and_submitted_from_with_typed_values() {
    let fake = Fake::start().await;
    let template = json!({"name": "t", "description": "what for", "operation": false,
        "parameters": {"n": {"type": "integer"}, "s": {"type": "string"}}, "job": {"image": "a"},
        "updated_at": "2026-01-01T00:00:00Z"});
    fake.books().canned.insert("PUT /v1/templates/t".into(), template.clone());
    fake.books().canned.insert("GET /v1/templates/t".into(), template.clone());
    fake.books().canned.insert("GET /v1/templates".into(), json!({"templates": [template]}));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("t.json");
    std::fs::write(&file, r#"{"job": {"image": "a"}}"#).unwrap();
    let told = fake.command(&["templates", "put", "t", file.to_str().unwrap()]).await;
    assert_eq!(told.spoken.out(), "template t is saved\n");
    assert_eq!(fake.books().bodies.last().unwrap(), r#"{"job":{"image":"a"}}"#);
    let told = fake.command(&["templates", "ls"]).await;
    assert_eq!(
        told.spoken.out(),
        "NAME  PARAMETERS  DESCRIPTION  CHANGED\nt     n, s        what for     10m ago\n"
    );
    let told = fake.command(&["templates", "show", "t", "--json"]).await;
    assert_eq!(told.spoken.json()[0]["job"]["image"], "a");
    let words = ["submit", "--template", "t", "-p", "n=7", "-p", "s=7", "--name", "x"];
    let _ = fake.command(&words).await;
    let sent = r#"{"name":"x","parameters":{"n":7,"s":"7"},"template":"t"}"#;
    assert_eq!(fake.books().bodies.last().unwrap(), sent);
}

#[tokio::test]
async fn a_trigger_is_saved_and_listed_with_what_it_did() {
    let fake = Fake::start().await;
    let trigger = json!({"name": "t", "enabled": true, "on": {"object": {"bucket": "b"}},
        "template": "thumbnail", "last_fired": {"at": "2026-01-01T00:00:00Z"},
        "last_error": {"error": "no template"}});
    let saved = json!({"name": "t", "next_at": "2026-01-02T03:00:00Z"});
    fake.books().canned.insert("PUT /v1/triggers/t".into(), saved);
    fake.books().canned.insert("GET /v1/triggers".into(), json!({"triggers": [trigger]}));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("t.json");
    std::fs::write(&file, r#"{"template": "thumbnail"}"#).unwrap();
    let told = fake.command(&["triggers", "put", "t", file.to_str().unwrap()]).await;
    assert_eq!(told.spoken.out(), "trigger t is saved, next at 2026-01-02T03:00:00Z\n");
    assert_eq!(fake.books().bodies.last().unwrap(), r#"{"template":"thumbnail"}"#);
    let told = fake.command(&["triggers"]).await;
    assert_eq!(
        told.spoken.out(),
        "NAME  STATE   ON      TEMPLATE   FIRED    LAST ERROR\n\
         t     active  object  thumbnail  10m ago  no template\n"
    );
}

#[tokio::test]
async fn queues_are_listed_and_changed() {
    let fake = Fake::start().await;
    let queue = json!({"name": "gpu", "paused": true, "limit": 2, "running": 1, "waiting": "7",
        "cpu_limit": 2.5, "running_cpu": 0.25, "running_memory_mib": 512,
        "created_at": "2026-01-01T00:00:00Z"});
    fake.books().canned.insert("GET /v1/queues".into(), json!({"queues": [queue]}));
    fake.books().canned.insert("PUT /v1/queues/gpu".into(), queue);
    fake.books().canned.insert("DELETE /v1/queues/gpu".into(), json!(null));
    let table = "NAME  STATE   WAITING  RUNNING  CPUS         MEMORY MIB  CREATED\n\
                 gpu   paused  7        1 of 2   0.25 of 2.5  512         10m ago\n";
    assert_eq!(fake.command(&["queues"]).await.spoken.out(), table);
    assert_eq!(fake.command(&["queues", "ls"]).await.spoken.out(), table);
    let told = fake.command(&["queues", "put", "gpu", "--limit", "2", "--pause"]).await;
    assert_eq!(told.spoken.out(), "queue gpu is paused, 2 at once, 2.5 CPUs in all\n");
    assert_eq!(fake.books().bodies.last().unwrap(), r#"{"limit":2,"paused":true}"#);
    fake.command(&["queues", "put", "gpu", "--resume"]).await.code();
    assert_eq!(fake.books().bodies.last().unwrap(), r#"{"paused":false}"#);
    let line = "queues put gpu --cpu 2.5 --unlimited memory --default-cpu 1 --default-memory 2g";
    fake.command(&line.split(' ').collect::<Vec<_>>()).await.code();
    let body: serde_json::Value =
        serde_json::from_slice(fake.books().bodies.last().unwrap()).unwrap();
    let resources = json!({"cpu": 1.0, "memory_mib": 2048});
    let expected = json!({"cpu_limit": 2.5, "memory_limit_mib": null, "resources": resources});
    assert_eq!(body, expected);
    fake.command(&["queues", "put", "gpu", "--no-defaults"]).await.code();
    assert_eq!(fake.books().bodies.last().unwrap(), r#"{"resources":null}"#);
    for (word, paused) in [("pause", true), ("resume", false)] {
        fake.command(&["queues", word, "gpu"]).await.code();
        let expected = format!(r#"{{"paused":{paused}}}"#);
        assert_eq!(fake.books().bodies.last().unwrap(), expected.as_bytes());
    }
    assert_eq!(fake.command(&["queues", "rm", "gpu"]).await.code(), 0);
    let told = fake.command(&["queues", "--json"]).await;
    assert_eq!(told.spoken.json()[0]["name"], "gpu");
}

#[tokio::test]
async fn jobs_are_changed_by_what_they_are_page_by_page() {
    let fake = Fake::start().await;
    let refused = json!([{"job": "job-2", "code": "not_finished", "detail": "it is not over"}]);
    let first = json!({"changed": 1, "jobs": ["job-3", "job-2"], "refused": refused, "next": "c"});
    let last = json!({"changed": 1, "jobs": ["job-1"], "refused": []});
    fake.books().pages.insert("/v1/jobs/bulk".into(), [first, last].into());
    let line = "delete --state failed --state cancelled --queue q --name n --tag a=b --dry-run";
    let told = fake.command(&line.split(' ').collect::<Vec<_>>()).await;
    assert_eq!(told.code(), 1, "one was refused");
    assert_eq!(told.spoken.out(), "job-3\njob-1\n");
    assert_eq!(told.spoken.err(), "job-2: it is not over\n2 jobs would be deleted\n");
    let bodies: Vec<serde_json::Value> =
        fake.books().bodies.iter().map(|body| serde_json::from_slice(body).unwrap()).collect();
    let filter = json!({"states": ["failed", "cancelled"], "queue": "q", "name": "n",
        "tags": {"a": "b"}});
    let expected = json!({"action": "delete", "filter": filter, "dry_run": true});
    assert_eq!(bodies[0], expected);
    assert_eq!((&bodies[1]["cursor"], &bodies[1]["filter"]), (&json!("c"), &filter));

    fake.books().pages.insert("/v1/jobs/bulk".into(), [json!({"changed": 0, "jobs": []})].into());
    let told = fake.command(&["retry", "--every", "--all"]).await;
    assert_eq!((told.code(), told.spoken.err().as_str()), (0, "0 jobs retried\n"));
    let body: serde_json::Value =
        serde_json::from_slice(fake.books().bodies.last().unwrap()).unwrap();
    assert_eq!(body, json!({"action": "retry", "filter": {}, "dry_run": false, "all": true}));
}

#[tokio::test]
async fn a_job_is_retried_in_the_run_in_which_it_was_seen() {
    let fake = Fake::start().await;
    let views = [view("job-1", "failed", &json!({"run": 3}))].into();
    fake.with_job("job-1", FakeJob { views, ..FakeJob::default() });
    let again = view("job-1", "queued", &json!({"run": 4}));
    fake.books().canned.insert("POST /v1/jobs/job-1/retry".into(), again);
    let told = fake.command(&["retry", "job-1"]).await;
    assert_eq!(told.spoken.out(), "job-1 is in run 4\n");
    assert_eq!(fake.books().bodies.last().unwrap(), r#"{"all":false,"run":3}"#);
}

#[test]
fn jobs_are_told_by_id_or_by_what_they_are() {
    use clap::Parser;
    for (line, sound) in [
        ("cancel job-1 job-2", true),
        ("cancel --state queued --dry-run", true),
        ("retry --every", true),
        ("cancel", false),
        ("cancel job-1 --state queued", false),
        ("retry --dry-run", false),
        ("delete job-1 --every", false),
        ("cancel --state queued --wait", false),
    ] {
        let words = std::iter::once("tarpon").chain(line.split(' '));
        assert_eq!(crate::cli::testing::Line::try_parse_from(words).is_ok(), sound, "{line}");
    }
}

#[tokio::test]
async fn callbacks_are_shown_try_by_try_and_asked_for_again() {
    let fake = Fake::start().await;
    let tries = json!([
        {"number": 1, "at": "2026-01-01T00:00:00Z", "took_ms": 15, "status": 500, "error": "e"},
        {"number": 2, "took_ms": 0, "error": "cut"},
    ]);
    let callback = json!({"id": "job-1-1-finished", "run": 1, "event": "finished",
        "state": "pending", "next_try_at": "2026-01-01T00:20:00Z", "tries": tries});
    let path = "/v1/jobs/job-1/callbacks";
    fake.books().canned.insert(format!("GET {path}"), json!({"callbacks": [callback]}));
    let again = format!("POST {path}/job-1-1-finished/redeliver");
    fake.books().canned.insert(again.clone(), callback);
    let told = fake.command(&["callbacks", "ls", "job-1"]).await;
    assert_eq!(
        told.spoken.out(),
        "CALLBACK          STATE    TRY   WHEN                  STATUS  TOOK   ERROR\n\
         job-1-1-finished  pending  1     10m ago               500     15 ms  e\n\
         job-1-1-finished  pending  2                                          cut\n\
         job-1-1-finished  pending  next  2026-01-01 00:20:00Z\n"
    );
    let told = fake.command(&["callbacks", "redeliver", "job-1"]).await;
    assert_eq!(told.spoken.out(), "job-1-1-finished is delivered once more\n");
    assert_eq!(fake.count(&again), 1);
    let told = fake.command(&["callbacks", "ls", "job-1", "--json"]).await;
    assert_eq!(told.spoken.json()[0]["state"], "pending");
    let queue = json!({"name": "gpu", "paused": false});
    fake.books().canned.insert("PUT /v1/queues/gpu".into(), queue);
    fake.command(&["queues", "put", "gpu", "--callback", "no"]).await.code();
    assert_eq!(fake.books().bodies.last().unwrap(), r#"{"callback":"no"}"#);
}

#[tokio::test]
async fn images_are_registered_with_a_password_that_is_on_no_command_line() {
    let fake = Fake::start().await;
    let image = json!({"name": "w", "reference": "r.example.org/w:1", "username": "u",
        "updated_at": "2026-01-01T00:00:00Z"});
    fake.books().canned.insert("GET /v1/images".into(), json!({"images": [image]}));
    fake.books().canned.insert("PUT /v1/images/w".into(), image);
    fake.books().canned.insert("DELETE /v1/images/w".into(), json!(null));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "s e\n").unwrap();
    let file = file.to_str().unwrap();
    let line =
        ["images", "put", "w", "r.example.org/w:1", "--username", "u", "--password-file", file];
    let told = fake.command(&line).await;
    assert_eq!(told.spoken.out(), "w is r.example.org/w:1\n");
    let body: serde_json::Value =
        serde_json::from_slice(fake.books().bodies.last().unwrap()).unwrap();
    let expected = json!({"reference": "r.example.org/w:1", "username": "u", "password": "s e"});
    assert_eq!(body, expected);
    let table = "NAME  REFERENCE          USER  CHANGED\nw     r.example.org/w:1  u     10m ago\n";
    assert_eq!(fake.command(&["images"]).await.spoken.out(), table);
    assert_eq!(fake.command(&["images", "rm", "w"]).await.code(), 0);
}

#[tokio::test]
async fn keys_are_made_once_listed_and_disabled() {
    let fake = Fake::start().await;
    let made = json!({"access_key_id": "tp2", "secret_access_key": "s2",
        "created_at": "2026-01-01T00:00:00Z"});
    let listed = json!({"access_key_id": "tp2", "note": "ci", "created_at": "2026-01-01T00:00:00Z",
        "disabled_at": "2026-01-01T00:01:00Z"});
    fake.books().canned.insert("POST /v1/keys".into(), made);
    fake.books().canned.insert("GET /v1/keys".into(), json!({"keys": [listed]}));
    fake.books().canned.insert("POST /v1/keys/tp2/disable".into(), listed);
    let told = fake.command(&["keys", "create", "--note", "ci"]).await;
    let pair = "TARPON_ACCESS_KEY_ID=tp2\nTARPON_SECRET_ACCESS_KEY=s2\n";
    assert_eq!(told.spoken.out(), pair);
    fake.fault("POST /v1/keys", Fault::Lost);
    let told = fake.command(&["keys", "create"]).await;
    assert!(told.code.is_err(), "a second try could make a second key");
    assert_eq!(fake.count("POST /v1/keys"), 2);
    let table = "ID   STATE     APIS  CREATED  NOTE\ntp2  disabled  all   10m ago  ci\n";
    assert_eq!(fake.command(&["keys"]).await.spoken.out(), table);
    let told = fake.command(&["keys", "disable", "tp2"]).await;
    assert_eq!(told.spoken.out(), "tp2 is disabled\n");
}

#[tokio::test]
async fn a_token_is_printed_bare() {
    let fake = Fake::start().await;
    let token = json!({"access_token": "t.o.k", "token_type": "Bearer", "expires_in": 600});
    fake.books().canned.insert("POST /v1/tokens".into(), token.clone());
    let told = fake.command(&["token", "--expires-in", "10m"]).await;
    assert_eq!(told.spoken.out(), "t.o.k\n");
    assert_eq!(fake.books().bodies.last().unwrap(), r#"{"expires_in":600}"#);
    assert_eq!(fake.command(&["token", "--json"]).await.spoken.json(), [token]);
}

#[test]
fn every_command_explains_itself_with_an_example() {
    use clap::CommandFactory;
    let mut tree = crate::cli::testing::Line::command();
    tree.build();
    for command in tree.get_subcommands_mut().filter(|command| command.get_name() != "help") {
        let help = command.render_long_help().to_string();
        assert!(help.contains("Example"), "{help}");
        for option in ["--json", "--quiet", "--url", "TARPON_SECRET_ACCESS_KEY", "--data"] {
            assert!(help.contains(option), "{option}: {help}");
        }
    }
}

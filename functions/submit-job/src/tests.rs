//! What submitting promises.

use std::collections::BTreeSet;

use futures::future::join_all;
use shared::{
    conformance::memory::{Answer, Ask, World},
    function::DynAction,
    ops::{
        attempts, keys,
        queues::{self, QueueChange, Setting},
        rows::QueueKey,
    },
    platform::{Objects, Row, collect},
    wire::openapi,
};

use super::SubmitJob;

async fn submit(world: &World, json: &str) -> Answer {
    world.ask("/v1/jobs").json(json).of(SubmitJob).await
}

fn id(answer: &Answer) -> String {
    answer.header("tarpon-job-id").expect("an id").to_owned()
}

/// How many jobs the table has.
fn rows(world: &World) -> usize {
    let of_project = |row: &&Row| row.key.partition.starts_with(&world.project.to_string());
    let all = world.memory.table.rows();
    all.iter().filter(of_project).filter(|row| row.key.sort.starts_with("job-")).count()
}

#[tokio::test(start_paused = true)]
async fn a_job_is_accepted_and_told_where_it_is() {
    let world = World::new().await;
    let answer = submit(&world, r#"{"image": "a", "command": ["x"]}"#).await.expect(202);
    let job = answer.json();
    assert_eq!(job["state"], "queued");
    assert_eq!(job["id"], id(&answer));
    assert_eq!(answer.header("location"), Some(format!("/v1/jobs/{}", id(&answer)).as_str()));
    assert_eq!(answer.header("tarpon-job-state"), Some("queued"));
    assert_eq!(rows(&world), 1);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_a_rule_is_refused_with_its_field_and_changes_nothing() {
    let world = World::new().await;
    for (json, field) in [
        (r#"{"image": "A"}"#, "image"),
        (r#"{"command": ["x"]}"#, "image"),
        (r#"{"image": "a", "queue": "other"}"#, "queue"),
        (r#"{"image": "a", "priority": 1001}"#, "priority"),
        (r#"{"image": "a", "client_token": "a b"}"#, "client_token"),
        (r#"{"image": "a", "callback": {}}"#, "callback.url"),
        (r#"{"tasks": [{"image": "a", "colour": 1}]}"#, "tasks[0].colour"),
        (r#"{"tasks": [{"image": "a", "instances": 0}]}"#, "tasks[0].instances"),
    ] {
        submit(&world, json).await.refused(400, "invalid_field", field);
    }
    for json in ["", "{", "[]", "null", r#""a""#] {
        submit(&world, json).await.refused(400, "malformed_body", "");
    }
    let long = format!(r#"{{"image": "a", "command": ["{}"]}}"#, "x".repeat(300_000));
    submit(&world, &long).await.refused(413, "too_large", "");
    let huge = " ".repeat(7 << 20);
    submit(&world, &huge).await.refused(413, "too_large", "");
    assert_eq!(rows(&world), 0);
    assert_eq!(world.memory.objects.names(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn who_asks_has_to_be_known_before_anything_is_read() {
    let world = World::new().await;
    let json = r#"{"image": "a"}"#;
    let nameless = world.ask("/v1/jobs").json("not even json").nameless();
    nameless.of(SubmitJob).await.refused(401, "unauthenticated", "");
    let wrong = world.ask("/v1/jobs").json(json).header("authorization", "Bearer nonsense");
    wrong.of(SubmitJob).await.refused(401, "unauthenticated", "");
    let other = world.neighbour().await;
    keys::disable(&world.service, other.project, other.key).await.expect("it is there");
    submit(&other, json).await.refused(401, "unauthenticated", "");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_token_answers_the_same_job() {
    let world = World::new().await;
    let json = r#"{"image": "a"}"#;
    let by_header = |json: &str| world.ask("/v1/jobs").json(json).header("idempotency-key", "t-1");
    let first = by_header(json).of(SubmitJob).await.expect(202);
    let again = by_header(json).of(SubmitJob).await.expect(202);
    assert_eq!(id(&first), id(&again));
    let other = by_header(r#"{"image": "b"}"#).of(SubmitJob).await;
    other.refused(409, "client_token_reused", "");
    assert_eq!(rows(&world), 1);

    let job = id(&first).parse().expect("an id");
    world.run(job, 0, &[("Stdout", "")]).await;
    let after = by_header(json).query("wait", "1").of(SubmitJob).await.expect(200);
    assert_eq!(id(&after), id(&first));

    let theirs = world.neighbour().await;
    let theirs = theirs.ask("/v1/jobs").json(json).header("idempotency-key", "t-1");
    assert_ne!(id(&theirs.of(SubmitJob).await.expect(202)), id(&first));
}

#[tokio::test(start_paused = true)]
async fn a_token_may_be_in_the_body_but_not_two_of_them() {
    let world = World::new().await;
    let json = r#"{"image": "a", "client_token": "t-1"}"#;
    let first = submit(&world, json).await.expect(202);
    assert_eq!(id(&submit(&world, json).await.expect(202)), id(&first));
    let ask = |key: &str| world.ask("/v1/jobs").json(json).header("idempotency-key", key);
    assert_eq!(id(&ask("t-1").of(SubmitJob).await.expect(202)), id(&first));
    ask("t-2").of(SubmitJob).await.refused(400, "invalid_field", "client_token");
    let long = "t".repeat(65);
    ask(&long).of(SubmitJob).await.refused(400, "invalid_field", "Idempotency-Key");
    ask("").of(SubmitJob).await.refused(400, "invalid_field", "Idempotency-Key");
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_has_spent_no_token() {
    let world = World::new().await;
    let ask = |json: &str| world.ask("/v1/jobs").json(json).header("idempotency-key", "t-1");
    ask(r#"{"image": "A"}"#).of(SubmitJob).await.refused(400, "invalid_field", "image");
    let other = r#"{"image": "a", "queue": "other"}"#;
    ask(other).of(SubmitJob).await.refused(400, "invalid_field", "queue");
    let _ = ask(r#"{"image": "a"}"#).of(SubmitJob).await.expect(202);
}

#[tokio::test(start_paused = true)]
async fn what_was_accepted_is_answered_though_it_would_be_refused_by_now() {
    let world = World::new().await;
    let json = r#"{"image": "a", "client_token": "t-1"}"#;
    let first = id(&submit(&world, json).await.expect(202));
    let copy = |token: &str| format!(r#"{{"from": "{first}"{token}}}"#);
    let by_body = copy(r#", "client_token": "t-2""#);
    let (second, sent) = (id(&submit(&world, &by_body).await.expect(202)), copy(""));
    let by_header = || world.ask("/v1/jobs").json(&sent).header("idempotency-key", "t-3");
    let third = id(&by_header().of(SubmitJob).await.expect(202));

    let queue = QueueKey { project: world.project, name: "default".parse().expect("a name") };
    let too_small = QueueChange { memory_mib: Some(Setting::To(1)), ..QueueChange::default() };
    queues::put(&world.service, &queue, too_small).await.expect("it is changed");
    assert_eq!(id(&submit(&world, json).await.expect(202)), first);
    let other = r#"{"image": "a", "client_token": "t-4"}"#;
    submit(&world, other).await.refused(400, "invalid_field", "queue");

    let gone = first.parse().expect("an id");
    let key = world.of(gone);
    shared::ops::jobs::cancel(&world.service, key).await.expect("it is over");
    shared::ops::jobs::delete(&world.service, key).await.expect("it is gone");
    assert_eq!(id(&submit(&world, &by_body).await.expect(202)), second);
    assert_eq!(id(&by_header().of(SubmitJob).await.expect(202)), third);
    submit(&world, &sent).await.refused(400, "invalid_field", "from");
}

#[tokio::test(start_paused = true)]
async fn of_duplicates_at_one_time_one_becomes_the_job() {
    let world = World::new().await;
    let large = "x".repeat(20_000);
    let json = format!(r#"{{"image": "a", "stdin": {{"inline": "{large}"}}}}"#);
    let ask = |_| world.ask("/v1/jobs").json(&json).header("idempotency-key", "t-1").of(SubmitJob);
    let answers = join_all((0..16).map(ask)).await;
    let ids: BTreeSet<_> = answers.into_iter().map(|answer| id(&answer.expect(202))).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(rows(&world), 1);
    assert_eq!(world.memory.objects.names().len(), 1, "what the others stored is gone");
}

#[tokio::test(start_paused = true)]
async fn the_token_of_a_deleted_job_makes_no_other() {
    let world = World::new().await;
    let json = r#"{"image": "a", "client_token": "t-1"}"#;
    let job = id(&submit(&world, json).await.expect(202)).parse().expect("an id");
    world.run(job, 0, &[]).await;
    shared::ops::jobs::delete(&world.service, world.of(job)).await.expect("it is over");
    submit(&world, json).await.refused(409, "job_deleted", "");
}

#[tokio::test(start_paused = true)]
async fn who_waits_is_given_the_archive_whichever_way_it_ended() {
    let world = World::new().await;
    for (code, state) in [(0, "succeeded"), (7, "failed")] {
        let json = format!(r#"{{"image": "a", "client_token": "t-{code}"}}"#);
        let pending = submit(&world, &json).await.expect(202);
        let job = id(&pending).parse().expect("an id");
        let waiting = world.ask("/v1/jobs").json(&json).header("prefer", "respond-async, wait=30");
        let played = world.run(job, code, &[("Stdout", "hello"), ("Stderr", "")]);
        let (answer, _) = tokio::join!(waiting.of(SubmitJob), played);

        let answer = answer.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/x-tar"));
        assert_eq!(answer.header("tarpon-job-id"), Some(id(&pending).as_str()));
        assert_eq!(answer.header("tarpon-job-state"), Some(state));
        assert_eq!(answer.header("tarpon-exit-code"), Some(code.to_string().as_str()));
        assert_eq!(&answer.body[..6], b"Stdout");
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_vain_is_given_the_job() {
    let world = World::new().await;
    let ask = world.ask("/v1/jobs").json(r#"{"image": "a"}"#).query("wait", "5");
    assert_eq!(ask.of(SubmitJob).await.expect(202).json()["state"], "queued");
    let ask = world.ask("/v1/jobs").json(r#"{"image": "a"}"#).query("wait", "soon");
    ask.of(SubmitJob).await.refused(400, "invalid_field", "wait");
}

#[tokio::test(start_paused = true)]
async fn a_job_without_the_one_archive_is_answered_as_it_is() {
    let world = World::new().await;
    let ask = world.ask("/v1/jobs").json(r#"{"image": "missing/a"}"#).query("wait", "30");
    let (answer, ()) = tokio::join!(ask.of(SubmitJob), world.settle());
    let job = answer.expect(200).json();
    assert_eq!((&job["state"], &job["cause"]), (&"failed".into(), &"image_not_found".into()));
}

fn streamed(world: &World, query: &str, pieces: &[&str]) -> Ask {
    let ask = world.ask(&format!("/v1/jobs?{query}"));
    ask.stream("application/octet-stream", pieces, None)
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_json_is_standard_input() {
    let world = World::new().await;
    let query = "image=a&command=resize&command=50%&entrypoint=/bin/tool&output=/out&env=A=b=c\
                 &cpu=1.5&memory_mib=64&name=n&priority=3&timeout_seconds=9&network=none";
    let answer = streamed(&world, query, &["hello ", "world"]).of(SubmitJob).await.expect(202);
    let job = id(&answer).parse().expect("an id");

    let stored = world.memory.objects.names();
    assert_eq!(stored, [format!("{}/job/{job}/stdin", world.project)]);
    let (attempt, plan) = world.start(job).await;
    assert_eq!(plan.argv, ["/bin/tool", "resize", "50%"]);
    assert_eq!(plan.env.get("A").map(String::as_str), Some("b=c"));
    assert_eq!((plan.outputs, plan.timeout_seconds), (vec!["/out".to_owned()], 9));
    let Some(shared::agent::PlanSource::Url(url)) = plan.stdin else { panic!("no stdin") };
    let grant = world.memory.objects.granted(&url).expect("a URL that is good");
    let object = world.memory.objects.get(&grant.key, None).await.expect("an answer");
    let bytes = collect(object.expect("an object").body).await.expect("its bytes");
    assert_eq!(bytes, "hello world");

    let job = world.job(attempt.attempt.job).await;
    let spec = attempts::load_spec(&world.service, &job).await.expect("a spec");
    assert_eq!((spec.name.as_deref(), spec.priority), (Some("n"), 3));
    assert_eq!(spec.tasks[0].resources.cpu_millis, 1_500);
    assert_eq!(spec.tasks[0].resources.memory_mib, 64);
    assert_eq!(spec.tasks[0].network, shared::job::Network::None);
}

#[tokio::test(start_paused = true)]
async fn a_query_without_a_body_is_a_job_without_input() {
    let world = World::new().await;
    let answer = world.ask("/v1/jobs?image=a").of(SubmitJob).await.expect(202);
    let (_, plan) = world.start(id(&answer).parse().expect("an id")).await;
    assert_eq!(plan.stdin, None);
}

#[tokio::test(start_paused = true)]
async fn a_query_is_held_to_the_same_rules() {
    let world = World::new().await;
    for (query, field) in [
        ("image=A", "image"),
        ("image=a&image=b", "image"),
        ("command=x", "image"),
        ("image=a&cpu=0", "cpu"),
        ("image=a&cpu=NaN", "cpu"),
        ("image=a&cpu=much", "cpu"),
        ("image=a&memory_mib=1", "memory_mib"),
        ("image=a&output=relative", "output"),
        ("image=a&env=noequals", "env"),
        ("image=a&env=TARPON_X=1", "env"),
        ("image=a&network=host", "network"),
        ("image=a&queue=other", "queue"),
        ("image=a&priority=x", "priority"),
        ("image=a&timeout_seconds=0", "timeout_seconds"),
        ("image=a&client_token=a b", "client_token"),
        ("image=a&colour=red", "colour"),
        ("image=a&wait=x", "wait"),
    ] {
        let answer = streamed(&world, query, &["x"]).of(SubmitJob).await;
        answer.refused(400, "invalid_field", field);
    }
    let json = world.ask("/v1/jobs?image=b").json(r#"{"image": "a"}"#).of(SubmitJob).await;
    json.refused(400, "invalid_field", "image");
    assert_eq!(world.memory.objects.names(), Vec::<String>::new());
    assert_eq!(rows(&world), 0);
}

#[tokio::test(start_paused = true)]
async fn a_repeated_token_counts_query_and_body() {
    let world = World::new().await;
    let ask = |query: &str, body: &[&str]| {
        streamed(&world, query, body).header("idempotency-key", "t").of(SubmitJob)
    };
    let first = ask("image=a", &["hello"]).await.expect(202);
    for body in [&["hello"][..], &["hel", "lo"]] {
        assert_eq!(id(&ask("image=a&wait=1", body).await.expect(202)), id(&first));
    }
    ask("image=a", &["hello!"]).await.refused(409, "client_token_reused", "");
    ask("image=b", &["hello"]).await.refused(409, "client_token_reused", "");
    ask("image=a&command=x", &["hello"]).await.refused(409, "client_token_reused", "");
    assert_eq!((rows(&world), world.memory.objects.names().len()), (1, 1));

    let at_once = |_| streamed(&world, "image=a&client_token=u", &["a", "b"]).of(SubmitJob);
    let answers = join_all((0..8).map(at_once)).await;
    let ids: BTreeSet<_> = answers.into_iter().map(|answer| id(&answer.expect(202))).collect();
    assert_eq!((ids.len(), rows(&world), world.memory.objects.names().len()), (1, 2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_the_limit_is_refused_and_not_kept() {
    let mut world = World::new().await;
    world.service.limits.body_bytes = 10;
    let _ = streamed(&world, "image=a", &["01234", "56789"]).of(SubmitJob).await.expect(202);
    let long = ["01234", "567890"];
    streamed(&world, "image=a", &long).of(SubmitJob).await.refused(413, "too_large", "");
    let said = world.ask("/v1/jobs?image=a").stream("image/jpeg", &long, Some(11));
    said.of(SubmitJob).await.refused(413, "too_large", "");
    assert_eq!((rows(&world), world.memory.objects.names().len()), (1, 1));
}

#[test]
fn the_description_knows_every_way_to_write_a_job_and_refers_to_nothing_unknown() {
    let document = openapi::document([&SubmitJob as &dyn DynAction]);
    let schemas = &document["components"]["schemas"];
    let ways = schemas["JobBody"]["oneOf"].as_array().expect("several ways");
    assert_eq!(ways.len(), 3, "{}", schemas["JobBody"]);
    let text = document.to_string();
    for reference in text.split("#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap_or_default();
        assert!(!schemas[name].is_null(), "no schema {name}");
    }
    let operation = &document["paths"]["/v1/jobs"]["post"];
    let answers = operation["responses"]["200"]["content"].as_object().expect("answers");
    assert!(answers.contains_key("application/x-tar") && answers.contains_key("application/json"));
    let named = |name: &str| text.contains(&format!(r#""{name}":{{"#));
    for field in ["image", "retain_days", "secret_env", "client_token", "waiting_for"] {
        assert!(named(field), "{field} is not described");
    }
}

use std::time::Duration;

use serde_json::Value;
use shared::{
    conformance::memory::{Answer, World},
    job::JobId,
    wire::views::job_state,
};

use super::ChangeJobs;

async fn ask(world: &World, body: &str) -> Answer {
    world.ask("/v1/jobs/bulk").json(body).of(ChangeJobs).await
}

/// So many jobs of this name, one a millisecond, newest first.
async fn submitted(world: &World, name: &str, count: usize) -> Vec<JobId> {
    let mut ids = Vec::new();
    for n in 0..count {
        tokio::time::advance(Duration::from_millis(1)).await;
        let json = format!(r#"{{"image": "a", "name": "{name}", "tags": {{"n": "{}"}}}}"#, n % 2);
        ids.push(world.submit(&json).await.id);
    }
    ids.reverse();
    ids
}

fn texts(ids: &[JobId]) -> Value {
    ids.iter().map(JobId::to_string).collect()
}

async fn states(world: &World, ids: &[JobId]) -> Vec<&'static str> {
    let mut states = Vec::new();
    for id in ids {
        states.push(job_state(&world.job(*id).await));
    }
    states
}

#[tokio::test(start_paused = true)]
async fn what_a_filter_lets_through_is_cancelled_page_by_page_and_the_rest_is_not() {
    let world = World::new().await;
    let (mine, other) = (submitted(&world, "mine", 5).await, submitted(&world, "other", 2).await);
    let theirs = world.neighbour().await;
    let foreign = submitted(&theirs, "mine", 1).await;
    let first = ask(&world, r#"{"action": "cancel", "filter": {"name": "mine"}, "limit": 3}"#);
    let first = first.await.expect(200).json();
    assert_eq!(first["jobs"], texts(&mine[..3]));
    assert_eq!((&first["changed"], &first["refused"][0]), (&3.into(), &().into()));
    // What comes meanwhile is not meant.
    let late = submitted(&world, "mine", 1).await;
    let next = first["next"].as_str().expect("there are more");
    let body = format!(
        r#"{{"action": "cancel", "filter": {{"name": "mine"}}, "limit": 3, "cursor": "{next}"}}"#
    );
    let second = ask(&world, &body).await.expect(200).json();
    assert_eq!((&second["jobs"], second.get("next")), (&texts(&mine[3..]), None));
    assert_eq!(states(&world, &mine).await, ["cancelled"; 5]);
    assert_eq!(states(&world, &other).await, ["queued"; 2]);
    assert_eq!(states(&world, &late).await, ["queued"]);
    assert_eq!(states(&theirs, &foreign).await, ["queued"]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_tells_which_and_changes_nothing() {
    let world = World::new().await;
    let jobs = submitted(&world, "n", 4).await;
    let before = world.memory.table.rows();
    for action in ["cancel", "delete", "retry"] {
        let body = format!(r#"{{"action": "{action}", "filter": {{}}, "dry_run": true}}"#);
        let told = ask(&world, &body).await.expect(200).json();
        let expected = if action == "cancel" { &jobs[..] } else { &[] };
        assert_eq!(told["changed"], expected.len());
        assert_eq!(told["jobs"], texts(expected), "{action}");
    }
    let tags = r#"{"action": "cancel", "filter": {"tags": {"n": "1"}}, "dry_run": true}"#;
    assert_eq!(ask(&world, tags).await.json()["jobs"], texts(&[jobs[0], jobs[2]]));
    assert_eq!(world.memory.table.rows(), before);
}

#[tokio::test(start_paused = true)]
async fn what_failed_is_retried_and_what_is_over_deleted() {
    let world = World::new().await;
    let jobs = submitted(&world, "n", 3).await;
    world.run(jobs[0], 0, &[]).await;
    world.run(jobs[1], 1, &[]).await;
    let retry = r#"{"action": "retry", "filter": {}}"#;
    let told = ask(&world, retry).await.expect(200).json();
    assert_eq!((&told["jobs"], &told["changed"]), (&texts(&jobs[1..2]), &1.into()));
    assert_eq!(world.job(jobs[1]).await.run, 2);
    assert_eq!(ask(&world, retry).await.json()["changed"], 0, "it is not over any more");

    let told = ask(&world, r#"{"action": "delete", "filter": {}}"#).await.expect(200).json();
    assert_eq!(told["jobs"], texts(&jobs[..1]));
    // Asked for by state, it is refused one by one, with the reason.
    let open = r#"{"action": "delete", "filter": {"states": ["queued", "running"]}}"#;
    let told = ask(&world, open).await.expect(200).json();
    assert_eq!((&told["changed"], &told["jobs"]), (&0.into(), &texts(&jobs[1..])));
    assert_eq!(told["refused"][0]["job"], jobs[1].to_string());
    assert_eq!(told["refused"][1]["code"], "not_finished");

    let all = r#"{"action": "retry", "all": true, "filter": {"states": ["succeeded"]}}"#;
    assert_eq!(ask(&world, all).await.expect(200).json()["changed"], 0, "it was deleted");
}

#[tokio::test(start_paused = true)]
async fn a_bad_request_is_refused_with_its_field() {
    let world = World::new().await;
    for (body, field) in [
        (r#"{"filter": {}}"#, "action"),
        (r#"{"action": "stop", "filter": {}}"#, "action"),
        (r#"{"action": "cancel"}"#, "filter"),
        (r#"{"action": "cancel", "all": true, "filter": {}}"#, "all"),
        (r#"{"action": "cancel", "filter": {"states": ["queued", "done"]}}"#, "filter.states[1]"),
        (r#"{"action": "cancel", "filter": {"state": "queued"}}"#, "filter.state"),
        (r#"{"action": "cancel", "filter": {}, "limit": 0}"#, "limit"),
        (r#"{"action": "cancel", "filter": {}, "limit": 101}"#, "limit"),
        (r#"{"action": "cancel", "filter": {}, "cursor": "x"}"#, "cursor"),
    ] {
        ask(&world, body).await.refused(400, "invalid_field", field);
    }
    ask(&world, "").await.refused(400, "malformed_body", "");
    let nameless = world.ask("/v1/jobs/bulk").nameless().of(ChangeJobs).await;
    nameless.refused(401, "unauthenticated", "");
}

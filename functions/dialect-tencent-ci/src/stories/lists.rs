//! Jobs, listed.

use std::time::Duration;

use http::Method;
use shared::job::JobId;

use super::jobs::ROTATE;
use crate::{
    testing::Client,
    words::{read_job_id, time},
};

async fn made(client: &Client, count: usize) -> Vec<JobId> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(client.create(ROTATE).await.0);
        tokio::time::advance(Duration::from_secs(2)).await;
    }
    all
}

/// The jobs of all pages, and how many pages there were.
async fn pages(client: &Client, query: &str) -> (Vec<JobId>, usize) {
    let (mut ids, mut count, mut token) = (Vec::new(), 0, String::new());
    loop {
        let page = client.get(&format!("/jobs?{query}&nextToken={token}")).await;
        let jobs = page.all("JobsDetail").filter_map(|job| read_job_id(job.text("JobId")?));
        ids.extend(jobs);
        count += 1;
        assert!(page.value("NextToken").is_some(), "it is always there");
        let Some(next) = page.text("NextToken") else { return (ids, count) };
        token = next.to_owned();
    }
}

#[tokio::test(start_paused = true)]
async fn pages_go_both_ways() {
    let client = Client::new().await;
    let mut all = made(&client, 25).await;
    assert_eq!(pages(&client, "tag=PicProcess&orderByTime=Asc").await, (all.clone(), 3));
    all.reverse();
    assert_eq!(pages(&client, "tag=PicProcess").await, (all.clone(), 3));
    assert_eq!(pages(&client, "tag=PicProcess&size=25&states=All").await, (all.clone(), 1));
    assert_eq!(pages(&client, "tag=All&size=7&queueId=").await, (all, 4));
    assert_eq!(pages(&client, "tag=Other").await, (vec![], 1));
    let other = Client::of(client.world.neighbour().await);
    assert_eq!(pages(&other, "tag=PicProcess").await, (vec![], 1));
}

#[tokio::test(start_paused = true)]
async fn jobs_are_narrowed_by_state_queue_time_and_object() {
    let client = Client::new().await;
    let mut all = made(&client, 3).await;
    client.run(all[0]).await;
    client.world.run(all[1], 1, &[]).await;
    client.world.start(all[2]).await;
    all.extend(made(&client, 2).await);
    client.cancel(all[3]).await;
    for (states, wanted) in [
        ("Success", vec![all[0]]),
        ("Failed", vec![all[1]]),
        ("Running", vec![all[2]]),
        ("Cancel", vec![all[3]]),
        ("Submitted", vec![all[4]]),
        ("Success,Failed", vec![all[1], all[0]]),
        ("Pause", vec![]),
    ] {
        let found = pages(&client, &format!("tag=PicProcess&states={states}")).await.0;
        assert_eq!(found, wanted, "{states}");
    }
    let queue = client.get("/picqueue").await;
    let queue = queue.fields("QueueList").unwrap().text("QueueId").unwrap().to_owned();
    assert_eq!(pages(&client, &format!("tag=PicProcess&queueId={queue}")).await.0.len(), 5);
    let other = client.get("/queue").await;
    let other = other.fields("QueueList").unwrap().text("QueueId").unwrap().to_owned();
    assert_eq!(pages(&client, &format!("tag=PicProcess&queueId={other}")).await.0, []);
    let (second, fourth) = (time(all[1].created_at()), time(all[3].created_at()));
    let within = format!("tag=All&startCreationTime={second}&endCreationTime={fourth}");
    assert_eq!(pages(&client, &within).await.0, [all[3], all[2], all[1]]);
    let upwards = format!("{within}&orderByTime=Asc&size=2");
    assert_eq!(pages(&client, &upwards).await, (vec![all[1], all[2], all[3]], 2));
    let ever = "tag=All&startCreationTime=2001-01-01T00:00:00+0800\
                &endCreationTime=2099-01-01T23:59:59+0800";
    assert_eq!(pages(&client, ever).await.0.len(), 5);
    for (query, count) in [
        ("inputObject=input/deer.jpg", 5),
        ("inputObject=input/fawn.jpg", 0),
        ("workflowId=w1", 0),
        ("inventoryTriggerJobId=b1", 0),
    ] {
        let found = pages(&client, &format!("tag=PicProcess&{query}")).await.0;
        assert_eq!(found.len(), count, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_of_any_api_are_listed() {
    let client = Client::new().await;
    let named = client.world.submit(r#"{"image": "a", "name": "mine"}"#).await.id;
    tokio::time::advance(Duration::from_secs(1)).await;
    let nameless = client.world.submit(r#"{"image": "a"}"#).await.id;
    assert_eq!(pages(&client, "tag=mine").await.0, [named]);
    assert_eq!(pages(&client, "tag=Container").await.0, [nameless]);
    assert_eq!(pages(&client, "tag=All").await.0, [nameless, named]);
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_wrong_is_said() {
    let client = Client::new().await;
    for (query, name) in [
        ("", "tag"),
        ("tag=", "tag"),
        ("tag=A&states=Sleeping", "states"),
        ("tag=A&orderByTime=Random", "orderByTime"),
        ("tag=A&size=0", "size"),
        ("tag=A&size=101", "size"),
        ("tag=A&nextToken=7", "nextToken"),
        ("tag=A&startCreationTime=yesterday", "startCreationTime"),
        ("tag=A&endCreationTime=2022-07-18", "endCreationTime"),
    ] {
        let (status, code, why) = client.refused(Method::GET, &format!("/jobs?{query}"), "").await;
        assert_eq!((status, code.as_str()), (400, "InvalidArgument"), "{query}");
        assert!(why.starts_with(&format!("{name}: ")), "{query}: {why}");
    }
    let (status, code, _) = client.refused(Method::GET, "/jobs?tag=A&queueId=p1", "").await;
    assert_eq!((status, code.as_str()), (404, "NoSuchQueue"));
}

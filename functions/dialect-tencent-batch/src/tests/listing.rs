//! `DescribeJobs`: by page and by filter.

use std::time::Duration;

use super::*;

#[tokio::test(start_paused = true)]
async fn jobs_are_listed_newest_first_by_page_and_by_filter() {
    let client = Client::new().await;
    let mut ids = Vec::new();
    for n in 0..5 {
        // Ids are in order by the millisecond.
        tokio::time::advance(Duration::from_millis(1)).await;
        let job = json!({
            "Tasks": [task("a", "true")],
            "JobName": format!("n{}", n % 2),
            "Tags": [{ "Key": "team", "Value": n.to_string() }],
        });
        ids.insert(0, client.submit_job(job).await);
    }
    client.world.run(parsed(&ids[0]), 0, &[]).await;
    let found = async |said: Value| {
        let answer = client.got("DescribeJobs", said).await;
        let set = answer["JobSet"].as_array().unwrap();
        let found: Vec<String> =
            set.iter().map(|job| job["JobId"].as_str().unwrap().to_owned()).collect();
        (answer["TotalCount"].as_u64().unwrap(), found)
    };
    assert_eq!(found(json!({})).await, (5, ids.clone()));
    assert_eq!(found(json!({ "Offset": 3, "Limit": 9 })).await, (5, ids[3..].to_vec()));
    let by =
        |name: &str, values: &[&str]| json!({ "Filters": [{ "Name": name, "Values": values }] });
    assert_eq!(found(by("job-name", &["n1"])).await, (2, vec![ids[1].clone(), ids[3].clone()]));
    assert_eq!(found(by("job-state", &["SUCCEED"])).await, (1, vec![ids[0].clone()]));
    assert_eq!(found(by("job-id", &[&ids[2]])).await, (1, vec![ids[2].clone()]));
    assert_eq!(found(by("zone", &["ap-guangzhou-2"])).await.0, 5);
    assert_eq!(found(by("zone", &["ap-guangzhou-3"])).await.0, 0);
    assert_eq!(found(by("tag:team", &["4", "3"])).await.0, 2);
    assert_eq!(found(by("tag-key", &["team"])).await.0, 5);
    for (said, code) in [
        (by("mood", &["good"]), "InvalidParameterValue.InvalidFilter"),
        (json!({ "Limit": 101 }), "InvalidParameterValue"),
        (json!({ "Offset": -1 }), "InvalidParameterValue.Negative"),
        (
            json!({ "JobIds": [ids[0]], "Filters": [{ "Name": "zone", "Values": ["z"] }] }),
            "InvalidParameter.InvalidParameterCombination",
        ),
    ] {
        assert_eq!(client.code("DescribeJobs", said.clone()).await, code, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_listing_is_counted_whole_and_shown_by_page() {
    let client = Client::new().await;
    let mut ids = Vec::new();
    for _ in 0..205 {
        tokio::time::advance(Duration::from_millis(1)).await;
        ids.insert(0, client.submit(json!([task("a", "true")])).await);
    }
    for (offset, limit) in [(0, 2), (98, 3), (150, 100), (204, 5), (300, 1)] {
        let asked = json!({ "Offset": offset, "Limit": limit });
        let answer = client.got("DescribeJobs", asked).await;
        assert_eq!(answer["TotalCount"], 205);
        let shown: Vec<&Value> =
            answer["JobSet"].as_array().unwrap().iter().map(|job| &job["JobId"]).collect();
        let wanted: Vec<&String> = ids.iter().skip(offset).take(limit).collect();
        assert_eq!(shown, wanted, "{offset} {limit}");
    }
    let open = json!({ "Filters": [{ "Name": "job-state", "Values": ["RUNNABLE", "RUNNING"] }] });
    assert_eq!(client.got("DescribeJobs", open).await["TotalCount"], 205);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_told_from_what_is_not_by_filter() {
    let client = Client::new().await;
    let mut ids = Vec::new();
    for action in ["INTERRUPT", "TERMINATE"] {
        let one = with(task("a", "false"), "FailedAction", json!(action));
        let id = client.submit(json!([one])).await;
        client.world.run(parsed(&id), 1, &[]).await;
        ids.push(id);
    }
    let found = async |states: &[&str]| {
        let by = json!({ "Filters": [{ "Name": "job-state", "Values": states }] });
        client.got("DescribeJobs", by).await
    };
    let held = found(&["FAILED_INTERRUPTED"]).await;
    assert_eq!((&held["TotalCount"], &held["JobSet"][0]["JobId"]), (&json!(1), &json!(ids[0])));
    let failed = found(&["FAILED"]).await;
    assert_eq!((&failed["TotalCount"], &failed["JobSet"][0]["JobId"]), (&json!(1), &json!(ids[1])));
    assert_eq!(found(&["FAILED", "FAILED_INTERRUPTED"]).await["TotalCount"], 2);
    assert_eq!(found(&["SUCCEED", "RUNNING"]).await["TotalCount"], 0);
}

//! What there is to be asked for.

use super::*;

#[tokio::test(start_paused = true)]
async fn instance_types_are_told_by_zone_and_family() {
    let client = Client::new().await;
    let by = |pairs: &[(&str, &str)]| {
        let one = |(name, value): &(&str, &str)| json!({ "Name": name, "Values": [value] });
        json!({ "Filters": pairs.iter().map(one).collect::<Vec<_>>() })
    };
    let small = by(&[("zone", "ap-guangzhou-2"), ("instance-family", "S1")]);
    let answer = client.got("DescribeAvailableCvmInstanceTypes", small).await;
    let set = answer["InstanceTypeConfigSet"].as_array().unwrap();
    let one = json!({
        "Mem": 1, "Cpu": 1, "InstanceType": "S1.SMALL1", "Zone": "ap-guangzhou-2",
        "InstanceFamily": "S1",
    });
    assert!(set.contains(&one), "{answer}");
    assert!(set.iter().all(|one| one["InstanceFamily"] == "S1"));
    let exact = by(&[("zone", "ap-guangzhou-2"), ("instance-type", "S1.SMALL1")]);
    let answer = client.got("DescribeCvmZoneInstanceConfigInfos", exact).await;
    let set = answer["InstanceTypeQuotaSet"].as_array().unwrap();
    assert_eq!(set.len(), 2);
    assert_eq!((&set[0]["Status"], &set[0]["Memory"]), (&json!("SELL"), &json!(1)));
    // Only the region's own zones.
    let elsewhere = by(&[("zone", "ap-beijing-2")]);
    let answer = client.got("DescribeAvailableCvmInstanceTypes", elsewhere).await;
    assert_eq!(answer["InstanceTypeConfigSet"], json!([]));
    let answer = client.got("DescribeInstanceCategories", json!({})).await;
    assert_eq!(answer["InstanceCategorySet"][0]["InstanceCategory"], "General");
    let unknown = client.code("DescribeAvailableCvmInstanceTypes", by(&[("mood", "x")])).await;
    assert_eq!(unknown, "InvalidParameterValue.InvalidFilter");
}

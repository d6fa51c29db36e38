//! Task templates.

use super::*;
use shared::ops::notes::Shelf;

fn draft(name: &str) -> Value {
    json!({
        "TaskTemplateName": name,
        "TaskTemplateInfo": task("a", "true"),
        "TaskTemplateDescription": "what it is for",
        "Tags": [{ "Key": "team", "Value": "x" }],
    })
}

async fn created(client: &Client, name: &str) -> String {
    let answer = client.got("CreateTaskTemplate", draft(name)).await;
    answer["TaskTemplateId"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_template_is_kept_changed_and_thrown_away() {
    let client = Client::new().await;
    let id = created(&client, "one").await;
    let other = created(&client, "two").await;
    let only = json!({ "TaskTemplateIds": [id] });
    let listed = client.got("DescribeTaskTemplates", only.clone()).await;
    assert_eq!(listed["TotalCount"], 1);
    let view = &listed["TaskTemplateSet"][0];
    assert_eq!(view["TaskTemplateName"], "one");
    assert_eq!(view["TaskTemplateInfo"], task("a", "true"));
    assert_eq!(view["Tags"], json!([{ "Key": "team", "Value": "x" }]));
    let change = json!({ "TaskTemplateId": id, "TaskTemplateName": "uno" });
    client.got("ModifyTaskTemplate", change).await;
    let by_name = json!({ "Filters": [{ "Name": "task-template-name", "Values": ["uno"] }] });
    let found = client.got("DescribeTaskTemplates", by_name).await;
    assert_eq!(found["TaskTemplateSet"][0]["TaskTemplateId"], id);
    assert_eq!(found["TaskTemplateSet"][0]["TaskTemplateDescription"], "what it is for");
    let page = client.got("DescribeTaskTemplates", json!({ "Limit": 1 })).await;
    assert_eq!(
        (&page["TotalCount"], page["TaskTemplateSet"].as_array().unwrap().len()),
        (&json!(2), 1)
    );
    // What it has is what a job is submitted with.
    let info = found["TaskTemplateSet"][0]["TaskTemplateInfo"].clone();
    client.submit(json!([info])).await;
    client.got("DeleteTaskTemplates", only.clone()).await;
    assert_eq!(client.got("DescribeTaskTemplates", only.clone()).await["TotalCount"], 0);
    let gone = client.code("DeleteTaskTemplates", only).await;
    assert_eq!(gone, "ResourceNotFound.TaskTemplate");
    let both = json!({ "TaskTemplateIds": [other, "task-tmpl-00000000"] });
    let neither = client.code("DeleteTaskTemplates", both).await;
    assert_eq!(neither, "ResourceNotFound.TaskTemplate");
    assert_eq!(client.got("DescribeTaskTemplates", json!({})).await["TotalCount"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_template_that_is_named_twice_is_thrown_away_once() {
    let client = Client::new().await;
    let id = created(&client, "one").await;
    client.got("DeleteTaskTemplates", json!({ "TaskTemplateIds": [id, id] })).await;
    assert_eq!(client.got("DescribeTaskTemplates", json!({})).await["TotalCount"], 0);
    assert_eq!(client.code("DeleteTaskTemplates", json!({})).await, "MissingParameter");
}

#[tokio::test(start_paused = true)]
async fn a_project_has_so_many_templates_and_no_more() {
    let client = Client::new().await;
    let shelf = Shelf::of_project(client.world.project, crate::API, "task-template");
    let one = json!({
        "name": "n", "description": null, "info": {}, "tags": {}, "created_at": client.now(),
    });
    for n in 0..1_000 {
        let id = format!("task-tmpl-{n:08}");
        shelf.put(&client.world.service, &id, &one).await.unwrap();
    }
    let more = client.code("CreateTaskTemplate", draft("more")).await;
    assert_eq!(more, "LimitExceeded.TaskTemplateQuota");
}

#[tokio::test(start_paused = true)]
async fn another_projects_template_is_not_found() {
    let client = Client::new().await;
    let id = created(&client, "one").await;
    let neighbour = Client::of(client.world.neighbour().await);
    let change = json!({ "TaskTemplateId": id, "TaskTemplateName": "mine" });
    let code = neighbour.code("ModifyTaskTemplate", change).await;
    assert_eq!(code, "ResourceNotFound.TaskTemplate");
    assert_eq!(neighbour.got("DescribeTaskTemplates", json!({})).await["TotalCount"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_template_keeps_its_rules() {
    let client = Client::new().await;
    let id = created(&client, "one").await;
    for (name, value, code) in [
        ("TaskTemplateName", json!("x".repeat(61)), "InvalidParameter.TaskTemplateNameTooLong"),
        // In bytes.
        ("TaskTemplateName", json!("名".repeat(21)), "InvalidParameter.TaskTemplateNameTooLong"),
        ("TaskTemplateName", json!(""), "InvalidParameter.TaskTemplateName"),
        (
            "TaskTemplateDescription",
            json!("x".repeat(201)),
            "InvalidParameter.TaskTemplateDescriptionTooLong",
        ),
        ("TaskTemplateInfo", json!({ "TaskName": "a" }), "AllowedOneAttributeInEnvIdAndComputeEnv"),
        (
            "TaskTemplateInfo",
            with(task("a", "true"), "MaxRetryCount", json!(99)),
            "InvalidParameterValue.MaxRetryCount",
        ),
    ] {
        let mut said = draft("two");
        said[name] = value.clone();
        assert_eq!(client.code("CreateTaskTemplate", said).await, code, "{name} {value}");
        let said = json!({ "TaskTemplateId": id, name: value });
        assert_eq!(client.code("ModifyTaskTemplate", said).await, code, "{name}");
    }
    let nothing = client.code("ModifyTaskTemplate", json!({ "TaskTemplateId": id })).await;
    assert_eq!(nothing, "InvalidParameterAtLeastOneAttribute");
    let malformed = json!({ "TaskTemplateId": "one", "TaskTemplateName": "x" });
    let code = client.code("ModifyTaskTemplate", malformed).await;
    assert_eq!(code, "InvalidParameter.TaskTemplateIdMalformed");
    let malformed =
        client.code("DescribeTaskTemplates", json!({ "TaskTemplateIds": ["one"] })).await;
    assert_eq!(malformed, "InvalidParameter.TaskTemplateIdMalformed");
    let both = json!({
        "TaskTemplateIds": [id], "Filters": [{ "Name": "tag-key", "Values": ["team"] }],
    });
    let code = client.code("DescribeTaskTemplates", both).await;
    assert_eq!(code, "InvalidParameter.InvalidParameterCombination");
}

#[tokio::test(start_paused = true)]
async fn no_secret_of_a_template_is_kept() {
    let client = Client::new().await;
    let mut said = draft("one");
    said["TaskTemplateInfo"]["Application"]["Docker"] =
        json!({ "Image": "a", "User": "u", "Password": "very secret" });
    client.got("CreateTaskTemplate", said).await;
    let listed = client.got("DescribeTaskTemplates", json!({})).await.to_string();
    assert!(listed.contains("\"User\":\"u\"") && !listed.contains("very secret"), "{listed}");
}

//! Templates: saved, changed, used, forgotten.

use http::Method;
use shared::{job::Name, ops::templates};

use super::jobs::ROTATE;
use crate::{testing::Client, tree::Fields};

fn template(name: &str, rule: &str) -> String {
    format!(
        "<Request><Tag>PicProcess</Tag><Name>{name}</Name><PicProcess><IsPicInfo>true</IsPicInfo>\
         <ProcessRule>{rule}</ProcessRule></PicProcess></Request>"
    )
}

async fn made(client: &Client, name: &str) -> String {
    let answer = client.post("/template", &template(name, "imageMogr2/rotate/90")).await;
    answer.fields("Template").unwrap().text("TemplateId").unwrap().to_owned()
}

/// The request with a template in the place of its rule.
fn by(id: &str) -> String {
    let (from, to) = (ROTATE.find("<PicProcess>").unwrap(), ROTATE.find("<Output>").unwrap());
    ROTATE.replace(&ROTATE[from..to], &format!("<TemplateId>{id}</TemplateId>"))
}

async fn ids(client: &Client, query: &str) -> Vec<String> {
    let answer = client.get(&format!("/template?{query}")).await;
    let all = answer.all("TemplateList").filter_map(|one| one.text("TemplateId"));
    all.map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn a_template_is_saved_changed_and_forgotten() {
    let client = Client::new().await;
    let answer = client.post("/template", &template("名-1", "imageMogr2/rotate/90")).await;
    assert!(answer.text("RequestId").is_some());
    let shown = answer.fields("Template").unwrap();
    let id = shown.text("TemplateId").unwrap();
    assert_eq!((id.len(), &id[..2]), (34, "t1"));
    let head = format!(
        "<T><Tag>PicProcess</Tag><TemplateId>{id}</TemplateId><Name>名-1</Name>\
         <BucketId>test-123</BucketId><Category>Custom</Category><PicProcess>\
         <IsPicInfo>true</IsPicInfo><ProcessRule>imageMogr2/rotate/90</ProcessRule></PicProcess>\
         <CreateTime>"
    );
    assert!(shown.xml("T").starts_with(&head), "{}", shown.xml("T"));
    let changed = template("other", "imageMogr2/rotate/180");
    let answer = client.put(&format!("/template/{id}"), &changed).await;
    let changed = answer.fields("Template").unwrap();
    assert_eq!((changed.text("TemplateId"), changed.text("Name")), (Some(id), Some("other")));
    let listed = client.get("/template?category=Custom&ids=&name=&pageNumber=1&pageSize=10").await;
    assert_eq!(listed.fields("TemplateList"), Some(changed));
    let gone = client.done(Method::DELETE, &format!("/template/{id}"), "").await;
    assert_eq!(gone.text("TemplateId"), Some(id));
    assert_eq!(ids(&client, "").await, [""; 0]);
    let (status, code, _) = client.refused(Method::DELETE, &format!("/template/{id}"), "").await;
    assert_eq!((status, code.as_str()), (404, "NoSuchTemplate"));
}

#[tokio::test(start_paused = true)]
async fn a_job_by_a_template_shows_it_and_an_own_rule_goes_before_it() {
    let client = Client::new().await;
    let id = made(&client, "turn").await;
    let (job, detail) = client.create(&by(&id)).await;
    let operation = detail.fields("Operation").unwrap();
    assert_eq!(operation.text("TemplateId"), Some(id.as_str()));
    assert_eq!(operation.text("TemplateName"), Some("turn"));
    assert!(operation.fields("PicProcess").is_none());
    let (_, plan) = client.world.start(job).await;
    assert_eq!(plan.argv[1], "imageMogr2/rotate/90");
    let both = by(&id).replace(
        "<Output>",
        "<PicProcess><ProcessRule>imageMogr2/rotate/180</ProcessRule></PicProcess><Output>",
    );
    let (job, _) = client.create(&both).await;
    let (_, plan) = client.world.start(job).await;
    assert_eq!(plan.argv[1], "imageMogr2/rotate/180");
    client.done(Method::DELETE, &format!("/template/{id}"), "").await;
    let shown = client.detail(job).await;
    assert_eq!(shown.fields("Operation").unwrap().text("TemplateName"), Some("turn"));
    let (status, code, _) = client.refused(Method::POST, "/jobs", &by(&id)).await;
    assert_eq!((status, code.as_str()), (404, "NoSuchTemplate"));
}

#[tokio::test(start_paused = true)]
async fn a_template_is_one_of_ours_too() {
    let client = Client::new().await;
    let id: Name = made(&client, "turn").await.parse().unwrap();
    let world = &client.world;
    let found = templates::load(&world.service, world.project, &id).await.unwrap().unwrap();
    assert_eq!(found.parameters["rules"].default, Some("imageMogr2/rotate/90".into()));
    assert!(!found.parameters["rules"].is_required() && found.parameters["input"].is_required());
}

#[tokio::test(start_paused = true)]
async fn a_template_of_an_own_operation_keeps_its_values_and_its_secrets() {
    let client = Client::new().await;
    let own = serde_json::json!({
        "parameters": {"input": {"type": "string"}, "Radius": {"type": "integer"}},
        "job": {"image": "a", "command": ["${Radius}"], "secret_env": {"KEY": "hush"}},
    });
    client.world.template("Blur", own).await;
    let xml = "<Request><Tag>Blur</Tag><Name>soft</Name><Blur><Radius>3</Radius></Blur></Request>";
    let answer = client.post("/template", xml).await;
    let id = answer.fields("Template").unwrap().text("TemplateId").unwrap();
    let xml = format!(
        "<Request><Tag>Blur</Tag><Input><Object>a</Object></Input><Operation><TemplateId>{id}\
         </TemplateId></Operation></Request>"
    );
    let (job, _) = client.create(&xml).await;
    let (_, plan) = client.world.start(job).await;
    assert_eq!((&plan.argv[1..], plan.env["KEY"].as_str()), (&["3".to_owned()][..], "hush"));
    client.world.template("Other", serde_json::json!({"job": {"image": "a"}})).await;
    let other = xml.replace("<Tag>Blur", "<Tag>Other");
    let (_, code, why) = client.refused(Method::POST, "/jobs", &other).await;
    assert_eq!(
        (code.as_str(), why.as_str()),
        ("InvalidArgument", "Tag: it is of the template: Blur")
    );
    let nested = format!("<Request><Tag>{id}</Tag><Name>n</Name></Request>");
    let (_, code, _) = client.refused(Method::POST, "/template", &nested).await;
    assert_eq!(code, "InvalidArgument");
}

#[tokio::test(start_paused = true)]
async fn templates_are_listed_by_what_is_asked() {
    let client = Client::new().await;
    let mut all = Vec::new();
    for name in ["aa", "ab", "b"] {
        all.push(made(&client, name).await);
    }
    let sorted = |ids: &[&String]| {
        let mut ids: Vec<_> = ids.iter().map(|id| (*id).clone()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&client, "name=a").await, sorted(&[&all[0], &all[1]]));
    assert_eq!(
        ids(&client, &format!("ids={},{}", all[2], all[0])).await,
        sorted(&[&all[2], &all[0]])
    );
    assert_eq!(ids(&client, "tag=PicProcess").await.len(), 3);
    assert_eq!(ids(&client, "tag=Other").await.len(), 0);
    assert_eq!(ids(&client, "category=Official").await.len(), 0);
    assert_eq!(ids(&client, "pageSize=2&pageNumber=2").await.len(), 1);
    let elsewhere =
        Client { host: "other-1.ci.ap-x.myqcloud.com", ..Client::of(client.world.clone()) };
    assert_eq!(ids(&elsewhere, "").await.len(), 0);
    let other = Client::of(client.world.neighbour().await);
    let (status, code, _) = other.refused(Method::POST, "/jobs", &by(&all[0])).await;
    assert_eq!((status, code.as_str()), (404, "NoSuchTemplate"));
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_template_is_said() {
    let client = Client::new().await;
    let good = template("name", "imageMogr2/rotate/90");
    let long = "x".repeat(65);
    for (there, instead, name) in [
        ("<Tag>PicProcess</Tag>", "", "Tag"),
        ("<Tag>PicProcess</Tag>", "<Tag>Nothing</Tag>", "Tag"),
        ("<Name>name</Name>", "", "Name"),
        (">name<", ">a b<", "Name"),
        (">name<", &format!(">{long}<"), "Name"),
        ("<ProcessRule>imageMogr2/rotate/90</ProcessRule>", "", "PicProcess.ProcessRule"),
        ("<IsPicInfo>true", "<IsPicInfo>1", "PicProcess.IsPicInfo"),
    ] {
        let xml = good.replace(there, instead);
        let (status, code, why) = client.refused(Method::POST, "/template", &xml).await;
        assert_eq!((status, code.as_str()), (400, "InvalidArgument"), "{why}");
        assert!(why.starts_with(&format!("{name}: ")), "{why}");
    }
    let (status, code, _) = client.refused(Method::PUT, "/template/t1absent", &good).await;
    assert_eq!((status, code.as_str()), (404, "NoSuchTemplate"));
    let (_, code, _) = client.refused(Method::GET, "/template?category=Mine", "").await;
    assert_eq!(code, "InvalidArgument");
    let read = Fields::read("Request", good.as_bytes()).unwrap();
    assert_eq!(read.text("Name"), Some("name"));
}

#[tokio::test(start_paused = true)]
async fn what_is_said_as_deep_as_it_may_be_is_found_again() {
    let client = Client::new().await;
    let deep = format!("{}x{}</Request>", "<a>".repeat(31), "</a>".repeat(31));
    let xml = template("deep", "imageMogr2/rotate/90").replace("</Request>", &deep);
    let _ = client.ask(Method::POST, "/template", &xml).await.expect(200);
    let listed = client.ask(Method::GET, "/template?name=deep", "").await.expect(200);
    assert!(listed.text().contains("<TotalCount>1</TotalCount>"), "{}", listed.text());
}

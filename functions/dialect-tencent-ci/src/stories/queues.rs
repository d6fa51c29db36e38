//! Queues: listed, paused, told whom to tell.

use http::Method;
use shared::{
    job::{CallbackTarget, Origin},
    ops::{
        queues::{self, QueueChange},
        rows::QueueKey,
    },
    wire::callback::CallbackChoice,
};

use super::jobs::ROTATE;
use crate::{testing::Client, tree::Fields};

async fn own(client: &Client) -> Fields {
    client.get("/picqueue").await.fields("QueueList").unwrap().clone()
}

async fn id(client: &Client) -> String {
    own(client).await.text("QueueId").unwrap().to_owned()
}

fn update(state: &str, notify: &str) -> String {
    format!(
        "<Request><Name>pictures</Name><State>{state}</State><NotifyConfig>{notify}\
         </NotifyConfig></Request>"
    )
}

#[tokio::test(start_paused = true)]
async fn a_bucket_has_a_queue_for_each_service() {
    let client = Client::new().await;
    let answer = client.get("/picqueue?queueIds=&state=All&pageNumber=&pageSize=").await;
    for (name, value) in [("TotalCount", "1"), ("PageNumber", "1"), ("PageSize", "10")] {
        assert_eq!(answer.text(name), Some(value));
    }
    let queue = answer.fields("QueueList").unwrap();
    for (name, value) in [
        ("Name", "queue-pic-process-1"),
        ("State", "Active"),
        ("BucketId", "test-123"),
        ("Category", "PicProcessing"),
        ("MaxConcurrent", "10000"),
    ] {
        assert_eq!(queue.text(name), Some(value), "{name}");
    }
    assert_eq!(queue.text("CreateTime"), queue.text("UpdateTime"));
    assert_eq!(queue.fields("NotifyConfig").unwrap().text("State"), Some("Off"));
    for (path, name) in [
        ("/queue", "queue-1"),
        ("/file_queue", "queue-file-process-1"),
        ("/ai_queue", "queue-ai-process-1"),
        ("/asrqueue", "queue-smart-audio-1"),
        ("/docqueue", "queue-doc-process-1"),
    ] {
        let answer = client.get(path).await;
        assert_eq!(answer.fields("QueueList").unwrap().text("Name"), Some(name));
    }
    let elsewhere =
        Client { host: "other-1.ci.ap-x.myqcloud.com", ..Client::of(client.world.clone()) };
    assert_ne!(id(&elsewhere).await, id(&client).await);
}

#[tokio::test(start_paused = true)]
async fn a_look_at_a_queue_makes_none() {
    let client = Client::new().await;
    let before = client.world.memory.table.rows();
    let id = id(&client).await;
    let answer = client.get(&format!("/queue?queueIds={id}")).await;
    assert_eq!(answer.text("TotalCount"), Some("1"));
    client.get(&format!("/jobs?tag=All&queueId={id}")).await;
    assert_eq!(client.world.memory.table.rows(), before);
    let (_, made) = client.create(ROTATE).await;
    assert_eq!(made.text("QueueId"), Some(id.as_str()));
    assert_eq!(self::id(&client).await, id);
}

#[tokio::test(start_paused = true)]
async fn a_job_waits_in_a_queue_of_its_bucket_that_is_yet_to_be_made() {
    let client = Client::new().await;
    let answer = client.get("/queue").await;
    let id = answer.fields("QueueList").unwrap().text("QueueId").unwrap().to_owned();
    let xml = ROTATE.replace("<Tag>", &format!("<QueueId>{id}</QueueId><Tag>"));
    let (job, _) = client.create(&xml).await;
    assert_eq!(client.world.job(job).await.queue.as_str(), "test-123.media");
    let key = QueueKey { project: client.world.project, name: "b-1.pic".parse().unwrap() };
    let elsewhere = crate::words::queue_id(&key);
    let xml = ROTATE.replace("<Tag>", &format!("<QueueId>{elsewhere}</QueueId><Tag>"));
    let (status, code, _) = client.refused(Method::POST, "/jobs", &xml).await;
    assert_eq!((status, code.as_str()), (404, "NoSuchQueue"));
}

#[tokio::test(start_paused = true)]
async fn what_this_api_has_no_words_for_stays_when_a_queue_is_changed() {
    let client = Client::new().await;
    let key = QueueKey { project: client.world.project, name: "test-123.pic".parse().unwrap() };
    let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
    let callback = serde_json::json!({
        "url": "http://queue.example/", "secret": secret, "events": ["started", "finished"],
    });
    let change = QueueChange {
        callback: CallbackChoice::parse(Some(callback)).unwrap(),
        ..QueueChange::default()
    };
    let (before, _) = queues::put(&client.world.service, &key, change).await.unwrap();
    let shown = own(&client).await.fields("NotifyConfig").unwrap().clone();
    let path = format!("/picqueue/{}", id(&client).await);
    let shown = shown.xml("N").replace("<N>", "").replace("</N>", "");
    client.put(&path, &update("Paused", &shown)).await;
    let (_, after) = queues::load(&client.world.service, &key).await.unwrap().unwrap();
    assert!(after.paused);
    assert_eq!(after.callback, before.callback);
    client.put(&path, &update("Active", "<State>Off</State>")).await;
    let (_, after) = queues::load(&client.world.service, &key).await.unwrap().unwrap();
    assert_eq!(after.callback, None);
}

#[tokio::test(start_paused = true)]
async fn what_waits_in_a_paused_queue_is_paused_and_goes_on_when_it_is_active() {
    let client = Client::new().await;
    let path = format!("/picqueue/{}", id(&client).await);
    let (before, _) = client.create(ROTATE).await;
    let paused = client.put(&path, &update("Paused", "")).await;
    assert_eq!(paused.fields("Queue").unwrap().text("State"), Some("Paused"));
    let (after, made) = client.create(ROTATE).await;
    assert_eq!(made.text("State"), Some("Pause"));
    client.world.settle().await;
    for job in [before, after] {
        assert_eq!(client.detail(job).await.text("State"), Some("Pause"));
    }
    let listed = client.get("/jobs?tag=PicProcess&states=Pause").await;
    assert_eq!(listed.all("JobsDetail").count(), 2);
    let none = client.get("/jobs?tag=PicProcess&states=Submitted").await;
    assert_eq!(none.all("JobsDetail").count(), 0);
    client.cancel(after).await;
    let active = client.ask(Method::POST, &path, &update("Active", "")).await.expect(200);
    assert!(active.text().contains("<State>Active</State>"));
    assert_eq!(client.detail(before).await.text("State"), Some("Submitted"));
    client.run(before).await;
    assert_eq!(client.detail(before).await.text("State"), Some("Success"));
    assert_eq!(client.detail(after).await.text("State"), Some("Cancel"));
}

#[tokio::test(start_paused = true)]
async fn a_queue_shows_what_it_was_set_to() {
    let client = Client::new().await;
    let path = format!("/picqueue/{}", id(&client).await);
    for notify in [
        "<State>On</State><Event>TaskFinish,WorkflowFinish</Event><ResultFormat>JSON\
         </ResultFormat><Type>Url</Type><Url>http://callback.demo.com</Url>",
        "<State>On</State><Event>WorkflowFinish</Event><Type>Url</Type>\
         <Url>http://callback.demo.com</Url>",
        "<State>Off</State><Event>TaskFinish</Event><Url>http://callback.demo.com</Url>",
    ] {
        let answer = client.put(&path, &update("Active", notify)).await;
        let queue = answer.fields("Queue").unwrap();
        assert_eq!(queue.text("Name"), Some("pictures"));
        let shown = queue.fields("NotifyConfig").unwrap().xml("N");
        assert_eq!(shown, format!("<N>{notify}</N>"));
        assert_eq!(own(&client).await, *queue);
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_any_api_is_found_by_its_id_and_takes_jobs() {
    let client = Client::new().await;
    let key = QueueKey { project: client.world.project, name: "default".parse().unwrap() };
    let id = crate::words::queue_id(&key);
    let missing = format!("p{}", "0".repeat(32));
    let answer = client.get(&format!("/queue?queueIds={id},{missing}")).await;
    assert_eq!(answer.fields("QueueList").unwrap().text("Name"), Some("default"));
    assert_eq!(answer.text("NonExistPIDs"), Some(missing.as_str()));
    let xml = ROTATE.replace("<Tag>", &format!("<QueueId>{id}</QueueId><Tag>"));
    let (job, made) = client.create(&xml).await;
    assert_eq!(made.text("QueueId"), Some(id.as_str()));
    assert_eq!(client.world.job(job).await.queue.as_str(), "default");
    client.put(&format!("/queue/{id}"), &update("Paused", "")).await;
    let (_, queue) = queues::load(&client.world.service, &key).await.unwrap().unwrap();
    assert!(queue.paused);
}

#[tokio::test(start_paused = true)]
async fn what_another_api_has_said_of_a_queue_stays_when_it_is_changed_here() {
    let client = Client::new().await;
    let service = &client.world.service;
    let key = QueueKey { project: client.world.project, name: "env-1a2b3c4d".parse().unwrap() };
    // A compute environment, as Batch keeps one.
    let environment = Origin {
        api: "tencent-batch".into(),
        request: r#"{"env":{"EnvName":"e","EnvData":{"InstanceTypes":["S1.SMALL1"]}},
            "placement":{"Zone":"ap-guangzhou-2"}}"#
            .into(),
    };
    let change = QueueChange { origin: Some(environment.clone()), ..QueueChange::default() };
    queues::put(service, &key, change).await.unwrap();
    let path = format!("/queue/{}", crate::words::queue_id(&key));
    let told = "<State>On</State><Event>TaskFinish</Event><Type>Url</Type>\
                <Url>http://callback.example/</Url>";
    for (state, notify) in [("Paused", told), ("Active", "<State>Off</State>")] {
        let answer = client.put(&path, &update(state, notify)).await;
        let shown = answer.fields("Queue").unwrap();
        assert_eq!((shown.text("Name"), shown.text("State")), (Some("env-1a2b3c4d"), Some(state)));
        let (_, queue) = queues::load(service, &key).await.unwrap().unwrap();
        assert_eq!(queue.paused, state == "Paused");
        let url = CallbackTarget::Url("http://callback.example/".into());
        let told = (state == "Paused").then_some(url);
        assert_eq!(queue.callback.map(|callback| callback.to), told);
        assert_eq!(queue.origin.as_ref(), Some(&environment));
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_is_on_while_its_queue_is_there() {
    let client = Client::new().await;
    let on = || async { client.get("/picbucket").await.all("PicBucketList").count() };
    assert_eq!(on().await, 0);
    let opened = client.post("/picbucket", "").await;
    assert_eq!(opened.fields("PicBucket").unwrap().text("BucketId"), Some("test-123"));
    assert_eq!(on().await, 1);
    assert_eq!(client.get("/picbucket?bucketName=other").await.text("TotalCount"), Some("0"));
    let elsewhere =
        Client { host: "other-1.ci.ap-chongqing.myqcloud.com", ..Client::of(client.world.clone()) };
    elsewhere.create(ROTATE).await;
    assert_eq!(on().await, 2, "whichever bucket is asked");
    for (query, count) in [
        ("bucketName=other", 1),
        ("bucketNames=other-1,absent", 1),
        ("regions=All", 2),
        ("regions=ap-x,ap-chongqing", 2),
        ("regions=ap-x", 0),
    ] {
        let answer = client.get(&format!("/picbucket?{query}")).await;
        assert_eq!(answer.all("PicBucketList").count(), count, "{query}");
    }
    let (job, _) = client.create(ROTATE).await;
    let (status, code, _) = client.refused(Method::DELETE, "/picbucket", "").await;
    assert_eq!((status, code.as_str()), (400, "InvalidRequest"));
    client.run(job).await;
    client.done(Method::DELETE, "/picbucket", "").await;
    assert_eq!(on().await, 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_change_is_said() {
    let client = Client::new().await;
    let path = format!("/picqueue/{}", id(&client).await);
    let good = update("Active", "<State>Off</State>");
    for (there, instead, name) in [
        ("<Name>pictures</Name>", String::new(), "Name"),
        ("pictures", "x".repeat(129), "Name"),
        ("<State>Active</State>", String::new(), "State"),
        ("<State>Active</State>", "<State>Asleep</State>".into(), "State"),
        ("<NotifyConfig><State>Off</State></NotifyConfig>", String::new(), "NotifyConfig"),
        ("<State>Off</State>", "<State>On</State>".into(), "NotifyConfig.Event"),
    ] {
        let xml = good.replace(there, &instead);
        let (status, code, why) = client.refused(Method::PUT, &path, &xml).await;
        assert_eq!((status, code.as_str()), (400, "InvalidArgument"), "{why}");
        assert!(why.starts_with(&format!("{name}: ")), "{why}");
    }
    let long = update("Active", &format!("<State>Off</State><Url>{}</Url>", "x".repeat(20_000)));
    let (status, code, _) = client.refused(Method::PUT, &path, &long).await;
    assert_eq!((status, code.as_str()), (400, "EntityTooLarge"));
    let mq = "<State>On</State><Event>TaskFinish</Event><Type>TDMQ</Type><MqRegion>sh</MqRegion>\
              <MqName>nowhere</MqName>";
    let (_, code, why) = client.refused(Method::PUT, &path, &update("Active", mq)).await;
    assert_eq!(code, "InvalidArgument");
    assert!(why.contains("no message queue `nowhere`"), "{why}");
    let (status, code, _) = client.refused(Method::PUT, "/picqueue/pabsent", &good).await;
    assert_eq!((status, code.as_str()), (404, "NoSuchQueue"));
    let (_, code, _) = client.refused(Method::GET, "/picqueue?state=Asleep", "").await;
    assert_eq!(code, "InvalidArgument");
}

//! Who is told of a job's ending, and what.

use serde_json::{Value, json};
use shared::{
    conformance::memory::Told,
    job::{Callback, JobId},
    ops::{
        callbacks,
        queues::{self, QueueChange},
        rows::QueueKey,
    },
    platform::Recipient,
    wire::callback::{CallbackChoice, CallbackStateView},
};

use super::jobs::ROTATE;
use crate::{testing::Client, tree::Fields, words::time};

fn asking(more: &str) -> String {
    ROTATE.replace("</Request>", &format!("{more}</Request>"))
}

/// Has the job run, and tells. What was told then.
async fn told(client: &Client, xml: &str) -> (JobId, Vec<Told>) {
    let before = client.world.memory.outbox.told().len();
    let (job, _) = client.create(xml).await;
    client.run(job).await;
    client.tell().await;
    (job, client.world.memory.outbox.told().split_off(before))
}

async fn set(client: &Client, notify: &str) {
    let queue = client.get("/picqueue").await;
    let id = queue.fields("QueueList").unwrap().text("QueueId").unwrap().to_owned();
    let xml = format!(
        "<Request><Name>q</Name><State>Active</State><NotifyConfig>{notify}</NotifyConfig></Request>"
    );
    client.put(&format!("/picqueue/{id}"), &xml).await;
}

const OF_QUEUE: &str = "<State>On</State><Event>TaskFinish</Event><ResultFormat>JSON</ResultFormat>\
                        <Type>Url</Type><Url>http://queue.example/</Url>";

#[tokio::test(start_paused = true)]
async fn a_message_in_xml_is_the_description_with_the_event() {
    let client = Client::new().await;
    let (job, told) = told(&client, &asking("<CallBack>http://a.example/</CallBack>")).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].to, Recipient::Url("http://a.example/".into()));
    assert_eq!(told[0].message.content_type, "application/xml");
    assert_eq!(told[0].message.headers, [], "this API signs nothing");
    let said = Fields::read("Response", &told[0].message.body).unwrap();
    assert_eq!(said.text("EventName"), Some("TaskFinish"));
    assert_eq!(said.fields("JobsDetail"), Some(&client.detail(job).await));
}

#[tokio::test(start_paused = true)]
async fn a_message_in_json_has_lists_numbers_and_truths() {
    let client = Client::new().await;
    let xml = asking("<CallBack>http://a.example/</CallBack><CallBackFormat>JSON</CallBackFormat>");
    let (id, told) = told(&client, &xml).await;
    assert_eq!(told[0].message.content_type, "application/json");
    let said: Value = serde_json::from_slice(&told[0].message.body).unwrap();
    let job = client.world.job(id).await;
    let (started, ended) = (time(job.started_at.unwrap()), time(job.ending().unwrap().1));
    let queue = QueueKey::of(&job);
    let expected = json!({"EventName": "TaskFinish", "JobsDetail": [{
        "Code": "Success", "Message": "", "JobId": format!("c{}", id.hex()), "State": "Success",
        "CreationTime": time(id.created_at()), "StartTime": started, "EndTime": ended,
        "QueueId": crate::words::queue_id(&queue), "QueueType": "PicProcess", "Tag": "PicProcess",
        "Input": {"BucketId": "test-123", "Object": "input/deer.jpg", "Region": "ap-chongqing"},
        "Operation": {
            "Output": {"Bucket": "results-123", "Object": "output/out.jpg",
                "Region": "ap-chongqing"},
            "PicProcess": {"IsPicInfo": true, "ProcessRule": "imageMogr2/rotate/90"},
            "UserData": "This is my data.", "JobLevel": "1",
            "PicProcessResult": [{
                "Code": "Success", "Message": "", "State": "Success",
                "ObjectName": "output/out.jpg",
                "OriginalInfo": {"Etag": "0123456789abcdef0123456789abcdef", "ImageInfo": {
                    "Format": "JPEG", "Width": 300, "Height": 451, "Quality": 90,
                    "Ave": "0x806050", "Orientation": 6}},
                "ProcessResult": {"Format": "JPEG", "Width": 451, "Height": 300, "Size": 34000,
                    "Quality": 90, "Etag": "fedcba9876543210fedcba9876543210"},
            }],
        },
    }]});
    assert_eq!(said, expected);
}

#[tokio::test(start_paused = true)]
async fn a_job_without_an_own_address_is_told_where_its_queue_says() {
    let client = Client::new().await;
    assert_eq!(told(&client, ROTATE).await.1, []);
    set(&client, OF_QUEUE).await;
    let of = |told: &[Told]| {
        let [told] = told else { panic!("{told:?}") };
        (told.to.clone(), told.message.content_type)
    };
    let queue = Recipient::Url("http://queue.example/".into());
    let own = Recipient::Url("http://a.example/".into());
    let address = "<CallBack>http://a.example/</CallBack>";
    for (more, to, form) in [
        ("", &queue, "application/json"),
        ("<CallBackFormat>XML</CallBackFormat>", &queue, "application/xml"),
        (address, &own, "application/xml"),
    ] {
        let (_, told) = told(&client, &asking(more)).await;
        assert_eq!(of(&told), (to.clone(), form), "{more}");
    }
    assert_eq!(told(&client, &asking("<CallBack>no</CallBack>")).await.1, []);
    set(&client, &OF_QUEUE.replace("TaskFinish", "WorkflowFinish")).await;
    assert_eq!(told(&client, ROTATE).await.1, []);
    set(&client, "<State>Off</State>").await;
    assert_eq!(told(&client, ROTATE).await.1, []);
}

#[tokio::test(start_paused = true)]
async fn a_message_goes_into_a_queue_that_the_operator_allows() {
    let mut client = Client::new().await;
    let news = "<CallBackType>TDMQ</CallBackType><CallBackMqConfig><MqRegion>gz</MqRegion>\
                <MqMode>Queue</MqMode><MqName>news</MqName></CallBackMqConfig>";
    let (_, code, why) = client.refused(http::Method::POST, "/jobs", &asking(news)).await;
    assert_eq!(code, "InvalidArgument");
    assert!(why.starts_with("CallBackMqConfig.MqName: no message queue `news`"), "{why}");
    client.world.service.config.message_queues = vec!["news".parse().unwrap()];
    let (_, told) = told(&client, &asking(news)).await;
    assert_eq!(told[0].to, Recipient::MessageQueue("news".parse().unwrap()));
    assert!(told[0].body().starts_with("<Response><EventName>TaskFinish"));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_and_a_cancellation_is_not() {
    let client = Client::new().await;
    let xml = asking("<CallBack>http://a.example/</CallBack>");
    let (failed, _) = client.create(&xml).await;
    client.world.run(failed, 3, &[]).await;
    client.tell().await;
    let told = client.world.memory.outbox.told();
    assert_eq!(told.len(), 1);
    let said = Fields::read("Response", &told[0].message.body).unwrap();
    let detail = said.fields("JobsDetail").unwrap();
    assert_eq!(detail.text("State"), Some("Failed"));
    assert_eq!(detail.text("Code"), Some("ProcessFailed"));
    let (cancelled, _) = client.create(&xml).await;
    client.cancel(cancelled).await;
    client.tell().await;
    assert_eq!(client.world.memory.outbox.told().len(), 1);
    let key = client.world.of(cancelled);
    let (job, kept) = callbacks::list(&client.world.service, key).await.unwrap();
    assert_eq!((job.callback, kept), (Callback::Needless, vec![]), "it was not given up");
    assert!(CallbackStateView::of(&job).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_job_is_told_of_in_the_way_of_its_own_api_wherever_that_is_set() {
    let client = Client::new().await;
    let key = QueueKey { project: client.world.project, name: "test-123.pic".parse().unwrap() };
    let secret = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
    let callback = json!({"url": "http://queue.example/", "secret": secret});
    let change = QueueChange {
        callback: CallbackChoice::parse(Some(callback)).unwrap(),
        ..QueueChange::default()
    };
    queues::put(&client.world.service, &key, change).await.unwrap();
    let (_, told) = told(&client, ROTATE).await;
    assert!(told[0].body().starts_with(r#"{"EventName":"TaskFinish""#), "{}", told[0].body());
    assert!(told[0].header("webhook-signature").is_some(), "the queue's owner wants it signed");
    let native = client.world.submit(r#"{"image": "a", "queue": "test-123.pic"}"#).await;
    client.world.run(native.id, 0, &[("Stdout", "")]).await;
    client.tell().await;
    let told = client.world.memory.outbox.told().pop().unwrap();
    assert!(told.body().contains("job.finished"), "{}", told.body());
}

//! Jobs: asked for, described, cancelled.

use http::Method;
use shared::{
    conformance::memory::World,
    job::{Phase, Source},
    ops::attempts,
};

use crate::testing::Client;

/// The vendor's own example, without a template.
pub const ROTATE: &str = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Request><Tag>PicProcess</Tag>\
    <Input><Object>input/deer.jpg</Object></Input><Operation><PicProcess>\
    <IsPicInfo>true</IsPicInfo><ProcessRule>imageMogr2/rotate/90</ProcessRule></PicProcess>\
    <Output><Region>ap-chongqing</Region><Bucket>results-123</Bucket><Object>output/out.jpg\
    </Object></Output><UserData>This is my data.</UserData><JobLevel>1</JobLevel></Operation>\
    </Request>";

#[tokio::test(start_paused = true)]
async fn a_job_is_answered_described_and_done() {
    let client = Client::new().await;
    let (id, made) = client.create(ROTATE).await;
    let queue = made.text("QueueId").unwrap();
    assert_eq!((queue.len(), &queue[..1]), (33, "p"));
    assert_eq!(
        made.xml("JobsDetail"),
        format!(
            "<JobsDetail><Code>Success</Code><Message/><JobId>c{}</JobId>\
             <State>Submitted</State><CreationTime>{time}</CreationTime><EndTime>-</EndTime>\
             <StartTime>-</StartTime><QueueId>{queue}</QueueId><Tag>PicProcess</Tag><Input>\
             <BucketId>test-123</BucketId><Object>input/deer.jpg</Object>\
             <Region>ap-chongqing</Region></Input><Operation><Output><Bucket>results-123</Bucket>\
             <Object>output/out.jpg</Object><Region>ap-chongqing</Region></Output><PicProcess>\
             <IsPicInfo>true</IsPicInfo><ProcessRule>imageMogr2/rotate/90</ProcessRule>\
             </PicProcess><UserData>This is my data.</UserData><JobLevel>1</JobLevel>\
             </Operation></JobsDetail>",
            id.hex(),
            time = crate::words::time(id.created_at()),
        )
    );
    let (attempt, plan) = client.world.start(id).await;
    assert_eq!(&plan.argv[1..3], ["imageMogr2/rotate/90", "--input"]);
    let running = client.detail(id).await;
    assert_eq!(running.text("State"), Some("Running"));
    assert_ne!(running.text("StartTime"), Some("-"));
    let members = [("Stdout", ""), ("out/info.json", crate::testing::INFO)];
    client.world.finish(attempt, 0, &members).await;
    let done = client.detail(id).await;
    assert_eq!((done.text("State"), done.text("Code")), (Some("Success"), Some("Success")));
    assert_ne!(done.text("EndTime"), Some("-"));
    let result = done.fields("Operation").unwrap().fields("PicProcessResult").unwrap();
    assert_eq!(result.text("ObjectName"), Some("output/out.jpg"));
    let process = result.fields("ProcessResult").unwrap();
    for (name, value) in [
        ("Format", "JPEG"),
        ("Width", "451"),
        ("Height", "300"),
        ("Size", "34000"),
        ("Quality", "90"),
        ("Etag", "fedcba9876543210fedcba9876543210"),
    ] {
        assert_eq!(process.text(name), Some(value));
    }
    let original = result.fields("OriginalInfo").unwrap();
    assert_eq!(original.text("Etag"), Some("0123456789abcdef0123456789abcdef"));
    assert_eq!(original.fields("ImageInfo").unwrap().text("Ave"), Some("0x806050"));
}

#[tokio::test(start_paused = true)]
async fn a_job_becomes_one_of_ours_with_its_objects_and_its_place_in_line() {
    let client = Client::new().await;
    let (id, _) = client.create(ROTATE).await;
    let job = client.world.job(id).await;
    assert_eq!((job.name.as_deref(), job.priority), (Some("PicProcess"), 1));
    assert_eq!(job.queue.as_str(), "test-123.pic");
    let spec = attempts::load_spec(&client.world.service, &job).await.unwrap();
    let input =
        Source::Object { bucket: "test-123".parse().unwrap(), key: "input/deer.jpg".into() };
    assert_eq!(spec.tasks[0].inputs[0].source, input);
    let to = spec.tasks[0].outputs[0].to.as_ref().unwrap();
    assert_eq!((to.bucket.as_str(), to.key.as_str()), ("results-123", "output/out.jpg"));
}

#[tokio::test(start_paused = true)]
async fn no_result_has_a_name_that_would_be_filled_in() {
    let client = Client::new().await;
    for word in ["{job}", "{instance}"] {
        let xml = ROTATE.replace("output/out.jpg", &format!("output/{word}.jpg"));
        let (status, code, why) = client.refused(Method::POST, "/jobs", &xml).await;
        assert_eq!((status, code.as_str()), (400, "InvalidArgument"));
        let rule = format!("no object can have `{word}` in its name");
        assert_eq!(why, format!("Operation.Output.Object: {rule}"));
    }
    assert_eq!(client.get("/jobs?tag=All").await.all("JobsDetail").count(), 0);
    // What is read is read by the name that is said.
    client.create(&ROTATE.replace("input/deer.jpg", "input/{job}.jpg")).await;
    client.create(&ROTATE.replace("output/out.jpg", "output/{}.jpg")).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_of_an_operation_is_kept_and_shown() {
    let client = Client::new().await;
    let more = "<JobLevel>1</JobLevel><FreeTranscode>false</FreeTranscode>\
                <Watermark><Text>a &amp; b</Text><Pos/></Watermark><Watermark><Text>c</Text>\
                </Watermark>";
    let (id, _) = client.create(&ROTATE.replace("<JobLevel>1</JobLevel>", more)).await;
    let shown = client.detail(id).await.xml("JobsDetail");
    assert!(shown.contains(&format!("{more}</Operation>")), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn each_operation_is_a_job_and_one_that_is_wrong_leaves_none() {
    let client = Client::new().await;
    let from = ROTATE.find("<Operation>").unwrap();
    let to = ROTATE.find("</Request>").unwrap();
    let operation = &ROTATE[from..to];
    let other = operation.replace("rotate/90", "rotate/180").replace("out.jpg", "other.jpg");
    let both = ROTATE.replace("</Request>", &format!("{other}</Request>"));
    let answer = client.post("/jobs", &both).await;
    let rules: Vec<_> = answer
        .all("JobsDetail")
        .filter_map(|job| job.fields("Operation")?.fields("PicProcess")?.text("ProcessRule"))
        .collect();
    assert_eq!(rules, ["imageMogr2/rotate/90", "imageMogr2/rotate/180"]);
    let wrong = both.replace("imageMogr2/rotate/180", &"x".repeat(5_000));
    let (status, code, why) = client.refused(Method::POST, "/jobs", &wrong).await;
    assert_eq!((status, code.as_str()), (400, "InvalidArgument"));
    assert!(why.starts_with("Operation.PicProcess.ProcessRule: "), "{why}");
    assert_eq!(client.get("/jobs?tag=PicProcess").await.all("JobsDetail").count(), 2);
    let many = ROTATE.replace("</Request>", &format!("{}</Request>", other.repeat(33)));
    let (status, code, why) = client.refused(Method::POST, "/jobs", &many).await;
    assert_eq!((status, code.as_str()), (400, "InvalidArgument"));
    assert!(why.starts_with("Operation: "), "{why}");
}

#[tokio::test(start_paused = true)]
async fn of_operations_that_there_is_no_room_for_all_none_is_a_job() {
    let mut client = Client::new().await;
    client.world.service.limits.open_jobs = 1;
    let from = ROTATE.find("<Operation>").unwrap();
    let both = ROTATE.replace("</Request>", &ROTATE[from..]);
    let (status, code, _) = client.refused(Method::POST, "/jobs", &both).await;
    assert_eq!((status, code.as_str()), (503, "SlowDown"));
    assert_eq!(client.get("/jobs?tag=All").await.all("JobsDetail").count(), 0);
    client.create(ROTATE).await;
}

#[tokio::test(start_paused = true)]
async fn a_report_that_is_far_into_an_archive_is_found() {
    let client = Client::new().await;
    let (id, _) = client.create(ROTATE).await;
    let long = "x".repeat(70 << 10);
    let names: Vec<String> = (0..20).map(|place| format!("out/{place}")).collect();
    let mut members: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*long)).collect();
    members.push(("out/info.json", crate::testing::INFO));
    client.world.run(id, 0, &members).await;
    let done = client.detail(id).await;
    assert_eq!(done.text("State"), Some("Success"));
    assert!(done.fields("Operation").unwrap().fields("PicProcessResult").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_tag_names_a_template_of_the_projects_own() {
    let client = Client::new().await;
    let template = serde_json::json!({
        "parameters": {
            "input": {"type": "string"},
            "Radius": {"type": "integer", "maximum": 9},
            "Word": {"type": "list"},
            "Fast": {"type": "boolean", "default": false},
        },
        "job": {
            "image": "blur", "command": ["${Radius}", "${Fast}", "${Word}"],
            "inputs": [{"path": "/in", "source": {"object": "${input}"}}],
        },
    });
    client.world.template("Blur", template).await;
    let xml = "<Request><Tag>Blur</Tag><Input><Object>a/b</Object></Input><Operation><Blur>\
               <Radius>3</Radius><Word>x</Word><Word>y</Word></Blur><Fast>true</Fast></Operation>\
               </Request>";
    let (id, made) = client.create(xml).await;
    assert!(made.text("JobId").unwrap().starts_with('j'));
    let (_, plan) = client.world.start(id).await;
    assert_eq!(plan.argv[1..], ["3", "true", "x", "y"]);
    assert_eq!(client.detail(id).await.text("Tag"), Some("Blur"));
    let wrong = xml.replace(">3<", ">30<");
    let (status, code, why) = client.refused(Method::POST, "/jobs", &wrong).await;
    assert_eq!((status, code.as_str()), (400, "InvalidArgument"));
    assert!(why.starts_with("Radius: "), "{why}");
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_a_job_is_said_by_its_element() {
    let client = Client::new().await;
    let rule = "<ProcessRule>imageMogr2/rotate/90</ProcessRule>";
    for (there, instead, name) in [
        ("<Tag>PicProcess</Tag>", "", "Tag"),
        ("<Tag>PicProcess</Tag>", "<Tag>Nothing</Tag>", "Tag"),
        ("<Object>input/deer.jpg</Object>", "", "Input.Object"),
        ("<Object>input/deer.jpg</Object>", "<Object>a\tb</Object>", "Input.Object"),
        ("<Region>ap-chongqing</Region>", "", "Operation.Output.Region"),
        ("<Bucket>results-123</Bucket>", "", "Operation.Output.Bucket"),
        ("<Bucket>results-123</Bucket>", "<Bucket>a/b</Bucket>", "Operation.Output.Bucket"),
        ("<Object>output/out.jpg</Object>", "", "Operation.Output.Object"),
        (rule, "", "Operation.PicProcess.ProcessRule"),
        ("<IsPicInfo>true", "<IsPicInfo>perhaps", "Operation.PicProcess.IsPicInfo"),
        ("<JobLevel>1", "<JobLevel>3", "Operation.JobLevel"),
        ("This is my data.", "Bücher", "Operation.UserData"),
        ("This is my data.", &"x".repeat(1_025), "Operation.UserData"),
        (
            "<Tag>PicProcess",
            "<CallBackFormat>YAML</CallBackFormat><Tag>PicProcess",
            "CallBackFormat",
        ),
    ] {
        assert!(ROTATE.contains(there), "{there}");
        let xml = ROTATE.replacen(there, instead, 1);
        let (status, code, why) = client.refused(Method::POST, "/jobs", &xml).await;
        assert_eq!((status, code.as_str()), (400, "InvalidArgument"), "{name}: {why}");
        assert!(why.starts_with(&format!("{name}: ")), "{name}: {why}");
    }
    let cut = ROTATE.replace("<Operation>", "<Operator>").replace("</Operation>", "</Operator>");
    let (.., why) = client.refused(Method::POST, "/jobs", &cut).await;
    assert_eq!(why, "Operation: it is required");
    let cut = ROTATE.replace("Output>", "Input>");
    let (.., why) = client.refused(Method::POST, "/jobs", &cut).await;
    assert_eq!(why, "Operation.Output: it is required");
}

#[tokio::test(start_paused = true)]
async fn many_jobs_are_described_at_once_and_those_that_are_not_there_are_named() {
    let client = Client::new().await;
    let (first, _) = client.create(ROTATE).await;
    let (second, _) = client.create(ROTATE).await;
    let ids = format!("/jobs/c{},cabsent,c{}", second.hex(), first.hex());
    let answer = client.get(&ids).await;
    let found: Vec<_> = answer.all("JobsDetail").filter_map(|job| job.text("JobId")).collect();
    assert_eq!(found, [format!("c{}", second.hex()), format!("c{}", first.hex())]);
    assert_eq!(answer.text("NonExistJobIds"), Some("cabsent"));
    let none = client.get(&format!("/pic_jobs/x,c{}", "0".repeat(32))).await;
    assert_eq!(none.all("JobsDetail").count(), 0);
    assert_eq!(none.text("NonExistJobIds"), Some(format!("x,c{}", "0".repeat(32)).as_str()));
    let other = Client::of(client.world.neighbour().await);
    let theirs = other.get(&format!("/jobs/c{}", first.hex())).await;
    assert_eq!(theirs.all("JobsDetail").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_job_is_cancelled_only_while_it_waits() {
    let client = Client::new().await;
    let (id, _) = client.create(ROTATE).await;
    client.cancel(id).await;
    assert_eq!(client.detail(id).await.text("State"), Some("Cancel"));
    let (running, _) = client.create(ROTATE).await;
    client.world.start(running).await;
    let (done, _) = client.create(ROTATE).await;
    client.run(done).await;
    for id in [id, running, done] {
        let path = format!("/jobs/c{}?cancel", id.hex());
        let (status, code, _) = client.refused(Method::PUT, &path, "").await;
        assert_eq!((status, code.as_str()), (400, "InvalidRequest"));
    }
    assert_eq!(client.world.job(running).await.phase, Phase::Running);
    for path in ["/jobs/cabsent?cancel".into(), format!("/jobs/c{}?cancel", "0".repeat(32))] {
        let (status, code, _) = client.refused(Method::PUT, &path, "").await;
        assert_eq!((status, code.as_str()), (404, "NoSuchJob"));
    }
    let (status, code, _) =
        client.refused(Method::PUT, &format!("/jobs/c{}", done.hex()), "").await;
    assert_eq!((status, code.as_str()), (400, "InvalidURI"));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_failed_says_why() {
    let client = Client::new().await;
    let (id, _) = client.create(ROTATE).await;
    client.world.run(id, 2, &[("Stderr", "")]).await;
    let failed = client.detail(id).await;
    assert_eq!(
        (failed.text("State"), failed.text("Code")),
        (Some("Failed"), Some("ProcessFailed"))
    );
    assert_eq!(failed.text("Message"), Some("The process ended with code 2."));
    assert!(failed.fields("Operation").unwrap().fields("PicProcessResult").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_job_of_any_api_is_described() {
    let client = Client::of(World::new().await);
    let json = r#"{"image": "a", "name": "mine", "priority": 7,
        "stdin": {"object": "books/one"}}"#;
    let native = client.world.submit(json).await;
    let shown = client.detail(native.id).await;
    assert_eq!((shown.text("Tag"), shown.text("State")), (Some("mine"), Some("Submitted")));
    assert_eq!(shown.text("JobId"), Some(format!("j{}", native.id.hex()).as_str()));
    let input = shown.fields("Input").unwrap();
    assert_eq!((input.text("BucketId"), input.text("Object")), (Some("books"), Some("one")));
    assert_eq!(shown.fields("Operation").unwrap().text("JobLevel"), Some("2"));
    let nameless = client.world.submit(r#"{"image": "a"}"#).await;
    assert_eq!(client.detail(nameless.id).await.text("Tag"), Some("Container"));
}

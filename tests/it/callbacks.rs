//! Callbacks, received by the library that Standard Webhooks publishes.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use reqwest::Method;
use serde_json::{Value, json};
use tests::{Options, Runtime, World, until, webhooks_python, workspace};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
const OTHER: &str = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4";

/// A receiver that knows [`SECRET`], gone when dropped.
struct Receiver {
    child: Child,
    port: u16,
}

impl Receiver {
    /// At this port; 0 picks a free one.
    fn at(port: u16) -> Self {
        let mut child = Command::new(webhooks_python())
            .arg(workspace().join("tests/receiver.py"))
            .args([&port.to_string(), SECRET])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Receiver { child, port: line.trim().parse().unwrap() }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// What came in at this path.
    async fn log(&self, path: &str) -> Vec<Value> {
        let log = reqwest::get(self.url("log")).await.unwrap();
        let log: Vec<Value> = log.json().await.unwrap();
        log.into_iter().filter(|entry| entry["path"] == format!("/{path}")).collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn world() -> World {
    let more = ["--allow-callback-to", "127.0.0.0/8"].map(str::to_owned).to_vec();
    World::start_with(Runtime::Process, Options { more, ..Options::default() })
}

async fn submit(world: &World, callback: Value) -> String {
    let job = world.client.submit(world.probe("say hi").with("callback", callback)).await;
    world.client.finish_as(&job, "succeeded").await;
    job
}

/// The job's only callback, once it looks like that.
async fn callback(world: &World, job: &str, is_it: impl Fn(&Value) -> bool) -> Value {
    until("the callback", async || {
        let list = world.client.get(&format!("/v1/jobs/{job}/callbacks")).await.json();
        Some(list["callbacks"][0].clone()).filter(|callback| is_it(callback))
    })
    .await
}

async fn delivered(world: &World, job: &str) -> Value {
    callback(world, job, |callback| callback["state"] == "delivered").await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_published_library_verifies_what_it_is_told_also_while_secrets_change() {
    let (world, receiver) = (world(), Receiver::at(0));
    for secrets in [
        json!({"secret": SECRET}),
        json!({"secret": OTHER, "previous_secret": SECRET}),
        json!({"secret": SECRET, "previous_secret": OTHER}),
    ] {
        let mut asked = secrets;
        asked["url"] = receiver.url("200").into();
        let job = submit(&world, asked).await;
        delivered(&world, &job).await;
        let told = receiver.log("200").await.pop().unwrap();
        assert_eq!(told["id"], format!("{job}-1-finished"));
        assert_eq!(told["event"]["type"], "job.finished", "{told}");
        assert_eq!(told["event"]["data"]["id"], job);
    }
    let job = submit(&world, json!({"secret": OTHER, "url": receiver.url("201")})).await;
    delivered(&world, &job).await;
    let told = receiver.log("201").await.pop().unwrap();
    assert!(told["event"]["refused"].is_string(), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_receiver_answers_is_shown_and_a_redirect_is_not_followed() {
    let (world, receiver) = (world(), Receiver::at(0));
    for (path, state) in [("301", "pending"), ("500", "pending"), ("410", "given_up")] {
        let asked = json!({"secret": SECRET, "url": receiver.url(path)});
        let job = submit(&world, asked).await;
        let tried = |it: &Value| it["state"] == state && it["tries"][0]["status"].is_number();
        let shown = callback(&world, &job, tried).await;
        assert_eq!(shown["tries"][0]["status"].to_string(), path);
        let said = world.tarpon(&["callbacks", "ls", &job]).await.expect(0);
        assert!(said.text().contains(&format!("status {path}")), "{}", said.text());
    }
    assert_eq!(receiver.log("200").await, [Value::Null; 0]);
    let job = submit(&world, json!({"url": "http://10.255.255.1/", "secret": SECRET})).await;
    let barred = callback(&world, &job, |it| it["tries"][0]["error"].is_string()).await;
    let why = "the receiver has an address that is not allowed";
    assert_eq!(barred["tries"][0]["error"], why);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_is_down_is_told_when_it_is_up_again() {
    let world = world();
    let (port, url) = {
        let gone = Receiver::at(0);
        (gone.port, gone.url("twice"))
    };
    let job = submit(&world, json!({"secret": SECRET, "url": url})).await;
    callback(&world, &job, |it| it["tries"][0]["error"].is_string()).await;
    let receiver = Receiver::at(port);
    // It fails twice more: once by itself, once by hand.
    callback(&world, &job, |it| it["tries"].as_array().is_some_and(|made| made.len() > 1)).await;
    for _ in 0..2 {
        let count = receiver.log("twice").await.len();
        world.tarpon(&["callbacks", "redeliver", &job]).await.expect(0);
        until("another try", async || (receiver.log("twice").await.len() > count).then_some(()))
            .await;
    }
    let shown = delivered(&world, &job).await;
    let ids: Vec<_> =
        receiver.log("twice").await.into_iter().map(|told| told["id"].clone()).collect();
    assert!(ids.iter().all(|id| *id == shown["id"]), "{ids:?}");
    let path = format!("/v1/jobs/{job}/callbacks/nonsense/redeliver");
    let unknown = world.client.request(Method::POST, &path).send().await.unwrap();
    assert_eq!(unknown.status(), 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_callback_outlives_the_server_that_dies_over_it() {
    let (mut world, receiver) = (world(), Receiver::at(0));
    let url = receiver.url("late");
    let spec = world.probe("say hi").with("callback", json!({"secret": SECRET, "url": url}));
    let job = world.client.submit(spec).await;
    until("the first try", async || (!receiver.log("late").await.is_empty()).then_some(())).await;
    world.kill9();
    world.restart();
    let shown = delivered(&world, &job).await;
    assert_eq!(shown["tries"].as_array().map(Vec::len), Some(2));
    let log = receiver.log("late").await;
    assert_eq!(log.len(), 2);
    assert_eq!(log[0], log[1], "the same message, under the same id");
}

//! The dialect on a platform in memory, as its clients see it.

mod access;
mod images;
mod lists;
mod results;
mod submit;

use serde_json::Value;
use shared::{
    conformance::memory::{Answer, Ask, World},
    job::{Job, JobId},
    ops::jobs::{self, Filter},
};

use crate::{UcloudUgc, sign::signed, words::job_id};

const OCTETS: &str = "application/octet-stream";

/// No parameters.
const NONE: &[(&str, &str)] = &[];

const MEMBERS: [(&str, &str); 4] =
    [("Stdout", "hello\n"), ("Stderr", ""), ("tmp/result", "a result"), ("manifest.json", "{}")];

/// These parameters, signed by the project's key.
fn sign(world: &World, pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let key = world.key.to_string();
    let all = || pairs.iter().copied().chain([("PublicKey", key.as_str())]);
    let signature = signed(all(), world.secret.reveal());
    let all = all().chain([("Signature", signature.as_str())]);
    all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A request with these parameters in its query, and no other credential.
fn asking<N: AsRef<str>, V: AsRef<str>>(world: &World, pairs: &[(N, V)]) -> Ask {
    let ask = world.ask("/").nameless();
    pairs.iter().fold(ask, |ask, (name, value)| ask.query(name.as_ref(), value.as_ref()))
}

/// The answer of an action on the control plane.
async fn control(world: &World, action: &str, pairs: &[(&str, &str)]) -> Answer {
    let all = [&[("Action", action), ("Region", "cn-bj2")][..], pairs].concat();
    asking(world, &sign(world, &all)).speak(&UcloudUgc).await.expect(200)
}

async fn token(world: &World) -> String {
    let answer = said(&control(world, "GetAccessToken", &[]).await, 0);
    answer["AccessToken"].as_str().expect("a token").to_owned()
}

/// A request on the task plane, with a token and unsigned.
async fn tasking(world: &World, action: &str, pairs: &[(&str, &str)]) -> Ask {
    let token = token(world).await;
    let all = [("Action", action), ("Region", "cn-bj2"), ("AccessToken", &token)];
    asking(world, &[&all[..], pairs].concat())
}

async fn task(world: &World, action: &str, pairs: &[(&str, &str)]) -> Answer {
    tasking(world, action, pairs).await.speak(&UcloudUgc).await.expect(200)
}

/// The answer's JSON, once it is seen to be of this code.
fn said(answer: &Answer, code: i32) -> Value {
    assert_eq!(answer.header("content-type"), Some("application/json"), "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["RetCode"], code, "{json}");
    json
}

/// A task that is not waited for, as the job that it is.
async fn submitted(world: &World, pairs: &[(&str, &str)]) -> JobId {
    let all = [&[("ImageName", "a:1"), ("TaskType", "Async")][..], pairs].concat();
    let answer = said(&task(world, "SubmitTask", &all).await, 0);
    job_id(answer["TaskId"].as_str().expect("an id")).expect("a task's id")
}

/// The one job that there is, once there is.
async fn only_job(world: &World) -> Job {
    loop {
        let found = jobs::newest(&world.service, world.project, &Filter::default()).await;
        let mut found = found.expect("jobs can be listed");
        assert!(found.len() < 2);
        if let Some(job) = found.pop() {
            return job;
        }
        tokio::task::yield_now().await;
    }
}

/// Each member of a tar, by the name that is written there.
fn members(tar: &[u8]) -> Vec<(String, String)> {
    let mut tar = tar::Archive::new(tar);
    let member = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.expect("the tar is sound");
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut text = String::new();
        std::io::Read::read_to_string(&mut entry, &mut text).expect("text");
        (name, text)
    };
    tar.entries().expect("a tar").map(member).collect()
}

/// The members that [`MEMBERS`] come to.
fn expected() -> Vec<(String, String)> {
    [("Stdout", "hello\n"), ("/tmp/result", "a result")]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into()
}

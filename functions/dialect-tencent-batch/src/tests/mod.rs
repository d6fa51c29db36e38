//! The API, asked as its clients ask it, over a project in memory.

mod access;
mod catalogue;
mod envs;
mod jobs;
mod listing;
mod notifications;
mod refusals;
mod submits;
mod tasks;
mod templates;

use std::cell::Cell;

use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::{
    auth::signing::{sha256_hex, unreserved},
    conformance::memory::{Answer, World},
    job::{JobId, JobKey},
    platform::Clock,
};

use crate::{
    TencentBatch,
    sign::{self, Hash},
};

pub(super) const HOST: &str = "127.0.0.1:8080";
pub(super) const REGION: &str = "ap-guangzhou";

/// A job's id in the right form that nothing has.
pub(super) const UNKNOWN: &str = "job-0123456789abcdef0123456789abcdef";

/// A client of the API, with the key of a project.
pub(super) struct Client {
    pub(super) world: World,
    nonce: Cell<u64>,
}

/// What is answered: the response, or its error's code.
pub(super) type Said = Result<Value, String>;

impl Client {
    pub(super) async fn new() -> Self {
        Client::of(World::new().await)
    }

    pub(super) fn of(world: World) -> Self {
        Client { world, nonce: Cell::new(1) }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.world.memory.clock.now()
    }

    /// Asked by TC3, with a JSON body.
    pub(super) async fn ask(&self, action: &str, parameters: Value) -> Said {
        said(&self.sent(action, &parameters.to_string(), |tc3| tc3).await)
    }

    /// What is answered to what should be.
    pub(super) async fn got(&self, action: &str, parameters: Value) -> Value {
        let text = parameters.to_string();
        self.ask(action, parameters).await.unwrap_or_else(|code| panic!("{action} {text}: {code}"))
    }

    /// The code of what is answered to what should not be.
    pub(super) async fn code(&self, action: &str, parameters: Value) -> String {
        let text = parameters.to_string();
        match self.ask(action, parameters).await {
            Ok(answer) => panic!("{action} {text}: {answer}"),
            Err(code) => code,
        }
    }

    /// By TC3, with something other than it should be.
    pub(super) async fn sent(
        &self,
        action: &str,
        body: &str,
        change: impl FnOnce(Tc3) -> Tc3,
    ) -> Answer {
        self.send(action, &change(self.tc3(body))).await
    }

    /// A TC3 request with this body, as it should be.
    pub(super) fn tc3(&self, body: &str) -> Tc3 {
        Tc3 {
            key: self.world.key.to_string(),
            secret: self.world.secret.reveal().to_owned(),
            at: self.now(),
            service: "batch".into(),
            host: HOST.into(),
            version: "2017-03-12".into(),
            region: Some(REGION.into()),
            signed: body.to_owned(),
            sent: body.to_owned(),
            more: Vec::new(),
        }
    }

    async fn send(&self, action: &str, tc3: &Tc3) -> Answer {
        let mut ask = self
            .world
            .ask("/")
            .method(Method::POST)
            .body("application/json", &tc3.sent)
            .header("authorization", &tc3.authorization())
            .header("host", HOST)
            .header("x-tc-action", action)
            .header("x-tc-timestamp", &tc3.at.as_second().to_string())
            .header("x-tc-version", &tc3.version);
        if let Some(region) = &tc3.region {
            ask = ask.header("x-tc-region", region);
        }
        for (name, value) in &tc3.more {
            ask = ask.header(name, value);
        }
        ask.speak(&TencentBatch).await
    }

    /// The parameters of an older signature, signed.
    pub(super) fn signed(
        &self,
        method: &str,
        hash: Hash,
        action: &str,
        own: &[(&str, &str)],
    ) -> Vec<(String, String)> {
        self.nonce.set(self.nonce.get() + 1);
        let word = if hash == Hash::Sha1 { "HmacSHA1" } else { "HmacSHA256" };
        let common = [
            ("Action", action.to_owned()),
            ("RequestClient", "SDK_PYTHON_3.1.171".into()),
            ("Nonce", self.nonce.get().to_string()),
            ("Timestamp", self.now().as_second().to_string()),
            ("Version", "2017-03-12".into()),
            ("Region", REGION.into()),
            ("SecretId", self.world.key.to_string()),
            ("SignatureMethod", word.into()),
            ("Language", "en-US".into()),
        ];
        let own = own.iter().map(|(name, value)| (*name, (*value).to_owned()));
        let mut pairs: Vec<(String, String)> =
            own.chain(common).map(|(name, value)| (name.to_owned(), value)).collect();
        let text = sign::in_one(method, HOST, &pairs);
        let signature = sign::older(self.world.secret.reveal(), hash, &text);
        pairs.push(("Signature".into(), signature));
        pairs
    }

    /// Asked by such parameters.
    pub(super) async fn older(&self, method: Method, pairs: &[(String, String)]) -> Answer {
        let ask = self.world.ask("/").nameless().method(method.clone()).header("host", HOST);
        let ask = if method == Method::GET {
            pairs.iter().fold(ask, |ask, (name, value)| ask.query(name, value))
        } else {
            let pair = |(name, value): &(String, String)| {
                format!("{}={}", unreserved(name), unreserved(value))
            };
            let form = pairs.iter().map(pair).collect::<Vec<_>>().join("&");
            ask.body("application/x-www-form-urlencoded", form)
        };
        ask.speak(&TencentBatch).await
    }

    /// A job of these tasks, accepted.
    pub(super) async fn submit(&self, tasks: Value) -> String {
        self.submit_job(json!({ "Tasks": tasks })).await
    }

    pub(super) async fn submit_job(&self, job: Value) -> String {
        let answer = self.got("SubmitJob", submission(job)).await;
        answer["JobId"].as_str().unwrap().to_owned()
    }

    pub(super) async fn job(&self, id: &str) -> Value {
        self.got("DescribeJob", json!({ "JobId": id })).await
    }

    pub(super) async fn instances(&self, id: &str, task: &str) -> Value {
        self.got("DescribeTask", json!({ "JobId": id, "TaskName": task })).await
    }
}

/// A TC3 request, before it is signed.
pub(super) struct Tc3 {
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) at: Timestamp,
    pub(super) service: String,
    /// As it is signed; it is sent as it is.
    pub(super) host: String,
    pub(super) version: String,
    pub(super) region: Option<String>,
    pub(super) signed: String,
    pub(super) sent: String,
    pub(super) more: Vec<(&'static str, String)>,
}

impl Tc3 {
    /// The header that signs it.
    pub(super) fn authorization(&self) -> String {
        let media_type = "application/json".to_owned();
        let headers = [("content-type", media_type), ("host", self.host.clone())];
        let payload = sha256_hex(self.signed.as_bytes());
        let canonical = sign::canonical("POST", "", &headers, &payload);
        let signature = sign::tc3(&self.secret, self.at, &self.service, &canonical);
        format!(
            "TC3-HMAC-SHA256 Credential={}/{}/{}/tc3_request, \
             SignedHeaders=content-type;host, Signature={signature}",
            self.key,
            self.at.strftime("%Y-%m-%d"),
            self.service
        )
    }
}

/// What an answer says; it has the one status, the bare type, and an id.
pub(super) fn said(answer: &Answer) -> Said {
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let mut response = answer.json()["Response"].take();
    let id = response.as_object_mut().unwrap().remove("RequestId").unwrap();
    assert_eq!(id.as_str().unwrap().len(), 36);
    match response.get("Error") {
        Some(error) => {
            assert!(error["Message"].as_str().unwrap().ends_with('.'), "{error}");
            Err(error["Code"].as_str().unwrap().to_owned())
        }
        None => Ok(response),
    }
}

pub(super) fn code(answer: &Answer) -> String {
    said(answer).unwrap_err()
}

/// A task of this name that runs this, on a small machine.
pub(super) fn task(name: &str, command: &str) -> Value {
    json!({
        "TaskName": name,
        "Application": { "DeliveryForm": "LOCAL", "Command": command },
        "ComputeEnv": {
            "EnvType": "MANAGED",
            "EnvData": { "InstanceType": "S1.SMALL1", "ImageId": "busybox" },
        },
    })
}

/// The same with this of it other.
pub(super) fn with(mut task: Value, name: &str, value: Value) -> Value {
    task[name] = value;
    task
}

/// What `SubmitJob` is asked with.
pub(super) fn submission(job: Value) -> Value {
    let placement = json!({ "Zone": "ap-guangzhou-2" });
    let named = [("Placement", placement), ("Job", job)];
    named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

pub(super) fn parsed(id: &str) -> JobId {
    id.parse().unwrap()
}

pub(super) fn key(client: &Client, id: &str) -> JobKey {
    client.world.of(parsed(id))
}

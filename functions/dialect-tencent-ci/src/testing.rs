//! A client that signs as the vendor's does, for tests.

use http::Method;
use shared::{
    auth::{
        Secret,
        signing::{hex, hmac_sha1, sha1_hex, unreserved},
    },
    conformance::memory::{Answer, World},
    job::{Job, JobId},
    ops::callbacks,
    platform::Clock,
};

use crate::{TencentCi, Told, tree::Fields, words};

/// The host that a client of the vendor's asks.
pub const HOST: &str = "test-123.ci.ap-chongqing.myqcloud.com";

/// Asks in a project's name.
pub struct Client {
    pub world: World,
    pub host: &'static str,
    pub key: String,
    pub secret: Secret,
}

impl Client {
    pub async fn new() -> Self {
        Client::of(World::new().await)
    }

    pub fn of(world: World) -> Self {
        let (key, secret) = (world.key.to_string(), world.secret.clone());
        Client { world, host: HOST, key, secret }
    }

    /// What the header says of a request that is signed so many seconds from
    /// now.
    pub fn authorization(&self, method: &Method, target: &str, seconds: i64) -> String {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut pairs: Vec<(String, String)> = query
            .split('&')
            .filter(|pair| pair.contains('='))
            .map(|pair| pair.split_once('=').unwrap())
            .map(|(name, value)| (unreserved(name).to_ascii_lowercase(), unreserved(value)))
            .collect();
        pairs.sort();
        let now = self.world.memory.clock.now().as_second() + seconds;
        let time = format!("{};{}", now - 60, now + 10_000);
        let parameters: Vec<_> =
            pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let names: Vec<_> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        let text = format!(
            "{}\n{path}\n{}\nhost={}\n",
            method.as_str().to_ascii_lowercase(),
            parameters.join("&"),
            unreserved(self.host),
        );
        let text = format!("sha1\n{time}\n{}\n", sha1_hex(text.as_bytes()));
        let key = hex(&hmac_sha1(self.secret.reveal().as_bytes(), time.as_bytes()));
        let signature = hex(&hmac_sha1(key.as_bytes(), text.as_bytes()));
        format!(
            "q-sign-algorithm=sha1&q-ak={}&q-sign-time={time}&q-key-time={time}\
             &q-header-list=host&q-url-param-list={}&q-signature={signature}",
            self.key,
            names.join(";"),
        )
    }

    /// What the API answers.
    pub async fn ask(&self, method: Method, target: &str, xml: &str) -> Answer {
        let authorization = self.authorization(&method, target, 0);
        let ask = self.world.ask(target).method(method).header("host", self.host);
        let ask = ask.header("authorization", &authorization);
        ask.body("application/xml", xml).speak(&TencentCi).await
    }

    /// The answer to a request that is fine.
    pub async fn done(&self, method: Method, target: &str, xml: &str) -> Fields {
        let answer = self.ask(method, target, xml).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/xml"));
        assert_eq!(answer.header("server"), Some("tencent-ci"));
        assert!(answer.header("x-ci-request-id").is_some_and(|id| !id.is_empty()));
        Fields::read("Response", &answer.body).unwrap()
    }

    pub async fn get(&self, target: &str) -> Fields {
        self.done(Method::GET, target, "").await
    }

    pub async fn post(&self, target: &str, xml: &str) -> Fields {
        self.done(Method::POST, target, xml).await
    }

    pub async fn put(&self, target: &str, xml: &str) -> Fields {
        self.done(Method::PUT, target, xml).await
    }

    /// The status, the code and the message of a request that is refused.
    pub async fn refused(&self, method: Method, target: &str, xml: &str) -> (u16, String, String) {
        refusal(&self.ask(method, target, xml).await)
    }

    /// A job of this request, and how it was answered.
    pub async fn create(&self, xml: &str) -> (JobId, Fields) {
        let answer = self.post("/jobs", xml).await;
        let detail = answer.fields("JobsDetail").unwrap().clone();
        (words::read_job_id(detail.text("JobId").unwrap()).unwrap(), detail)
    }

    /// The job, as it is described now.
    pub async fn detail(&self, job: JobId) -> Fields {
        let answer = self.get(&format!("/jobs/c{}", job.hex())).await;
        answer.fields("JobsDetail").unwrap().clone()
    }

    /// Cancels a job that waits.
    pub async fn cancel(&self, job: JobId) {
        let path = format!("/jobs/c{}?cancel", job.hex());
        assert_eq!(self.ask(Method::PUT, &path, "").await.expect(200).text(), "");
    }

    /// The job, run to its end with a picture's report in its archive.
    pub async fn run(&self, job: JobId) -> Job {
        self.world
            .run(job, 0, &[("Stdout", ""), ("out/picture", "…"), ("out/info.json", INFO)])
            .await
    }

    /// Tells everybody who is to be told.
    pub async fn tell(&self) {
        callbacks::sweep(&self.world.service, &[&Told]).await.unwrap();
    }
}

/// What the image for pictures leaves in the archive.
pub const INFO: &str = r#"{
    "original": {"format": "JPEG", "width": 300, "height": 451, "size_bytes": 35084,
        "md5": "0123456789abcdef0123456789abcdef", "quality": 90, "orientation": 6,
        "average_color": "0x806050"},
    "result": {"format": "JPEG", "width": 451, "height": 300, "size_bytes": 34000,
        "md5": "fedcba9876543210fedcba9876543210", "quality": 90}}"#;

/// The status, the code and the message of an error.
pub fn refusal(answer: &Answer) -> (u16, String, String) {
    let error = Fields::read("Error", &answer.body).unwrap();
    let text = |name| error.text(name).unwrap_or_else(|| panic!("{name} of {}", answer.text()));
    for name in ["Resource", "RequestId", "TraceId"] {
        assert!(!text(name).is_empty());
    }
    (answer.status.as_u16(), text("Code").to_owned(), text("Message").to_owned())
}

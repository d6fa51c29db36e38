//! A client of the HTTP API: one project's key, and the verbs that stories use.

use std::{collections::BTreeMap, time::Instant};

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::{Answer, Archive, Spec, until::PATIENCE};

/// Who a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The project.
    pub project: String,
    /// The key's id.
    pub key: String,
    /// The key's secret.
    pub secret: String,
}

impl Credentials {
    /// As the service prints them.
    pub fn read(from: &Value) -> Self {
        let text = |name: &str| {
            let text = from[name].as_str().unwrap_or_else(|| panic!("no {name} in {from}"));
            text.to_owned()
        };
        Credentials {
            project: from["project_id"].as_str().unwrap_or_default().to_owned(),
            key: text("access_key_id"),
            secret: text("secret_access_key"),
        }
    }
}

/// A client of one project.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    /// Who it is.
    pub credentials: Credentials,
}

impl Client {
    /// A client of the server at `base`, such as `http://127.0.0.1:8080`.
    pub fn new(base: &str, credentials: Credentials) -> Self {
        Client { http: http(), base: base.to_owned(), credentials }
    }

    /// Where the server is.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The same server, as somebody else.
    #[must_use]
    pub fn as_(&self, credentials: Credentials) -> Self {
        Client { credentials, ..self.clone() }
    }

    /// A request to `path`, with this client's credentials.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let Credentials { key, secret, .. } = &self.credentials;
        self.anonymous(method, path).basic_auth(key, Some(secret))
    }

    /// A request without credentials. `path` may be a whole URL.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with('/') { format!("{}{path}", self.base) } else { path.into() };
        self.http.request(method, url)
    }

    /// What is at `path`.
    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    /// Sends JSON to `path`.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// Puts JSON to `path`.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::PUT, path).json(body)).await
    }

    /// Deletes what is at `path`.
    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// Submits a job that has to be accepted, and gives its id.
    pub async fn submit(&self, job: impl Into<Value>) -> String {
        let answer = self.post("/v1/jobs", &job.into()).await.expect(202);
        let id = answer.json()["id"].as_str().expect("a job has an id").to_owned();
        assert_eq!(answer.header("location"), format!("/v1/jobs/{id}"));
        assert_eq!(answer.header("tarpon-job-id"), id);
        id
    }

    /// Submits a job by a body that becomes its standard input.
    pub async fn submit_body(&self, query: &[(&str, &str)], kind: &str, body: Bytes) -> Answer {
        let request = self.request(Method::POST, "/v1/jobs").query(query);
        send(request.header(CONTENT_TYPE, kind).body(body)).await
    }

    /// The job as it is now.
    pub async fn job(&self, job: &str) -> Value {
        self.get(&format!("/v1/jobs/{job}")).await.expect(200).json()
    }

    /// The job once it is over.
    pub async fn finish(&self, job: &str) -> Value {
        let path = format!("/v1/jobs/{job}?wait={}", PATIENCE.as_secs());
        let start = Instant::now();
        loop {
            let view = self.get(&path).await.expect(200).json();
            if is_over(&view) {
                return view;
            }
            // Some servers let nobody wait for that long at once.
            assert!(start.elapsed() < PATIENCE, "still not over: {view:#}");
        }
    }

    /// The job once it is over, in this state.
    pub async fn finish_as(&self, job: &str, state: &str) -> Value {
        let view = self.finish(job).await;
        assert_eq!(view["state"], state, "{view:#}");
        view
    }

    /// Submits a job, and gives it once it is over.
    pub async fn run(&self, job: impl Into<Value>) -> (Value, Archive) {
        let job = self.submit(job).await;
        let view = self.finish(&job).await;
        (view, self.archive(&job).await)
    }

    /// The job's archive.
    pub async fn archive(&self, job: &str) -> Archive {
        let answer = self.get(&format!("/v1/jobs/{job}/output")).await.expect(200);
        assert_eq!(answer.header("content-type"), "application/x-tar");
        Archive::read(answer.body)
    }

    /// What the job wrote, or has written so far.
    pub async fn logs(&self, job: &str, query: &str) -> String {
        let answer = self.get(&format!("/v1/jobs/{job}/logs{query}")).await.expect(200);
        String::from_utf8_lossy(&answer.body).into_owned()
    }

    /// Asks for the job's end.
    pub async fn cancel(&self, job: &str) -> Answer {
        self.post(&format!("/v1/jobs/{job}/cancel"), &json!({})).await
    }

    /// Makes a queue, or changes it.
    pub async fn queue(&self, name: &str, settings: Value) -> Answer {
        let answer = self.put(&format!("/v1/queues/{name}"), &settings).await;
        assert!([200, 201].contains(&answer.status), "{answer:?}");
        answer
    }

    /// How many attempts of the queue are live.
    pub async fn running(&self, queue: &str) -> u64 {
        let queues = self.get("/v1/queues").await.expect(200).json();
        let queues = queues["queues"].as_array().expect("queues are listed").clone();
        let found = queues.iter().find(|known| known["name"] == queue).expect("it is listed");
        found["running"].as_u64().expect("a count is a number")
    }

    /// Every job that the query selects, page by page.
    pub async fn list(&self, query: &str) -> Vec<Value> {
        let mut jobs = Vec::new();
        let mut cursor = None;
        loop {
            let Page { items, next } = self.page("jobs", query, cursor.as_deref()).await;
            jobs.extend(items);
            cursor = next;
            if cursor.is_none() {
                return jobs;
            }
        }
    }

    /// One page of a listing.
    pub async fn page(&self, what: &str, query: &str, cursor: Option<&str>) -> Page {
        let mut request = self.request(Method::GET, &format!("/v1/{what}?{query}"));
        if let Some(cursor) = cursor {
            request = request.query(&[("cursor", cursor)]);
        }
        let page = send(request).await.expect(200).json();
        let items = page[what].as_array().expect("a page has a list").clone();
        Page { items, next: page["next"].as_str().map(str::to_owned) }
    }

    /// An access token for this client's key.
    pub async fn token(&self) -> String {
        let token = self.post("/v1/tokens", &json!({})).await.expect(200).json();
        assert_eq!(token["token_type"], "Bearer");
        token["access_token"].as_str().expect("a token is text").to_owned()
    }

    /// Stores an object by a signed URL.
    pub async fn put_object(&self, name: &str, bytes: Bytes) {
        let upload = self.post("/v1/uploads", &json!({ "object": name })).await.expect(201);
        self.upload(&upload.json(), bytes).await;
    }

    /// Sends the bytes of an upload to where it says.
    pub async fn upload(&self, upload: &Value, bytes: Bytes) {
        let url = upload["url"].as_str().expect("an upload has a URL");
        let mut request = self.anonymous(Method::PUT, url).body(bytes);
        let headers: BTreeMap<String, String> =
            serde_json::from_value(upload["headers"].clone()).expect("headers are texts");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = send(request).await;
        assert!((200..300).contains(&answer.status), "{answer:?}");
    }
}

/// What asks, without a proxy.
pub fn http() -> reqwest::Client {
    // Nothing here speaks TLS, but a client without it cannot be made.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let http = reqwest::Client::builder().no_proxy().timeout(3 * PATIENCE).build();
    http.expect("a client can be made")
}

/// A page of a listing.
#[derive(Clone, Debug)]
pub struct Page {
    /// What is on it.
    pub items: Vec<Value>,
    /// Where the next one starts.
    pub next: Option<String>,
}

/// Sends a request, and reads its answer to the end.
///
/// # Panics
///
/// If there is no answer.
pub async fn send(request: RequestBuilder) -> Answer {
    Answer::of(request.send().await.expect("the server answers")).await
}

/// Whether a job's view says that it is over.
pub fn is_over(view: &Value) -> bool {
    !matches!(view["state"].as_str(), Some("queued" | "running" | "stopping"))
}

impl From<&Spec> for Value {
    fn from(spec: &Spec) -> Self {
        spec.clone().into()
    }
}
